"""What curves say: bits saved at equal quality, and rates read off between points.

BD-rate is that of the package `bjontegaard` (PCHIP, as in the JCT-VC common test
conditions) over the range of quality that both curves reach.
"""

from __future__ import annotations

import math
import warnings
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from vqcodec.metrics import decibels


@dataclass(frozen=True, slots=True)
class BdRate:
    """How many more bits one codec needs than another."""

    percent: float
    """Mean difference in rate at equal quality; negative is fewer bits."""
    low: float
    """The lowest quality compared, on the metric's scale (MS-SSIM: 0..1)."""
    high: float
    """The highest."""


class Curve:
    """Rate and quality of one codec, of at least two points."""

    def __init__(self, metric: str, points: Iterable[tuple[float, float]]) -> None:
        """`points` are (rate, value), in any order; MS-SSIM is compared in dB.

        A point that costs more than another and is no better is left out, as
        interpolation needs a quality that rises with the rate. Raises: ValueError
        if fewer than two are left.
        """
        self.metric = metric
        kept: list[tuple[float, float]] = []
        for rate, value in sorted(points):
            quality = self._quality_of(value)
            if not kept or quality > kept[-1][1]:
                kept.append((rate, quality))
        if len(kept) < 2:
            raise ValueError("a curve needs two points")
        self._rate = np.array([rate for rate, _ in kept])
        self._quality = np.array([quality for _, quality in kept])

    def saving(self, anchor: Curve) -> BdRate | None:
        """Compare with `anchor`; None if no quality is reached by both."""
        from bjontegaard import bd_rate

        low = max(self._quality[0], anchor._quality[0])
        high = min(self._quality[-1], anchor._quality[-1])
        if low >= high:
            return None
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # a small overlap is stated, not warned of
            percent = bd_rate(
                anchor._rate,
                anchor._quality,
                self._rate,
                self._quality,
                method="pchip",
                require_matching_points=False,
            )
        return BdRate(float(percent), self._value(low), self._value(high))

    def rate_at(self, value: float) -> float | None:
        """Return the rate at which the curve reaches a value of the metric, or None."""
        from scipy.interpolate import PchipInterpolator

        quality = self._quality_of(value)
        if not self._quality[0] <= quality <= self._quality[-1]:
            return None
        return float(np.exp(PchipInterpolator(self._quality, np.log(self._rate))(quality)))

    def value_at(self, rate: float) -> float | None:
        """Return the metric's value at a rate, or None outside the curve."""
        from scipy.interpolate import PchipInterpolator

        if not self._rate[0] <= rate <= self._rate[-1]:
            return None
        return self._value(PchipInterpolator(np.log(self._rate), self._quality)(math.log(rate)))

    @property
    def start(self) -> tuple[float, float]:
        """The lowest rate, and the metric's value there."""
        return float(self._rate[0]), self._value(self._quality[0])

    def _quality_of(self, value: float) -> float:
        return decibels(value) if self.metric == "ms_ssim" else value

    def _value(self, quality: float) -> float:
        return float(1.0 - 10.0 ** (-quality / 10.0) if self.metric == "ms_ssim" else quality)


def curve_of(rows: Sequence[Mapping[str, Any]], metric: str, rate: str = "bpp") -> Curve | None:
    """Make a curve of rows with a rate and the metric; None if they are too few."""
    points = [(row[rate], row[metric]) for row in rows]
    try:
        return Curve(metric, [(r, v) for r, v in points if r is not None and v is not None])
    except ValueError:
        return None
