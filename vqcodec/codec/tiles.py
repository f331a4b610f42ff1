"""Where the tiles of a grid are, as boxes: pairs of slices of rows and columns."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

from vqcodec.container import Header
from vqcodec.engines.layers import Box
from vqcodec.prior.wavefront import Size


def tile_boxes(header: Header) -> list[Box]:
    """Return rows and columns of every tile, row by row."""
    down, across = header.row_edges, header.column_edges
    return [
        (slice(top, bottom), slice(left, right))
        for top, bottom in pairwise(down)
        for left, right in pairwise(across)
    ]


def tiles_touching(header: Header, rows: slice, columns: slice) -> list[int]:
    """Return the numbers of the tiles that share an index with the given rows and columns."""
    return [
        number
        for number, (r, c) in enumerate(tile_boxes(header))
        if r.start < rows.stop and rows.start < r.stop
        if c.start < columns.stop and columns.start < c.stop
    ]


def box_of(boxes: Sequence[Box], tiles: Sequence[int]) -> Box:
    """Return the smallest box that one tile or more are in."""
    rows, columns = zip(*(boxes[tile] for tile in tiles), strict=True)
    return (
        slice(min(side.start for side in rows), max(side.stop for side in rows)),
        slice(min(side.start for side in columns), max(side.stop for side in columns)),
    )


def within(outer: Box, inner: Box) -> Box:
    """Count the rows and columns of `inner` from the first ones of `outer` on."""
    rows, columns = (
        slice(i.start - o.start, i.stop - o.start) for i, o in zip(inner, outer, strict=True)
    )
    return rows, columns


def size_of(box: Box) -> Size:
    """Return how many rows and columns a box has."""
    rows, columns = box
    return rows.stop - rows.start, columns.stop - columns.start


def common(one: Box, other: Box) -> Box:
    """Return the rows and columns that two boxes share; none where a stop is not after a start."""
    rows, columns = (
        slice(max(a.start, b.start), min(a.stop, b.stop)) for a, b in zip(one, other, strict=True)
    )
    return rows, columns


def pixels_of(header: Header, box: Box) -> Box:
    """Return the rows and columns of the picture's pixels that belong to a box of positions."""
    rows, columns = (
        slice(side.start << header.stride_log2, min(side.stop << header.stride_log2, most))
        for side, most in zip(box, (header.height, header.width), strict=True)
    )
    return rows, columns
