"""What a file says beside its pixels, gathered from its parts or from a Pillow image."""

from __future__ import annotations

import re
import warnings
from collections.abc import Iterable
from dataclasses import dataclass, field, replace

from PIL import ExifTags, Image

from vqcodec.errors import VqcWarning
from vqcodec.image import exif_tags
from vqcodec.image.colour import PngColours
from vqcodec.image.inventory.parts import Contents, Density, Kind, Part
from vqcodec.image.picture import METADATA_MAX, PNG_CHUNKS_MAX, Metadata, PngChunk

_XMP_ORIENTATION = re.compile(rb"(tiff:Orientation(?:=[\"']|>))([1-8])(?=[\"'<])")
_FIRST_SIDEWAYS = 5
"""Orientations from here on exchange width and height."""
_COMMENT = b"Comment"
"""Keyword of a comment as a PNG text (PNG, third edition, section 11.3.3.1)."""

_KEYWORDS_TOLD = 8
"""A picture may have a thousand texts."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Statements:
    """What a file says: metadata as it stands there, and what becomes pixels."""

    metadata: Metadata
    """Its colour profile is the file's own."""
    orientation: int = 1
    """EXIF's, 1 to 8: how the stored picture is to be turned. 1 is upright."""
    colours: PngColours = field(default_factory=PngColours)


def statements_of(contents: Contents, data: bytes) -> Statements:
    """Gather what a file says, whose parts are known. The orientation is that of its metadata."""
    first: dict[Kind, bytes] = {}
    for part in contents.parts:
        if part.data and part.kind in _FITTING and len(part.data) <= METADATA_MAX:
            first.setdefault(part.kind, part.data)
    exif = first.get(Kind.EXIF)
    if exif is None and any(part.kind is Kind.TAG for part in contents.parts):
        exif = _exif_of_tiff(data)
    xmp = first.get(Kind.XMP)
    density = first.get(Kind.DENSITY)
    main = data if contents.format == "TIFF" else exif
    metadata = Metadata(
        icc=first.get(Kind.ICC),
        exif=exif,
        xmp=xmp,
        xmp_extension=first.get(Kind.XMP_EXTENSION),
        resources=first.get(Kind.RESOURCES),
        cicp=first.get(Kind.CICP),
        density=None if density is None else Density.unpack(density),
        png_chunks=_fitting_chunks(contents.parts),
    )
    colours = PngColours(
        gamma=first.get(Kind.GAMMA),
        chromaticities=first.get(Kind.CHROMATICITIES),
        srgb=any(part.kind is Kind.SRGB for part in contents.parts),
    )
    return Statements(metadata=metadata, orientation=_orientation(main, xmp), colours=colours)


def statements_of_image(image: Image.Image) -> Statements:
    """Gather what a Pillow image says, whose file is not at hand."""
    info = image.info
    exif = _exif_of_image(image)
    xmp = info.get("xmp") or info.get("XML:com.adobe.xmp")
    found = {
        "ICC": info.get("icc_profile") or None,
        "EXIF": exif,
        "XMP": xmp.encode() if isinstance(xmp, str) else xmp,
    }
    for name, data in found.items():
        if not isinstance(data, bytes | None):
            found[name] = None
        elif data is not None and len(data) > METADATA_MAX:
            warn(f"its {name} data are dropped: more than {METADATA_MAX} bytes")
            found[name] = None
    metadata = Metadata(icc=found["ICC"], exif=found["EXIF"], xmp=found["XMP"])
    return Statements(metadata=metadata, orientation=pillows_orientation(image))


def upright(metadata: Metadata, orientation: int) -> Metadata:
    """Return the metadata of a picture that had this orientation and was turned upright.

    EXIF and XMP say so wherever they said something else, and not another byte of them changes.
    """
    exif, xmp, density = metadata.exif, metadata.xmp, metadata.density
    if density is not None and orientation >= _FIRST_SIDEWAYS:
        density = replace(density, x=density.y, y=density.x)
    return replace(
        metadata,
        exif=None if exif is None else exif_tags.upright(exif),
        xmp=None if xmp is None else upright_xmp(xmp),
        density=density,
    )


def upright_xmp(xmp: bytes) -> bytes:
    """Return an XMP packet with the value of each tiff:Orientation set to 1."""
    return _XMP_ORIENTATION.sub(rb"\g<1>1", xmp)


