"""Train photo-2 for some minutes, with all that a GPU gives.

    PYTHONPATH=. python3 train/gpu/lease.py train/photo-2.toml /tmp/parcel --out $OUT --minutes 8

takes what `pack.py` packed, its folders copied into one, and trains the stage that the run was
in, or if that had ended the next, to a step of the recipe, the stage's last one unless told
otherwise. How many steps a GPU takes in that time nobody knows before;
so the clock, not a count, says where in the recipe's schedule a step is: when half of the
time is over, half of the steps to make are counted as done. Every two minutes, and in the
end, checkpoint (`slim`) and log go to the folder --out, over the ones before.
"""

from __future__ import annotations

import argparse
import math
import shutil
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from pack import CHECKPOINT
from slim import load_slim, save_slim
from stage import ParcelMedium, enlarged, packed_pictures
from torch import Tensor

from vqcodec.errors import ModelCorruptError
from vqcodec.training.architectures import load_recipe
from vqcodec.training.config_deep import DeepPhotoRecipe
from vqcodec.training.deep_start import advance, learnt_of
from vqcodec.training.loop import SILENCE, Log, learning_rate, stop_requested
from vqcodec.training.optimise import Average, Optimisers
from vqcodec.training.precision import lower_dtype
from vqcodec.training.run_deep_photo import CODEBOOKS, DeepStage, open_stage
from vqcodec.training.transform import Photo

