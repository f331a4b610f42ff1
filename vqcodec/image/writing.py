"""Pictures to Pillow images and to files of the formats that Pillow writes, metadata included.

Pillow writes the pixels. Metadata that it would re-encode or leave out are put into the file
afterwards, byte for byte. What a format has no place for is named in one warning.
"""

from __future__ import annotations

import io
import re
import struct
from pathlib import PurePath
from typing import Any

from PIL import Image

from vqcodec.errors import PictureError
from vqcodec.image import exif_tags, ifd
from vqcodec.image.chunks import write_png_chunks
from vqcodec.image.colour import cicp_profile
from vqcodec.image.inventory.parts import Density, Unit
from vqcodec.image.jpeg_segments import SEGMENT_MAX, segments_of, with_density
from vqcodec.image.metadata import names_of, warn
from vqcodec.image.picture import Metadata, Picture, PngChunk

_NAMES = {
    "icc": "colour profile",
    "exif": "EXIF",
    "xmp": "XMP",
    "xmp_extension": "extended XMP",
    "resources": "Photoshop resources",
    "cicp": "colour code (cICP)",
    "density": "pixel density",
}
"""Fields of `Metadata`, in words for people; `names_of` has those for PNG chunks."""
_BASIC = frozenset({"icc", "exif", "xmp"})
_PLACES = {
    "PNG": _BASIC | {"cicp", "density", "png_chunks"},
    "JPEG": _BASIC | {"xmp_extension", "resources", "density", "png_chunks"},
    "TIFF": _BASIC | {"resources", "density"},
    "WEBP": _BASIC,
    "AVIF": _BASIC,
}
"""The fields that a format has a place for."""
_ENCODING: dict[str, dict[str, Any]] = {
    "PNG": {"compress_level": 2},
    "WEBP": {"lossless": True, "exact": True},
    "JPEG": {"quality": 95, "subsampling": "4:4:4"},
    "AVIF": {"quality": 90, "subsampling": "4:4:4"},
}
"""How Pillow is to store pixels unless a quality is asked for."""
_ALIASES = {"MPO": "JPEG"}  # of one picture
_LOSSY = frozenset({"AVIF", "JPEG", "JPEG2000"})
_RESIZING = frozenset({"ICO", "ICNS"})
"""Formats that Pillow writes at sizes of its own choice."""
_WITHOUT_ALPHA = frozenset({"BMP", "DIB", "JPEG", "PPM"})
_SIDE_MAX = {
    "AVIF": 65_536,
    "GIF": 65_535,
    "JPEG": 65_500,  # libjpeg's; the format itself has 65535
    "PCX": 65_534,
    "PDF": 65_500,
    "SGI": 65_535,
    "TGA": 65_535,
    "WEBP": 16_383,
}
"""Most pixels a side, where that is less than any picture has."""
_PNG_HEAD = 8 + 25
"""Bytes of a PNG file's signature and header chunk."""
_TEXTS = {
    "tEXt": re.compile(rb"\A([^\0]*\0)(.*)\Z", re.DOTALL),
    "iTXt": re.compile(rb"\A([^\0]*\0..[^\0]*\0[^\0]*\0)(.*)\Z", re.DOTALL),
}
"""What comes before the text in the data of a chunk, and the text."""
_METRES = {Unit.METRE: 1.0, Unit.CENTIMETRE: 0.01, Unit.INCH: 0.0254}
_TIFF_UNITS = {Unit.NONE: 1, Unit.INCH: 2, Unit.CENTIMETRE: 3}
_TIFF_XMP, _TIFF_RESOURCES = 700, 34377
_TIFF_X, _TIFF_Y, _TIFF_UNIT = 282, 283, 296


def to_image(picture: Picture) -> Image.Image:
    """Make a Pillow image, RGB or RGBA, whose `info` has the metadata that Pillow knows."""
    image = Image.fromarray(picture.pixels)
    if picture.alpha is not None:
        image.putalpha(Image.fromarray(picture.alpha))
    image.info |= info_of(picture.metadata)
    return image


def info_of(metadata: Metadata) -> dict[str | tuple[int, int], Any]:
    """Return the metadata that Pillow knows, as an image's `info` has them."""
    found: dict[str | tuple[int, int], Any] = {
        "icc_profile": _profile(metadata),
        "exif": None if metadata.exif is None else b"Exif\0\0" + metadata.exif,
        "xmp": metadata.xmp,
        "dpi": None if metadata.density is None else _per_inch(metadata.density),
    }
    return {key: value for key, value in found.items() if value is not None}


