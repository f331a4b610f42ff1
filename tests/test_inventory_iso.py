"""What AVIF and HEIC files consist of, told of files that are built by hand."""

from __future__ import annotations

import struct
from collections.abc import Mapping
from dataclasses import dataclass, field

import pytest
from picture_files import AFTER, PROFILE, UNREFERENCED, XMP, contents, exif, held, lost, part

from vqcodec.image.inventory.listing import list_contents
from vqcodec.image.inventory.parts import Contents, Kind

SIZE = b"ispe" + bytes(4) + struct.pack(">II", 8, 8)
DEPTH = b"pixi" + bytes(4) + b"\3\x0a\x0a\x0a"
SRGB = b"colrnclx" + struct.pack(">HHHB", 1, 13, 6, 0x80)
HDR = b"colrnclx" + struct.pack(">HHHB", 9, 16, 9, 0)
ALPHA = b"auxC" + bytes(4) + b"urn:mpeg:mpegB:cicp:systems:auxiliary:alpha\0"
DEPTH_MAP = b"auxC" + bytes(4) + b"urn:com:example:depth\0"


def box(kind: str, *contents: bytes) -> bytes:
    content = b"".join(contents)
    return struct.pack(">I", 8 + len(content)) + kind.encode() + content


@dataclass(frozen=True)
class Item:
    kind: str
    data: bytes = b"data"
    properties: tuple[bytes, ...] = (SIZE, DEPTH, SRGB)
    references: Mapping[str, tuple[int, ...]] = field(default_factory=dict)
    more: bytes = b""
    """Behind its name: the type of its content."""
    own: bool = False
    """Whether its bytes are in the list of items instead of behind it."""


PRIMARY = Item("av01", b"pixels")


def file(*items: Item, inside: bytes = b"", behind: bytes = b"") -> bytes:
    """A file of items, numbered from 1, of which the first is the picture."""
    numbered = list(enumerate(items, 1))
    infos = [
        box("infe", b"\2\0\0\0", struct.pack(">HH", n, 0), i.kind.encode(), b"\0", i.more)
        for n, i in numbered
    ]
    properties = list(dict.fromkeys(p for item in items for p in item.properties))
    owned = [
        struct.pack(">HB", n, len(i.properties))
        + bytes(1 + properties.index(p) for p in i.properties)
        for n, i in numbered
    ]
    references = [
        box(kind, struct.pack(f">HH{len(targets)}H", n, len(targets), *targets))
        for n, i in numbered
        for kind, targets in i.references.items()
    ]
    own = b"".join(i.data for i in items if i.own)

    def meta(start: int) -> bytes:
        places = {True: 0, False: start}
        located = []
        for n, i in numbered:
            place = struct.pack(">HHHHII", n, i.own, 0, 1, places[i.own], len(i.data))
            places[i.own] += len(i.data)
            located.append(place)
        return box(
            "meta",
            bytes(4),
            box("hdlr", bytes(8), b"pict", bytes(13)),
            box("pitm", bytes(4), struct.pack(">H", 1)),
            box("iloc", b"\1\0\0\0\x44\0", struct.pack(">H", len(items)), *located),
            box("iinf", bytes(4), struct.pack(">H", len(items)), *infos),
            box("iref", bytes(4), *references),
            box(
                "iprp",
                box("ipco", *(struct.pack(">I", 4 + len(p)) + p for p in properties)),
                box("ipma", bytes(4), struct.pack(">I", len(items)), *owned),
            ),
            box("idat", own),
            inside,
        )

    head = box("ftyp", b"avif", bytes(4), b"mif1")
    start = len(head) + len(meta(0)) + 8
    media = b"".join(i.data for i in items if not i.own)
    return head + meta(start) + box("mdat", media, behind)


def test_colour_codes_count_where_there_is_no_profile() -> None:
    alone = file(Item("av01", b"pixels", (SIZE, DEPTH, HDR)))
    assert held(alone) == [(Kind.CICP, b"\x09\x10\0\1")]
    both = file(Item("av01", b"pixels", (SIZE, DEPTH, HDR, b"colrprof" + PROFILE)))
    assert held(both) == [(Kind.ICC, PROFILE)]
    assert lost(both) == []


def test_a_picture_with_metadata() -> None:
    picture = Item("av01", b"pixels", (SIZE, DEPTH, b"colrprof" + PROFILE))
    described = {"cdsc": (1,)}
    data = file(
        picture,
        Item("Exif", b"\0\0\0\6Exif\0\0" + exif(), (), described),
        Item("mime", XMP, (), described, b"application/rdf+xml\0", own=True),
    )
    assert sorted(held(data), key=lambda item: item[0].name) == [
        (Kind.EXIF, exif()),
        (Kind.ICC, PROFILE),
        (Kind.XMP, XMP),
    ]
    assert lost(data) == []
    assert part(data, Kind.PIXELS).size == 6
    assert part(data, Kind.XMP).size == len(XMP)
    assert (contents(data).format, contents(data).bits) == ("AVIF", 10)


def test_a_picture_of_tiles_with_alpha() -> None:
    tile = Item("hvc1", b"tile", (SIZE, DEPTH, SRGB))
    alpha = Item("hvc1", b"alpha", (SIZE, ALPHA), {"auxl": (1,)})
    data = file(Item("grid", b"grid", references={"dimg": (2, 3)}, own=True), tile, tile, alpha)
    assert lost(data) == []
    assert part(data, Kind.PIXELS).size == len(b"gridtiletile")
    assert contents(data).format == "HEIC"


