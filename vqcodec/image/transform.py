"""Pixels to indices and back, in windows.

A window is computed with as many indices around it as its result depends on (the
network's halo), so windows meet without a seam and memory does not grow with
the picture.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from vqcodec.codec.coding import Indices, Progress
from vqcodec.engines.samples import to_samples, to_unit
from vqcodec.grid import (
    Box,
    Size,
    area_of,
    common,
    covering,
    divided,
    scaled,
    size_of,
    whole,
    widened,
    windows,
    within,
)
from vqcodec.models.model import PictureModel

Pixels = NDArray[np.uint8]
"""(H, W, 3), 0..255."""


def measure_pixels(
    model: PictureModel,
    pixels: Pixels,
    *,
    window: int | None = None,
    progress: Progress | None = None,
) -> NDArray:
    """Return what encoding needs to know of a picture, (rows, columns, C).

    Sides that are no multiple of the stride are filled up by repeating the last row or
    column. `window` is the side of a window in positions.
    """
    stride, halo = model.stride, model.encoder_halo
    window = window or model.window
    size = divided(pixels.shape[:2], stride)
    measured: NDArray | None = None
    for inner, outer in _windows(whole(size), size, window, halo):
        source = scaled(outer, stride)
        cut = pixels[source]
        below, beside = (
            wanted - there for wanted, there in zip(size_of(source), cut.shape, strict=False)
        )
        filled = np.pad(cut, ((0, below), (0, beside), (0, 0)), mode="edge")
        part = model.measure(to_unit(filled), scaled(within(outer, inner), stride))
        if measured is None:
            measured = np.empty((*size, part.shape[2]), part.dtype)
        measured[inner] = part
        _tell(progress, inner)
    assert measured is not None  # no picture is empty
    return measured


def decode_indices(
    model: PictureModel,
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
    size = grid.shape[:2]
    area = area or scaled(whole(size), stride)
    pixels = np.empty((*size_of(area), 3), dtype=np.uint8)
    for inner, outer in _windows(covering(area, stride), size, window, halo):
        rounded = to_samples(model.pixels(grid[outer], quality, within(outer, inner)))
        drawn = scaled(inner, stride)
        # The area may begin and end within a position.
        wanted = common(drawn, area)
        pixels[within(area, wanted)] = rounded[within(drawn, wanted)]
        _tell(progress, inner)
    return pixels


def _windows(area: Box, size: Size, window: int, halo: int) -> Iterator[tuple[Box, Box]]:
    """Yield windows of the area, each with its surroundings clipped to a grid of that size."""
    for inner in windows(area, window):
        yield inner, common(widened(inner, halo), whole(size))


def _tell(progress: Progress | None, inner: Box) -> None:
    if progress is not None:
        progress(area_of(inner))
