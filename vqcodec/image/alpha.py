"""A picture's alpha as the data of an ALPH chunk: an 8-bit greyscale PNG picture.

What is unpacked may come from hostile hands. Only the header and the IDAT chunks of the
picture count; they are checked, and Pillow sees a picture that is made of them alone.
"""

from __future__ import annotations

import io
import struct
import zlib

import numpy as np
from numpy.typing import NDArray
from PIL import Image, PngImagePlugin

from vqcodec.errors import CorruptError

_SIGNATURE = bytes.fromhex("89504E470D0A1A0A")
_HEADER = struct.Struct(">IIBBBBB")
"""Width, height, bits, colour type (0 is grey), compression, filters, interlacing."""
_PIECE = 1 << 24
"""Bytes that are unpacked at a time."""


def pack(alpha: NDArray[np.uint8]) -> bytes:
    """Return a PNG picture of alpha (H, W), 0..255."""
    buffer = io.BytesIO()
    Image.fromarray(alpha).save(buffer, "PNG", optimize=True)
    return buffer.getvalue()


def unpack(data: bytes, size: tuple[int, int]) -> NDArray[np.uint8]:
    """Return the alpha (H, W) of a picture that has `size` (W, H), in pixels.

    Time and memory are bounded by the data and the pixels together. Raises CorruptError if the
    data is no whole PNG picture of that size.
    """
    width, height = size
    start = _SIGNATURE + _chunk(b"IHDR", _HEADER.pack(width, height, 8, 0, 0, 0, 0))
    if data[:29] != start[:29]:
        raise CorruptError(f"chunk ALPH is not an 8-bit greyscale PNG picture of size {size}")
    packed = _packed_rows(data)
    if not _unpacks_to(packed, height * (1 + width)):
        raise CorruptError("chunk ALPH is not a whole PNG picture")
    # Pillow would obey a second header, and make up rows that are missing.
    checked = start + _chunk(b"IDAT", packed) + _chunk(b"IEND", b"")
    try:
        # Unlike Image.open this has no limit of pixels, which could only be lifted for all
        # threads at once: the size is known to be the picture's.
        with PngImagePlugin.PngImageFile(io.BytesIO(checked)) as image:
            return np.asarray(image)
    except MemoryError:
        raise
    except Exception as error:
        raise CorruptError("chunk ALPH is not a PNG picture") from error


def _chunk(kind: bytes, data: bytes | bytearray) -> bytes:
    checksum = zlib.crc32(data, zlib.crc32(kind))
    return b"".join((struct.pack(">I", len(data)), kind, data, struct.pack(">I", checksum)))


def _packed_rows(png: bytes) -> bytearray:
    """Return what the IDAT chunks of a PNG picture hold. Raises CorruptError."""
    at, kind = len(_SIGNATURE), b""
    found = bytearray()  # one buffer, as there may be millions of chunks
    while kind != b"IEND":
        if at + 8 > len(png):
            raise CorruptError("chunk ALPH is a PNG picture without an end")
        size, kind = struct.unpack_from(">I4s", png, at)
        if kind == b"IDAT":
            found += png[at + 8 : at + 8 + size]
        at += 12 + size
    return found


def _unpacks_to(packed: bytes | bytearray, count: int) -> bool:
    """Tell whether these are one whole zlib stream of so many bytes."""
    unpacker = zlib.decompressobj()
    try:
        # What is left to come out may be more than what is left to go in.
        while (part := unpacker.decompress(packed, _PIECE)) and count >= 0:
            count -= len(part)
            packed = unpacker.unconsumed_tail
    except zlib.error:
        return False
    return unpacker.eof and count == 0 and not unpacker.unused_data
