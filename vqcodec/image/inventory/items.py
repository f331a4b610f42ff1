"""Items of AVIF and HEIC files: the pictures and metadata in them (ISO 14496-12, 23008-12)."""

from __future__ import annotations

from dataclasses import dataclass

from vqcodec.image.inventory.boxes import Box, boxes
from vqcodec.image.inventory.ledger import Span

COUNT_MAX = 1 << 16
"""Most items of a file, pieces of them, references and associations."""


@dataclass(frozen=True, slots=True)
class Item:
    """An item as the file lists it."""

    type: bytes
    """4 bytes."""
    content_type: bytes = b""
    """Of an item of type `mime`."""
    plain: bool = True
    """Whether its content is as it is, neither protected nor compressed."""


@dataclass(frozen=True, slots=True)
class Reference:
    """That an item refers to others."""

    type: bytes
    """4 bytes."""
    source: int
    targets: tuple[int, ...]


class Fields:
    """Reads unsigned numbers, highest byte first, one after another.

    Raises ValueError where they end.
    """

    def __init__(self, data: bytes, start: int, stop: int) -> None:
        self._data = data
        self._at = start
        self._stop = stop

    def number(self, size: int) -> int:
        """Return the next number, of `size` bytes."""
        return int.from_bytes(self.take(size), "big")

    def take(self, size: int) -> bytes:
        """Return the next bytes."""
        start, self._at = self._at, self._at + size
        if self._at > self._stop:
            raise ValueError("a box ends early")
        return self._data[start : self._at]

    def text(self) -> bytes:
        """Return the next text, without the zero behind it."""
        end = self._data.find(b"\0", self._at, self._stop)
        if end < 0:
            raise ValueError("a text has no end")
        text, self._at = self._data[self._at : end], end + 1
        return text

    @property
    def left(self) -> int:
        """Bytes that have not been read."""
        return self._stop - self._at


def read_primary(data: bytes, box: Box) -> int:
    """Return the number of the primary item, from box `pitm`."""
    fields = Fields(data, box.body, box.stop)
    version = fields.number(4) >> 24
    return fields.number(2 if version == 0 else 4)


def read_items(data: bytes, box: Box) -> dict[int, Item]:
    """Return the items by their numbers, from box `iinf`. Raises ValueError if one is doubled."""
    fields = Fields(data, box.body, box.stop)
    version = fields.number(4) >> 24
    count = fields.number(2 if version == 0 else 4)
    items: dict[int, Item] = {}
    for inner in boxes(data, box.stop - fields.left, box.stop):
        fields = Fields(data, inner.body, inner.stop)
        version = fields.number(4) >> 24
        if inner.type != b"infe" or version not in (2, 3):
            raise ValueError("an unknown description of an item")
        number = fields.number(2 if version == 2 else 4)
        protected, kind = fields.number(2), fields.take(4)
        fields.text()  # its name
        content, encoding = b"", b""
        if kind == b"mime":
            content = fields.text()
            encoding = fields.text() if fields.left else b""
        if number in items:
            raise ValueError("two items of the same number")
        if len(items) == COUNT_MAX:
            raise ValueError("too many items")
        items[number] = Item(kind, content, not protected and not encoding)
    if len(items) != count:
        raise ValueError("items are missing")
    return items


def read_places(data: bytes, box: Box, own: Span) -> dict[int, list[Span]]:
    """Return where in the file each item's bytes are, from box `iloc`.

    `own` is the content of box `idat`. Raises ValueError for items that are outside it and the
    file, or in other items.
    """
    fields = Fields(data, box.body, box.stop)
    version = fields.number(4) >> 24
    sizes = fields.number(2)
    offset_size, length_size, base_size, index_size = (sizes >> n & 15 for n in (12, 8, 4, 0))
    if version > 2:
        raise ValueError("places are told in an unknown way")
    places: dict[int, list[Span]] = {}
    total = 0
    for _ in range(fields.number(2 if version < 2 else 4)):
        number = fields.number(2 if version < 2 else 4)
        method = fields.number(2) & 15 if version else 0
        if fields.number(2) or method > 1 or number in places:
            raise ValueError("an item is elsewhere")
        start, stop = own if method else (0, len(data))
        base = start + fields.number(base_size)
        spans = []
        count = fields.number(2)
        total += count
        if total > COUNT_MAX:
            raise ValueError("too many pieces")
        for _ in range(count):
            if version:
                fields.number(index_size)
            begin = base + fields.number(offset_size)
            # Without a length, it is all that there is.
            end = begin + fields.number(length_size) if length_size else stop
            if not start <= begin <= end <= stop:
                raise ValueError("an item is outside the file")
            spans.append((begin, end))
        places[number] = spans
    return places


def read_references(data: bytes, box: Box) -> list[Reference]:
    """Return who refers to whom, from box `iref`."""
    version = Fields(data, box.body, box.stop).number(4) >> 24
    size = 2 if version == 0 else 4
    found: list[Reference] = []
    total = 0
    for inner in boxes(data, box.body + 4, box.stop):
        fields = Fields(data, inner.body, inner.stop)
        source = fields.number(size)
        targets = tuple(fields.number(size) for _ in range(fields.number(2)))
        total += 1 + len(targets)
        if total > COUNT_MAX:
            raise ValueError("too many references")
        found.append(Reference(inner.type, source, targets))
    return found


def read_associations(data: bytes, box: Box) -> dict[int, set[int]]:
    """Return for each property, counted from 1, the items that have it, from box `ipma`."""
    fields = Fields(data, box.body, box.stop)
    head = fields.number(4)
    version, wide = head >> 24, head & 1
    owners: dict[int, set[int]] = {}
    total = 0
    for _ in range(fields.number(4)):
        item = fields.number(2 if version == 0 else 4)
        count = fields.number(1)
        total += count
        if total > COUNT_MAX:
            raise ValueError("too many associations")
        for _ in range(count):
            index = fields.number(2) & 0x7FFF if wide else fields.number(1) & 0x7F
            owners.setdefault(index, set()).add(item)
    return owners
