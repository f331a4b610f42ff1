"""Boxes and tiles in one, two and three dimensions, against arrays."""

from __future__ import annotations

from itertools import pairwise
from operator import le

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from vqcodec import grid
from vqcodec.grid import Box, Size


@st.composite
def boxes(draw: st.DrawFn, count: int = 2) -> tuple[Size, list[Box]]:
    """A grid, and boxes in it."""
    size = tuple(draw(st.lists(st.integers(1, 12), min_size=1, max_size=3)))

    def side(length: int) -> slice:
        start = draw(st.integers(0, length - 1))
        return slice(start, draw(st.integers(start + 1, length)))

    return size, [tuple(side(length) for length in size) for _ in range(count)]


def marked(size: Size, box: Box) -> np.ndarray:
    array = np.zeros(size, dtype=bool)
    array[box] = True
    return array


@given(boxes())
def test_two_boxes_meet_where_both_are(case: tuple[Size, list[Box]]) -> None:
    size, (one, other) = case
    both = marked(size, one) & marked(size, other)
    assert grid.meet(one, other) == both.any()
    if both.any():
        assert np.array_equal(marked(size, grid.common(one, other)), both)
    assert grid.area_of(one) == marked(size, one).sum()


@given(boxes(3))
def test_the_bounding_box_is_the_smallest_around_all(case: tuple[Size, list[Box]]) -> None:
    size, several = case
    around = grid.bounding(several)
    held = np.logical_or.reduce([marked(size, box) for box in several])
    assert not (held & ~marked(size, around)).any()
    for axis, side in enumerate(around):
        others = tuple(k for k in range(len(size)) if k != axis)
        along = np.flatnonzero(held.any(axis=others))
        assert (side.start, side.stop) == (along[0], along[-1] + 1)


@given(boxes(2))
def test_a_box_within_another_indexes_its_part(case: tuple[Size, list[Box]]) -> None:
    size, several = case
    outer, inner = grid.bounding(several), several[0]
    array = np.arange(np.prod(size)).reshape(size)
    assert np.array_equal(array[outer][grid.within(outer, inner)], array[inner])


@given(boxes(1), st.integers(1, 5))
def test_positions_cover_their_elements(case: tuple[Size, list[Box]], stride: int) -> None:
    size, (box,) = case
    assert grid.covering(grid.scaled(box, stride), stride) == box
    covered = grid.scaled(grid.covering(box, stride), stride)
    assert grid.bounding([covered, box]) == covered
    assert grid.size_of(grid.covering(grid.whole(size), stride)) == grid.divided(size, stride)


@given(boxes(1), st.integers(1, 5))
def test_tiles_and_windows_cover_a_grid_once(case: tuple[Size, list[Box]], most: int) -> None:
    size, (box,) = case
    times = np.zeros(size, dtype=int)
    limits = tuple(most + axis for axis in range(len(size)))
    tiles = grid.tiles(size, limits)
    for tile in tiles:
        times[tile] += 1
        assert all(map(le, grid.size_of(tile), limits))
    assert (times == 1).all()
    assert len(tiles) == grid.tile_count(size, limits)
    windowed = np.zeros(size, dtype=int)
    for window in grid.windows(box, most):
        assert max(grid.size_of(window)) <= most
        windowed[window] += 1
    assert np.array_equal(windowed, marked(size, box))


def test_tiles_come_row_by_row() -> None:
    rows, columns = [slice(0, 2), slice(2, 4)], [slice(0, 1), slice(1, 3)]
    assert grid.tiles((4, 3), (2, 2)) == [(r, c) for r in rows for c in columns]


@given(st.integers(1, 5000), st.integers(1, 1024))
def test_edges_cut_evenly(length: int, most: int) -> None:
    edges = grid.edges(length, most)
    parts = [stop - start for start, stop in pairwise(edges)]
    assert (edges[0], edges[-1], sum(parts)) == (0, length, length)
    assert len(parts) == -(-length // most)
    assert max(parts) <= most
    assert max(parts) - min(parts) <= 1
