"""TIFF directories, of which TIFF files and EXIF blocks are made, as raw bytes.

Values stay what they are in the file: they are found, moved and compared, not interpreted,
so nothing of them is rounded or re-encoded, and no number in a file makes memory grow. The
layout is that of TIFF 6.0, section 2, and of its 64-bit form, BigTIFF.
"""

from __future__ import annotations

import struct
from collections.abc import Iterable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import Literal, TypeAlias

import numpy as np

Order: TypeAlias = Literal["<", ">"]

UNITS = {1: 1, 2: 1, 3: 2, 4: 4, 5: 8, 6: 1, 7: 1, 8: 2, 9: 4, 10: 8, 11: 4, 12: 8, 13: 4}
"""Bytes of a value of each type of TIFF 6.0."""
UNITS |= {16: 8, 17: 8, 18: 8}  # of BigTIFF
_SWAPPED = UNITS | {5: 4, 10: 4}
"""Bytes that change places with the byte order: a rational is two numbers."""

ENTRIES_MAX = (1 << 16) - 1
"""Most entries of a directory: more cannot be written in a classic TIFF."""
ORIENTATION = 274
EXIF_DIRECTORY, GPS_DIRECTORY, INTEROPERABILITY = 34665, 34853, 40965
MAKER_NOTE = 37500
SUBDIRECTORIES = frozenset({EXIF_DIRECTORY, GPS_DIRECTORY, INTEROPERABILITY})

_RESTATED = frozenset({ORIENTATION, 282, 283, 296, 531})
"""Tags that a file says by itself: orientation, resolution, place of YCbCr samples."""
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


def orientation(exif: bytes) -> int | None:
    """Return the orientation of a block's main directory, 1 to 8, None if it has none."""
    entry = _orientation(exif)
    return None if entry is None else entry[1]


def upright(exif: bytes) -> bytes:
    """Return an EXIF block with the orientation's value, where it has one, set to 1.

    Not another byte changes: descriptions of any encoding and makers' notes with offsets
    survive. A thumbnail keeps its own orientation.
    """
    found = _orientation(exif)
    if found is None:
        return exif
    entry, value = found
    if value == 1:
        return exif
    changed = bytearray(exif)
    size = UNITS[entry.type]
    order: Literal["little", "big"] = "big" if exif[:2] == b"MM" else "little"
    changed[entry.offset : entry.offset + size] = (1).to_bytes(size, order)
    return bytes(changed)


def _orientation(exif: bytes) -> tuple[Entry, int] | None:
    try:
        block = Block(exif)
        entry = block.directory(block.first).entry(ORIENTATION)
        value = 0 if entry is None else block.number(entry)
    except ValueError:
        return None
    return (entry, value) if entry is not None and 1 <= value <= 8 else None


Tree: TypeAlias = "Mapping[int, Entry | Tree]"
"""A directory to be written: tags and their values or, for SUBDIRECTORIES, directories."""


def descriptive(block: Block) -> Tree:
    """Return what DESCRIPTIVE names of a block's main directory, and its EXIF and GPS directories.

    Directories that are damaged are left out. Raises ValueError if the main one is.
    """
    main = block.directory(block.first)
    tree: dict[int, Entry | Tree] = {}
    for entry in main.entries:
        if entry.tag in DESCRIPTIVE:
            tree.setdefault(entry.tag, entry)
    for tag in (EXIF_DIRECTORY, GPS_DIRECTORY):
        if inner := _subtree(block, main, tag):
            tree[tag] = inner
    return tree


def _subtree(block: Block, directory: Directory, tag: int) -> Tree:
    try:
        found = block.subdirectory(directory, tag)
    except ValueError:
        return {}
    if found is None:
        return {}
    tree: dict[int, Entry | Tree] = {}
    for entry in found.entries:
        if entry.tag not in SUBDIRECTORIES:
            tree.setdefault(entry.tag, entry)
    if tag == EXIF_DIRECTORY and (inner := _subtree(block, found, INTEROPERABILITY)):
        tree[INTEROPERABILITY] = inner
    return tree


def size_of(tree: Tree) -> int:
    """Return how many bytes `build` makes of a tree."""
    total = 6 + 12 * len(tree)
    for value in tree.values():
        if isinstance(value, Entry):
            total += 0 if value.inline else len(value.value) + len(value.value) % 2
        else:
            total += size_of(value)
    return total


