"""What goes beside a picture's pixels, packed into chunks and back.

The data of each type of chunk are those of format/SPEC.md, section "Chunks".
"""

from __future__ import annotations

import zlib

import numpy as np
from numpy.typing import NDArray

from vqcodec.container import ALPHA, EXIF, ICC, XMP, Chunk, Container
from vqcodec.errors import CorruptError, LimitError
from vqcodec.image.alpha import pack, unpack
from vqcodec.image.pictures import METADATA_MAX, Picture


def to_chunks(picture: Picture) -> tuple[Chunk, ...]:
    """Pack alpha and metadata."""
    chunks = []
    if picture.alpha is not None:
        chunks.append(Chunk(type=ALPHA, data=pack(picture.alpha)))
    for kind, data in ((ICC, picture.icc), (EXIF, picture.exif), (XMP, picture.xmp)):
        if data is not None:
            chunks.append(Chunk(type=kind, data=zlib.compress(data, 9)))
    return tuple(sorted(chunks, key=lambda chunk: chunk.type))


def from_chunks(pixels: NDArray[np.uint8], container: Container) -> Picture:
    """Put decoded pixels (H, W, 3) and the file's chunks together.

    Raises: FormatError if a chunk's data is not what SPEC.md says.
    """
    icc, exif, xmp = (_inflate(container, kind) for kind in (ICC, EXIF, XMP))
    alpha = container.chunk(ALPHA)
    size = (container.header.width, container.header.height)
    return Picture(
        pixels=pixels,
        alpha=None if alpha is None else unpack(alpha, size),
        icc=icc,
        exif=exif,
        xmp=xmp,
    )


def _inflate(container: Container, kind: bytes) -> bytes | None:
    packed = container.chunk(kind)
    if packed is None:
        return None
    name = kind.decode()
    unpacker = zlib.decompressobj()
    try:
        data = unpacker.decompress(packed, METADATA_MAX + 1)
    except zlib.error as error:
        raise CorruptError(f"chunk {name} is not a zlib stream") from error
    if len(data) > METADATA_MAX:
        raise LimitError(f"chunk {name} unpacks to more than {METADATA_MAX} bytes")
    if not unpacker.eof or unpacker.unused_data:
        raise CorruptError(f"chunk {name} is not one whole zlib stream")
    return data
