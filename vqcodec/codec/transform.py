"""Pixels to indices and back, in windows.

A window is computed with as many indices around it as its result depends on (the
network's halo), so windows meet without a seam and memory does not grow with
the picture.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from vqcodec.codec.coding import Indices, Progress
from vqcodec.models.autoencoder import codeword_images
from vqcodec.models.codebook import nearest
from vqcodec.models.precision import full_precision
from vqcodec.models.vqvae import VqVae

Pixels = NDArray[np.uint8]
"""(H, W, 3), 0..255."""

WINDOW = 192
"""Side of a window in indices: 768 pixels at 4 pixels per index."""


@torch.inference_mode()
@full_precision()
def encode_pixels(
    model: VqVae, pixels: Pixels, *, window: int = WINDOW, progress: Progress | None = None
) -> Indices:
    """Return the indices, int32 (ceil(H/4), ceil(W/4)), of the nearest codewords.

    Sides that are no multiple of 4 are filled up by repeating the last row or column.
    """
    stride, halo = model.config.stride, model.config.encoder_halo
    height, width = pixels.shape[:2]
    rows, columns = -(-height // stride), -(-width // stride)
    grid = np.empty((rows, columns), dtype=np.int32)
    for inner, outer in _windows(slice(0, rows), slice(0, columns), rows, columns, window, halo):
        cut = pixels[tuple(slice(s.start * stride, s.stop * stride) for s in outer)]
        below = (outer[0].stop - outer[0].start) * stride - cut.shape[0]
        beside = (outer[1].stop - outer[1].start) * stride - cut.shape[1]
        filled = np.pad(cut, ((0, below), (0, beside), (0, 0)), mode="edge")
        image = torch.from_numpy(filled).to(model.device).permute(2, 0, 1)[None]
        latents = model.encoder(image.float() / 255.0)  # (1, D, n, m)
        part = _inside(latents, inner, outer)
        flat = part.permute(0, 2, 3, 1).reshape(-1, part.shape[1])
        indices = nearest(model.codebook, flat).view(part.shape[2:])
        grid[inner] = indices.cpu().numpy()
        _tell(progress, inner)
    return grid


@torch.inference_mode()
@full_precision()
def decode_indices(
    model: VqVae,
    grid: Indices,
    area: tuple[slice, slice] | None = None,
    *,
    window: int = WINDOW,
    progress: Progress | None = None,
) -> Pixels:
    """Return the pixels of `area` of an index grid (rows and columns of it; None: all).

    Only indices within the decoder's halo of the area are looked at.
    """
    stride, halo = model.config.stride, model.config.decoder_halo
    rows, columns = grid.shape
    area = area or (slice(0, rows), slice(0, columns))
    top, left = area[0].start, area[1].start
    size = tuple((s.stop - s.start) * stride for s in area)
    pixels = np.empty((*size, 3), dtype=np.uint8)
    for inner, outer in _windows(*area, rows, columns, window, halo):
        indices = torch.from_numpy(np.ascontiguousarray(grid[outer])).to(model.device)
        decoded = model.decoder(codeword_images(model.codebook, indices.long()[None]))
        part = _inside(decoded, inner, outer, stride)[0]
        rounded = (part * 255.0).round_().clamp_(0.0, 255.0).to(torch.uint8)
        r, c = inner
        pixels[
            (r.start - top) * stride : (r.stop - top) * stride,
            (c.start - left) * stride : (c.stop - left) * stride,
        ] = rounded.permute(1, 2, 0).cpu().numpy()
        _tell(progress, inner)
    return pixels


Box = tuple[slice, slice]


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


def _inside(image: Tensor, inner: Box, outer: Box, stride: int = 1) -> Tensor:
    top = (inner[0].start - outer[0].start) * stride
    left = (inner[1].start - outer[1].start) * stride
    height = (inner[0].stop - inner[0].start) * stride
    width = (inner[1].stop - inner[1].start) * stride
    return image[:, :, top : top + height, left : left + width]


def _tell(progress: Progress | None, inner: Box) -> None:
    if progress is not None:
        rows, columns = inner
        progress((rows.stop - rows.start) * (columns.stop - columns.start))
