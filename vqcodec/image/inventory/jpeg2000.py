"""JPEG 2000: JP2 files and bare codestreams (ISO 15444-1)."""

from __future__ import annotations

import struct

from vqcodec.image.inventory.boxes import Box, boxes
from vqcodec.image.inventory.ledger import Ledger
from vqcodec.image.inventory.parts import Contents, Density, Kind, Unit

_CODESTREAM = b"\xff\x4f\xff\x51"
_SIZ, _COM, _SOT, _SOD, _EOC = 0xFF51, 0xFF64, 0xFF90, 0xFF93, 0xFFD9
_TABLES = frozenset(
    {*(0xFF50, _SIZ, 0xFF52, 0xFF53, 0xFF55), *range(0xFF57, 0xFF5A), *(0xFF5C, 0xFF5D)}
    | {*(0xFF5E, 0xFF5F, 0xFF60, 0xFF61)}
)
"""Markers of what decoding uses up."""
_HEADER_BOXES = frozenset({b"ihdr", b"bpcc", b"pclr", b"cmap", b"cdef"})
_RESOLUTIONS = frozenset({b"resc", b"resd"})
_COLOURS = frozenset({0, 12, 15, 16, 17, 18})
"""Enumerated: bilevel, CMYK, sRGB, grey and YCC of it."""
_ENUMERATED, _PROFILE = 1, 2
_EXIF = b"JpgTiffExif->JP2"
_XMP = bytes.fromhex("be7acfcb97a942e89c71999491e3afac")
_NUMBER_MAX = (1 << 32) - 1


def read_jpeg2000(data: bytes) -> Contents:
    """List the parts of a JPEG 2000 file.

    Raises ValueError, IndexError or struct.error if its structure cannot be followed.
    """
    return _Reader(data).read()


class _Reader:
    def __init__(self, data: bytes) -> None:
        self._data = data
        self._ledger = Ledger(data)
        self._bits = 0
        self._signed = False
        self._coloured = False

    def read(self) -> Contents:
        if self._data.startswith(_CODESTREAM):
            self._read_codestream(0, len(self._data))
        else:
            for box in boxes(self._data, 0, len(self._data)):
                self._enter(box)
        return self._ledger.contents("JPEG 2000", bits=self._bits, signed=self._signed)

    def _enter(self, box: Box) -> None:
        ledger, span = self._ledger, (box.start, box.stop)
        if box.type in (b"jP  ", b"ftyp"):
            ledger.structure(span)
        elif box.type == b"jp2h":
            ledger.structure((box.start, box.body))
            for inner in boxes(self._data, box.body, box.stop):
                self._enter_header(inner)
        elif box.type == b"jp2c" and not self._bits:
            ledger.structure((box.start, box.body))
            self._read_codestream(box.body, box.stop)
        elif box.type == b"uuid" and self._data.startswith(_EXIF, box.body):
            exif = self._data[box.body + 16 : box.stop].removeprefix(b"Exif\0\0")
            ledger.add_once("EXIF", Kind.EXIF, span, data=exif)
        elif box.type == b"uuid" and self._data.startswith(_XMP, box.body):
            ledger.add_once("XMP", Kind.XMP, span, data=self._data[box.body + 16 : box.stop])
        else:
            ledger.other(f"box {box.name}", span)

    def _enter_header(self, box: Box) -> None:
        ledger, span = self._ledger, (box.start, box.stop)
        if box.type in _HEADER_BOXES:
            ledger.structure(span)
        elif box.type == b"colr":
            self._enter_colours(box)
        elif box.type == b"res ":
            ledger.structure((box.start, box.body))
            for inner in boxes(self._data, box.body, box.stop):
                density = self._density(inner) if inner.type in _RESOLUTIONS else None
                if density is None:
                    ledger.other(f"box {inner.name}", (inner.start, inner.stop))
                else:
                    ledger.density(density, (inner.start, inner.stop))
        else:
            ledger.other(f"box {box.name}", span)

    def _enter_colours(self, box: Box) -> None:
        ledger, span = self._ledger, (box.start, box.stop)
        method, body = self._data[box.body], box.body + 3
        payload = self._data[body : box.stop]
        known = len(payload) == 4 and int.from_bytes(payload, "big") in _COLOURS
        if self._coloured:
            ledger.other("further description of the colours", span)
        elif method == _PROFILE:
            ledger.add("colour profile", Kind.ICC, span, data=payload)
        elif method == _ENUMERATED and known:
            ledger.structure(span)
        else:
            ledger.other("unknown colours", span)
        self._coloured = True

    def _density(self, box: Box) -> Density | None:
        """Return a resolution, None if its numbers are larger than a density's may be."""
        if box.stop - box.body != 10:
            return None
        fields = struct.unpack_from(">4H2b", self._data, box.body)
        (down, below), (across, beside) = fields[:2], fields[2:4]
        y = _scaled(down, below, fields[4])
        x = _scaled(across, beside, fields[5])
        if max(*x, *y) > _NUMBER_MAX:
            return None
        return Density(Unit.METRE, x, y)

    def _read_codestream(self, start: int, stop: int) -> None:
        """Enter a codestream up to its end marker."""
        data, ledger = self._data, self._ledger
        if not data.startswith(_CODESTREAM, start):
            raise ValueError("no codestream")
        ledger.structure((start, start + 2))
        at, part_stop = start + 2, stop
        while True:
            (marker,) = struct.unpack_from(">H", data, at)
            if marker == _EOC:
                ledger.structure((at, at + 2))
                return
            if marker == _SOD:
                if not at < part_stop <= stop - 2:
                    raise ValueError("a tile is not whole")
                ledger.pixels((at, part_stop))
                at = part_stop
                continue
            (size,) = struct.unpack_from(">H", data, at + 2)
            end = at + 2 + size
            if marker < 0xFF40 or size < 2 or end > stop:
                raise ValueError("not a marker with a segment")
            if marker == _SOT:
                (part,) = struct.unpack_from(">I", data, at + 6)
                # 0 says that it is the last one.
                part_stop = at + part if part else stop - 2
                ledger.structure((at, end))
            elif marker == _COM and size >= 4:
                ledger.add("comment", Kind.COMMENT, (at, end), data=data[at + 6 : end])
            elif marker in _TABLES:
                if marker == _SIZ:
                    self._read_samples(at)
                ledger.structure((at, end))
            else:
                ledger.other(f"segment {marker:X}", (at, end))
            at = end

    def _read_samples(self, at: int) -> None:
        (count,) = struct.unpack_from(">H", self._data, at + 38)
        depths = self._data[at + 40 : at + 40 + 3 * count : 3]
        self._bits = max((depth & 0x7F) + 1 for depth in depths)
        self._signed = any(depth & 0x80 for depth in depths)


def _scaled(above: int, below: int, exponent: int) -> tuple[int, int]:
    """Return above / below * 10^exponent as a fraction."""
    return above * 10 ** max(exponent, 0), below * 10 ** max(-exponent, 0)
