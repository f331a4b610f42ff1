"""The order in which a tile's indices are coded, as pure functions on integers.

Position (row i, column j) belongs to step t = j + 2i; within a step rows
ascend. The positions of a step do not depend on each other.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Step:
    """Positions (i, t - 2i) for i = first..stop-1."""

    t: int
    first: int
    stop: int


def steps(rows: int, columns: int) -> Iterator[Step]:
    """Yield the steps of a tile in order; each position of the tile is in one step."""
    for t in range(columns + 2 * (rows - 1)):
        first = max(0, (t - columns + 2) // 2)
        stop = min(rows, t // 2 + 1)
        if first < stop:
            yield Step(t, first, stop)