_LOG_EVERY = 50
_SAVE_EVERY = 120.0
"""Seconds."""
_RESERVE = 15.0
"""Seconds kept for the last validation and checkpoint."""
_FACTOR_MAX = 2.0
"""Muon's rate grows with the square root of the batch, but a rate far above the recipe's has
not been tried with it.
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

    def __init__(self, stage: DeepStage, span: Span, factor: float, work: Path, out: Path) -> None:
        """The stage's rates are multiplied by `factor`. The log is kept in the folder `work`, and
        copied to `out` with each checkpoint, so that the two always belong together.
        """
        self._stage = stage
        self._span = span
        self._factor = factor
        self._work = work
        self._out = out
        self._log = Log(work, stage.name)
        self._optimisers = Optimisers(stage.module, stage.schedule)
        self._average = Average(stage.module, stage.schedule.average)
        self._steps = 0

    def run(self) -> int:
        """Train, and return the recipe's step that is reached, sooner after SIGINT or SIGTERM.

        Raises FloatingPointError when training diverges; the last checkpoint stands.
        """
        span = self._span
        began = saved = time.monotonic()
        self._log.open(span.start)
        self._validate(span.start)
        self._stage.module.train()
        step, part = span.start, 0.0
        with stop_requested() as stopped:
            while part < 1.0 and not stopped():
                self._step(step)
                now = time.monotonic()
                part = span.part(now - began, self._steps)
                step = span.step(part)
                if now - saved > _SAVE_EVERY:
                    self._save(step)
                    saved = time.monotonic()
        self._validate(step)
        self._save(step)
        return step

    def _step(self, step: int) -> None:
        stage = self._stage
        began = time.perf_counter()
        loss, metrics = stage.loss(stage.batch(step), step)
        warm = min(1.0, (self._steps + 1) / max(1, stage.schedule.warmup))
        rate = learning_rate(stage.schedule, step) * self._factor * warm
        norm = self._optimisers.step(loss, rate)
        if not math.isfinite(norm):
            raise FloatingPointError(
                f"step {step}: gradients are no numbers any more; the checkpoint before stands"
            )
        self._average.update(step)
        self._steps += 1
        if self._steps % _LOG_EVERY == 0:
            seconds = time.perf_counter() - began
            figures = {"loss": float(loss.detach()), **metrics, "gradient": norm}
            self._log.write("train", step, figures | {"seconds": seconds})
            print(f"step {step}:", *_shown(figures), f"{seconds:.3f} s", flush=True)

    def _validate(self, step: int) -> None:
        self._stage.module.eval()
        # Its pictures have shapes of their own, for which compiling would take longer than they do.
        with self._average.swapped(), torch.compiler.set_stance("force_eager"):
            figures = self._stage.validate()
        self._log.write("validation", step, figures)
        print(f"validation at step {step}: loss {figures['loss']:.4f}", flush=True)

    def _save(self, step: int) -> None:
        weights = self._stage.module.state_dict() | self._average.tensors
        named = {name.removeprefix("networks."): value for name, value in weights.items()}
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
    recipe: DeepPhotoRecipe, work: Work, parcel: Path, device: torch.device
) -> tuple[DeepStage, Photo[Any]]:
    """Make the stage of a parcel, with the weights in it, and its networks.

    Raises ModelCorruptError if these are another recipe's; ValueError if there are no pictures.
    """
    dtype = lower_dtype(device, recipe.train.precision)
    pictures = packed_pictures(recipe, parcel)
    learnt = learnt_of(recipe, work.weights, dtype)
    if not work.step:
        learnt = advance(recipe, work.stage, learnt, pictures, dtype)
    settings = recipe.train.stages[work.stage]
    medium = ParcelMedium(recipe, settings, learnt.networks, pictures, parcel, device)
    (parcel / CODEBOOKS).unlink(missing_ok=True)
    cache = None if work.step else parcel / CODEBOOKS
    stage, _ = open_stage(recipe, work.stage, learnt, medium, cache, SILENCE)
    return stage, medium.networks


def compile_networks(networks: Photo[Any]) -> None:
    """Have torch fuse what each network computes; what cannot be compiled runs as it is."""
    torch._dynamo.config.suppress_errors = True
    for network in (networks.analysis, networks.synthesis, networks.prior):
        network.compile(dynamic=False)


def main() -> None:
    """Train as the command line says."""
    began = time.monotonic()
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("recipe", type=Path)
    parser.add_argument("parcel", type=Path, help="folder with all that was packed")
    parser.add_argument("--out", type=Path, required=True, help="folder for checkpoint and log")
    parser.add_argument("--minutes", type=float, required=True, help="time for everything")
    parser.add_argument("--until", type=int, help="step of the recipe to end at; default: the last")
    parser.add_argument("--steps", type=int, help="take at most so many steps, as in a rehearsal")
    parser.add_argument("--batch", type=int, default=96, help="crops per step")
    parser.add_argument("--factor", type=float, help="of the recipe's rates; default: by the batch")
    parser.add_argument("--compile", action="store_true", help="see README.md")
    parser.add_argument("--device", default="cuda")
    options = parser.parse_args()
    given = load_recipe(options.recipe)
    if not isinstance(given, DeepPhotoRecipe):
        parser.error(f"{options.recipe} is not a recipe of photo-2")
    torch.backends.cudnn.benchmark = True
    try:
        work = Work.of(given, options.parcel)
        recipe = enlarged(given, work.stage, options.batch)
        stage, networks = open_work(recipe, work, options.parcel, torch.device(options.device))
    except (OSError, ModelCorruptError, ValueError) as error:
        sys.exit(str(error))
    if options.compile:
        compile_networks(networks)
    growth = options.batch / given.train.stages[work.stage].batch
    left = 60.0 * options.minutes - (time.monotonic() - began) - _RESERVE
    span = Span(
        start=work.step,
        until=options.until or stage.schedule.steps,
        seconds=left,
        steps=options.steps,
    )
    if span.until <= span.start or span.until > stage.schedule.steps:
        parser.error(f"--until must be {span.start + 1} to {stage.schedule.steps}")
    factor = options.factor or min(_FACTOR_MAX, growth**0.5)
    loaded = time.monotonic() - began
    print(f"{work.stage}: loaded in {loaded:.0f} s; rates times {factor:.2f}", flush=True)
    lease = Lease(stage, span, factor, options.parcel, options.out)
    try:
        step = lease.run()
    except FloatingPointError as error:
        sys.exit(str(error))
    print(f"steps {span.start} to {step} in {time.monotonic() - began:.0f} s", flush=True)


def _shown(figures: dict[str, float]) -> list[str]:
    return [f"{name} {value:.3f}" for name, value in figures.items()]


if __name__ == "__main__":
    main()
