"""PNG files (third edition of the specification), animated ones among them."""

from __future__ import annotations

import re
import struct
import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from vqcodec.image.inventory.ledger import TEXT_MAX, Ledger, Span, name_of
from vqcodec.image.inventory.parts import Contents, Density, Kind, Unit

SIGNATURE = b"\x89PNG\r\n\x1a\n"
_HEADER = struct.Struct(">IIBBBBB")
_GREY, _RGB, _PALETTE, _GREY_ALPHA, _RGBA = 0, 2, 3, 4, 6
_CHANNELS = {_GREY: 1, _RGB: 3, _PALETTE: 3, _GREY_ALPHA: 2, _RGBA: 4}
_VERBATIM = {
    "tIME": 7,
    "oFFs": 9,
    "sTER": 1,
    "mDCV": 24,
    "cLLI": 8,
    "pCAL": None,
    "sCAL": None,
    "sPLT": None,
    "caNv": 16,
    "vpAg": 9,
}
"""Chunks that stay valid in any PNG file of the picture, and their sizes where fixed. The last
two are ImageMagick's, of the canvas that the picture is a part of.
"""
_COLOURS = {
    "gAMA": ("gamma", Kind.GAMMA, 4),
    "cHRM": ("chromaticities", Kind.CHROMATICITIES, 32),
    "sRGB": ("sRGB", Kind.SRGB, 1),
    "cICP": ("colour space (chunk cICP)", Kind.CICP, 4),
}
_BEFORE_PIXELS = frozenset({*_COLOURS, "iCCP", "sBIT", "bKGD", "pHYs", "sPLT", "mDCV", "cLLI"})
"""Chunks that say nothing, and that readers pass over, behind the pixels."""
_SEVERAL = frozenset({"IDAT", "tEXt", "zTXt", "iTXt", "sPLT", "fcTL", "fdAT"})
_ANIMATION = frozenset({"acTL", "fcTL", "fdAT"})
_PLACES = "iDOT"
"""Apple's chunk that says where the pixels are, for decoders with several threads."""
_FULL_RANGE_RGB = b"\0\x01"
_ADAM7 = ((0, 0, 8, 8), (4, 0, 8, 8), (0, 4, 4, 8), (2, 0, 4, 4), (0, 2, 2, 4), (1, 0, 2, 2))
_PASSES = (*_ADAM7, (0, 1, 1, 2))
"""First column and row, and steps, of the passes of interlaced pictures."""
_PIECE = 1 << 20
"""Bytes of pixels that are unpacked at a time."""
_RATIO_MAX = 1032
"""Most bytes that a byte of a zlib stream unpacks to."""
_XMP = b"XML:com.adobe.xmp"
_RAW_EXIF = frozenset({b"Raw profile type exif", b"Raw profile type APP1"})
_RAW = re.compile(rb"\n[^\n]*\n *(\d{1,9})\n([0-9A-Fa-f\n]*)")
"""How ImageMagick writes a profile as a text: its name, its size, and its bytes in base 16."""


@dataclass(frozen=True, slots=True)
class _Chunk:
    type: str
    data: bytes
    span: Span
    """Of the whole chunk."""

    @property
    def name(self) -> str:
        """The type for people."""
        return name_of(self.type.encode("latin-1"))


def read_png(data: bytes) -> Contents:
    """List the parts of a PNG file. Raises ValueError if its structure cannot be followed."""
    return _Reader(data).read()


def _chunks(data: bytes) -> Iterator[tuple[_Chunk, bool]]:
    """Yield chunks up to IEND, each with whether its checksum is right."""
    at, kind = len(SIGNATURE), ""
    while kind != "IEND":
        size, code = struct.unpack_from(">I4s", data, at)
        body, start, at = at + 8, at, at + 12 + size
        (checksum,) = struct.unpack_from(">I", data, at - 4)
        kind = code.decode("latin-1")
        payload = data[body : body + size]
        yield _Chunk(kind, payload, (start, at)), zlib.crc32(payload, zlib.crc32(code)) == checksum


