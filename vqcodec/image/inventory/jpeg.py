"""JPEG files (ISO 10918), also those with further pictures or a video behind the first."""

from __future__ import annotations

import re
import struct
from collections.abc import Iterator

from vqcodec.image.inventory.ledger import PARTS_MAX, Ledger, Span
from vqcodec.image.inventory.parts import Contents, Density, Kind, Unit

_SOI, _EOI, _SOS, _DNL, _COM, _TEM = 0xD8, 0xD9, 0xDA, 0xDC, 0xFE, 0x01
_APP0, _APP15 = 0xE0, 0xEF
_RESTARTS = range(0xD0, 0xD8)
_FRAMES = frozenset(range(0xC0, 0xD0)) - {0xC4, 0xC8, 0xCC}
_TABLES = frozenset({0xC4, 0xCC, 0xDB, 0xDC, 0xDD, _TEM, _EOI, *_RESTARTS})
_PROGRESSIVE = frozenset({0xC2, 0xC6, 0xCA, 0xCE})
_QUALITY_OF_DUCKY = re.compile(rb"Ducky\0\x01\0\x04....(?:\0\0)?", re.DOTALL)
"""What Photoshop's "Save for Web" writes: the quality it encoded at, and no comment."""
_MARKER = re.compile(rb"\xff+([^\x00\xff])")
_SCAN_END = re.compile(rb"\xff[^\x00\xd0-\xd7\xff]")

_JFIF = struct.Struct(">5s2sBHHBB")
_UNITS = {0: Unit.NONE, 1: Unit.INCH, 2: Unit.CENTIMETRE}
_EXIF = b"Exif\0\0"
_XMP = b"http://ns.adobe.com/xap/1.0/\0"
_XMP_EXTENSION = b"http://ns.adobe.com/xmp/extension/\0"
_PROFILE = b"ICC_PROFILE\0"
_RESOURCES = b"Photoshop 3.0\0"


def read_jpeg(data: bytes) -> Contents:
    """List the parts of a JPEG file. Raises ValueError if its structure cannot be followed."""
    ledger = Ledger(data)
    ledger.structure((0, 2))
    applications = _Applications(ledger)
    scans = _Scans()
    bits = 0
    end = 2
    for code, start, body, end in _segments(data):
        span = (start, end)
        if code == _SOS:
            ledger.pixels(span)
            scans.take(data[body:end])
        elif code in _FRAMES:
            if bits or body == end:
                raise ValueError("not one frame")
            bits = data[body]
            ledger.structure(span)
            scans.begin(code, data[body:end])
        elif code in _TABLES and (code != _DNL or end - body == 2):
            ledger.structure(span)
        elif code == _COM:
            ledger.add("comment", Kind.COMMENT, span, data=data[body:end])
        elif _APP0 <= code <= _APP15:
            applications.take(code - _APP0, data[body:end], span)
        else:
            ledger.other(f"segment FF{code:02X}", span)
    applications.put_together()
    if not scans.are_whole():
        ledger.other("scans that are missing from the pixels")
    if data.startswith(b"\xff\xd8\xff", end):
        ledger.other("further pictures after the picture's end", (end, len(data)))
    return ledger.contents("JPEG", bits=bits)


def _segments(data: bytes) -> Iterator[tuple[int, int, int, int]]:
    """Yield each marker's code, where it begins, where its data begin, and where they end.

    Fill bytes belong to the marker behind them, coded pixels to the scan's header.
    """
    at, code, count = 2, _SOI, 0
    while code != _EOI:
        count += 1
        if count > PARTS_MAX:
            raise ValueError("too many segments")
        marker = _MARKER.match(data, at)
        if marker is None:
            raise ValueError("no marker where one must be")
        start, at, code = at, marker.end(), marker[1][0]
        if code in (_TEM, _EOI, *_RESTARTS):
            yield code, start, at, at
            continue
        size = int.from_bytes(data[at : at + 2], "big")
        if code < 0xC0 or code == _SOI or size < 2 or at + size > len(data):
            raise ValueError("not a marker with a segment")
        body, at = at + 2, at + size
        if code == _SOS:
            scan_end = _SCAN_END.search(data, at)
            if scan_end is None:
                raise ValueError("a scan without an end")
            at = scan_end.start()
        yield code, start, body, at


class _Scans:
    """Tells whether the scans of a frame have all bits of all coefficients (ISO 10918-1, section
    B.2.3 and table B.3).
    """

    def __init__(self) -> None:
        self._missing: dict[int, list[bool]] = {}
        """Of each component, which of the 64 coefficients are not there to their last bit."""
        self._progressive = False

    def begin(self, code: int, frame: bytes) -> None:
        """Take a frame's header."""
        self._progressive = code in _PROGRESSIVE
        self._missing = {component: [True] * 64 for component in frame[6 : 6 + 3 * frame[5] : 3]}

    def take(self, scan: bytes) -> None:
        """Take a scan, its header first."""
        count = scan[0]
        first, last, bits = scan[1 + 2 * count : 4 + 2 * count]
        if not self._progressive:
            first, last, bits = 0, 63, 0
        for component in scan[1 : 1 + 2 * count : 2]:
            missing = self._missing.get(component)
            if missing is not None and not bits & 15 and last < 64:
                missing[first : last + 1] = [False] * (last + 1 - first)

    def are_whole(self) -> bool:
        """Tell whether nothing is missing."""
        return not any(any(missing) for missing in self._missing.values())


