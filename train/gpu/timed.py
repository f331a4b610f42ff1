"""Train a VQ-VAE of speech for some minutes, and write its model file.

    PYTHONPATH=. python3 train/gpu/timed.py train/paper-speech.toml --data sounds --validation val \
        --run /tmp/run --out $OUT/paper-speech.safetensors --minutes 5 2.5

trains the recipe's first stage, reading the recordings included, for 5 minutes, and the second,
indexing included, for 2.5 more (`vqcodec.training.timed`). `--batch 64 64` takes larger batches
than the recipe's, at rates that grow with their square root; `--set a.b=c` changes other settings.
The log is copied to the model's folder. If anything fails, or the process is told to stop, what
the last checkpoints of the stages hold goes there instead (`slim`), each to a folder of the stage's
name.
"""

from __future__ import annotations

import argparse
import shutil
import signal
import sys
import time
from dataclasses import replace
from itertools import accumulate
from pathlib import Path
from typing import TypeVar

import torch
from safetensors import safe_open
from slim import save_slim

from vqcodec.engines.devices import DEVICES, pick_device
from vqcodec.storage import write_whole
from vqcodec.training.architectures import load_recipe
from vqcodec.training.config import ScheduleConfig
from vqcodec.training.config_sound_vqvae import SoundVqVaeRecipe
from vqcodec.training.loop import LOG_FILE, Lines, Reporter, Stage
from vqcodec.training.run_sound_vqvae import train_stages
from vqcodec.training.start import Run
from vqcodec.training.timed import TimedTrainer

_Schedule = TypeVar("_Schedule", bound=ScheduleConfig)
STAGES = ("autoencoder", "prior")


def enlarged(recipe: SoundVqVaeRecipe, batches: list[int]) -> SoundVqVaeRecipe:
    """Return the recipe with batches of other sizes in its two stages, and rates to match."""
    settings = recipe.train
    first = _with_batch(settings.autoencoder, batches[0])
    second = _with_batch(settings.prior, batches[1])
    return replace(recipe, train=replace(settings, autoencoder=first, prior=second))


def _with_batch(schedule: _Schedule, batch: int) -> _Schedule:
    rate = schedule.learning_rate * (batch / schedule.batch) ** 0.5
    return replace(schedule, batch=batch, learning_rate=rate)


def save_checkpoints(run: Path, out: Path) -> None:
    """Write the weights of the stages' checkpoints in the folder `run` to folders of `out`."""
    for stage in STAGES:
        path = run / f"{stage}.safetensors"
        if not path.exists():
            continue
        with safe_open(path, framework="pt") as file:
            names = [name for name in file.keys() if name.startswith("module.")]  # noqa: SIM118
            weights = {name.removeprefix("module."): file.get_tensor(name) for name in names}
            step = int((file.metadata() or {})["step"])
        save_slim(weights, out / stage, stage=stage, start=0, step=step)


def main() -> None:
    """Train as the command line says."""
    parser = argparse.ArgumentParser(description=str(__doc__).partition("\n")[0])
    parser.add_argument("recipe", type=Path)
    parser.add_argument("--data", type=Path, required=True, help="folder of recordings")
    parser.add_argument("--validation", type=Path, required=True, help="folder of others")
    parser.add_argument("--run", type=Path, required=True, help="folder for what stays here")
    parser.add_argument("--out", type=Path, required=True, help="the model file to write")
    parser.add_argument("--minutes", type=float, nargs=2, required=True, help="time, by stage")
    parser.add_argument("--batch", type=int, nargs=2, help="crops per step, by stage")
    parser.add_argument("--set", dest="settings", metavar="a.b=c", action="append", default=[])
    parser.add_argument("--device", choices=DEVICES, default="auto")
    options = parser.parse_args()
    if not all("=" in setting for setting in options.settings):
        parser.error("--set: expected a.b=c")
    settings = dict(setting.split("=", 1) for setting in options.settings)
    recipe = load_recipe(options.recipe, settings)
    if not isinstance(recipe, SoundVqVaeRecipe):
        parser.error(f"{options.recipe} is no recipe of a VQ-VAE of speech")
    if options.batch:
        recipe = enlarged(recipe, options.batch)
    began = time.monotonic()
    ends = iter([began + 60.0 * minutes for minutes in accumulate(options.minutes)])

    def trainer(stage: Stage, folder: Path, reporter: Reporter) -> TimedTrainer:
        return TimedTrainer(stage, folder, reporter, until=next(ends))

    folder = options.out.parent
    for place in (options.run, folder):
        place.mkdir(parents=True, exist_ok=True)
    run = Run(
        data=[options.data],
        validation=options.validation,
        folder=options.run,
        resume=False,
        device=torch.device(pick_device(options.device)),
        reporter=Lines(),
    )
    # Between stages too, what there is shall be written.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit("told to stop"))
    try:
        made = train_stages(recipe, run, trainer)
    except BaseException:
        save_checkpoints(options.run, folder)
        raise
    else:
        write_whole(options.out, made, overwrite=True)
    finally:
        if (log := options.run / LOG_FILE).exists():
            shutil.copyfile(log, folder / f"{options.out.stem}.{LOG_FILE}")
    print(f"{options.out}: {len(made)} bytes, {time.monotonic() - began:.0f} s", flush=True)


if __name__ == "__main__":
    main()
