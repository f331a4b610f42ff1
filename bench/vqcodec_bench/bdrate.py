"""What curves say: bits saved at equal quality, and rates read off between points.

BD-rate is that of the package `bjontegaard` (PCHIP, as in the JCT-VC common test
conditions) over the range of quality that both curves reach.
"""

from __future__ import annotations

import math
import warnings
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np

from vqcodec.metrics import decibels

METRICS = ("psnr", "ms_ssim", "ssimulacra2")
"""Names in results.json; MS-SSIM is compared in dB."""


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
        """`points` are (bpp, value), in any order.

        A point that costs more than another and is no better is left out, as
        interpolation needs a quality that rises with the rate. Raises: ValueError
        if fewer than two are left.
        """
        self.metric = metric
        kept: list[tuple[float, float]] = []
        for bpp, value in sorted(points):
            quality = decibels(value) if metric == "ms_ssim" else value
            if not kept or quality > kept[-1][1]:
                kept.append((bpp, quality))
        if len(kept) < 2:
            raise ValueError("a curve needs two points")
        self._bpp = np.array([bpp for bpp, _ in kept])
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
                anchor._bpp,
                anchor._quality,
                self._bpp,
                self._quality,
                method="pchip",
                require_matching_points=False,
            )
        return BdRate(float(percent), self._value(low), self._value(high))

    def bpp_at(self, value: float) -> float | None:
        """Return the rate at which the curve reaches a value of the metric, or None."""
        from scipy.interpolate import PchipInterpolator

        quality = decibels(value) if self.metric == "ms_ssim" else value
        if not self._quality[0] <= quality <= self._quality[-1]:
            return None
        return float(np.exp(PchipInterpolator(self._quality, np.log(self._bpp))(quality)))

    def value_at(self, bpp: float) -> float | None:
        """Return the metric's value at a rate, or None outside the curve."""
        from scipy.interpolate import PchipInterpolator

        if not self._bpp[0] <= bpp <= self._bpp[-1]:
            return None
        return self._value(PchipInterpolator(np.log(self._bpp), self._quality)(math.log(bpp)))

    def _value(self, quality: float) -> float:
        return float(1.0 - 10.0 ** (-quality / 10.0) if self.metric == "ms_ssim" else quality)


def curve_of(rows: Sequence[dict[str, float | None]], metric: str) -> Curve | None:
    """Make a curve of rows with a bpp and the metric; None if they are too few."""
    points = [(row["bpp"], row[metric]) for row in rows]
    try:
        return Curve(metric, [(b, v) for b, v in points if b is not None and v is not None])
    except ValueError:
        return None