def format_of(name: str) -> str:
    """Return Pillow's name of the format that a file name's suffix asks for; '-' is PNG.

    Raises: ValueError if Pillow cannot write it, or not at the picture's size.
    """
    if name == "-":
        return "PNG"
    Image.init()
    suffix = PurePath(name).suffix.lower()
    found = Image.registered_extensions().get(suffix, "")
    if found not in Image.SAVE or found in _RESIZING:
        raise ValueError(f"{name}: no picture format to write has the suffix {suffix!r}")
    return _ALIASES.get(found, found)


def change_by(format_name: str, quality: int | None = None) -> str:
    """Say how a format, at a quality as `write_picture` takes it, changes pixels once more;
    empty if it keeps them.
    """
    if format_name in _LOSSY or (format_name == "WEBP" and quality is not None):
        return f"{format_name} is lossy: pixels change once more"
    return "GIF has 256 colours: pixels change" if format_name == "GIF" else ""


def write_picture(picture: Picture, format_name: str, quality: int | None = None) -> bytes:
    """Return the bytes of a file in a format that Pillow knows, with the picture's metadata.

    Formats without alpha get the picture on white. `quality`, 1 to 100, is that of lossy
    formats, and makes WebP one. Warns of metadata and alpha that the format has no place for.
    Raises: PictureError if Pillow cannot write the picture, or the format has none of that size.
    """
    _check_size(picture, format_name)
    image = to_image(picture)
    image.info = {}
    if picture.alpha is not None and not _takes_alpha(format_name):
        warn(f"{format_name} has no alpha: the picture is put on white")
        white = Image.new("RGBA", image.size, "white")
        image = Image.alpha_composite(white, image).convert("RGB")
    options = dict(_ENCODING.get(format_name, {}))
    if quality is not None and format_name in ("JPEG", "AVIF", "WEBP"):
        options |= {"quality": quality, "lossless": False}
    try:
        return _written(image, picture.metadata, format_name, options)
    except MemoryError:
        raise
    except Exception as error:
        raise PictureError(f"cannot be written as {format_name}: {error}") from error


def _check_size(picture: Picture, format_name: str) -> None:
    """Raise PictureError if a picture has longer sides than a format has."""
    height, width = picture.pixels.shape[:2]
    most = _SIDE_MAX.get(format_name)
    if most is not None and max(height, width) > most:
        raise PictureError(
            f"{width}x{height} pixels cannot be written as {format_name}, which takes at most "
            f"{most} a side",
            hint="PNG and TIFF can hold them",
        )


def _written(
    image: Image.Image, metadata: Metadata, format_name: str, options: dict[str, Any]
) -> bytes:
    places = _PLACES.get(format_name, frozenset())
    icc = metadata.icc if "cicp" in places else _profile(metadata)
    exif, xmp = metadata.exif, metadata.xmp
    missing = [
        name
        for field, name in _NAMES.items()
        if getattr(metadata, field) and field not in places and (field != "cicp" or icc is None)
    ]
    if "png_chunks" not in places:
        missing += names_of(metadata.png_chunks)
    if icc is not None and "icc" in places:
        options["icc_profile"] = icc
    if exif is not None and format_name in ("TIFF", "AVIF"):
        exif = _whole_exif(exif)
    if format_name == "JPEG" and exif is not None and len(exif) + 6 > SEGMENT_MAX:
        missing.append("EXIF, which is too long")
    elif exif is not None and "exif" in places and format_name != "TIFF":
        # Pillow parses and re-encodes an AVIF picture's EXIF if it has an orientation.
        block = exif_tags.without_orientation(exif) if format_name == "AVIF" else exif
        options["exif"] = b"Exif\0\0" + block
    if xmp is not None and format_name in ("WEBP", "AVIF"):
        options["xmp"] = xmp
    if format_name == "JPEG":
        segments = segments_of(metadata)
        options["extra"] = segments.data
        missing += segments.missing
    buffer = io.BytesIO()
    image.save(buffer, format_name, **options)
    data = buffer.getvalue()
    density = metadata.density
    if format_name == "PNG":
        physical = None if density is None else _physical(density)
        missing += ["pixel density"] if density is not None and physical is None else []
        chunks = _chunks_of(metadata, physical, has_alpha=image.mode == "RGBA")
        data = data[:_PNG_HEAD] + write_png_chunks(chunks) + data[_PNG_HEAD:]
    elif format_name == "JPEG" and density is not None:
        changed = with_density(data, density)
        missing += ["pixel density"] if changed is None else []
        data = changed or data
    elif format_name == "TIFF":
        resolution = [] if density is None else _resolution(density, data)
        missing += ["pixel density"] if density is not None and not resolution else []
        missing += [] if exif is None else exif_tags.left_out(exif)
        data = _with_tags(data, metadata, exif, resolution)
    if missing:
        warn(f"{format_name} has no place for its {', '.join(missing)}")
    return data


