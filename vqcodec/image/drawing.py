"""The pixels of a part of a .vqc file: what its model makes of indices, and literal tiles."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from vqcodec.codec.coding import Indices, decode_grid, decode_whole_grid
from vqcodec.codec.kinds import sort_tiles
from vqcodec.codec.literal import decode_literal, tiles_needed
from vqcodec.codec.progress import Progress, counter
from vqcodec.codec.transform import Pixels, decode_indices
from vqcodec.container import Header
from vqcodec.grid import (
    Box,
    area_of,
    bounding,
    common,
    covering,
    meet,
    scaled,
    size_of,
    whole,
    widened,
    within,
)
from vqcodec.models.model import Model, PictureModel


def draw_area(
    header: Header,
    streams: Sequence[bytes],
    model: PictureModel | None,
    area: Box,
    progress: Progress | None = None,
) -> Pixels:
    """Return the pixels (H, W, 3) of an area, rows and columns of the picture.

    Only the tiles that it needs are decoded. `model` is the file's, None for a literal file,
    which has none. Raises CorruptError if a stream is not one that an encoder writes.
    """
    boxes, stride = header.tiles(), 1 << header.stride_log2
    halo = 0 if model is None else model.decoder_halo
    needed = tiles_needed(header, streams, widened(covering(area, stride), halo))
    indexed, literal = sort_tiles(header, streams, needed)
    shown = {tile for tile in needed if meet(header.elements_of(boxes[tile]), area)}
    drawn = [tile for tile in indexed if tile in shown]
    pasted = [tile for tile in literal if tile in shown]
    # Networks draw the rows and columns that tiles with indices are in, and no others.
    around = bounding(boxes[tile] for tile in drawn) if drawn else None
    part = None if around is None else common(header.elements_of(around), area)
    windows = 0 if part is None else area_of(covering(part, stride))
    decoded = [*(indexed if drawn else []), *pasted]
    count = counter(progress, windows + sum(area_of(boxes[tile]) for tile in decoded))
    if model is None or part is None:
        pixels = np.empty((*size_of(area), 3), dtype=np.uint8)
    else:
        grid = decode_grid(model, header, streams, needed, count)
        held = scaled(bounding(boxes[tile] for tile in needed), stride)
        pixels = decode_indices(model, grid, header.quality, within(held, part), progress=count)
        if part != area:
            inside, pixels = pixels, np.empty((*size_of(area), 3), dtype=np.uint8)
            pixels[within(area, part)] = inside
    decode_literal(header, streams, pasted, area, pixels, count)
    return pixels


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
    pixels = np.zeros((*header.shape, 3), dtype=np.uint8)
    _, literal = sort_tiles(header, streams, range(header.tile_count))
    decode_literal(header, streams, literal, whole(header.shape), pixels, progress)
    return grid, pixels
