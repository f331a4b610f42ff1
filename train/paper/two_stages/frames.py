"""First-person frames of 84x84 pixels, as PNG files: what the two stages are trained on.

    pip install vizdoom==1.3.2
    python train/paper/two_stages/frames.py --out build/doom

The paper has DeepMind Lab; here a player walks at random through free scenarios of ViZDoom. Every
tenth walk is held out: `train` and `validation` have frames of different walks. A walk depends on
its number alone; those that are there are not made again. 24,000 frames take about four minutes.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import vizdoom
from numpy.typing import NDArray
from PIL import Image

SIDE = 84
SCENARIOS = ("my_way_home", "health_gathering_supreme", "deathmatch", "deadly_corridor", "basic")
BUTTONS = (vizdoom.Button.MOVE_FORWARD, vizdoom.Button.TURN_LEFT, vizdoom.Button.TURN_RIGHT)
ACTIONS = ([1, 0, 0], [1, 0, 0], [0, 1, 0], [0, 0, 1], [1, 1, 0], [1, 0, 1])
"""Which buttons are pressed; to walk straight on is twice as likely."""
TICS = 12
"""Between two frames, of which there are 35 a second: frames that follow differ."""
KEPT_ACTIONS = 4
"""Frames over which an action goes on."""


def start(scenario: str, seed: int) -> vizdoom.DoomGame:
    """Start a scenario, 120 rows by 160 columns, with nothing drawn over the view."""
    game = vizdoom.DoomGame()
    game.load_config(str(Path(vizdoom.scenarios_path, f"{scenario}.cfg")))
    game.set_doom_game_path(str(Path(vizdoom.__file__).parent / "freedoom2.wad"))
    game.set_window_visible(False)
    game.set_sound_enabled(False)
    game.set_seed(seed)
    game.set_screen_resolution(vizdoom.ScreenResolution.RES_160X120)
    game.set_screen_format(vizdoom.ScreenFormat.RGB24)
    game.set_render_hud(False)
    game.set_render_weapon(False)
    game.set_render_crosshair(False)
    game.set_available_buttons(list(BUTTONS))
    game.set_episode_timeout(10**6)
    game.init()
    return game


def walk(scenario: str, seed: int, count: int) -> Iterator[NDArray[np.uint8]]:
    """Yield `count` frames, uint8 (84, 84, 3), of a random walk."""
    rng = np.random.default_rng(seed)
    game = start(scenario, seed)
    action = ACTIONS[0]
    for number in range(count):
        if game.is_episode_finished():
            game.new_episode()
        if number % KEPT_ACTIONS == 0:
            action = ACTIONS[rng.integers(len(ACTIONS))]
        square = Image.fromarray(game.get_state().screen_buffer[:, 20:140])
        yield np.asarray(square.resize((SIDE, SIDE), Image.Resampling.BOX))
        game.make_action(action, TICS)
    game.close()


def main() -> None:
    """Make the folders."""
    parser = argparse.ArgumentParser(description=str(__doc__).partition("\n")[0])
    parser.add_argument("--out", type=Path, required=True, help="folder of the two folders")
    parser.add_argument("--walks", type=int, default=40, help="walks through each scenario")
    parser.add_argument("--frames", type=int, default=120, help="frames of a walk")
    given = parser.parse_args()
    for number in range(given.walks):
        folder = given.out / ("validation" if number % 10 == 9 else "train")
        folder.mkdir(parents=True, exist_ok=True)
        for scenario in SCENARIOS:
            last = folder / f"{scenario}-{number:03d}-{given.frames - 1:04d}.png"
            if last.exists():
                continue
            for index, frame in enumerate(walk(scenario, number, given.frames)):
                Image.fromarray(frame).save(folder / f"{scenario}-{number:03d}-{index:04d}.png")
        print(f"walk {number + 1} of {given.walks}", flush=True)


if __name__ == "__main__":
    main()
