"""What goes beside a picture's pixels, packed into chunks and back.

The data of each type of chunk are those of format/SPEC.md, section "Chunks".
"""

from __future__ import annotations

import io
import struct
import zlib

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from vqcodec.container import ALPHA, EXIF, ICC, XMP, Chunk, Container
from vqcodec.errors import CorruptError, LimitError
from vqcodec.image.pictures import METADATA_MAX, Picture, without_pillows_limit

_PNG_SIGNATURE = bytes.fromhex("89504E470D0A1A0A")
_PNG_HEADER = struct.Struct(">IIBBBBB")
"""Width, height, bits, colour type (0 is grey), compression, filters, interlacing."""


def to_chunks(picture: Picture) -> tuple[Chunk, ...]:
    """Pack alpha and metadata."""
    chunks = []
    if picture.alpha is not None:
        buffer = io.BytesIO()
        Image.fromarray(picture.alpha).save(buffer, "PNG", optimize=True)
        chunks.append(Chunk(type=ALPHA, data=buffer.getvalue()))
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
        alpha=None if alpha is None else _read_alpha(alpha, size),
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


def _read_alpha(data: bytes, size: tuple[int, int]) -> NDArray[np.uint8]:
    width, height = size
    header = _PNG_HEADER.pack(width, height, 8, 0, 0, 0, 0)
    start = _PNG_SIGNATURE + _png_chunk(b"IHDR", header)
    if data[:29] != start[:29]:
        raise CorruptError(f"chunk ALPH is not an 8-bit greyscale PNG picture of size {size}")
    packed = _png_data(data)
    if not _unpacks_to(packed, height * (1 + width)):
        raise CorruptError("chunk ALPH is not a whole PNG picture")
    # Pillow would obey a second header, and make up rows that are missing.
    checked = start + _png_chunk(b"IDAT", packed) + _png_chunk(b"IEND", b"")
    try:
        with without_pillows_limit():
            return np.asarray(Image.open(io.BytesIO(checked), formats=["PNG"]))
    except MemoryError:
        raise
    except Exception as error:
        raise CorruptError("chunk ALPH is not a PNG picture") from error


def _png_chunk(kind: bytes, data: bytes) -> bytes:
    checksum = zlib.crc32(data, zlib.crc32(kind))
    return b"".join((struct.pack(">I", len(data)), kind, data, struct.pack(">I", checksum)))


def _png_data(png: bytes) -> bytes:
    """Return what the IDAT chunks of a PNG picture hold. Raises CorruptError."""
    at, kind = len(_PNG_SIGNATURE), b""
    found = []
    while kind != b"IEND":
        if at + 8 > len(png):
            raise CorruptError("chunk ALPH is a PNG picture without an end")
        size, kind = struct.unpack_from(">I4s", png, at)
        if kind == b"IDAT":
            found.append(memoryview(png)[at + 8 : at + 8 + size])
        at += 12 + size
    return b"".join(found)


def _unpacks_to(packed: bytes, count: int) -> bool:
    """Tell whether these are one whole zlib stream of so many bytes."""
    unpacker = zlib.decompressobj()
    try:
        # What is left to come out may be more than what is left to go in.
        while (part := unpacker.decompress(packed, 1 << 24)) and count >= 0:
            count -= len(part)
            packed = unpacker.unconsumed_tail
    except zlib.error:
        return False
    return unpacker.eof and count == 0 and not unpacker.unused_data
