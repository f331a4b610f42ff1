"""Container to bytes. There is one way to write a container."""

from __future__ import annotations

import zlib

from vqcodec.container import layout
from vqcodec.container.types import Container


def serialise(container: Container) -> bytes:
    """Write a .vqc file."""
    header = container.header
    out = bytearray(layout.SIGNATURE)
    out += bytes((layout.VERSION, header.medium, header.mode, header.quality))
    for _, length in header.sizes():
        out += varint(length)
    out += header.model
    out += bytes((header.stride_log2, header.tile_log2, len(container.chunks)))
    for tile in container.tiles:
        out += varint(len(tile)) + _crc(tile)
    out += _crc(out)
    for chunk in container.chunks:
        start = len(out)
        out += chunk.type + varint(len(chunk.data)) + chunk.data
        out += _crc(memoryview(out)[start:])
    for tile in container.tiles:
        out += tile
    return bytes(out)


def varint(value: int) -> bytes:
    """Write an integer 0..2^32-1 in groups of 7 bits, lowest first (LEB128)."""
    out = bytearray()
    while value > 0x7F:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    out.append(value)
    return bytes(out)


def _crc(data: bytes | bytearray | memoryview) -> bytes:
    return zlib.crc32(data).to_bytes(layout.CRC_BYTES, "little")
