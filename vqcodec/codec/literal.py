"""Tiles that hold their pixels instead of indices (format/SPEC.md, sections 5 and 9)."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence

import numpy as np
from numpy.typing import NDArray

from vqcodec.codec.kinds import content_of, sort_tiles
from vqcodec.codec.threads import in_threads
from vqcodec.container import Header
from vqcodec.errors import CorruptError
from vqcodec.grid import Box, area_of, common, divided, meet, size_of, within
from vqcodec.literal.pixels import Pixels, decode_pixels, encode_pixels


def tiles_needed(header: Header, streams: Sequence[bytes], box: Box) -> list[int]:
    """Return the numbers of the tiles from which the indices in a box of positions follow:
    those that share a position with it, and of literal ones among these the tiles beside.

    Raises CorruptError if one does not say what it holds.
    """
    touching = [number for number, tile in enumerate(header.tiles()) if meet(tile, box)]
    _, literal = sort_tiles(header, streams, touching)
    beside = [other for tile in literal for other in _beside(header, tile) if other is not None]
    return sorted({*touching, *beside})


def continue_into_literal(
    grid: NDArray[np.int32],
    header: Header,
    around: Box,
    literal: Iterable[int],
    indexed: Iterable[int],
) -> None:
    """Give positions of literal tiles the indices that networks see there.

    These are the nearest ones above, below, to the left or to the right in a tile beside that
    holds indices (`indexed`), of equally near ones the first in that order; without such a
    tile they stay as they are. `grid` is (rows, columns, G), of the box `around`.
    """
    boxes, sources = header.tiles(), frozenset(indexed)
    for tile in literal:
        rows, columns = within(around, boxes[tile])
        i = np.arange(rows.start, rows.stop)[:, None]
        j = np.arange(columns.start, columns.stop)[None, :]
        ways = (
            (i - rows.start, rows.start - 1, j),
            (rows.stop - 1 - i, rows.stop, j),
            (j - columns.start, i, columns.start - 1),
            (columns.stop - 1 - j, i, columns.stop),
        )
        nearest = np.full(size_of(boxes[tile]), len(grid) + grid.shape[1])
        for other, (distance, row, column) in zip(_beside(header, tile), ways, strict=True):
            if other not in sources:
                continue
            nearer = distance < nearest
            values = np.broadcast_to(grid[row, column], (*nearer.shape, grid.shape[2]))
            grid[rows, columns][nearer] = values[nearer]
            nearest = np.minimum(nearest, distance)


def _beside(header: Header, tile: int) -> tuple[int | None, ...]:
    """Return the tiles above, below, to the left and to the right, None where there is none."""
    down, across = divided(header.grid, 1 << header.tile_log2)
    column = tile % across
    return (
        tile - across if tile >= across else None,
        tile + across if tile + across < down * across else None,
        tile - 1 if column else None,
        tile + 1 if column + 1 < across else None,
    )


def encode_literal(
    header: Header,
    pixels: Pixels,
    tiles: Sequence[int],
    progress: Callable[[int], None] | None = None,
) -> list[bytes]:
    """Return the streams of some tiles of a picture (H, W, 3) as literal ones.

    `progress` is told how many positions have just been coded.
    """
    every = header.tiles()
    boxes = [every[tile] for tile in tiles]
    parts = [pixels[header.elements_of(box)] for box in boxes]
    streams = []
    for box, stream in zip(boxes, in_threads(encode_pixels, parts), strict=True):
        streams.append(stream)
        if progress is not None:
            progress(area_of(box))
    return streams


def decode_literal(
    header: Header,
    streams: Sequence[bytes],
    tiles: Sequence[int],
    area: Box,
    pixels: Pixels,
    progress: Callable[[int], None] | None = None,
    lost: set[int] | None = None,
) -> None:
    """Put what literal tiles show of an area, rows and columns of the picture, into its pixels.

    `progress` is told how many positions have just been decoded. Raises CorruptError if a
    stream is not one that an encoder writes, unless there is a set `lost`: then such tiles are
    put into it.
    """
    boxes = header.tiles()
    contents = [content_of(header, streams[tile]) for tile in tiles]

    def decode(stream: bytes, box: Box) -> bool:
        place = header.elements_of(box)
        tile = np.empty((*size_of(place), 3), dtype=np.uint8)
        try:
            decode_pixels(stream, tile)
        except CorruptError:
            if lost is None:
                raise
            return False
        if meet(place, area):
            shared = common(place, area)
            pixels[within(area, shared)] = tile[within(place, shared)]
        return True

    own = [boxes[tile] for tile in tiles]
    for number, is_right in enumerate(in_threads(decode, contents, own)):
        if not is_right and lost is not None:
            lost.add(tiles[number])
        if progress is not None:
            progress(area_of(own[number]))
