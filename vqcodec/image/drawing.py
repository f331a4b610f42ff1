"""The pixels of a part of a .vqc file: what its model makes of indices, and literal tiles."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

import numpy as np

from vqcodec.codec.coding import Indices, decode_grid
from vqcodec.codec.literal import decode_literal, sort_tiles, tiles_needed
from vqcodec.codec.tiles import box_of, common, pixels_of, size_of, tile_boxes, within
from vqcodec.container import Header
from vqcodec.engines.layers import Box
from vqcodec.image.progress import Progress, counter
from vqcodec.image.transform import Pixels, decode_indices, positions_of, scaled
from vqcodec.models.model import Model


def draw_area(
    header: Header,
    streams: Sequence[bytes],
    model: Model | None,
    area: Box,
    progress: Progress | None = None,
) -> Pixels:
    """Return the pixels (H, W, 3) of an area, rows and columns of the picture.

    Only the tiles that it needs are decoded. `model` is the file's, None for a literal file,
    which has none. Raises CorruptError if a stream is not one that an encoder writes.
    """
    boxes = tile_boxes(header)
    touching = positions_of(area, 1 << header.stride_log2)
    halo = 0 if model is None else model.decoder_halo
    around = [slice(side.start - halo, side.stop + halo) for side in touching]
    needed = tiles_needed(header, streams, around[0], around[1])
    indexed, literal = sort_tiles(header, streams, needed)
    shown = {tile for tile in needed if _touch(pixels_of(header, boxes[tile]), area)}
    drawn = [tile for tile in indexed if tile in shown]
    pasted = [tile for tile in literal if tile in shown]
    # Networks draw the rows and columns that tiles with indices are in, and no others.
    part = common(pixels_of(header, box_of(boxes, drawn)), area) if drawn else None
    windows = 0 if part is None else math.prod(size_of(positions_of(part, 1 << header.stride_log2)))
    decoded = [*(indexed if drawn else []), *pasted]
    count = counter(progress, windows + sum(math.prod(size_of(boxes[t])) for t in decoded))
    if model is None or part is None:
        pixels = np.empty((*size_of(area), 3), dtype=np.uint8)
    else:
        grid = decode_grid(model, header, streams, needed, count)
        held = scaled(box_of(boxes, needed), model.stride)
        pixels = decode_indices(model, grid, header.quality, within(held, part), progress=count)
        if part != area:
            inside, pixels = pixels, np.empty((*size_of(area), 3), dtype=np.uint8)
            pixels[within(area, part)] = inside
    decode_literal(header, streams, pasted, area, pixels, count)
    return pixels


def decode_whole_grid(
    header: Header,
    streams: Sequence[bytes],
    model: Model | None,
    progress: Callable[[int], None] | None = None,
) -> Indices:
    """Return all indices of a file, int32 (rows, columns, G); G is 0 without a model."""
    if model is None:
        return np.zeros((header.rows, header.columns, 0), dtype=np.int32)
    return decode_grid(model, header, streams, progress=progress)


def decode_stored(
    header: Header,
    streams: Sequence[bytes],
    model: Model | None,
    progress: Callable[[int], None] | None = None,
) -> tuple[Indices, Pixels]:
    """Return all that the tiles of a file hold, decoded: its indices as `decode_whole_grid`,
    and pixels (H, W, 3), which are 0 where tiles have indices.

    Raises CorruptError if a stream is not one that an encoder writes.
    """
    grid = decode_whole_grid(header, streams, model, progress)
    pixels = np.zeros((header.height, header.width, 3), dtype=np.uint8)
    area = (slice(0, header.height), slice(0, header.width))
    _, literal = sort_tiles(header, streams, range(header.tile_count))
    decode_literal(header, streams, literal, area, pixels, progress)
    return grid, pixels


def _touch(one: Box, other: Box) -> bool:
    return all(side.start < side.stop for side in common(one, other))
