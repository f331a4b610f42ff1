"""An inventory: each part of a picture file held against what a .vqc file of it holds.

Only what is found there counts as kept, so that nothing is lost because it was overlooked:
a part of a kind that nobody knows is not kept, and a file whose parts are not all known has
no inventory.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from enum import Enum
from typing import Any

from vqcodec.image import exif_tags, ifd
from vqcodec.image.inventory.parts import Contents, Density, Kind, Part
from vqcodec.image.metadata import png_chunk_of, upright_xmp
from vqcodec.image.picture import Metadata, PngChunk

HIDDEN_COLOURS = "colours under full transparency"
_NAMED = 6
"""Parts that `Inventory.loss` names; of more it gives the number."""


class Fate(Enum):
    """What becomes of a part."""

    KEPT = "kept"
    """Byte for byte."""
    CONVERTED = "kept in another form"
    STRIPPED = "left out as asked"
    LOST = "not kept"


@dataclass(frozen=True, slots=True)
class Holding:
    """A part of a picture file and what becomes of it."""

    name: str
    size: int
    """Bytes of the picture file."""
    fate: Fate
    note: str = ""
    """In which form it is kept, or why it is not; may be empty."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Inventory:
    """What a .vqc file holds of a picture file."""

    format: str | None
    """As people call it; None if the file's parts are not all known."""
    holdings: tuple[Holding, ...]

    @property
    def lost(self) -> tuple[str, ...]:
        """Phrases that name what is not kept; empty if the source file may be deleted."""
        if self.format is None:
            return ("not all parts of such a file are known",)
        return tuple(h.note or h.name for h in self.holdings if h.fate is Fate.LOST)

    @property
    def loss(self) -> str:
        """What is known not to be kept, in one phrase; empty if the file's parts are not known."""
        if self.format is None:
            return ""
        names = list(dict.fromkeys(self.lost))
        more = len(names) - _NAMED
        return ", ".join(names[:_NAMED]) + (f" and {more} more" if more > 0 else "")

    def as_dict(self) -> dict[str, Any]:
        """Return plain values, for JSON."""
        parts = [
            {"name": h.name, "bytes": h.size, "fate": h.fate.value, "note": h.note}
            for h in self.holdings
        ]
        return {"format": self.format, "parts": parts, "lost": list(self.lost)}


UNKNOWN = Inventory(format=None, holdings=())


@dataclass(frozen=True, slots=True, kw_only=True)
class Facts:
    """What became of a picture file while it was read."""

    damage: str = ""
    """What a decoder complained of, as in "what is damaged ..."; empty if the pixels are whole."""
    profile_used: bool = False
    """Whether the pixels were converted to sRGB through the file's profile."""
    profile_trouble: str = ""
    """Why its profile was not used, as in "its colour profile, which ..."."""
    colours_used: bool = True
    """Whether PNG's gamma and primaries could be used."""
    hidden_colours: bool = False
    """Whether there were colours under full transparency."""
    turned: bool = False
    """Whether it was turned upright."""
    stripped: bool = False
    """Whether metadata were to be left out."""
    exact: bool = False
    """Whether pixels are to be coded without loss."""
    replaced: str = ""
    """What the pixels lost when they became RGB, as in "its CMYK colours, which become RGB"."""


def account(contents: Contents | None, kept: Metadata, facts: Facts) -> Inventory:
    """Hold the parts of a picture file against the metadata `kept` of its .vqc file."""
    if contents is None:
        return UNKNOWN
    tags = dict(_tags(kept.exif)) if kept.exif is not None else {}
    room = Counter(kept.png_chunks)
    holdings = [
        _holding(part, contents, kept, facts, tags=tags, room=room) for part in contents.parts
    ]
    if facts.stripped:
        holdings = [
            Holding(part.name, part.size, Fate.STRIPPED) if part.kind in _STRIPPABLE else holding
            for part, holding in zip(contents.parts, holdings, strict=True)
        ]
    if facts.hidden_colours:
        holdings.append(Holding(HIDDEN_COLOURS, 0, Fate.LOST))
    return Inventory(format=contents.format, holdings=tuple(holdings))


