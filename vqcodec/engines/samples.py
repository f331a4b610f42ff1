"""Samples of 0..255 to what networks read, and what they make to samples."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray


def to_unit(samples: NDArray[np.uint8]) -> NDArray[np.float32]:
    """Map samples (H, W, 3) to pixels (3, H, W) in 0..1."""
    pixels = np.empty((samples.shape[2], *samples.shape[:2]), dtype=np.float32)
    np.divide(samples.transpose(2, 0, 1), np.float32(255.0), out=pixels)
    return pixels


def to_samples(pixels: NDArray[np.float32]) -> NDArray[np.uint8]:
    """Map pixels (3, h, w), about 0..1, to the nearest samples (h, w, 3); ties to even.

    Weights may be such that sums overflow: what is then not a number becomes 0.
    """
    with np.errstate(over="ignore"):
        levels = pixels * np.float32(255.0)
    np.fmax(levels, np.float32(0.0), out=levels)  # of a number and no number, the number
    np.fmin(levels, np.float32(255.0), out=levels)
    np.rint(levels, out=levels)
    return np.ascontiguousarray(levels.astype(np.uint8).transpose(1, 2, 0))