def containers_orientation(image: Image.Image) -> int:
    """Return the orientation of an AVIF or HEIC file, 1 to 8, which Pillow puts into EXIF; what
    its own EXIF and XMP say does not count.
    """
    exif = image.info.get("exif")
    if not isinstance(exif, bytes):
        return 1
    return exif_tags.orientation(exif.removeprefix(b"Exif\0\0")) or 1


def pillows_orientation(image: Image.Image) -> int:
    """Return the orientation that Pillow has still to apply, 1 to 8."""
    try:
        value = image.getexif().get(ExifTags.Base.Orientation, 1)
    except Exception:
        # Pillow's reader of EXIF raises almost anything for damaged blocks.
        warn("its EXIF data are damaged, its orientation is unknown")
        return 1
    return value if isinstance(value, int) and 1 <= value <= 8 else 1


def comment_chunk(comment: bytes) -> PngChunk:
    """Return a comment as a PNG text, of which `comment_of` makes the same bytes."""
    try:
        comment.decode("utf-8")
    except UnicodeDecodeError:
        return "tEXt", _COMMENT + b"\0" + comment
    return "iTXt", _COMMENT + b"\0\0\0\0\0" + comment


def comment_of(chunk: PngChunk) -> bytes | None:
    """Return the bytes of a comment, None if a PNG chunk holds none."""
    kind, data = chunk
    lead = _COMMENT + (b"\0\0\0\0\0" if kind == "iTXt" else b"\0")
    return data[len(lead) :] if kind in ("tEXt", "iTXt") and data.startswith(lead) else None


def names_of(chunks: Iterable[PngChunk]) -> list[str]:
    """Say in words for people what PNG chunks hold: texts by their keywords."""
    texts: dict[str, None] = {}
    others: dict[str, None] = {}
    for kind, data in chunks:
        if kind in ("tEXt", "iTXt"):
            texts[data.partition(b"\0")[0].decode("latin-1")] = None
        else:
            others[f"PNG chunk {kind}"] = None
    keywords = list(texts)[:_KEYWORDS_TOLD]
    if len(texts) > len(keywords):
        keywords.append(f"{len(texts) - len(keywords)} more")
    return ([f"texts ({', '.join(keywords)})"] if texts else []) + list(others)


def warn(message: str) -> None:
    """Warn of something about the picture that is being read or written."""
    warnings.warn(message, VqcWarning, stacklevel=3)


_FITTING = frozenset(
    {
        *(Kind.EXIF, Kind.ICC, Kind.XMP, Kind.XMP_EXTENSION, Kind.RESOURCES, Kind.CICP),
        *(Kind.DENSITY, Kind.GAMMA, Kind.CHROMATICITIES),
    }
)


def png_chunk_of(part: Part) -> PngChunk:
    """Return the PNG chunk as which a comment or a PNG chunk is kept."""
    return comment_chunk(part.data) if part.kind is Kind.COMMENT else (part.key, part.data)


def _fitting_chunks(parts: Iterable[Part]) -> tuple[PngChunk, ...]:
    chunks: list[PngChunk] = []
    room = METADATA_MAX
    for part in parts:
        if part.kind not in (Kind.COMMENT, Kind.PNG_CHUNK):
            continue
        chunk = png_chunk_of(part)
        room -= len(chunk[1]) + 12
        if room < 0 or len(chunks) == PNG_CHUNKS_MAX:
            break
        chunks.append(chunk)
    return tuple(chunks)


def _orientation(exif: bytes | None, xmp: bytes | None) -> int:
    """Return EXIF's orientation or, where EXIF has none, XMP's; 1 if nothing is said."""
    turned = None if exif is None else exif_tags.orientation(exif)
    if turned is None and xmp is not None and (found := _XMP_ORIENTATION.search(xmp)):
        turned = int(found[2])
    return turned or 1


def _exif_of_tiff(data: bytes) -> bytes | None:
    try:
        return exif_tags.exif_of_tiff(data, METADATA_MAX)
    except ValueError:
        return None


def _exif_of_image(image: Image.Image) -> bytes | None:
    if image.format != "TIFF":
        exif = image.info.get("exif")
        return exif.removeprefix(b"Exif\0\0") or None if isinstance(exif, bytes) else None
    try:
        block = image.getexif().tobytes().removeprefix(b"Exif\0\0")
    except Exception:
        warn("its EXIF data are damaged and dropped")
        return None
    return _exif_of_tiff(block)