def build(tree: Tree, order: Order, start: int) -> bytes:
    """Write a directory, what belongs to it behind it, to stand at an even offset `start`.

    Values must be in that byte order (`in_order`).
    """
    head = bytearray(struct.pack(order + "H", len(tree)))
    behind = bytearray()
    place = start + 6 + 12 * len(tree)
    for tag in sorted(tree):
        value = tree[tag]
        if not isinstance(value, Entry):
            head += struct.pack(order + "HHII", tag, 4, 1, place + len(behind))
            behind += build(value, order, place + len(behind))
        elif value.inline:
            head += struct.pack(order + "HHI", tag, value.type, value.count)
            head += bytes(value.value).ljust(4, b"\0")
        else:
            head += struct.pack(order + "HHII", tag, value.type, value.count, place + len(behind))
            behind += value.value
            behind += bytes(len(behind) % 2)
    return bytes(head + struct.pack(order + "I", 0) + behind)


def in_order(tree: Tree, before: Order, after: Order) -> Tree:
    """Return a tree whose values have another byte order."""
    if before == after:
        return tree
    changed: dict[int, Entry | Tree] = {}
    for tag, value in tree.items():
        if isinstance(value, Entry):
            unit = _SWAPPED[value.type]
            raw = np.frombuffer(value.value, dtype=np.uint8).reshape(-1, unit)[:, ::-1].tobytes()
            changed[tag] = replace(value, value=raw)
        else:
            changed[tag] = in_order(value, before, after)
    return changed


def exif_of_tiff(tiff: bytes, limit: int) -> bytes | None:
    """Return the descriptive tags of a TIFF file as an EXIF block of at most `limit` bytes.

    None if there are none. Raises ValueError if the file is damaged or has more of them.
    """
    block = Block(tiff)
    tree = descriptive(block)
    if not tree:
        return None
    if size_of(tree) > limit:
        raise ValueError(f"the tags have more than {limit} bytes")
    head = b"II*\0\x08\0\0\0" if block.order == "<" else b"MM\0*\0\0\0\x08"
    return head + build(tree, block.order, len(head))


def left_out(exif: bytes) -> list[str]:
    """Name what of an EXIF block `with_tags` leaves out or changes, in words for people.

    Raises ValueError if the block is damaged.
    """
    block = Block(exif)
    main = block.directory(block.first)
    tags = {entry.tag for entry in main.entries} - DESCRIPTIVE - SUBDIRECTORIES - _RESTATED
    named = [f"EXIF tags {', '.join(map(str, sorted(tags)))}"] if tags else []
    named += ["EXIF thumbnail"] if main.next else []
    with suppress(ValueError):
        inner = block.subdirectory(main, EXIF_DIRECTORY)
        if inner is not None and inner.entry(MAKER_NOTE) is not None:
            named.append("maker's notes, which are moved and may not be readable there")
    return named


def with_tags(tiff: bytes, exif: bytes | None, more: Iterable[Entry]) -> bytes:
    """Add the descriptive tags of an EXIF block, and `more` in the file's byte order, to a
    classic TIFF file of one picture.

    Tags that the file has stay as they are. Raises ValueError if the block is damaged, or its
    tags share so many bytes that they would take more than the block has.
    """
    block = Block(tiff)
    tree: dict[int, Entry | Tree] = {}
    if exif is not None:
        source = Block(exif)
        tags = descriptive(source)
        if size_of(tags) > len(exif):
            raise ValueError("its tags share bytes")
        tree |= in_order(tags, source.order, block.order)
    tree |= {entry.tag: entry for entry in more}
    main = block.directory(block.first)
    tree |= {entry.tag: entry for entry in main.entries}
    start = len(tiff) + len(tiff) % 2
    whole = bytearray(tiff.ljust(start, b"\0"))
    whole[4:8] = struct.pack(block.order + "I", start)
    # The directory and its values move to the end; nothing refers to the old ones any more.
    moved = [(entry.offset, len(entry.value)) for entry in main.entries]
    for at, size in ((main.offset, main.size), *moved):
        whole[at : at + size] = bytes(size)
    return bytes(whole + build(tree, block.order, start))


def without_orientation(exif: bytes) -> bytes:
    """Return an EXIF block whose main directory has no orientation; no other value moves.

    Raises ValueError if the block is damaged, or the values of its main directory share so
    many bytes that readers which copy each would take more than the block has.
    """
    if multiplies(exif):
        raise ValueError("its tags share bytes")
    block = Block(exif)
    main = block.directory(block.first)
    tags = [entry.tag for entry in main.entries]
    if ORIENTATION not in tags or block.big or main.damaged:
        return exif
    at, size = main.offset + 2 + 12 * tags.index(ORIENTATION), main.size
    end = main.offset + size
    count = struct.pack(block.order + "H", len(tags) - 1)
    shorter = exif[:at] + exif[at + 12 : end] + bytes(12) + exif[end:]
    return shorter[: main.offset] + count + shorter[main.offset + 2 :]
