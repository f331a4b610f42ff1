"""Windows of a picture, each refined by itself, so that memory does not grow with the picture.

A window lies in one tile, as tiles are coded without each other. What is around it stays as
it is, and is looked at as far as it matters.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from vqcodec.container import Header
from vqcodec.grid import Box, common, scaled, size_of, tiles, whole, widened

_SIDE = 384
"""Most pixels of a side."""
_AROUND = 3
"""Positions around a window that are computed with it. The networks reach farther, but what an
index changes fades within these.
"""
_JUDGED = 1
"""Positions around a window whose pixels count, as its indices show there too."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Window:
    """Boxes of positions of the grid, and of pixels of the picture."""

    inner: Box
    """Positions whose indices are refined."""
    coded: Box
    """These and some around them in the same tile, whose bits count."""
    drawn: Box
    """These and some around them in any tile, which are decoded."""
    canvas: Box
    """Pixels of these, which may lie beyond the picture's edge."""
    judged: Box
    """Pixels whose distortion counts in refinement."""
    pixels: Box
    """Pixels of the inner positions."""


def windows(header: Header) -> list[list[Window]]:
    """Cut every tile into windows of about equal size; return those of each tile."""
    stride = 1 << header.stride_log2
    return [
        [_window(header, tile, inner) for inner in cut(tile, max(1, _SIDE // stride))]
        for tile in header.tiles()
    ]


def waves(every: Sequence[Window], most: int) -> Iterator[list[Window]]:
    """Take all windows, each time up to `most` that can be refined at once, in their order.

    Windows beside each other cannot: what one's edge should become depends on the other's.
    """
    left = list(every)
    while left:
        wave: list[Window] = []
        for window in left:
            if len(wave) < most and not any(_beside(window.inner, w.inner) for w in wave):
                wave.append(window)
        left = [window for window in left if window not in wave]
        yield wave


def cut(tile: Box, most: int) -> list[Box]:
    """Cut a tile into the fewest boxes of at most `most` positions an axis."""
    origin, size = tuple(side.start for side in tile), size_of(tile)
    return [
        tuple(slice(s.start + o, s.stop + o) for s, o in zip(box, origin, strict=True))
        for box in tiles(size, (most,) * len(size))
    ]


def _beside(one: Box, other: Box) -> bool:
    """Tell whether two boxes without a common position share an edge; corners are none."""
    shared: list[int] = [
        min(a.stop, b.stop) - max(a.start, b.start) for a, b in zip(one, other, strict=True)
    ]
    return min(shared) == 0 and max(shared) > 0


def _window(header: Header, tile: Box, inner: Box) -> Window:
    stride = 1 << header.stride_log2
    picture, pixels = whole(header.shape), scaled(inner, stride)
    drawn = common(widened(inner, _AROUND), whole(header.grid))
    return Window(
        inner=inner,
        coded=common(widened(inner, _AROUND), tile),
        drawn=drawn,
        canvas=scaled(drawn, stride),
        judged=common(widened(pixels, _JUDGED * stride), picture),
        pixels=common(pixels, picture),
    )
