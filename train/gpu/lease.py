"""Train photo-2's first stage for some minutes, with all that a GPU gives.

    PYTHONPATH=. python3 train/gpu/lease.py train/photo-2.toml /tmp/parcel --out $OUT --minutes 8

takes what `pack.py` packed, its folders copied into one, and trains to a step of the recipe,
its last one unless told otherwise. How many steps a GPU takes in that time nobody knows before;
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

import torch
from pack import CHECKPOINT
from slim import Manifest, load_slim, save_slim
from stage import ParcelStage, enlarged

from vqcodec.errors import ModelCorruptError
from vqcodec.training.architectures import load_recipe
from vqcodec.training.config import DeepPhotoRecipe
from vqcodec.training.growth import blank
from vqcodec.training.loop import Log, learning_rate, stop_requested
from vqcodec.training.optimise import Average, Optimisers
from vqcodec.training.precision import lower_dtype

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

    def __init__(
        self, stage: ParcelStage, span: Span, factor: float, work: Path, out: Path
    ) -> None:
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
        save_slim(self._average.tensors, self._out, start=self._span.start, step=step)
        shutil.copyfile(self._work / "log.jsonl", self._out / "log.jsonl")


def open_stage(
    recipe: DeepPhotoRecipe, parcel: Path, device: torch.device
) -> tuple[ParcelStage, Manifest]:
    """Make the stage of a parcel, with the weights in it.

    Raises ModelCorruptError if these are not whole or another recipe's; ValueError if there are
    no pictures.
    """
    manifest, weights = load_slim(parcel / CHECKPOINT)
    dtype = lower_dtype(device, recipe.train.precision)
    module = blank(recipe.transform, recipe.latent_prior, dtype)
    try:
        module.load_state_dict(weights)
    except RuntimeError as error:
        raise ModelCorruptError(f"{parcel}: the checkpoint is of another recipe") from error
    return ParcelStage(recipe, module, parcel, device), manifest


def compile_networks(stage: ParcelStage) -> None:
    """Have torch fuse what each network computes; what cannot be compiled runs as it is."""
    torch._dynamo.config.suppress_errors = True
    for network in (stage.module.analysis, stage.module.synthesis, stage.module.prior):
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
    recipe = enlarged(given, options.batch)
    try:
        stage, manifest = open_stage(recipe, options.parcel, torch.device(options.device))
    except (OSError, ModelCorruptError, ValueError) as error:
        sys.exit(str(error))
    if options.compile:
        compile_networks(stage)
    growth = options.batch / given.train.transform.batch
    left = 60.0 * options.minutes - (time.monotonic() - began) - _RESERVE
    span = Span(
        start=manifest.step,
        until=options.until or stage.schedule.steps,
        seconds=left,
        steps=options.steps,
    )
    if span.until <= span.start or span.until > stage.schedule.steps:
        parser.error(f"--until must be {span.start + 1} to {stage.schedule.steps}")
    factor = options.factor or min(_FACTOR_MAX, growth**0.5)
    print(f"loaded in {time.monotonic() - began:.0f} s; rates times {factor:.2f}", flush=True)
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