class _Reader:
    def __init__(self, data: bytes) -> None:
        self._data = data
        self._ledger = Ledger(data)
        self._seen = set[str]()
        self._last = ""
        self._depth = self._colour = 0
        self._palette = b""
        self._pixels: list[bytes] = []
        self._frames = 0
        self._text_room = TEXT_MAX
        self._raw_exif: tuple[_Chunk, bytes] | None = None
        """A text in which ImageMagick wrote an EXIF block, and that block."""
        self._takers: dict[str, Callable[[_Chunk], bool]] = {
            **dict.fromkeys(_COLOURS, self._take_colours),
            **dict.fromkeys(_VERBATIM, self._take_verbatim),
            _PLACES: self._take_places,
            "PLTE": self._take_palette,
            "tRNS": self._take_transparency,
            "iCCP": self._take_profile,
            "eXIf": self._take_exif,
            "pHYs": self._take_density,
            "sBIT": self._take_significant_bits,
            "bKGD": self._take_background,
            "tEXt": self._take_text,
            "zTXt": self._take_compressed_text,
            "iTXt": self._take_international_text,
        }

    def read(self) -> Contents:
        ledger = self._ledger
        ledger.structure((0, len(SIGNATURE)))
        for chunk, whole in _chunks(self._data):
            if not self._seen and whole:
                self._take_header(chunk)
            elif not self._seen or chunk.type == "IHDR":
                raise ValueError("not one PNG header")
            elif not whole:
                ledger.other(f"chunk {chunk.name} with a wrong checksum", chunk.span)
            elif chunk.type in self._seen and chunk.type not in _SEVERAL:
                ledger.other(f"further chunk {chunk.name}", chunk.span)
            else:
                self._take(chunk)
            self._seen.add(chunk.type)
            self._last = chunk.type
        if self._raw_exif is not None:
            text, exif = self._raw_exif
            if "eXIf" in self._seen:
                ledger.add("text", Kind.PNG_CHUNK, text.span, data=text.data, key="tEXt")
            else:
                ledger.add("EXIF", Kind.EXIF, text.span, data=exif)
        if self._has_surplus():
            ledger.other("data behind the pixels, in their chunks")
        bits = 8 if self._colour == _PALETTE else self._depth
        return ledger.contents("PNG", bits=bits)

    def _take(self, chunk: _Chunk) -> None:
        ledger = self._ledger
        if chunk.type == "IDAT":
            if self._last != "IDAT" and "IDAT" in self._seen:
                raise ValueError("pixels in two places")
            ledger.pixels(chunk.span)
            self._pixels.append(chunk.data)
        elif chunk.type == "IEND" and not chunk.data:
            ledger.structure(chunk.span)
        elif chunk.type in _ANIMATION:
            self._frames += chunk.type == "fcTL"
            name = f"frame {self._frames}" if self._frames else "animation"
            ledger.other(name, chunk.span)
        elif "IDAT" in self._seen and chunk.type in _BEFORE_PIXELS:
            ledger.other(f"misplaced chunk {chunk.name}", chunk.span)
        else:
            taker = self._takers.get(chunk.type)
            if taker is None or not taker(chunk):
                ledger.other(f"chunk {chunk.name}", chunk.span)

    def _take_header(self, chunk: _Chunk) -> None:
        if chunk.type != "IHDR" or len(chunk.data) != _HEADER.size:
            raise ValueError("no PNG header")
        self._size, (self._depth, self._colour, _, _, self._interlaced) = (
            _HEADER.unpack(chunk.data)[:2],
            _HEADER.unpack(chunk.data)[2:],
        )
        if self._colour not in _CHANNELS or self._depth not in (1, 2, 4, 8, 16):
            raise ValueError("unknown samples")
        self._ledger.structure(chunk.span)

    def _has_surplus(self) -> bool:
        """Tell whether the chunks of pixels hold more than the rows of the picture.

        A stream that is damaged is for the decoder to find.
        """
        width, height = self._size
        bits = self._depth * (1 if self._colour == _PALETTE else _CHANNELS[self._colour])
        passes = _PASSES if self._interlaced else ((0, 0, 1, 1),)
        room = 0
        for left, top, across, down in passes:
            columns, rows = -(-(width - left) // across), -(-(height - top) // down)
            if columns > 0 and rows > 0:
                room += rows * (1 + (columns * bits + 7) // 8)
        unpacker = zlib.decompressobj()
        try:
            for data in self._pixels:
                rest = data
                while rest and not unpacker.eof and room >= 0:
                    room -= len(unpacker.decompress(rest, _PIECE))
                    rest = unpacker.unconsumed_tail
                if room < 0 or (unpacker.eof and (rest or unpacker.unused_data)):
                    return True
        except zlib.error:
            return False
        return False

    # Each of the following enters a chunk, or returns False if it is not what it must be.

    def _take_palette(self, chunk: _Chunk) -> bool:
        self._palette = chunk.data
        if self._colour == _PALETTE:
            self._ledger.structure(chunk.span)
        else:
            self._ledger.other("suggested palette", chunk.span)
        return True

    def _take_transparency(self, chunk: _Chunk) -> bool:
        if self._colour not in (_GREY, _RGB, _PALETTE) or "IDAT" in self._seen:
            return False
        self._ledger.structure(chunk.span)
        return True

    def _take_colours(self, chunk: _Chunk) -> bool:
        name, kind, size = _COLOURS[chunk.type]
        if len(chunk.data) != size:
            return False
        if kind is Kind.CICP and chunk.data[2:] != _FULL_RANGE_RGB:
            self._ledger.other("colour space (chunk cICP) that is not full-range RGB", chunk.span)
            return True
        self._ledger.add(name, kind, chunk.span, data=chunk.data)
        return True

    def _take_places(self, chunk: _Chunk) -> bool:
        self._ledger.structure(chunk.span)
        return True

    def _take_verbatim(self, chunk: _Chunk) -> bool:
        if _VERBATIM[chunk.type] not in (None, len(chunk.data)):
            return False
        name = f"chunk {chunk.type}"
        self._ledger.add(name, Kind.PNG_CHUNK, chunk.span, data=chunk.data, key=chunk.type)
        return True

    def _take_profile(self, chunk: _Chunk) -> bool:
        name, _, packed = chunk.data.partition(b"\0")
        profile = self._inflate(packed[1:]) if name and packed[:1] == b"\0" else None
        if profile is None:
            return False
        self._ledger.add("colour profile", Kind.ICC, chunk.span, data=profile)
        return True

    def _take_exif(self, chunk: _Chunk) -> bool:
        self._ledger.add("EXIF", Kind.EXIF, chunk.span, data=chunk.data)
        return True

    def _take_density(self, chunk: _Chunk) -> bool:
        if len(chunk.data) != 9 or chunk.data[8] > Unit.METRE:
            return False
        x, y, unit = struct.unpack(">IIB", chunk.data)
        self._ledger.density(Density(Unit(unit), (x, 1), (y, 1)), chunk.span)
        return True

    def _take_significant_bits(self, chunk: _Chunk) -> bool:
        depth = 8 if self._colour == _PALETTE else self._depth
        bits = chunk.data
        if len(bits) != _CHANNELS[self._colour] or not all(1 <= b <= depth for b in bits):
            return False
        if all(b in (8, depth) for b in bits):
            self._ledger.structure(chunk.span)
            return True
        colours = bits[:3] if len(bits) > 2 else bits[:1] * 3
        if max(colours) > 8:
            return False
        self._ledger.add("significant bits", Kind.PNG_CHUNK, chunk.span, data=colours, key="sBIT")
        return True

    def _take_background(self, chunk: _Chunk) -> bool:
        size, most = len(chunk.data), (1 << self._depth) - 1
        if self._colour == _PALETTE:
            at = 3 * chunk.data[0] if size == 1 else len(self._palette)
            levels, most = list(self._palette[at : at + 3]), 255
        else:
            levels = list(struct.unpack(f">{size // 2}H", chunk.data[: size // 2 * 2]))
            expected = 1 if self._colour in (_GREY, _GREY_ALPHA) else 3
            if size != 2 * expected:
                return False
            levels *= 3 // expected
        if len(levels) != 3 or max(levels) > most:
            return False
        data = struct.pack(">3H", *((510 * level + most) // (2 * most) for level in levels))
        self._ledger.add("background", Kind.PNG_CHUNK, chunk.span, data=data, key="bKGD")
        return True

    def _take_text(self, chunk: _Chunk) -> bool:
        keyword, separator, text = chunk.data.partition(b"\0")
        if not separator or not 1 <= len(keyword) <= 79:
            return False
        exif = _exif_of_text(text) if keyword in _RAW_EXIF else None
        if exif is None or self._raw_exif is not None:
            self._ledger.add("text", Kind.PNG_CHUNK, chunk.span, data=chunk.data, key="tEXt")
        else:
            self._raw_exif = (chunk, exif)
        return True

    def _take_compressed_text(self, chunk: _Chunk) -> bool:
        keyword, _, packed = chunk.data.partition(b"\0")
        text = self._inflate(packed[1:]) if packed[:1] == b"\0" else None
        if text is None:
            return False
        return self._take_text(_Chunk("tEXt", keyword + b"\0" + text, chunk.span))

    def _take_international_text(self, chunk: _Chunk) -> bool:
        keyword, _, rest = chunk.data.partition(b"\0")
        fields = rest[2:].split(b"\0", 2)
        if len(fields) != 3 or rest[0] > 1 or rest[1] or not 1 <= len(keyword) <= 79:
            return False
        language, translated, packed = fields
        text = self._inflate(packed) if rest[0] else packed
        if text is None:
            return False
        if keyword == _XMP and not language and not translated:
            self._ledger.add_once("XMP", Kind.XMP, chunk.span, data=text)
        elif keyword == _XMP:
            return False
        else:
            plain = b"\0".join((keyword, b"\0\0" + language, translated, text))
            self._ledger.add("text", Kind.PNG_CHUNK, chunk.span, data=plain, key="iTXt")
        return True

    def _inflate(self, packed: bytes) -> bytes | None:
        """Return what one whole zlib stream unpacks to, None if it is none or too large."""
        unpacker = zlib.decompressobj()
        room = self._text_room
        try:
            data = unpacker.decompress(packed, room + 1)
        except zlib.error:
            self._text_room = max(0, room - _RATIO_MAX * len(packed))
            return None
        self._text_room = max(0, room - len(data))
        whole = unpacker.eof and not unpacker.unused_data and len(data) <= room
        return data if whole else None


def _exif_of_text(text: bytes) -> bytes | None:
    found = _RAW.fullmatch(text)
    if found is None:
        return None
    try:
        profile = bytes.fromhex(found[2].decode("ascii"))
    except ValueError:
        return None
    exif = profile.removeprefix(b"Exif\0\0")
    known = len(profile) == int(found[1]) and exif[:4] in (b"II*\0", b"MM\0*")
    return exif if known else None
