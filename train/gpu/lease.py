"""Train photo-2 for some minutes, with all that a GPU gives.

    PYTHONPATH=. python3 train/gpu/lease.py train/photo-2.toml /tmp/parcel --out $OUT --minutes 6 2

takes what `pack.py` packed, its folders copied into one, and trains the stage that the run was
in, or if that had ended the next, here for 6 minutes, and the stage after it for 2. How many
steps a GPU takes in that time nobody knows before; so the clock, not a count, says where in the
recipe's schedule a step is: when half of the time is over, half of the steps to make are counted
as done. Every two minutes, and in the end, checkpoint (`slim`) and log go to the folder --out,
over the ones before. What a stage ended with, if another follows, is kept in the parcel's folder
`ended`.
"""

from __future__ import annotations

import argparse
import math
import shutil
import sys
import time
from dataclasses import dataclass
from itertools import accumulate
from pathlib import Path

import torch
from graphs import TrainedStage, steps_of
from pack import CHECKPOINT
from slim import load_slim, save_slim, slim_files
from stage import ParcelMedium, Shelves, enlarged, packed_pictures
from torch import Tensor

from vqcodec.engines.precision import lower_dtype
from vqcodec.errors import ModelCorruptError
from vqcodec.training.architectures import load_recipe
from vqcodec.training.config_deep import DeepPhotoRecipe
from vqcodec.training.deep_start import advance, learnt_of
from vqcodec.training.loop import SILENCE, Log, learning_rate, stop_requested
from vqcodec.training.optimise import Average, Optimisers
from vqcodec.training.run_deep_photo import CODEBOOKS, DeepStage, open_stage

_LOG_EVERY, _SHOW_EVERY = 50, 1000
"""Steps."""
_SAVE_EVERY = 120.0
"""Seconds."""
_RESERVE = 15.0
"""Seconds kept for the last validation and checkpoint."""
_ENDED = "ended"
"""Folder of the parcel for what stages before the last one end with."""
_FACTOR_MAX = 2.0
"""Muon's rate grows with the square root of the batch, but rates more than 2.4 times the recipe's
have not been tried.
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Span:
    """A stretch of the recipe's steps, and what it may cost."""

    start: int
    until: int
    """Where in the recipe's steps it begins and ends."""
    seconds: float
    """Time for all of it."""
    steps: int | None = None
    """Steps that are taken at most, however many of the recipe's they count for; None: no limit."""

    def part(self, seconds: float, steps: int) -> float:
        """Return how much of it is over, from 0, after so much time and so many steps."""
        by_steps = steps / self.steps if self.steps else 0.0
        return max(seconds / self.seconds, by_steps) if self.seconds > 0.0 else 1.0

    def step(self, part: float) -> int:
        """Return the recipe's step there."""
        return self.start + int(min(part, 1.0) * (self.until - self.start))


class Lease:
    """Trains a stage over a span."""

    def __init__(
        self,
        stage: TrainedStage,
        span: Span,
        factor: float,
        work: Path,
        out: Path,
        device: torch.device,
    ) -> None:
        """The stage's rates are multiplied by `factor`. The log is kept in the folder `work`, and
        copied to `out` with each checkpoint, so that the two always belong together.
        """
        self._stage = stage
        self._device = device
        self._span = span
        self._factor = factor
        self._work = work
        self._out = out
        self._log = Log(work, stage.name)
        self._optimisers = Optimisers(stage.module, stage.schedule)
        self._average = Average(stage.module, stage.schedule.average)
        self._taker = steps_of(stage, self._optimisers, device)
        self.steps = 0
        """That were taken."""
        self._logged = 0.0

    def run(self) -> int:
        """Train, and return the recipe's step that is reached, sooner after SIGINT or SIGTERM; the
        stage's module then holds the average.

        Raises FloatingPointError when training diverges; the last checkpoint stands.
        """
        span = self._span
        began = saved = time.monotonic()
        self._log.open(span.start)
        self._validate(span.start)
        step, part = span.start, 0.0
        with stop_requested() as stopped:
            while part < 1.0 and not stopped():
                self._step(step)
                now = time.monotonic()
                part = span.part(now - began, self.steps)
                step = span.step(part)
                if now - saved > _SAVE_EVERY:
                    self._checked(step)
                    self._save(step)
                    saved = time.monotonic()
        self._checked(step)
        self._validate(step)
        self._save(step)
        self._average.swap()
        self._stage.module.eval()
        return step

    def _step(self, step: int) -> None:
        stage = self._stage
        warm = min(1.0, (self.steps + 1) / max(1, stage.schedule.warmup))
        rate = learning_rate(stage.schedule, step) * self._factor * warm
        self._taker.take(stage.batch(step).to(self._device), step, rate)
        self._average.update(step)
        self.steps += 1
        if self.steps % _LOG_EVERY == 0:
            figures = self._checked(step)
            now = time.perf_counter()
            seconds = (now - self._logged) / _LOG_EVERY if self._logged else math.nan
            self._logged = now
            self._log.write("train", step, figures | {"seconds": seconds})
            if self.steps % _SHOW_EVERY == 0:
                print(f"step {step}:", *_shown(figures), f"{seconds:.4f} s", flush=True)

    def _checked(self, step: int) -> dict[str, float]:
        """Return the figures of the last step. Raises FloatingPointError if they are none."""
        figures = self._taker.figures()
        if not math.isfinite(figures["gradient"]):
            raise FloatingPointError(
                f"step {step}: gradients are no numbers any more; the checkpoint before stands"
            )
        return figures

    def _validate(self, step: int) -> None:
        self._stage.module.eval()
        # Its pictures have shapes of their own, for which trying algorithms would take longer.
        with self._average.swapped(), torch.backends.cudnn.flags(benchmark=False):
            figures = self._stage.validate()
        self._stage.module.train()
        self._log.write("validation", step, figures)
        print(f"validation at step {step}: loss {figures['loss']:.4f}", flush=True)

    def _save(self, step: int) -> None:
        weights = self._stage.module.state_dict() | self._average.tensors
        named = {
            name.removeprefix("coded.").removeprefix("networks."): value
            for name, value in weights.items()
            if not name.startswith("discriminators.")
        }
        save_slim(named, self._out, stage=self._stage.name, start=self._span.start, step=step)
        shutil.copyfile(self._work / "log.jsonl", self._out / "log.jsonl")


