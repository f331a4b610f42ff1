"""TIFF directories, of which TIFF files and EXIF blocks are made, as raw bytes.

Values stay what they are in the file: they are found, not interpreted, and no number in a file
makes memory grow. The layout is that of TIFF 6.0, section 2, and of its 64-bit form, BigTIFF.
`exif_tags` moves them to other files.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from typing import Literal, TypeAlias

Order: TypeAlias = Literal["<", ">"]

UNITS = {1: 1, 2: 1, 3: 2, 4: 4, 5: 8, 6: 1, 7: 1, 8: 2, 9: 4, 10: 8, 11: 4, 12: 8, 13: 4}
"""Bytes of a value of each type of TIFF 6.0."""
UNITS |= {16: 8, 17: 8, 18: 8}  # of BigTIFF

ENTRIES_MAX = (1 << 16) - 1
"""Most entries of a directory: more cannot be written in a classic TIFF."""
ORIENTATION = 274
EXIF_DIRECTORY, GPS_DIRECTORY, INTEROPERABILITY = 34665, 34853, 40965
MAKER_NOTE = 37500
SUBDIRECTORIES = frozenset({EXIF_DIRECTORY, GPS_DIRECTORY, INTEROPERABILITY})

DESCRIPTIVE = frozenset(
    {
        *(269, 270, 271, 272, 285, 305, 306, 315, 316, 33432),  # texts of TIFF 6.0
        *(18246, 18249, *range(40091, 40096)),  # Windows: rating, title, comment, author, ...
        *(33550, 33922, 34264, 34735, 34736, 34737, 42112, 42113),  # GeoTIFF and GDAL
        *(33434, 33437, 34850, 34855, 36867, 36868, *range(37377, 37387)),  # TIFF/EP: exposure
        *(42016, *range(42032, 42038)),  # unique identifier, owner, camera body, lens
    }
)
"""Tags of a picture's main directory that say something of the picture, not of how its pixels
are stored, and may be moved to another file: what is kept of TIFF files and written to them.
"""


@dataclass(frozen=True, slots=True)
class Entry:
    """A tag and its values."""

    tag: int
    type: int
    count: int
    value: bytes | memoryview
    """Raw, in the block's byte order; `count` values of `type`."""
    offset: int
    """Where the value is in the block."""

    @property
    def inline(self) -> bool:
        """Whether the value is in the directory itself, in a classic TIFF."""
        return len(self.value) <= 4


@dataclass(frozen=True, slots=True)
class Directory:
    """A directory of a block."""

    offset: int
    size: int
    """Bytes of the directory itself, without values that are elsewhere."""
    entries: tuple[Entry, ...]
    """Those that can be read, in the order of the block."""
    damaged: tuple[int, ...]
    """Tags whose type is unknown or whose values are not all in the block."""
    next: int
    """Offset of the next directory, 0 for none."""

    def entry(self, tag: int) -> Entry | None:
        """Return the first entry of that tag, or None."""
        return next((entry for entry in self.entries if entry.tag == tag), None)


class Block:
    """An EXIF block or a TIFF file."""

    def __init__(self, data: bytes | memoryview) -> None:
        """Read the header. Raises ValueError if it is none."""
        self.data = memoryview(data)
        orders: dict[bytes, Order] = {b"II": "<", b"MM": ">"}
        order = orders.get(bytes(self.data[:2]))
        if order is None or len(self.data) < 8:
            raise ValueError("not a TIFF structure")
        self.order: Order = order
        magic = self._number("H", 2)
        # A BigTIFF goes on with the size of its offsets, 8 bytes, and a zero.
        self.big = magic == 43 and len(self.data) >= 16 and self._numbers("HH", 4) == (8, 0)
        if not self.big and magic != 42:
            raise ValueError("not a TIFF structure")
        self.first = self._number("Q", 8) if self.big else self._number("I", 4)

    def directory(self, offset: int) -> Directory:
        """Read the directory at an offset.

        Raises ValueError if it is not inside the block, or has more entries than there are tags.
        """
        form = "HHQ" if self.big else "HHI"
        counter, pointer, step, room = ("Q", "Q", 20, 8) if self.big else ("H", "I", 12, 4)
        start = offset + struct.calcsize(counter)
        if not 0 < offset <= start <= len(self.data):
            raise ValueError("a directory is outside the block")
        count = self._number(counter, offset)
        end = start + count * step
        if end > len(self.data) or count > ENTRIES_MAX:
            raise ValueError("a directory is not whole")
        entries, damaged = [], []
        for at in range(start, end, step):
            tag, kind, number = struct.unpack_from(self.order + form, self.data, at)
            size = number * UNITS.get(kind, 0)
            place = at + step - room
            if size > room:
                place = self._number(pointer, place)
            if kind not in UNITS or place + size > len(self.data):
                damaged.append(tag)
            else:
                entries.append(Entry(tag, kind, number, self.data[place : place + size], place))
        whole = end + struct.calcsize(pointer) <= len(self.data)
        following = self._number(pointer, end) if whole else 0
        size = min(end + struct.calcsize(pointer), len(self.data)) - offset
        return Directory(offset, size, tuple(entries), tuple(damaged), following)

    def directories(self) -> Iterator[Directory]:
        """Read the main directory and those that follow it.

        Raises ValueError as `directory` does, and if directories overlap or go round in circles.
        """
        offset, size = self.first, 0
        while offset:
            found = self.directory(offset)
            size += found.size
            if size > len(self.data):
                raise ValueError("directories overlap")
            yield found
            offset = found.next

    def subdirectory(self, directory: Directory, tag: int) -> Directory | None:
        """Return the directory that a tag points to, None if there is no such tag.

        Raises ValueError as `directory` does.
        """
        entry = directory.entry(tag)
        if entry is None or entry.count != 1 or len(entry.value) not in (4, 8):
            return None
        return self.directory(self.number(entry))

    def number(self, entry: Entry) -> int:
        """Return an entry's first value, an unsigned integer. Raises ValueError if it is none."""
        form = {1: "B", 3: "H", 4: "I", 13: "I", 16: "Q", 18: "Q"}.get(entry.type)
        if form is None or not entry.count:
            raise ValueError(f"tag {entry.tag} is not an unsigned integer")
        return int(struct.unpack_from(self.order + form, entry.value)[0])

    def _number(self, form: str, at: int) -> int:
        return int(self._numbers(form, at)[0])

    def _numbers(self, form: str, at: int) -> tuple[int, ...]:
        return struct.unpack_from(self.order + form, self.data, at)


def multiplies(data: bytes) -> bool:
    """Tell whether the tags of a directory share so many bytes that a reader which copies the
    values of each would take more than the whole block.

    Pillow is such a reader. A block that is damaged in another way is no such block.
    """
    try:
        block = Block(data)
        found = [block.directory(block.first)]
    except ValueError:
        return False
    for tag in SUBDIRECTORIES:
        with suppress(ValueError):
            found += filter(None, [block.subdirectory(found[0], tag)])
    return any(sum(len(entry.value) for entry in each.entries) > len(data) for each in found)
