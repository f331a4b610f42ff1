"""Pixels of a tile to a stream of range-coded bits and back, by the C kernel or in Python."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from vqcodec.errors import CorruptError
from vqcodec.literal import portable
from vqcodec.literal.logistic import squash, stretch
from vqcodec.prior import kernel

Pixels = NDArray[np.uint8]
"""(H, W, 3), 0..255."""


def encode_pixels(pixels: Pixels) -> bytes:
    """Return the stream of a tile, of at least one pixel."""
    if kernel.level() == kernel.NUMPY:
        return portable.encode(pixels)
    height, width = pixels.shape[:2]
    whole = np.ascontiguousarray(pixels)
    return kernel.native.encode_pixels(height, width, whole, stretch(), squash())


def decode_pixels(stream: bytes, pixels: Pixels) -> None:
    """Put the pixels of a tile into an array (H, W, 3).

    Raises CorruptError if the stream is not one that an encoder writes; then what is in the
    array means nothing.
    """
    height, width = pixels.shape[:2]
    if kernel.level() == kernel.NUMPY:
        pixels[:] = portable.decode(stream, (height, width))
        return
    whole = pixels if pixels.flags.c_contiguous else np.empty_like(pixels, order="C")
    if not kernel.native.decode_pixels(height, width, stream, whole, stretch(), squash()):
        raise CorruptError("a literal tile's stream is none that an encoder writes")
    if whole is not pixels:
        pixels[:] = whole
