"""Boxes, of which JPEG 2000, AVIF and HEIC files are made (ISO 14496-12, 15444-1)."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from vqcodec.image.inventory.ledger import name_of


@dataclass(frozen=True, slots=True)
class Box:
    """A box of a file: places in the file."""

    type: bytes
    """4 bytes."""
    start: int
    body: int
    """First byte behind the size and the type."""
    stop: int

    @property
    def name(self) -> str:
        """The type for people."""
        return name_of(self.type)


def boxes(data: bytes, start: int, stop: int) -> Iterator[Box]:
    """Yield the boxes between two places, up to the first that is not whole."""
    while start + 8 <= stop:
        size, body = int.from_bytes(data[start : start + 4], "big"), start + 8
        if size == 1:
            size, body = int.from_bytes(data[body : body + 8], "big"), start + 16
        elif size == 0:
            size = stop - start
        end = start + size
        if not body <= end <= stop:
            return
        yield Box(data[start + 4 : start + 8], start, body, end)
        start = end
