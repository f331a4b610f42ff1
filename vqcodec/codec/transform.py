"""Pixels to indices and back, in regions and windows.

A part of a picture is computed with as many positions around it as its result depends on (the
halo of a network's layers), so parts meet without a seam and memory does not grow with the
picture. What is around a part is computed again with the next one. Coarse layers look far around
and take little memory: they get regions at once. Fine layers get windows, which are parts of
regions.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from vqcodec.codec.coding import Indices, Progress
from vqcodec.codec.threads import in_threads
from vqcodec.engines.samples import to_samples, to_unit
from vqcodec.errors import PictureShapeError
from vqcodec.grid import (
    Box,
    Size,
    area_of,
    common,
    covering,
    divided,
    meet,
    scaled,
    size_of,
    whole,
    widened,
    windows,
    within,
)
from vqcodec.models.model import PictureModel, takes

Pixels = NDArray[np.uint8]
"""(H, W, 3), 0..255."""
_AT_ONCE = 4
"""Windows that memory is taken for at once, however many threads there are."""
_REGION = 4
"""Windows along the sides of a region."""

_T = TypeVar("_T")


def measure_pixels(
    model: PictureModel,
    pixels: Pixels,
    *,
    window: int | None = None,
    progress: Progress | None = None,
) -> NDArray:
    """Return what encoding needs to know of a picture, (rows, columns, C).

    Sides that are no multiple of the stride are filled up by repeating the last row or
    column. `window` is the side of a window in positions. Raises PictureShapeError for a picture
    that is larger than any of the model's.
    """
    (height, width), largest = pixels.shape[:2], model.largest
    if largest is not None and not takes(model, (height, width)):
        most = f"{largest[1]}x{largest[0]}"
        raise PictureShapeError(
            f"{width}x{height} pixels: {model.name} takes at most {most}",
            hint="scale the picture down, or take another model",
        )
    stride, halo = model.stride, model.fine_encoder_halo
    window = window or model.window
    size = divided(pixels.shape[:2], stride)

    def analyse(inner: Box, outer: Box) -> NDArray:
        source = scaled(outer, stride)
        cut = pixels[source]
        below, beside = (
            wanted - there for wanted, there in zip(size_of(source), cut.shape, strict=False)
        )
        filled = np.pad(cut, ((0, below), (0, beside), (0, 0)), mode="edge")
        return model.fine_features(to_unit(filled), scaled(within(outer, inner), stride))

    def measure(region: Box) -> NDArray:
        outer = _around(region, model.encoder_halo - halo, size)
        features: NDArray | None = None
        for inner, part in _each_window(model, analyse, outer, size, window, halo):
            if features is None:
                features = np.empty((len(part), *size_of(outer)), part.dtype)
            features[(slice(None), *within(outer, inner))] = part
            if meet(inner, region):
                _tell(progress, common(inner, region))
        assert features is not None  # no region is empty
        return model.measure(features, within(outer, region))

    measured: NDArray | None = None
    for region in windows(whole(size), _REGION * window):
        part = measure(region)
        if measured is None:
            measured = np.empty((*size, part.shape[2]), part.dtype)
        measured[region] = part
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
    stride, halo = model.stride, model.fine_decoder_halo
    window = window or model.window
    size = grid.shape[:2]
    area = area or scaled(whole(size), stride)
    pixels = np.empty((*size_of(area), 3), dtype=np.uint8)

    def draw(region: Box) -> None:
        around = _around(region, halo, size)
        outer = _around(region, model.decoder_halo, size)
        features = model.coarse_features(grid[outer], quality, within(outer, around))

        def synthesise(inner: Box, outer: Box) -> None:
            own = features[(slice(None), *within(around, outer))]
            rounded = to_samples(model.pixels(own, within(outer, inner)))
            drawn = scaled(inner, stride)
            # The area may begin and end within a position.
            wanted = common(drawn, area)
            pixels[within(area, wanted)] = rounded[within(drawn, wanted)]

        for inner, _ in _each_window(model, synthesise, region, size, window, halo):
            _tell(progress, inner)

    for region in windows(covering(area, stride), _REGION * window):
        draw(region)
    return pixels


def _each_window(
    model: PictureModel,
    work: Callable[[Box, Box], _T],
    area: Box,
    size: Size,
    window: int,
    halo: int,
) -> Iterator[tuple[Box, _T]]:
    """Work on the windows of an area; yield each with what comes of it.

    `work` is given a window and the same with its surroundings, clipped to a grid of that size.
    """
    inner = list(windows(area, window))
    outer = [_around(box, halo, size) for box in inner]
    most = _AT_ONCE if model.is_concurrent else 1
    yield from zip(inner, in_threads(work, inner, outer, most=most), strict=True)


def _around(box: Box, halo: int, size: Size) -> Box:
    """Return a box with its surroundings, clipped to a grid of that size."""
    return common(widened(box, halo), whole(size))


def _tell(progress: Progress | None, inner: Box) -> None:
    if progress is not None:
        progress(area_of(inner))
