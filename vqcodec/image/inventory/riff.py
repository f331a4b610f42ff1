"""WebP files (RFC 9649)."""

from __future__ import annotations

import struct

from vqcodec.image.inventory.ledger import Ledger, name_of
from vqcodec.image.inventory.parts import Contents, Kind

_STRUCTURE = frozenset({b"VP8X", b"ALPH"})
_PIXELS = frozenset({b"VP8 ", b"VP8L"})
_METADATA = {
    b"ICCP": ("colour profile", Kind.ICC),
    b"EXIF": ("EXIF", Kind.EXIF),
    b"XMP ": ("XMP", Kind.XMP),
}


def read_webp(data: bytes) -> Contents:
    """List the parts of a WebP file.

    Raises ValueError or struct.error if its structure cannot be followed.
    """
    ledger = Ledger(data)
    (size,) = struct.unpack_from("<I", data, 4)
    at, end = 12, 8 + size
    if not at <= end <= len(data):
        raise ValueError("not a whole RIFF file")
    ledger.structure((0, at))
    seen = set[bytes]()
    frames = 0
    while at < end:
        kind, size = struct.unpack_from("<4sI", data, at)
        body, start, at = at + 8, at, at + 8 + size + size % 2
        if at > end:
            raise ValueError("a chunk is not whole")
        span = (start, at)
        if kind == b"ANMF":
            frames += 1
            if frames == 1 and not seen & _PIXELS:
                ledger.pixels(span)
            else:
                ledger.other(f"frame {frames}", span)
        elif kind in seen or (kind in _PIXELS and (frames or seen & _PIXELS)):
            ledger.other(f"further chunk {name_of(kind)}", span)
        elif kind in _PIXELS:
            ledger.pixels(span)
        elif kind in _STRUCTURE:
            ledger.structure(span)
        elif kind in _METADATA:
            name, meaning = _METADATA[kind]
            payload = data[body : body + size]
            ledger.add(name, meaning, span, data=payload.removeprefix(b"Exif\0\0"))
        elif kind == b"ANIM":
            ledger.other("animation", span)
        else:
            ledger.other(f"chunk {name_of(kind)}", span)
        seen.add(kind)
    if not frames and not seen & _PIXELS:
        raise ValueError("no pixels")
    return ledger.contents("WebP")