@pytest.mark.parametrize(
    ("item", "name"),
    [
        (Item("av01", references={"thmb": (1,)}), "thumbnail"),
        (
            Item("av01", properties=(SIZE, DEPTH_MAP), references={"auxl": (1,)}),
            "auxiliary picture urn:com:example:depth",
        ),
        (Item("tmap", references={"dimg": (1,)}), "picture made of others"),
        (Item("av01"), "item of type av01"),
        (Item("mime", XMP, (), {}, b"application/rdf+xml\0deflate\0"), "application/rdf+xml"),
        (Item("mime", XMP, (), {"cdsc": (2,)}, b"application/rdf+xml\0"), "application/rdf+xml"),
        (Item("mime", b"{}", (), {}, b"application/json\0"), "item of type application/json"),
        (Item("Exif", b"\0\0\0\4more" + exif(), ()), "item of type Exif"),
        (Item("uri ", b"", ()), "item of type uri "),
    ],
)
def test_other_items_are_told(item: Item, name: str) -> None:
    assert any(name in told for told in lost(file(PRIMARY, item)))
    assert held(file(PRIMARY, item)) == []


@pytest.mark.parametrize(
    ("value", "name"),
    [
        (b"clap" + bytes(32), "property clap"),
        (b"pasp" + struct.pack(">II", 2, 1), "property pasp"),
        (b"clli" + bytes(4), "property clli"),
        (b"mdcv" + bytes(24), "property mdcv"),
        (b"colrnclx" + struct.pack(">HHHB", 256, 13, 0, 0), "unknown colours"),
        (b"colrnone", "property colr"),
        (b"new!", "property new!"),
    ],
)
def test_other_properties_are_told(value: bytes, name: str) -> None:
    assert lost(file(Item("av01", b"pixels", (SIZE, DEPTH, SRGB, value)))) == [name]


@pytest.mark.parametrize(
    "value",
    [b"irot\1", b"imir\0", b"pasp" + struct.pack(">II", 3, 3), b"colrnclx\0\2\0\2\0\2\x80"],
)
def test_what_decoding_uses_up_is_nothing_to_keep(value: bytes) -> None:
    data = file(Item("av01", b"pixels", (SIZE, DEPTH, SRGB, value)))
    assert (lost(data), held(data)) == ([], [])


def test_colours_that_only_the_coded_picture_tells_are_unknown() -> None:
    data = file(Item("av01", b"pixels", (SIZE, DEPTH)))
    assert lost(data) == ["colours, which only the coded picture tells"]


def test_other_boxes_and_bytes_are_told() -> None:
    assert lost(file(PRIMARY, behind=b"secret")) == [AFTER]
    assert lost(file(PRIMARY, behind=b"secret") + box("free", bytes(4))) == [UNREFERENCED]
    assert lost(file(PRIMARY) + box("free", bytes(9))) == []
    assert lost(file(PRIMARY) + box("uuid", bytes(16))) == ["box uuid"]
    assert lost(file(PRIMARY, inside=box("grpl", bytes(4)))) == ["box grpl"]
    assert lost(file(PRIMARY) + box("moov")) == ["sequence of pictures (box moov)"]


@pytest.mark.parametrize("kind", ["unci", "iovl", "mime"])
def test_pictures_coded_in_other_ways_have_no_contents(kind: str) -> None:
    assert list_contents(file(Item(kind, more=b"\0"))) is None


@pytest.mark.parametrize(
    ("code", "payload", "bits"),
    [
        ("av1C", b"\x81\0\0\0", 8),
        ("av1C", b"\x81\0\x40\0", 10),
        ("av1C", b"\x81\0\x60\0", 12),
        ("hvcC", bytes(17) + b"\xfa\xf8" + bytes(4), 10),
    ],
)
def test_bits_are_those_of_the_coders_configuration(code: str, payload: bytes, bits: int) -> None:
    data = file(Item("av01", b"pixels", (SIZE, SRGB, code.encode() + payload)))
    assert contents(data).bits == bits


def test_random_damage_leaves_contents_or_none() -> None:
    whole = file(
        Item("grid", b"grid", references={"dimg": (2,)}, own=True),
        Item("av01", b"tile"),
        Item("Exif", b"\0\0\0\0" + exif(), ()),
        Item("av01", references={"thmb": (1,)}),
    )
    damaged = [whole[:size] for size in range(len(whole))]
    for at in range(len(whole)):
        damaged += [whole[:at] + bytes([level]) + whole[at + 1 :] for level in (0, 1, 20, 255)]
    listed: list[Contents | None] = [list_contents(data) for data in damaged]
    for data, found in zip(damaged, listed, strict=True):
        assert found is None or sum(part.size for part in found.parts) == len(data)
    assert None in listed
    assert sum(found is not None for found in listed) > 100


def test_pieces_without_bytes_in_the_file_are_no_way_to_spend_time() -> None:
    whole = file(PRIMARY)
    start = whole.index(b"iloc") + 4
    places = struct.pack(">HHH", 1, 0, 65535)
    rows = [struct.pack(">HHH", n, 0, 65535) for n in range(2, 60)]
    lists = b"\0\0\0\0\0\0" + struct.pack(">H", 1 + len(rows)) + places + b"".join(rows)
    size = struct.unpack_from(">I", whole, start - 8)[0]
    changed = whole[: start - 8] + box("iloc", lists) + whole[start - 8 + size :]
    at = changed.index(b"meta") - 4
    grown = struct.unpack_from(">I", changed, at)[0] + len(changed) - len(whole)
    assert list_contents(changed[:at] + struct.pack(">I", grown) + changed[at + 4 :]) is None
