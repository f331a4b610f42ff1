"""The order in which the indices of tiles are coded, as pure functions on integers.

Position (row i, column j) of a tile belongs to step t = j + 2i. The positions of a
step do not depend on each other; they come tile after tile, rows ascending. A tile of one
dimension is one row.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from vqcodec.grid import Size

Integers = NDArray[np.intp]


@dataclass(frozen=True, slots=True)
class Step:
    """P positions of T tiles, all with t = column + 2 row."""

    t: int
    tile: Integers
    """(P,): whose positions they are, ascending."""
    row: Integers
    """(P,), within the tile."""
    column: Integers
    """(P,), within the tile."""
    place: Integers
    """(P,): the position's number among all those of the tiles, tile after tile, row by row."""
    stops: list[int]
    """For each tile, where its positions end in these arrays."""
    position: tuple[Integers, ...]
    """Where the positions are along each axis of their tiles, (P,) each."""


def steps(sizes: Sequence[Size]) -> Iterator[Step]:
    """Yield the steps of a batch of tiles, all of one or of two dimensions; each position is in
    one step.
    """
    rows, columns = np.array([rows_and_columns(size) for size in sizes]).T
    axes = len(sizes[0])
    places = starts(rows * columns)
    for t in range(int((columns + 2 * rows).max()) - 2):
        first = np.maximum(0, (t - columns + 2) // 2)
        counts = np.maximum(0, np.minimum(rows, t // 2 + 1) - first)
        stops = counts.cumsum()
        if not stops[-1]:
            continue
        tile = np.repeat(np.arange(len(rows)), counts)
        row = np.arange(stops[-1]) + (first + counts - stops)[tile]
        column = t - 2 * row
        place = places[tile] + row * columns[tile] + column
        yield Step(t, tile, row, column, place, stops.tolist(), (row, column)[-axes:])


def rows_and_columns(size: Size) -> tuple[int, int]:
    """Return the rows and columns of a tile of one or of two dimensions."""
    *rows, columns = size
    return (rows[0] if rows else 1), columns


def starts(lengths: Integers) -> Integers:
    """Return where each of some consecutive runs begins."""
    return np.cumsum(lengths) - lengths
