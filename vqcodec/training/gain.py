"""What a model of one's own gains beside the model that it began as, on pictures held out."""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TypeAlias

import numpy as np

from vqcodec.container import Mode, parse
from vqcodec.errors import NoGainError
from vqcodec.image.pipeline import compress, decompress
from vqcodec.metrics import Pixels, bits_per_pixel, psnr
from vqcodec.models.model import PictureModel
from vqcodec.training.loop import Metrics, Reporter

Curve: TypeAlias = "Sequence[tuple[float, float]]"
"""Bits per pixel and PSNR in dB at several qualities, each the mean over pictures."""
_POINTS = 256
"""Of the curves, at which they are compared."""
_LEAST = 1e-6
"""Bits per pixel that count at least: none at all have no logarithm."""


def percent_saved(before: Curve, after: Curve) -> float:
    """Return how many percent fewer bits the second curve has at equal PSNR, mean over the range
    that both reach; 0 if there is none.

    This is BD-rate (Bjontegaard, VCEG-M33, 2001) with the sign turned, and with straight lines
    between points, over which the logarithm of the rate is interpolated.
    """
    # By PSNR, the columns of each: PSNR, and the logarithm of the rate.
    lines = [
        np.array(sorted((decibels, math.log(max(rate, _LEAST))) for rate, decibels in curve)).T
        for curve in (before, after)
    ]
    low = max(decibels[0] for decibels, _ in lines)
    high = min(decibels[-1] for decibels, _ in lines)
    if low >= high:
        return 0.0
    at = np.linspace(low, high, _POINTS)
    logarithms = [np.interp(at, decibels, rates).mean() for decibels, rates in lines]
    return float(100.0 * -np.expm1(logarithms[1] - logarithms[0]))


def check_use(model: PictureModel, pictures: Sequence[Pixels]) -> None:
    """Raise NoGainError if most of the pictures take fewer bytes stored exactly than coded by the
    model at its default quality: they need none.
    """
    exact = [parse(compress(p, model=model)).header.mode is Mode.LITERAL for p in pictures]
    if 2 * sum(exact) > len(exact):
        raise NoGainError(
            f"{sum(exact)} of {len(exact)} pictures held out take fewer bytes stored exactly than "
            f"with {model.name}: no model saves anything there"
        )


@dataclass(frozen=True, slots=True)
class Judge:
    """Pictures that were held out, and what is asked of a model on them."""

    pictures: Sequence[Pixels]
    others: Sequence[Pixels]
    """Some that stand for all other pictures."""
    start: PictureModel
    """What training went on from."""
    least_percent: float
    """Percent of bits that must be saved."""

    def check(self, percent: float) -> None:
        """Raise NoGainError if what is saved is not enough."""
        if percent < self.least_percent:
            raise NoGainError(
                f"{round(percent, 1) + 0.0} % of bits are saved beside {self.start.name} on "
                f"pictures held out, {self.least_percent:g} % are asked for: no model is written",
                hint="more pictures, all of one kind, may help",
            )

    def compare(self, own: PictureModel, size: int, progress: Callable[[], None]) -> Metrics:
        """Compare files of both models at every other quality; `size` is that of the own model's
        file in bytes, and `progress` is called whenever a file is done.

        Returns `percent_saved`, `percent_saved_on_others`, which is below 0 where more bits are
        needed there, and where the first is above 0 `megapixels_to_pay`: how many of them, at a
        middle quality, save as many bytes as the model's file has.
        """
        before, after, others_before, others_after = (
            self._curve(model, pictures, progress)
            for pictures in (self.pictures, self.others)
            for model in (self.start, own)
        )
        percent = percent_saved(before, after)
        middle = before[len(before) // 2][0]
        saved = percent / 100.0 * middle / 8.0  # bytes per pixel
        paid = {"megapixels_to_pay": size / saved / 1e6} if saved > 0.0 else {}
        others = percent_saved(others_before, others_after)
        return {"percent_saved": percent, "percent_saved_on_others": others, **paid}

    @property
    def rounds(self) -> int:
        """How often `compare` calls its `progress`."""
        return 2 * len(self._qualities) * (len(self.pictures) + len(self.others))

    @property
    def _qualities(self) -> range:
        return range(1, self.start.qualities + 1, 2)

    def _curve(
        self, model: PictureModel, pictures: Sequence[Pixels], progress: Callable[[], None]
    ) -> Curve:
        curve = []
        for quality in self._qualities:
            points = []
            for pixels in pictures:
                data = compress(pixels, model=model, quality=quality)
                decoded = np.asarray(decompress(data, model=model))
                points.append((bits_per_pixel(len(data), pixels), psnr(pixels, decoded)))
                progress()
            rate, decibels = np.mean(points, axis=0)
            curve.append((float(rate), float(decibels)))
        return curve


class GainReporter:
    """Tells, whenever the stage with codebooks is validated, what is saved by then."""

    def __init__(self, reporter: Reporter, judge: Judge, steps: int, log: Path) -> None:
        """`steps` are the stage's, `log` is that of the run, which knows the validation before
        the first of them if the run is resumed.
        """
        self._reporter = reporter
        self._judge = judge
        self._steps = steps
        self._start = _first_curve(log)

    def start(self, stage: str, step: int, steps: int) -> None:
        """Pass it on."""
        self._reporter.start(stage, step, steps)

    def step(self, stage: str, step: int, metrics: Metrics) -> None:
        """Pass it on."""
        self._reporter.step(stage, step, metrics)

    def validation(self, stage: str, step: int, metrics: Metrics) -> None:
        """Tell what is saved. Raises NoGainError if from half of the steps on it is too little."""
        curve = _curve_of(metrics)
        if step == 0:
            self._start = curve
        if step == 0 or not self._start:  # of a resumed run the log may be lost
            return
        percent = percent_saved(self._start, curve)
        self._reporter.validation(stage, step, {"percent_saved": percent})
        if 2 * step >= self._steps:
            self._judge.check(percent)


def _curve_of(metrics: Metrics) -> Curve:
    """Read the curve off figures of `ProductStage.validate`."""
    count = sum(name.startswith("psnr") for name in metrics)
    return [(metrics[f"integer{q}"], metrics[f"psnr{q}"]) for q in range(1, count + 1)]


def _first_curve(log: Path) -> Curve:
    rows = map(json.loads, log.read_text("utf-8").splitlines()) if log.exists() else ()
    first = [row for row in rows if row["kind"] == "validation" and row["step"] == 0]
    return _curve_of(first[-1]) if first else ()
