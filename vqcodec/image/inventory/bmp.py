"""Windows bitmaps: BMP files, and those without a file header (DIB), also in icons."""

from __future__ import annotations

import struct
from dataclasses import dataclass

import numpy as np

from vqcodec.image.inventory.ledger import Ledger
from vqcodec.image.inventory.parts import Contents, Density, Kind, Unit

SIZES = (12, 40, 52, 56, 64, 108, 124)
"""Bytes of the headers that there are."""
_FILE_HEADER = 14
_CORE, _INFO, _OS2, _V4, _V5 = 12, 40, 64, 108, 124
_PLAIN, _RLE8, _RLE4, _BITFIELDS = range(4)
_DEPTHS = {_PLAIN: (1, 4, 8, 16, 24, 32), _RLE8: (8,), _RLE4: (4,), _BITFIELDS: (16, 24, 32)}
"""Bits of a pixel that go with each compression."""
_DEFAULT_MASKS = {16: 0x7FFF, 32: 0xFFFFFF}
"""Bits that are colours where there are no masks."""
_CALIBRATED = 0
_NAMED_SPACES = frozenset({int.from_bytes(b"sRGB", "big"), int.from_bytes(b"Win ", "big")})
_LINKED, _EMBEDDED = (int.from_bytes(code, "big") for code in (b"LINK", b"MBED"))


@dataclass(frozen=True, slots=True, kw_only=True)
class Bitmap:
    """What a bitmap's header says."""

    start: int
    size: int
    """Bytes of the header."""
    width: int
    height: int
    bits: int
    """Of a pixel: 1 to 32."""
    compression: int
    masks: int
    """Bytes of the colours' masks behind the header."""
    colours: int
    """Bits of a pixel that are colours or alpha."""
    entries: int
    """Colours of the palette."""
    pixel_bytes: int
    """0 for rows that are not compressed, whose size follows from the picture's."""

    @property
    def palette_start(self) -> int:
        """Where the palette begins."""
        return self.start + self.size + self.masks

    @property
    def palette_stop(self) -> int:
        """Where the palette ends."""
        return self.palette_start + self.entries * (3 if self.size == _CORE else 4)

    def row_bytes(self, bits: int) -> int:
        """Return the bytes of a row of pixels of that many bits, a multiple of 4."""
        return (self.width * bits + 31) // 32 * 4

    @property
    def data_size(self) -> int:
        """Bytes of the pixels."""
        return self.pixel_bytes or self.height * self.row_bytes(self.bits)


def read_header(data: bytes, start: int) -> Bitmap:
    """Read the header at a place. Raises ValueError or struct.error if Pillow could not."""
    (size,) = struct.unpack_from("<I", data, start)
    compression = pixel_bytes = entries = masks = colours = 0
    if size == _CORE:
        width, height, _, bits = struct.unpack_from("<4H", data, start + 4)
    elif size in SIZES:
        width, height, _, bits, compression = struct.unpack_from("<iiHHI", data, start + 4)
        pixel_bytes, _, _, entries = struct.unpack_from("<IiiI", data, start + 20)
    else:
        raise ValueError("an unknown header")
    if width < 1 or not height or bits not in _DEPTHS.get(compression, ()):
        raise ValueError("not a bitmap that can be read")
    if compression == _BITFIELDS:
        count = 4 if size > 52 else 3
        masks = 12 if size == _INFO else 0
        for number, mask in enumerate(struct.unpack_from(f"<{count}I", data, start + _INFO)):
            # Pillow reads a fourth channel, alpha, of pixels of 32 bits alone.
            colours |= mask if number < 3 or bits == 32 else 0
    if bits <= 8:
        entries = entries or 1 << bits
    compressed = compression in (_RLE8, _RLE4)
    if compressed and not pixel_bytes:
        raise ValueError("compressed pixels of unknown size")
    return Bitmap(
        start=start,
        size=size,
        width=width,
        height=abs(height),
        bits=bits,
        compression=compression,
        masks=masks,
        colours=colours or _DEFAULT_MASKS.get(bits, 0),
        entries=entries,
        pixel_bytes=pixel_bytes if compressed else 0,
    )


def read_bmp(data: bytes) -> Contents:
    """List the parts of a BMP file.

    Raises ValueError or struct.error if its structure cannot be followed.
    """
    ledger = Ledger(data)
    ledger.structure((0, _FILE_HEADER))
    (pixels,) = struct.unpack_from("<I", data, 10)
    _enter(ledger, data, read_header(data, _FILE_HEADER), pixels)
    return ledger.contents("BMP")


def read_dib(data: bytes) -> Contents:
    """List the parts of a bitmap without a file header.

    Raises ValueError or struct.error if its structure cannot be followed.
    """
    ledger = Ledger(data)
    bitmap = read_header(data, 0)
    _enter(ledger, data, bitmap, bitmap.palette_stop)
    return ledger.contents("DIB")


def _enter(ledger: Ledger, data: bytes, bitmap: Bitmap, pixels: int) -> None:
    start, end = bitmap.start, bitmap.start + bitmap.size
    if bitmap.size == _CORE:
        ledger.structure((start, end))
    else:
        ledger.structure((start, start + 24), (start + 32, end))
        x, y = struct.unpack_from("<ii", data, start + 24)
        span = (start + 24, start + 32)
        if x > 0 and y > 0:
            ledger.density(Density(Unit.METRE, (x, 1), (y, 1)), span)
        elif x or y:
            ledger.other("pixel density in one direction only", span)
        else:
            ledger.structure(span)
    ledger.structure((end, bitmap.palette_start))
    palette = (bitmap.palette_start, bitmap.palette_stop)
    if bitmap.bits <= 8:
        ledger.structure(palette)
    elif bitmap.entries:
        ledger.other("suggested palette", palette)
    ledger.pixels((pixels, pixels + bitmap.data_size))
    if bitmap.size in (_V4, _V5):
        _enter_colours(ledger, data, bitmap)
    if _uses_other_bits(data, bitmap, pixels):
        ledger.other("fourth channel")


def _enter_colours(ledger: Ledger, data: bytes, bitmap: Bitmap) -> None:
    start = bitmap.start
    (space,) = struct.unpack_from("<I", data, start + 56)
    if space in (_LINKED, _EMBEDDED) and bitmap.size == _V5:
        offset, size = struct.unpack_from("<II", data, start + 112)
        span = (start + offset, start + offset + size)
        if space == _EMBEDDED:
            ledger.add("colour profile", Kind.ICC, span, data=data[slice(*span)])
        else:
            ledger.other("name of a colour profile", span)
    elif space == _CALIBRATED:
        if any(data[start + 60 : start + 108]):
            ledger.other("calibrated colours")
    elif space not in _NAMED_SPACES:
        ledger.other("unknown colours")


def _uses_other_bits(data: bytes, bitmap: Bitmap, start: int) -> bool:
    """Tell whether bits of the pixels that are not colours say something.

    They say nothing if they are all 0, or all 1.
    """
    if bitmap.bits not in _DEFAULT_MASKS:
        return False
    kind = np.dtype(f"<u{bitmap.bits // 8}")
    other = np.array(((1 << bitmap.bits) - 1) & ~bitmap.colours, dtype=kind)
    row = bitmap.row_bytes(bitmap.bits)
    rows = np.frombuffer(data, np.uint8, bitmap.height * row, start).reshape(-1, row)
    pixels = rows[:, : bitmap.width * bitmap.bits // 8].reshape(-1)
    words = np.frombuffer(pixels.tobytes(), kind)
    used = np.bitwise_or.reduce(words) & other
    return bool(used and np.bitwise_and.reduce(words) & other != other)