class _Applications:
    """Takes application segments, several of which may be one part."""

    def __init__(self, ledger: Ledger) -> None:
        self._ledger = ledger
        self._main_xmp = b""
        self._extensions: list[tuple[bytes, Span]] = []
        self._profile: list[tuple[bytes, Span]] = []
        self._resources: list[tuple[bytes, Span]] = []

    def take(self, number: int, payload: bytes, span: Span) -> None:
        """Take what segment APP`number` holds."""
        ledger = self._ledger
        if number == 0 and payload.startswith(b"JFIF\0") and len(payload) >= _JFIF.size:
            self._take_jfif(payload, span)
        elif number == 1 and payload.startswith(_EXIF):
            ledger.add_once("EXIF", Kind.EXIF, span, data=payload[len(_EXIF) :])
        elif number == 1 and payload.startswith(_XMP):
            packet = payload[len(_XMP) :]
            self._main_xmp = self._main_xmp or packet
            ledger.add_once("XMP", Kind.XMP, span, data=packet)
        elif number == 1 and payload.startswith(_XMP_EXTENSION):
            self._extensions.append((payload[len(_XMP_EXTENSION) :], span))
        elif number == 2 and payload.startswith(_PROFILE):
            self._profile.append((payload[len(_PROFILE) :], span))
        elif number == 13 and payload.startswith(_RESOURCES):
            self._resources.append((payload[len(_RESOURCES) :], span))
        elif (number == 14 and payload.startswith(b"Adobe") and len(payload) == 12) or (
            number == 12 and _QUALITY_OF_DUCKY.fullmatch(payload)
        ):
            ledger.structure(span)
        else:
            identifier = payload[:40].split(b"\0")[0].decode("latin-1")
            told = f" ({identifier})" if identifier.isascii() and identifier.isprintable() else ""
            ledger.other(f"segment APP{number}{told if identifier else ''}", span)

    def put_together(self) -> None:
        """Enter the parts of several segments."""
        self._put("colour profile", Kind.ICC, self._profile, _whole_profile(self._profile))
        extension = _whole_extension(self._extensions, self._main_xmp)
        self._put("extended XMP", Kind.XMP_EXTENSION, self._extensions, extension)
        joined = b"".join(piece for piece, _ in self._resources)
        self._put("Photoshop resources", Kind.RESOURCES, self._resources, joined)

    def _put(
        self, name: str, kind: Kind, pieces: list[tuple[bytes, Span]], whole: bytes | None
    ) -> None:
        spans = [span for _, span in pieces]
        if whole is not None and pieces:
            self._ledger.add(name, kind, *spans, data=whole)
        elif pieces:
            self._ledger.other(f"incomplete {name}", *spans)

    def _take_jfif(self, payload: bytes, span: Span) -> None:
        start, stop = span
        _, _, code, x, y, width, height = _JFIF.unpack_from(payload)
        behind = stop - len(payload) + _JFIF.size
        unit = _UNITS.get(code)
        if unit is None:
            self._ledger.other("pixel density in an unknown unit", (start, behind))
        else:
            self._ledger.density(Density(unit, (x, 1), (y, 1)), (start, behind))
        if behind != stop:
            self._ledger.other(f"thumbnail of {width}x{height} pixels", (behind, stop))


def _whole_profile(pieces: list[tuple[bytes, Span]]) -> bytes | None:
    """Return the colour profile, None if pieces of it are missing or doubled."""
    numbered: dict[int, bytes] = {}
    for piece, _ in pieces:
        if len(piece) < 2 or piece[1] != len(pieces) or not 1 <= piece[0] <= len(pieces):
            return None
        numbered[piece[0]] = piece[2:]
    if len(numbered) != len(pieces):
        return None
    return b"".join(numbered[number] for number in sorted(numbered))


def _whole_extension(pieces: list[tuple[bytes, Span]], main: bytes) -> bytes | None:
    """Return the part of the XMP packet that `main` names, None if it is not all there."""
    head = struct.Struct(">32sII")
    placed = []
    identities = set()
    for piece, _ in pieces:
        if len(piece) < head.size:
            return None
        identifier, length, offset = head.unpack_from(piece)
        identities.add((identifier, length))
        placed.append((offset, piece[head.size :]))
    if len(identities) != 1:
        return None
    identifier, length = identities.pop()
    at = 0
    for offset, piece in sorted(placed):
        if offset != at:
            return None
        at += len(piece)
    named = re.search(rb"HasExtendedXMP\s*(?:=\s*[\"']|>\s*)" + re.escape(identifier), main)
    return b"".join(piece for _, piece in sorted(placed)) if named and at == length else None
