"""First-person frames of 84x84 pixels, as PNG files: what two stages and clips are trained on.

    pip install vizdoom==1.3.2
    python train/paper/frames.py --out build/doom              # for two_stages/
    python train/paper/frames.py --out build/walks --tics 1    # for clips/

The paper has DeepMind Lab; here a player walks at random through free scenarios of ViZDoom. Every
tenth walk is held out: `train` and `validation` have frames of different walks. Each walk has a
folder, with its frames and `actions.txt`, a line for each frame: the action that led to it, or
nothing where none did, as of the first one and of one where the game began anew. A walk depends on
its number and on --tics alone; those that are there are not made again. 24,000 frames take about
four minutes.
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
ACTIONS = {
    "forward": [1, 0, 0],
    "turn left": [0, 1, 0],
    "turn right": [0, 0, 1],
    "forward and left": [1, 1, 0],
    "forward and right": [1, 0, 1],
}
"""Which buttons are pressed."""
CHOICES = "forward", *ACTIONS
"""To walk straight on is twice as likely."""
TICS = 12
"""Between two frames, of which there are 35 a second: frames that follow differ much."""
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


def walk(
    scenario: str, seed: int, count: int, tics: int
) -> Iterator[tuple[str, NDArray[np.uint8]]]:
    """Yield the actions and frames of a random walk: `count` frames, uint8 (84, 84, 3), each with
    the name of the action that led to it.
    """
    rng = np.random.default_rng(seed)
    game = start(scenario, seed)
    action, led = CHOICES[0], ""
    for number in range(count):
        if game.is_episode_finished():
            game.new_episode()
            led = ""
        if number % KEPT_ACTIONS == 0:
            action = CHOICES[rng.integers(len(CHOICES))]
        square = Image.fromarray(game.get_state().screen_buffer[:, 20:140])
        yield led, np.asarray(square.resize((SIDE, SIDE), Image.Resampling.BOX))
        game.make_action(ACTIONS[action], tics)
        led = action
    game.close()


def record(folder: Path, scenario: str, seed: int, count: int, tics: int) -> None:
    """Write a walk to a folder, unless it is there."""
    actions = folder / "actions.txt"  # written last
    if actions.exists():
        return
    folder.mkdir(parents=True, exist_ok=True)
    names = []
    for index, (name, frame) in enumerate(walk(scenario, seed, count, tics)):
        Image.fromarray(frame).save(folder / f"{index:04d}.png")
        names.append(name)
    actions.write_text("".join(f"{name}\n" for name in names))


def main() -> None:
    """Make the folders."""
    parser = argparse.ArgumentParser(description=str(__doc__).partition("\n")[0])
    parser.add_argument("--out", type=Path, required=True, help="folder of the two folders")
    parser.add_argument("--walks", type=int, default=40, help="walks through each scenario")
    parser.add_argument("--frames", type=int, default=120, help="frames of a walk")
    parser.add_argument("--tics", type=int, default=TICS, help="35ths of a second between frames")
    given = parser.parse_args()
    for number in range(given.walks):
        part = given.out / ("validation" if number % 10 == 9 else "train")
        for scenario in SCENARIOS:
            folder = part / f"{scenario}-{number:03d}"
            record(folder, scenario, number, given.frames, given.tics)
        print(f"walk {number + 1} of {given.walks}", flush=True)


if __name__ == "__main__":
    main()
