"""Metadata as segments of JPEG files, where Pillow has no way to write them."""

from __future__ import annotations

import hashlib
import re
import struct
from dataclasses import dataclass

from vqcodec.image.inventory.parts import Density, Unit
from vqcodec.image.metadata import comment_of, names_of
from vqcodec.image.picture import Metadata

SEGMENT_MAX = 65_533
"""Most bytes of a segment, its marker and length apart."""
_APP1, _APP13, _COM = 0xE1, 0xED, 0xFE
_XMP = b"http://ns.adobe.com/xap/1.0/\0"
_XMP_EXTENSION = b"http://ns.adobe.com/xmp/extension/\0"
_RESOURCES = b"Photoshop 3.0\0"
_GUID = re.compile(rb"HasExtendedXMP(?:=[\"']|>)([0-9A-Fa-f]{32})")
_JFIF = slice(6, 11)
_JFIF_DENSITY = struct.Struct(">BHH")
_TOLERANCE = 1e-3
_JFIF_UNITS = {Unit.NONE: 0, Unit.INCH: 1, Unit.CENTIMETRE: 2}


@dataclass(frozen=True, slots=True)
class Segments:
    """Segments that go behind the JFIF header."""

    data: bytes
    missing: tuple[str, ...]
    """What does not fit, in words for people."""


def segments_of(metadata: Metadata) -> Segments:
    """Write XMP, its extension, Photoshop resources and comments as segments."""
    out, missing = bytearray(), []
    if metadata.xmp is not None:
        if len(_XMP + metadata.xmp) <= SEGMENT_MAX:
            out += _segment(_APP1, _XMP + metadata.xmp)
        else:
            missing.append("XMP, which is too long")
    if metadata.xmp_extension is not None:
        out += _extension(metadata.xmp or b"", metadata.xmp_extension)
    if metadata.resources is not None:
        step = SEGMENT_MAX - len(_RESOURCES)
        for start in range(0, len(metadata.resources), step):
            out += _segment(_APP13, _RESOURCES + metadata.resources[start : start + step])
    left_out = []
    for chunk in metadata.png_chunks:
        comment = comment_of(chunk)
        if comment is not None and len(comment) <= SEGMENT_MAX:
            out += _segment(_COM, comment)
        else:
            left_out.append(chunk)
    missing += names_of(left_out)
    return Segments(bytes(out), tuple(missing))


def with_density(jpeg: bytes, density: Density) -> bytes | None:
    """Write a density into the JFIF header of a JPEG file; None if it does not fit into whole
    numbers of 16 bits within a thousandth.
    """
    exact = [_ratio(*side) for side in (density.x, density.y)]
    per_metre = {Unit.METRE: 1.0, Unit.CENTIMETRE: 100.0, Unit.INCH: 1.0 / 0.0254}
    for unit in (density.unit, Unit.INCH, Unit.CENTIMETRE):
        if unit not in _JFIF_UNITS or (unit is Unit.NONE) != (density.unit is Unit.NONE):
            continue
        scale = per_metre.get(density.unit, 1.0) / per_metre.get(unit, 1.0)
        numbers = [round(number * scale) for number in exact]
        if all(
            0 < whole < 1 << 16 and abs(whole - number * scale) <= _TOLERANCE * whole
            for whole, number in zip(numbers, exact, strict=True)
        ):
            break
    else:
        return None
    if jpeg[_JFIF] != b"JFIF\0":
        return None
    place = _JFIF.stop + 2  # behind the version
    head = _JFIF_DENSITY.pack(_JFIF_UNITS[unit], *numbers)
    return jpeg[:place] + head + jpeg[place + len(head) :]


def _segment(marker: int, data: bytes) -> bytes:
    return struct.pack(">BBH", 0xFF, marker, len(data) + 2) + data


def _extension(packet: bytes, extension: bytes) -> bytes:
    """Write an XMP extension (XMP specification, part 3, section 1.1.3.1)."""
    named = _GUID.search(packet)
    digest = hashlib.md5(extension, usedforsecurity=False).hexdigest().upper().encode()
    guid = named[1] if named is not None else digest
    step = SEGMENT_MAX - len(_XMP_EXTENSION) - len(guid) - 8
    return b"".join(
        _segment(
            _APP1,
            _XMP_EXTENSION
            + guid
            + struct.pack(">II", len(extension), start)
            + extension[start : start + step],
        )
        for start in range(0, len(extension), step)
    )


def _ratio(numerator: int, denominator: int) -> float:
    return numerator / denominator if denominator else 0.0
