"""Colours under full transparency: nobody sees them, and they may cost more than the rest."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from PIL import Image

Plane = NDArray[np.float32]
_GREY = 128


def hides_colours(pixels: NDArray[np.uint8], alpha: NDArray[np.uint8]) -> bool:
    """Tell whether pixels (H, W, 3) have more than one colour where alpha (H, W) is 0."""
    hidden = pixels[alpha == 0]
    return len(hidden) > 0 and bool((hidden != hidden[0]).any())


def fill_hidden(pixels: NDArray[np.uint8], alpha: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Return pixels (H, W, 3) whose colours where alpha (H, W) is 0 continue the visible ones.

    Pull and push (Gortler et al., "The Lumigraph", 1996, section 3.4): means of what is
    visible, each of four of the level below, fill what is hidden from the coarsest level on.
    """
    visible = alpha > 0
    if visible.all():
        return pixels
    if not visible.any():
        return np.full_like(pixels, _GREY)
    filled = pixels.copy()
    weight = visible.astype(np.float32)
    for channel in range(3):
        plane = _pull_push(pixels[..., channel] * weight, weight)
        filled[..., channel][~visible] = (plane[~visible] + 0.5).astype(np.uint8)
    return filled


def _pull_push(sums: Plane, weights: Plane) -> Plane:
    """Return the weighted means of `sums`, filled where the weight is 0."""
    known = weights > 0
    means = np.divide(sums, weights, where=known, out=np.zeros_like(sums))
    if known.all():
        return means
    # Only how a mean is made up counts: a half-visible square weighs as much as a whole one.
    coarse = _pull_push(_halved(means * known), _halved(known.astype(np.float32)))
    height, width = sums.shape
    push = np.asarray(Image.fromarray(coarse).resize((width, height), Image.Resampling.BILINEAR))
    return np.where(known, means, push)


def _halved(plane: Plane) -> Plane:
    """Sum squares of four."""
    height, width = plane.shape
    even = np.pad(plane, ((0, height % 2), (0, width % 2)))
    summed: Plane = even[::2, ::2] + even[1::2, ::2] + even[::2, 1::2] + even[1::2, 1::2]
    return summed
