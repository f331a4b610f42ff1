"""How much an EXIF block unpacks to, told without unpacking it."""

from __future__ import annotations

import struct

_UNITS = {1: 1, 2: 1, 3: 2, 4: 4, 5: 8, 6: 1, 7: 1, 8: 2, 9: 4, 10: 8, 11: 4, 12: 8, 13: 4, 16: 8}
"""Bytes of a value of each TIFF type."""
_POINTERS = frozenset({0x8769, 0x8825, 0xA005})
"""Tags whose values are directories: EXIF, GPS, interoperability."""


def is_bomb(data: bytes) -> bool:
    """Tell whether the values of one of its directories, or all directories, take more bytes
    than the block has.

    Thousands of tags may name the same bytes, and readers copy them for each; directories
    may overlap. A block that is damaged in another way is not one: readers find out by
    themselves.
    """
    data = data.removeprefix(b"Exif\0\0")
    order = ">" if data[:2] == b"MM" else "<"
    if len(data) < 8:
        return False
    waiting, seen = [struct.unpack_from(order + "I", data, 4)[0]], set[int]()
    entries = 0
    while waiting:
        at = waiting.pop()
        if at in seen or at + 2 > len(data):
            continue
        seen.add(at)
        taken = 0
        count = struct.unpack_from(order + "H", data, at)[0]
        for entry in range(at + 2, min(at + 2 + 12 * count, len(data) - 11), 12):
            entries += 1
            tag, kind, values = struct.unpack_from(order + "HHI", data, entry)
            size = values * _UNITS.get(kind, 0)
            if size > 4:
                start = struct.unpack_from(order + "I", data, entry + 8)[0]
                taken += size if start + size <= len(data) else 0
            if tag in _POINTERS:
                waiting.append(struct.unpack_from(order + "I", data, entry + 8)[0])
            if 12 * entries > len(data):
                return True
        if taken > len(data):
            return True
    return False
