"""A picture as it is coded: upright 8-bit RGB, alpha, and what the file says beside them."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from vqcodec.codec.chunks import UNPACKED_MAX
from vqcodec.image.inventory.parts import Density

METADATA_MAX = UNPACKED_MAX
"""Most bytes of unpacked metadata of one kind."""
PNG_CHUNKS_MAX = 1024
"""Most texts and other descriptive chunks of PNG."""

PngChunk: TypeAlias = tuple[str, bytes]
"""Type and data of a PNG chunk."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Metadata:
    """What a picture's file says beside its pixels, byte for byte where nothing else is said."""

    icc: bytes | None = None
    """Colour profile of the pixels; None means sRGB, unless there is `cicp`."""
    exif: bytes | None = None
    """TIFF structure, without JPEG's 'Exif' prefix; its orientation, if it has one, is 1."""
    xmp: bytes | None = None
    xmp_extension: bytes | None = None
    """What JPEG stores apart of a long XMP packet."""
    resources: bytes | None = None
    """Photoshop image resources, IPTC among them."""
    cicp: bytes | None = None
    """Primaries, transfer function, matrix (0), range (1): 4 bytes as in PNG's cICP chunk."""
    density: Density | None = None
    png_chunks: tuple[PngChunk, ...] = ()
    """Texts, comments among them, and other PNG chunks that describe a picture."""
    modified: int | None = None
    """When the file was last changed, nanoseconds since 1970 in UTC."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Picture:
    """8-bit RGB, upright, and what came with it."""

    pixels: NDArray[np.uint8]
    """(H, W, 3)."""
    alpha: NDArray[np.uint8] | None = None
    """(H, W), 255 is opaque."""
    metadata: Metadata = field(default_factory=Metadata)
