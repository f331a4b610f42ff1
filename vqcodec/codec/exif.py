"""How much an EXIF block unpacks to, told without unpacking it."""

from __future__ import annotations

import struct

_UNITS = {1: 1, 2: 1, 3: 2, 4: 4, 5: 8, 6: 1, 7: 1, 8: 2, 9: 4, 10: 8, 11: 4, 12: 8, 13: 4, 16: 8}
"""Bytes of a value of each TIFF type."""
_POINTERS = frozenset({0x8769, 0x8825, 0xA005})
"""Tags whose values are directories: EXIF, GPS, interoperability."""


def is_bomb(data: bytes) -> bool:
    """Tell whether the values of one of its directories take more bytes than the block has.

    Thousands of tags may name the same bytes, and readers copy them for each. A block
    that is damaged in another way is not one: readers find out by themselves.
    """
    data = data.removeprefix(b"Exif\0\0")
    order = ">" if data[:2] == b"MM" else "<"
    waiting, seen = [data[4:8]], set[int]()
    while waiting:
        pointer = waiting.pop()
        at = struct.unpack(order + "I", pointer)[0] if len(pointer) == 4 else len(data)
        if at in seen or at + 2 > len(data):
            continue
        seen.add(at)
        taken = 0
        count = struct.unpack_from(order + "H", data, at)[0]
        for entry in range(at + 2, min(at + 2 + 12 * count, len(data) - 11), 12):
            tag, kind, values = struct.unpack_from(order + "HHI", data, entry)
            size = values * _UNITS.get(kind, 0)
            if size > 4:
                start = struct.unpack_from(order + "I", data, entry + 8)[0]
                taken += size if start + size <= len(data) else 0
            if tag in _POINTERS:
                waiting.append(data[entry + 8 : entry + 12])
        if taken > len(data):
            return True
    return False