def _holding(
    part: Part,
    contents: Contents,
    kept: Metadata,
    facts: Facts,
    *,
    tags: Mapping[str, bytes | memoryview],
    room: Counter[PngChunk],
) -> Holding:
    """Say what becomes of a part; `room` counts the PNG chunks that are still to be found."""

    def held(fate: Fate, note: str = "") -> Holding:
        return Holding(part.name, part.size, fate, note)

    kind, data = part.kind, part.data
    if kind is Kind.PIXELS:
        trouble = facts.damage or _depth(contents) or (facts.replaced if facts.exact else "")
        form = "coded exactly" if facts.exact else "coded, lossily"
        form += ", as sRGB" if facts.replaced else ""
        return held(Fate.LOST, trouble) if trouble else held(Fate.CONVERTED, form)
    if kind in (Kind.STRUCTURE, Kind.SRGB):
        return held(Fate.CONVERTED, "used by decoding")
    if kind in (Kind.GAMMA, Kind.CHROMATICITIES):
        form = "a colour profile" if kept.icc else "sRGB" if not kept.cicp else "cICP"
        return held(Fate.CONVERTED, f"as {form}") if facts.colours_used else held(Fate.LOST)
    if kind is Kind.ICC:
        return _profile(part, kept, facts)
    if kind is Kind.TAG:
        moved = facts.turned and part.key in _OF_UNTURNED_GRID
        return held(Fate.KEPT if tags.get(part.key) == data and not moved else Fate.LOST)
    if kind in (Kind.COMMENT, Kind.PNG_CHUNK):
        chunk = png_chunk_of(part)
        room[chunk] -= 1
        return held(Fate.KEPT if room[chunk] >= 0 else Fate.LOST)
    return _metadata(part, kept)


def _metadata(part: Part, kept: Metadata) -> Holding:
    """Compare a part with the field of the metadata that is to hold it."""

    def held(fate: Fate, note: str = "") -> Holding:
        return Holding(part.name, part.size, fate, note)

    kind, data = part.kind, part.data
    if kind is Kind.DENSITY and kept.density is not None:
        density = Density.unpack(data)
        turned = Density(density.unit, density.y, density.x)
        if density != kept.density == turned:
            return held(Fate.CONVERTED, "turned with the picture")
        return held(Fate.KEPT if density == kept.density else Fate.LOST)
    field = _FIELDS.get(kind)
    value = getattr(kept, field) if field is not None else None
    if value is None:
        return held(Fate.LOST)
    if value == data:
        return held(Fate.KEPT)
    turned_back = {Kind.EXIF: exif_tags.upright, Kind.XMP: upright_xmp}.get(kind)
    if turned_back is not None and value == turned_back(data):
        return held(Fate.CONVERTED, "its orientation is 1: the picture is stored upright")
    return held(Fate.LOST)


_FIELDS = {
    Kind.EXIF: "exif",
    Kind.XMP: "xmp",
    Kind.XMP_EXTENSION: "xmp_extension",
    Kind.RESOURCES: "resources",
    Kind.CICP: "cicp",
}
_STRIPPABLE = frozenset(
    {*_FIELDS, Kind.ICC, Kind.TAG, Kind.COMMENT, Kind.PNG_CHUNK, Kind.DENSITY}
    | {Kind.GAMMA, Kind.CHROMATICITIES}
)
_OF_UNTURNED_GRID = frozenset({"MAIN/33550", "MAIN/33922", "MAIN/34264"})
"""GeoTIFF's tags that tie rows and columns of the stored picture to the earth."""


def _profile(part: Part, kept: Metadata, facts: Facts) -> Holding:
    if kept.icc == part.data:
        return Holding(part.name, part.size, Fate.KEPT)
    if kept.cicp is not None:
        note = "the colour code (cICP) counts before it"
        return Holding(part.name, part.size, Fate.CONVERTED, note)
    if facts.profile_used and not facts.profile_trouble:
        return Holding(part.name, part.size, Fate.CONVERTED, "applied: the pixels are sRGB")
    return Holding(part.name, part.size, Fate.LOST, facts.profile_trouble)


def _depth(contents: Contents) -> str:
    """Say what 8 bits do not hold of the samples; empty if they hold all."""
    if contents.real:
        return f"floating-point samples of {contents.bits} bits"
    if contents.signed:
        return f"signed samples of {contents.bits} bits"
    return low_bits(contents.bits)


def low_bits(bits: int) -> str:
    """Say what 8 bits do not hold of samples of so many; empty if they hold all."""
    return f"the low {bits - 8} of {bits} bits per channel" if bits > 8 else ""


def _tags(exif: bytes) -> Iterator[tuple[str, bytes | memoryview]]:
    """Yield the keys (`Kind.TAG`) and values of the tags of an EXIF block."""
    try:
        block = ifd.Block(exif)
        main = block.directory(block.first)
        found = {"MAIN": main}
        inner = block.subdirectory(main, ifd.EXIF_DIRECTORY)
        if inner is not None:
            found["EXIF"] = inner
            deeper = block.subdirectory(inner, ifd.INTEROPERABILITY)
            found |= {} if deeper is None else {"INTEROPERABILITY": deeper}
        place = block.subdirectory(main, ifd.GPS_DIRECTORY)
        found |= {} if place is None else {"GPS": place}
    except ValueError:
        return
    for name, directory in found.items():
        for entry in directory.entries:
            yield f"{name}/{entry.tag}", entry.value  # not copied: many may name the same bytes
