"""Which neighbours the layers of a prior read.

Offsets are (rows, columns) from the position being predicted. No offset reaches further
right than up (dj <= -di), so in the coordinate

    t = j + 2 i

every offset points to a smaller t, except a position's own features. Positions of equal t
form a step (`wavefront`). A grid of one dimension is one row, whose offsets are (0, -d).

A grid that is known as a whole, such as the frame before in a clip, is read all around: the
offsets are those of squares.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

Taps = tuple[tuple[int, int], ...]

FIRST_TAPS: Taps = (
    *((-2, dj) for dj in (-2, -1, 0, 1, 2)),
    *((-1, dj) for dj in (-2, -1, 0, 1)),
    *((0, dj) for dj in (-2, -1)),
)
"""What the first layer of a wedge reads: 11 positions."""
INNER_TAPS: Taps = ((-1, -1), (-1, 0), (-1, 1), (0, -1), (0, 0))
"""What every further layer of a wedge reads; its own position holds only the past."""


@dataclass(frozen=True, slots=True)
class TrunkTaps:
    """What each layer of a trunk reads."""

    first: Taps
    """Of the first layer: positions before its own."""
    layers: tuple[Taps, ...]
    """Of every further layer: its own position may be among them."""


def squares(layers: int) -> TrunkTaps:
    """Return the taps of a first layer, 5x5, and so many further ones, 3x3: all positions around
    the own one, row by row.
    """
    return TrunkTaps(_square(2), (_square(1),) * layers)


def wedge(layers: int) -> TrunkTaps:
    """Return the taps in two dimensions of a first layer and so many further ones."""
    return TrunkTaps(FIRST_TAPS, (INNER_TAPS,) * layers)


def dilated(first_kernel_size: int, kernel_size: int, dilations: Iterable[int]) -> TrunkTaps:
    """Return causal taps in one dimension, as in WaveNet (arXiv 1609.03499, section 2.1).

    The first layer reads the `first_kernel_size` positions before its own; each further one
    `kernel_size` positions, the last of them its own, as far apart as its dilation says.
    """
    return TrunkTaps(
        tuple((0, -back) for back in range(first_kernel_size, 0, -1)),
        tuple(
            tuple((0, -back * dilation) for back in range(kernel_size - 1, -1, -1))
            for dilation in dilations
        ),
    )


def _square(reach: int) -> Taps:
    """Return the offsets of up to `reach` rows and columns."""
    around = range(-reach, reach + 1)
    return tuple((di, dj) for di in around for dj in around)