def _takes_alpha(format_name: str) -> bool:
    if format_name in _WITHOUT_ALPHA:
        return False
    try:
        Image.new("RGBA", (1, 1)).save(io.BytesIO(), format_name)
    except Exception:
        return False
    return True


def _profile(metadata: Metadata) -> bytes | None:
    """Return the profile of the pixels: the picture's own, or one that says what its cICP does."""
    if metadata.icc is not None or metadata.cicp is None:
        return metadata.icc
    return cicp_profile(metadata.cicp)


def _chunks_of(metadata: Metadata, physical: bytes | None, *, has_alpha: bool) -> list[PngChunk]:
    """Return what a PNG file has of the metadata in chunks that Pillow does not write."""
    chunks: list[PngChunk] = []
    if metadata.cicp is not None:
        chunks.append(("cICP", metadata.cicp))
    if physical is not None:
        chunks.append(("pHYs", physical))
    if metadata.xmp is not None:
        chunks.append(("iTXt", b"XML:com.adobe.xmp\0\0\0\0\0" + metadata.xmp))
    for kind, data in metadata.png_chunks:
        if kind == "sBIT" and has_alpha:
            chunks.append((kind, data + b"\x08"))  # of alpha too, where there is one
        elif kind in _TEXTS:
            chunks.append((kind, _TEXTS[kind].sub(_without_zeros, data)))
        else:
            chunks.append((kind, data))
    return chunks


def _without_zeros(text: re.Match[bytes]) -> bytes:
    """Take zeros out of a text: PNG's have none, comments of other formats may end with one."""
    return text[1] + text[2].replace(b"\0", b"")


def _physical(density: Density) -> bytes | None:
    """Return the data of a pHYs chunk, pixels per metre, None if the numbers do not fit."""
    metre = _METRES.get(density.unit, 1.0)
    sides = [round(_ratio(*side) / metre) for side in (density.x, density.y)]
    if not all(0 < side < 1 << 31 for side in sides):
        return None
    return struct.pack(">IIB", *sides, density.unit is not Unit.NONE)


def _per_inch(density: Density) -> tuple[float, float] | None:
    if density.unit is Unit.NONE:
        return None
    inches = _METRES[Unit.INCH] / _METRES[density.unit]
    return _ratio(*density.x) * inches, _ratio(*density.y) * inches


def _whole_exif(exif: bytes) -> bytes | None:
    """Return an EXIF block that can be taken apart, None with a warning if it is damaged."""
    try:
        exif_tags.exif_of_tiff(exif, len(exif))
        exif_tags.without_orientation(exif)
    except ValueError:
        warn("its EXIF data are damaged and dropped")
        return None
    return exif


def _entry(tag: int, kind: int, value: bytes) -> ifd.Entry:
    count = len(value) // ifd.UNITS[kind]
    return ifd.Entry(tag=tag, type=kind, count=count, value=value, offset=0)


def _resolution(density: Density, tiff: bytes) -> list[ifd.Entry]:
    """Return a density as tags in the file's byte order, none if its numbers do not fit."""
    order = ifd.Block(tiff).order
    # TIFF knows no metre: a hundred times the denominator makes it centimetres.
    times = 100 if density.unit is Unit.METRE else 1
    sides = [(n, d * times) for n, d in (density.x, density.y)]
    if not all(0 < n < 1 << 32 and 0 < d < 1 << 32 for n, d in sides):
        return []
    unit = _TIFF_UNITS.get(density.unit, _TIFF_UNITS[Unit.CENTIMETRE])
    return [
        _entry(_TIFF_X, 5, struct.pack(order + "II", *sides[0])),
        _entry(_TIFF_Y, 5, struct.pack(order + "II", *sides[1])),
        _entry(_TIFF_UNIT, 3, struct.pack(order + "H", unit)),
    ]


def _with_tags(tiff: bytes, metadata: Metadata, exif: bytes | None, more: list[ifd.Entry]) -> bytes:
    """Add metadata to a TIFF file as Pillow writes it."""
    entries = list(more)
    if metadata.xmp is not None:
        entries.append(_entry(_TIFF_XMP, 1, metadata.xmp))
    if metadata.resources is not None:
        entries.append(_entry(_TIFF_RESOURCES, 7, metadata.resources))
    return exif_tags.with_tags(tiff, exif, entries)


def _ratio(numerator: int, denominator: int) -> float:
    return numerator / denominator if denominator else 0.0
