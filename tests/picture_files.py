"""Files of pictures, and words about what they consist of."""

from __future__ import annotations

import io
import struct
import zlib
from typing import Any

from conftest import photo
from PIL import Image, features

from vqcodec.image.inventory.listing import list_contents
from vqcodec.image.inventory.parts import Contents, Kind, Part

PROFILE = bytes(range(256)) * 300
"""Longer than a segment of JPEG; what it says is of no matter."""
XMP = b'<x:xmpmeta xmlns:x="adobe:ns:meta/"/>'
AFTER = "video or other data after the picture's end"
FURTHER = "further pictures after the picture's end"
UNREFERENCED = "data that no part of the file refers to"


def contents(data: bytes) -> Contents:
    found = list_contents(data)
    assert found is not None
    assert sum(part.size for part in found.parts) == len(data)
    return found


def lost(data: bytes) -> list[str]:
    """Names of what is not kept."""
    return [part.name for part in contents(data).parts if part.kind is Kind.OTHER]


def held(data: bytes) -> list[tuple[Kind, bytes]]:
    """What is kept besides pixels, in the order of the parts."""
    nameless = (Kind.PIXELS, Kind.STRUCTURE, Kind.OTHER)
    return [(part.kind, part.data) for part in contents(data).parts if part.kind not in nameless]


def part(data: bytes, kind: Kind) -> Part:
    (found,) = (part for part in contents(data).parts if part.kind is kind)
    return found


def exif(maker: str = "Acme") -> bytes:
    tags = Image.Exif()
    tags[271] = maker
    return tags.tobytes().removeprefix(b"Exif\0\0")


def saved(form: str, mode: str = "RGB", **options: Any) -> bytes:
    buffer = io.BytesIO()
    photo(24, 17).convert(mode).save(buffer, form, **options)
    return buffer.getvalue()


def animation() -> dict[str, Any]:
    return {"save_all": True, "append_images": [photo(24, 17, 1), photo(24, 17, 2)]}


def segment(code: int, payload: bytes) -> bytes:
    return struct.pack(">BBH", 0xFF, code, 2 + len(payload)) + payload


def chunk(kind: str, data: bytes) -> bytes:
    body = kind.encode() + data
    return struct.pack(">I", len(data)) + body + struct.pack(">I", zlib.crc32(body))


PLAIN = {
    "JPEG": saved("JPEG"),
    "progressive JPEG": saved("JPEG", progressive=True, restart_marker_rows=1),
    "CMYK JPEG": saved("JPEG", "CMYK"),
    "PNG": saved("PNG"),
    "PNG with palette": saved("PNG", "P", transparency=0),
    "GIF": saved("GIF"),
    "TIFF": saved("TIFF"),
    "BMP": saved("BMP"),
    "BMP with palette": saved("BMP", "P"),
    "DIB": saved("DIB"),
    "ICO": saved("ICO", sizes=[(16, 16)]),
    "ICO of bitmaps": saved("ICO", "RGBA", sizes=[(16, 16)], bitmap_format="bmp"),
    "Netpbm": saved("PPM"),
    "PBM": saved("PPM", "1"),
    "PFM": saved("PPM", "F"),
    "plain Netpbm": b"P3 2 1 255\n1 2 3\n4 5 6\n",
    "plain PBM": b"P1\n3 2\n101 01\n0\n",
}
if features.check("webp"):
    PLAIN["WebP"] = saved("WEBP")
    PLAIN["WebP with alpha"] = saved("WEBP", "RGBA")
if features.check("jpg_2000"):
    PLAIN["JPEG 2000"] = saved("JPEG2000")
    PLAIN["JPEG 2000 codestream"] = saved("JPEG2000", no_jp2=True)
if features.check("avif"):
    PLAIN["AVIF"] = saved("AVIF")
    PLAIN["AVIF with alpha"] = saved("AVIF", "RGBA")