@dataclass(frozen=True, slots=True)
class Work:
    """What a parcel has to be trained."""

    stage: str
    step: int
    """Steps of the stage that are done."""
    weights: dict[str, Tensor]

    @classmethod
    def of(cls, recipe: DeepPhotoRecipe, parcel: Path) -> Work:
        """Read it: of a stage that has ended, the next.

        Raises: ModelCorruptError if the checkpoint is not whole; ValueError if all has ended.
        """
        manifest, weights = load_slim(parcel / CHECKPOINT)
        stages = recipe.train.stages
        if manifest.stage not in stages:
            raise ValueError(f"{parcel}: the recipe has no stage {manifest.stage}")
        if manifest.step < stages[manifest.stage].steps:
            return cls(manifest.stage, manifest.step, weights)
        left = list(stages)[list(stages).index(manifest.stage) + 1 :]
        if not left:
            raise ValueError(f"{parcel}: the last stage has ended")
        return cls(left[0], 0, weights)


def open_work(
    recipe: DeepPhotoRecipe, work: Work, parcel: Path, shelves: Shelves, device: torch.device
) -> DeepStage:
    """Make the stage of a parcel, with the weights in it.

    Raises ModelCorruptError if these are another recipe's; ValueError if there are no pictures.
    """
    dtype = lower_dtype(device, recipe.train.precision)
    pictures = packed_pictures(recipe, parcel)
    learnt = learnt_of(recipe, work.weights, dtype)
    if not work.step:
        learnt = advance(recipe, work.stage, learnt, pictures, dtype)
    settings = recipe.train.stages[work.stage]
    medium = ParcelMedium(recipe, settings, learnt.networks, pictures, shelves, parcel, device)
    (parcel / CODEBOOKS).unlink(missing_ok=True)
    cache = None if work.step else parcel / CODEBOOKS
    return open_stage(recipe, work.stage, learnt, medium, cache, SILENCE)[0]


def train(options: argparse.Namespace, given: DeepPhotoRecipe) -> None:
    """Train a stage for each number of minutes.

    Raises: ModelCorruptError or ValueError if the parcel is not whole or of another recipe, or
    `--until` is not ahead; FloatingPointError when training diverges.
    """
    device, parcel = torch.device(options.device), options.parcel
    torch.manual_seed(given.seed)
    began = time.monotonic()
    shelves: Shelves | None = None
    ends = [60.0 * minutes for minutes in accumulate(options.minutes)]
    for end in ends:
        work = Work.of(given, parcel)
        shelves = shelves or Shelves(given, parcel, device)
        recipe = enlarged(given, work.stage, options.batch)
        stage = open_work(recipe, work, parcel, shelves, device)
        last = end == ends[-1]
        span = Span(
            start=work.step,
            until=(options.until if last else None) or stage.schedule.steps,
            seconds=end - (time.monotonic() - began) - _RESERVE,
            steps=options.steps,
        )
        if not span.start < span.until <= stage.schedule.steps:
            raise ValueError(f"--until must be {span.start + 1} to {stage.schedule.steps}")
        growth = options.batch / given.train.stages[work.stage].batch
        factor = options.factor or min(_FACTOR_MAX, growth**0.5)
        loaded = time.monotonic() - began
        print(f"{work.stage}: ready after {loaded:.0f} s; rates times {factor:.2f}", flush=True)
        lease = Lease(stage, span, factor, parcel, options.out, device)
        step = lease.run()
        print(f"steps {span.start} to {step}: {time.monotonic() - began:.0f} s", flush=True)
        if last or step < stage.schedule.steps:
            break
        shutil.copytree(options.out, parcel / _ENDED / work.stage, dirs_exist_ok=True)
        for path in slim_files(options.out):
            shutil.copyfile(path, parcel / CHECKPOINT / path.name)


def main() -> None:
    """Train as the command line says."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("recipe", type=Path)
    parser.add_argument("parcel", type=Path, help="folder with all that was packed")
    parser.add_argument("--out", type=Path, required=True, help="folder for checkpoint and log")
    parser.add_argument(
        "--minutes", type=float, nargs="+", required=True, help="time for everything, by stage"
    )
    parser.add_argument("--until", type=int, help="step of the recipe to end at; default: the last")
    parser.add_argument("--steps", type=int, help="take at most so many steps, as in a rehearsal")
    parser.add_argument("--batch", type=int, default=48, help="crops per step")
    parser.add_argument("--factor", type=float, help="of the recipe's rates; default: by the batch")
    parser.add_argument("--device", default="cuda")
    options = parser.parse_args()
    given = load_recipe(options.recipe)
    if not isinstance(given, DeepPhotoRecipe):
        parser.error(f"{options.recipe} is not a recipe of photo-2")
    torch.backends.cudnn.benchmark = True
    try:
        train(options, given)
    except (OSError, ModelCorruptError, ValueError, FloatingPointError) as error:
        sys.exit(str(error))


def _shown(figures: dict[str, float]) -> list[str]:
    return [f"{name} {value:.3f}" for name, value in figures.items()]


if __name__ == "__main__":
    main()
