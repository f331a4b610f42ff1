"""Which neighbours the layers of a prior read.

Offsets are (rows, columns) from the position being predicted. No offset reaches further
right than up (dj <= -di), so in the coordinate

    t = j + 2 i

every offset points to a smaller t, except a position's own features. Positions of equal t
form a step (`wavefront`). A sequence is a tile of one row, whose offsets are (0, -d).
"""

from __future__ import annotations

Taps = tuple[tuple[int, int], ...]

FIRST_TAPS: Taps = (
    *((-2, dj) for dj in (-2, -1, 0, 1, 2)),
    *((-1, dj) for dj in (-2, -1, 0, 1)),
    *((0, dj) for dj in (-2, -1)),
)
"""What the first layer reads: 11 positions."""
INNER_TAPS: Taps = ((-1, -1), (-1, 0), (-1, 1), (0, -1), (0, 0))
"""What every further layer reads; its own position holds only the past."""
