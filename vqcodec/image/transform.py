"""Pixels to indices and back, in windows.

A window is computed with as many indices around it as its result depends on (the
network's halo), so windows meet without a seam and memory does not grow with
the picture.
"""

from __future__ import annotations

import math
from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from vqcodec.codec.coding import Indices, Progress
from vqcodec.codec.tiles import common, size_of, within
from vqcodec.engines.layers import Box
from vqcodec.engines.samples import to_samples, to_unit
from vqcodec.models.model import Model

Pixels = NDArray[np.uint8]
"""(H, W, 3), 0..255."""


def measure_pixels(
    model: Model, pixels: Pixels, *, window: int | None = None, progress: Progress | None = None
) -> NDArray:
    """Return what encoding needs to know of a picture, (rows, columns, C).

    Sides that are no multiple of the stride are filled up by repeating the last row or
    column. `window` is the side of a window in positions.
    """
    stride, halo = model.stride, model.encoder_halo
    window = window or model.window
    height, width = pixels.shape[:2]
    rows, columns = -(-height // stride), -(-width // stride)
    measured: NDArray | None = None
    for inner, outer in _windows(slice(0, rows), slice(0, columns), rows, columns, window, halo):
        cut = pixels[scaled(outer, stride)]
        below = (outer[0].stop - outer[0].start) * stride - cut.shape[0]
        beside = (outer[1].stop - outer[1].start) * stride - cut.shape[1]
        filled = np.pad(cut, ((0, below), (0, beside), (0, 0)), mode="edge")
        part = model.measure(to_unit(filled), scaled(within(outer, inner), stride))
        if measured is None:
            measured = np.empty((rows, columns, part.shape[2]), part.dtype)
        measured[inner] = part
        _tell(progress, inner)
    assert measured is not None  # no picture is empty
    return measured


def decode_indices(
    model: Model,
    grid: Indices,
    quality: int,
    area: Box | None = None,
    *,
    window: int | None = None,
    progress: Progress | None = None,
) -> Pixels:
    """Return the pixels of `area`, rows and columns of pixels (None: of the whole index grid).

    Only indices within the decoder's halo of the area are looked at. Raises CorruptError
    if an index has no codeword.
    """
    stride, halo = model.stride, model.decoder_halo
    window = window or model.window
    rows, columns, _ = grid.shape
    area = area or (slice(0, rows * stride), slice(0, columns * stride))
    pixels = np.empty((*size_of(area), 3), dtype=np.uint8)
    for inner, outer in _windows(*positions_of(area, stride), rows, columns, window, halo):
        rounded = to_samples(model.pixels(grid[outer], quality, within(outer, inner)))
        drawn = scaled(inner, stride)
        # The area may begin and end within a position.
        wanted = common(drawn, area)
        pixels[within(area, wanted)] = rounded[within(drawn, wanted)]
        _tell(progress, inner)
    return pixels


def positions_of(area: Box, stride: int) -> Box:
    """Return the rows and columns of positions that rows and columns of pixels belong to."""
    rows, columns = (slice(s.start // stride, -(-s.stop // stride)) for s in area)
    return rows, columns


def scaled(box: Box, stride: int) -> Box:
    """Return the rows and columns of pixels of rows and columns of positions."""
    rows, columns = (slice(s.start * stride, s.stop * stride) for s in box)
    return rows, columns


def _windows(
    area_rows: slice, area_columns: slice, rows: int, columns: int, window: int, halo: int
) -> Iterator[tuple[Box, Box]]:
    """Yield windows of the area, each with its surroundings clipped to the grid."""
    for top in range(area_rows.start, area_rows.stop, window):
        bottom = min(top + window, area_rows.stop)
        for left in range(area_columns.start, area_columns.stop, window):
            right = min(left + window, area_columns.stop)
            yield (
                (slice(top, bottom), slice(left, right)),
                (
                    slice(max(0, top - halo), min(rows, bottom + halo)),
                    slice(max(0, left - halo), min(columns, right + halo)),
                ),
            )


def _tell(progress: Progress | None, inner: Box) -> None:
    if progress is not None:
        progress(math.prod(size_of(inner)))
