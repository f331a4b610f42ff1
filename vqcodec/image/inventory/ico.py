"""Windows icons and cursors, which hold pictures of several sizes."""

from __future__ import annotations

import struct
from dataclasses import dataclass

from vqcodec.image.inventory import png
from vqcodec.image.inventory.bmp import read_header
from vqcodec.image.inventory.ledger import Ledger
from vqcodec.image.inventory.parts import Contents, Kind

_HEADER = struct.Struct("<HHH")
_ENTRY = struct.Struct("<4B2H2I")
_ICON, _CURSOR = 1, 2


@dataclass(frozen=True, slots=True)
class _Entry:
    width: int
    height: int
    depth: int
    """Bits of a pixel, as Pillow finds them."""
    start: int
    stop: int


def read_ico(data: bytes) -> Contents:
    """List the parts of an ICO or CUR file.

    Raises ValueError or struct.error if its structure cannot be followed.
    """
    ledger = Ledger(data)
    _, kind, count = _HEADER.unpack_from(data)
    if kind not in (_ICON, _CURSOR) or not count:
        raise ValueError("no icon")
    ledger.structure((0, _HEADER.size))
    entries = []
    for start in range(_HEADER.size, _HEADER.size + count * _ENTRY.size, _ENTRY.size):
        width, height, colours, _, _, bits, size, offset = _ENTRY.unpack_from(data, start)
        depth = (0 if kind == _CURSOR else bits) or (colours and (colours - 1).bit_length()) or 256
        entries.append(_Entry(width or 256, height or 256, depth, offset, offset + size))
        if kind == _CURSOR:
            ledger.other("hotspot of a cursor", (start + 4, start + 8))
            ledger.structure((start, start + 4), (start + 8, start + _ENTRY.size))
        else:
            ledger.structure((start, start + _ENTRY.size))
    # Pillow reads the largest one; of several that have its size, that of the fewest bits.
    chosen = min(entries, key=lambda entry: (-entry.width * entry.height, entry.depth))
    for entry in entries:
        if entry is not chosen:
            size = f"{entry.width}x{entry.height}"
            ledger.other(f"other picture of {size} pixels", (entry.start, entry.stop))
    bits = _enter_chosen(ledger, data, chosen)
    return ledger.contents("ICO" if kind == _ICON else "CUR", bits=bits)


def _enter_chosen(ledger: Ledger, data: bytes, entry: _Entry) -> int:
    """Enter the picture that is read, and return the bits of its samples."""
    start, stop = entry.start, entry.stop
    if data.startswith(png.SIGNATURE, start):
        contents = png.read_png(data[start:stop])
        for part in contents.parts:
            # Its parts may lie anywhere in the picture: only the sums of their sizes count.
            span = (start, start + part.size)
            start += part.size
            kept = part.kind in (Kind.PIXELS, Kind.STRUCTURE)
            ledger.add(part.name, part.kind if kept else Kind.OTHER, span)
        return contents.bits
    bitmap = read_header(data, start)
    # The height counts the mask behind the pixels, of 1 bit per pixel, in.
    height = bitmap.height // 2
    colours = bitmap.palette_stop + height * bitmap.row_bytes(bitmap.bits)
    end = min(stop, colours + height * bitmap.row_bytes(1))
    ledger.pixels((start, end))
    return 8
