"""What a picture file consists of: the words in which every format's parser tells it."""

from __future__ import annotations

import struct
from dataclasses import dataclass
from enum import Enum, IntEnum, auto


class Kind(Enum):
    """What a part of a file is, and so what can be kept of it."""

    PIXELS = auto()
    """The samples of the picture that is read."""
    STRUCTURE = auto()
    """How the samples are stored, used up by decoding them: tables, sizes, checksums, padding
    of zeros, an alpha channel or a palette.
    """
    EXIF = auto()
    """An EXIF block, from its TIFF header on."""
    ICC = auto()
    """A colour profile."""
    XMP = auto()
    """An XMP packet."""
    XMP_EXTENSION = auto()
    """The part of an XMP packet that JPEG stores apart, put together."""
    RESOURCES = auto()
    """Photoshop image resources ("8BIM" blocks), IPTC among them, without JPEG's prefix."""
    COMMENT = auto()
    """A comment in an unknown character set (JPEG, GIF, PPM, JPEG 2000)."""
    PNG_CHUNK = auto()
    """Data of a PNG chunk that describes the picture and may stand in any PNG file of RGB or
    RGBA pixels; its type is the part's `key`. Texts are uncompressed.
    """
    DENSITY = auto()
    """Pixels per length, as `Density.pack` writes it."""
    CICP = auto()
    """Colour primaries, transfer function, matrix, range: the 4 bytes of PNG's cICP chunk."""
    GAMMA = auto()
    """PNG's gAMA chunk: 4 bytes."""
    CHROMATICITIES = auto()
    """PNG's cHRM chunk: 32 bytes."""
    SRGB = auto()
    """A statement that the colours are sRGB: the rendering intent, 1 byte."""
    TAG = auto()
    """A descriptive TIFF tag (`ifd.DESCRIPTIVE`, or one of the EXIF, GPS and interoperability
    directories), its `key` being `MAIN/270`, `EXIF/36867`, `GPS/2` or `INTEROPERABILITY/1`.
    Its data are the raw values in the file's byte order.
    """
    OTHER = auto()
    """Anything else; not kept."""


class Unit(IntEnum):
    """The length that a density counts pixels in."""

    NONE = 0
    """None: only the ratio of the two directions is known."""
    METRE = 1
    INCH = 2
    CENTIMETRE = 3


@dataclass(frozen=True, slots=True)
class Density:
    """Pixels per unit across and down, as fractions, each number 0 to 2^32 - 1."""

    unit: Unit
    x: tuple[int, int]
    """Numerator and denominator."""
    y: tuple[int, int]

    def pack(self) -> bytes:
        """Return 17 bytes: the unit, then both fractions as u32, lowest byte first."""
        return _DENSITY.pack(self.unit, *self.x, *self.y)

    @classmethod
    def unpack(cls, data: bytes) -> Density:
        """Undo `pack`. Raises ValueError if these are not 17 bytes with a known unit."""
        if len(data) != _DENSITY.size:
            raise ValueError(f"a pixel density has {_DENSITY.size} bytes, not {len(data)}")
        unit, *numbers = _DENSITY.unpack(data)
        return cls(Unit(unit), (numbers[0], numbers[1]), (numbers[2], numbers[3]))


_DENSITY = struct.Struct("<B4I")


@dataclass(frozen=True, slots=True)
class Part:
    """A part of a file."""

    name: str
    """For people, as in "comment", "EXIF", "page 2" or "chunk sTER"."""
    kind: Kind
    size: int
    """Bytes of the file; the sizes of all parts sum to the file's."""
    data: bytes = b""
    """What is kept, for the kinds that say so; otherwise empty."""
    key: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Contents:
    """A file, accounted for to the byte."""

    format: str
    """As people call it: "JPEG", "PNG"."""
    parts: tuple[Part, ...]
    bits: int = 8
    """Most bits of a sample, 1 to 64."""
    real: bool = False
    """Whether samples are floating point."""
    signed: bool = False
    """Whether samples are signed integers."""
    inverted: bool = False
    """Whether a grey sample of 0 is white."""
