"""Boxes, tiles and windows of grids in any number of dimensions: pure functions on integers.

A picture is a grid of rows and columns; sound has one dimension, a clip has frames before its
rows and columns. Standard library only.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterable, Iterator
from typing import TypeAlias

Size: TypeAlias = tuple[int, ...]
"""Lengths along the axes, in the order of an array's shape: rows and columns of a picture."""
Box: TypeAlias = tuple[slice, ...]
"""A range along each axis, each with start and stop: what indexes an array."""


def whole(size: Size) -> Box:
    """Return the box that a grid of that size fills."""
    return tuple(slice(0, length) for length in size)


def size_of(box: Box) -> Size:
    """Return the lengths of a box."""
    return tuple(side.stop - side.start for side in box)


def area_of(box: Box) -> int:
    """Return how many positions are in a box."""
    return math.prod(size_of(box))


def bounding(boxes: Iterable[Box]) -> Box:
    """Return the smallest box that holds all of one box or more."""
    return tuple(
        slice(min(side.start for side in sides), max(side.stop for side in sides))
        for sides in zip(*boxes, strict=True)
    )


def common(one: Box, other: Box) -> Box:
    """Return what two boxes that meet have in common."""
    return tuple(
        slice(max(a.start, b.start), min(a.stop, b.stop)) for a, b in zip(one, other, strict=True)
    )


def meet(one: Box, other: Box) -> bool:
    """Tell whether two boxes have a position in common."""
    return all(a.start < b.stop and b.start < a.stop for a, b in zip(one, other, strict=True))


def within(outer: Box, inner: Box) -> Box:
    """Return `inner` as counted from where `outer` starts."""
    return tuple(
        slice(i.start - o.start, i.stop - o.start) for i, o in zip(inner, outer, strict=True)
    )


def widened(box: Box, margin: int) -> Box:
    """Return the box with so many positions more on each side; it may leave its grid."""
    return tuple(slice(side.start - margin, side.stop + margin) for side in box)


def divided(size: Size, stride: int | Size) -> Size:
    """Return how many positions cover a grid if each stands for `stride` elements along every
    axis, or for so many along each.
    """
    strides = _along_each(size, stride)
    return tuple(-(-length // own) for length, own in zip(size, strides, strict=True))


def scaled(box: Box, stride: int | Size) -> Box:
    """Return the elements that the positions of a box stand for, `stride` of them as `divided`
    has it.
    """
    strides = _along_each(box, stride)
    return tuple(
        slice(side.start * own, side.stop * own) for side, own in zip(box, strides, strict=True)
    )


def covering(box: Box, stride: int) -> Box:
    """Return the positions that stand for the elements of a box, `stride` of them an axis."""
    return tuple(slice(side.start // stride, -(-side.stop // stride)) for side in box)


def edges(length: int, most: int) -> tuple[int, ...]:
    """Cut a length into the fewest parts of at most `most`, as equal as can be.

    Return n + 1 edges of n parts (format/SPEC.md, section 5).
    """
    count = -(-length // most)
    return tuple(part * length // count for part in range(count + 1))


def tiles(size: Size, most: Size) -> list[Box]:
    """Cut a grid into tiles, each at most as long as `most` along each axis; the last axis runs
    fastest.
    """
    sides = (
        [slice(start, stop) for start, stop in itertools.pairwise(edges(length, limit))]
        for length, limit in zip(size, most, strict=True)
    )
    return list(itertools.product(*sides))


def tile_count(size: Size, most: Size) -> int:
    """Return how many tiles there are, without making them: a hostile size may ask for millions."""
    return math.prod(-(-length // limit) for length, limit in zip(size, most, strict=True))


def windows(area: Box, side: int) -> Iterator[Box]:
    """Yield boxes that cover an area, the fewest of at most `side` positions an axis, as equal as
    can be.
    """
    sides = (
        [
            slice(part.start + start, part.start + stop)
            for start, stop in itertools.pairwise(edges(part.stop - part.start, side))
        ]
        for part in area
    )
    yield from itertools.product(*sides)


def _along_each(axes: Size | Box, stride: int | Size) -> Size:
    return (stride,) * len(axes) if isinstance(stride, int) else stride
