"""Tiles that hold their pixels instead of indices (format/SPEC.md, sections 5 and 9)."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence

import numpy as np
from numpy.typing import NDArray

from vqcodec.codec.threads import in_threads
from vqcodec.codec.tiles import common, pixels_of, size_of, tile_boxes, tiles_touching, within
from vqcodec.container import Header, Mode, TileKind
from vqcodec.engines.layers import Box
from vqcodec.errors import CorruptError
from vqcodec.literal.pixels import Pixels, decode_pixels, encode_pixels


def kind_of(header: Header, stream: bytes) -> TileKind:
    """Return what a tile of a file holds.

    Raises CorruptError if the file is mixed and the stream's first byte says neither.
    """
    if header.mode is not Mode.MIXED:
        return TileKind.LITERAL if header.mode is Mode.LITERAL else TileKind.INDICES
    if not stream or stream[0] not in tuple(TileKind):
        raise CorruptError("a tile of a mixed file does not say what it holds")
    return TileKind(stream[0])


def content_of(header: Header, stream: bytes) -> bytes:
    """Return a tile's stream without the byte that says what it holds."""
    return stream[1:] if header.mode is Mode.MIXED else stream


def sort_tiles(
    header: Header, streams: Sequence[bytes], tiles: Iterable[int], lost: set[int] | None = None
) -> tuple[list[int], list[int]]:
    """Return which of the tiles hold indices, and which hold pixels.

    Raises CorruptError if one does not say it, unless there is a set `lost`: then such tiles
    are put into it, and tiles that are in it already are left out.
    """
    found: dict[TileKind, list[int]] = {kind: [] for kind in TileKind}
    for tile in tiles:
        if lost is not None and tile in lost:
            continue
        try:
            found[kind_of(header, streams[tile])].append(tile)
        except CorruptError as error:
            if lost is None:
                error.args = (f"tile {tile}: {error}",)
                raise
            lost.add(tile)
    return found[TileKind.INDICES], found[TileKind.LITERAL]


def tiles_needed(
    header: Header, streams: Sequence[bytes], rows: slice, columns: slice
) -> list[int]:
    """Return the numbers of the tiles from which the indices in the given rows and columns
    follow: those that share one with them, and of literal ones among these the tiles beside.

    Raises CorruptError if one does not say what it holds.
    """
    touching = tiles_touching(header, rows, columns)
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
    boxes, sources = tile_boxes(header), frozenset(indexed)
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
    across, count = len(header.column_edges) - 1, header.tile_count
    column = tile % across
    return (
        tile - across if tile >= across else None,
        tile + across if tile + across < count else None,
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
    every = tile_boxes(header)
    boxes = [every[tile] for tile in tiles]
    parts = [pixels[pixels_of(header, box)] for box in boxes]
    streams = []
    coded = in_threads(lambda part, _: encode_pixels(part), parts, boxes)
    for box, stream in zip(boxes, coded, strict=True):
        streams.append(stream)
        if progress is not None:
            progress(math.prod(size_of(box)))
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
    boxes = tile_boxes(header)
    contents = [content_of(header, streams[tile]) for tile in tiles]

    def decode(stream: bytes, box: Box) -> bool:
        place = pixels_of(header, box)
        tile = np.empty((*size_of(place), 3), dtype=np.uint8)
        try:
            decode_pixels(stream, tile)
        except CorruptError:
            if lost is None:
                raise
            return False
        shared = common(place, area)
        if all(side.start < side.stop for side in shared):
            pixels[within(area, shared)] = tile[within(place, shared)]
        return True

    own = [boxes[tile] for tile in tiles]
    for number, is_right in enumerate(in_threads(decode, contents, own)):
        if not is_right and lost is not None:
            lost.add(tiles[number])
        if progress is not None:
            progress(math.prod(size_of(own[number])))
