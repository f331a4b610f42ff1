"""Chunks that files of any medium have, and what those of several have in common."""

from __future__ import annotations

import struct
import zlib

from vqcodec.errors import CorruptError, LimitError

UNPACKED_MAX = 1 << 24
"""Most bytes that a chunk may unpack to."""
_MODIFIED = struct.Struct("<q")


def pack_modified(modified: int) -> bytes:
    """Pack when a file was last changed, in nanoseconds since 1970 in UTC."""
    return _MODIFIED.pack(modified)


def unpack_modified(data: bytes | None) -> int | None:
    """Undo `pack_modified`; there may be no such chunk. Raises: CorruptError."""
    if data is None:
        return None
    if len(data) != _MODIFIED.size:
        raise CorruptError(f"chunk time has {len(data)} bytes, not {_MODIFIED.size}")
    modified: int = _MODIFIED.unpack(data)[0]
    return modified


def inflate(kind: bytes, packed: bytes) -> bytes:
    """Unpack the zlib stream that a chunk is. Raises: CorruptError; LimitError if it is large."""
    name = kind.decode()
    unpacker = zlib.decompressobj()
    try:
        data = unpacker.decompress(packed, UNPACKED_MAX + 1)
    except zlib.error as error:
        raise CorruptError(f"chunk {name} is not a zlib stream") from error
    if len(data) > UNPACKED_MAX:
        raise LimitError(f"chunk {name} unpacks to more than {UNPACKED_MAX} bytes")
    if not unpacker.eof or unpacker.unused_data:
        raise CorruptError(f"chunk {name} is not one whole zlib stream")
    return data
