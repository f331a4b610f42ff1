"""Tags of EXIF blocks and TIFF files, moved from one to the other or changed in their place.

Nothing of a value is rounded or re-encoded, and only the tags that `ifd.DESCRIPTIVE` names, and
those of the EXIF and GPS directories, go from file to file.
"""

from __future__ import annotations

import struct
from collections.abc import Iterable, Mapping
from contextlib import suppress
from dataclasses import replace
from typing import Literal, TypeAlias

import numpy as np

from vqcodec.image.ifd import (
    DESCRIPTIVE,
    EXIF_DIRECTORY,
    GPS_DIRECTORY,
    INTEROPERABILITY,
    MAKER_NOTE,
    ORIENTATION,
    SUBDIRECTORIES,
    UNITS,
    Block,
    Directory,
    Entry,
    Order,
    multiplies,
)

Tree: TypeAlias = "Mapping[int, Entry | Tree]"
"""A directory to be written: tags and their values or, for SUBDIRECTORIES, directories."""

_SWAPPED = UNITS | {5: 4, 10: 4}
"""Bytes that change places with the byte order: a rational is two numbers."""
_RESTATED = frozenset({ORIENTATION, 282, 283, 296, 531})
"""Tags that a file says by itself: orientation, resolution, place of YCbCr samples."""


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


def _orientation(exif: bytes) -> tuple[Entry, int] | None:
    try:
        block = Block(exif)
        entry = block.directory(block.first).entry(ORIENTATION)
        value = 0 if entry is None else block.number(entry)
    except ValueError:
        return None
    return (entry, value) if entry is not None and 1 <= value <= 8 else None


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
