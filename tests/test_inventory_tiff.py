"""What TIFF files consist of."""

from __future__ import annotations

import struct
from collections.abc import Mapping, Sequence

import numpy as np
import pytest
from picture_files import PROFILE, UNREFERENCED, XMP, contents, held, lost, part

from vqcodec.image.inventory.listing import list_contents
from vqcodec.image.inventory.parts import Density, Kind, Unit

BYTE, TEXT, SHORT, LONG, RATIONAL, RAW, PLACE, LONG8 = 1, 2, 3, 4, 5, 7, 13, 16
IPTC = b"\x1c\x02\x05\0\5Title"
BLOCK = b"8BIM\x04\x04\0\0" + struct.pack(">I", len(IPTC)) + IPTC
Values = tuple[int, Sequence[int] | bytes]
"""A type and values of it."""
Tags = Mapping[int, Values]


def packed(order: str, kind: int, values: Sequence[int] | bytes) -> bytes:
    if isinstance(values, bytes):
        return values
    form = {BYTE: "B", SHORT: "H", LONG: "I", RATIONAL: "I", PLACE: "I", LONG8: "Q"}[kind]
    return struct.pack(f"{order}{len(values)}{form}", *values)


class Writer:
    """Writes TIFF files as they are told to, the pixels and values first."""

    def __init__(self, order: str = "<", big: bool = False) -> None:
        self.order, self.big = order, big
        self.data = bytearray(16 if big else 8)
        self.link = 8 if big else 4
        """Where the next directory's place belongs."""

    def put(self, data: bytes) -> int:
        place = len(self.data)
        self.data += data
        self.data += bytes(len(data) % 2)
        return place

    def pointer(self, place: int) -> bytes:
        return struct.pack(self.order + ("Q" if self.big else "I"), place)

    def directory(self, tags: Sequence[tuple[int, Values]]) -> int:
        """Write a directory and return where it is."""
        entries = bytearray()
        for tag, (kind, values) in tags:
            raw = packed(self.order, kind, values)
            size = {SHORT: 2, LONG: 4, RATIONAL: 8, PLACE: 4, LONG8: 8}.get(kind, 1)
            room = 8 if self.big else 4
            form = self.order + ("HHQ" if self.big else "HHI")
            value = raw.ljust(room, b"\0") if len(raw) <= room else self.pointer(self.put(raw))
            entries += struct.pack(form, tag, kind, len(raw) // size) + value
        count = struct.pack(self.order + ("Q" if self.big else "H"), len(tags))
        return self.put(count + bytes(entries) + self.pointer(0))

    def page(self, tags: Sequence[tuple[int, Values]]) -> None:
        """Write a directory behind those that are there."""
        place = self.directory(tags)
        self.data[self.link : self.link + (8 if self.big else 4)] = self.pointer(place)
        self.link = place + (8 if self.big else 2) + len(tags) * (20 if self.big else 12)

    def written(self) -> bytes:
        mark = b"II" if self.order == "<" else b"MM"
        head = struct.pack(self.order + "H", 43 if self.big else 42)
        if self.big:
            head += struct.pack(self.order + "HH", 8, 0)
        self.data[: 2 + len(head)] = mark + head
        return bytes(self.data)


def samples(writer: Writer, **changes: int) -> dict[int, Values]:
    """Tags of a picture of 2x2 grey pixels, which are written."""
    offsets = [writer.put(b"\1\2"), writer.put(b"\3\4")]
    return {
        256: (SHORT, [2]),
        257: (SHORT, [2]),
        258: (SHORT, [changes.get("bits", 8)]),
        259: (SHORT, [1]),
        262: (SHORT, [changes.get("photometric", 1)]),
        273: (LONG, offsets),
        278: (SHORT, [1]),
        279: (SHORT, [2, 2]),
    }


def tiff(more: Tags | None = None, *, order: str = "<", big: bool = False, **changes: int) -> bytes:
    writer = Writer(order, big)
    tags = samples(writer, **changes) | dict(more or {})
    writer.page(sorted(tags.items()))
    return writer.written()


@pytest.mark.parametrize("order", ["<", ">"])
@pytest.mark.parametrize("big", [False, True])
def test_metadata_of_tiff_are_found(order: str, big: bool) -> None:
    data = tiff(
        {
            270: (TEXT, b"caf\xe9\0"),
            274: (SHORT, [6]),
            282: (RATIONAL, [7, 3]),
            283: (RATIONAL, [1, 1]),
            296: (SHORT, [3]),
            700: (BYTE, XMP),
            33550: (RATIONAL, [1, 2, 3, 4]),
            34377: (BYTE, BLOCK),
            34675: (RAW, PROFILE),
        },
        order=order,
        big=big,
    )
    assert held(data) == [
        (Kind.TAG, b"caf\xe9\0"),
        (Kind.XMP, XMP),
        (Kind.TAG, packed(order, RATIONAL, [1, 2, 3, 4])),
        (Kind.RESOURCES, BLOCK),
        (Kind.ICC, PROFILE),
        (Kind.DENSITY, Density(Unit.CENTIMETRE, (7, 3), (1, 1)).pack()),
    ]
    keys = [part.key for part in contents(data).parts if part.kind is Kind.TAG]
    assert keys == ["MAIN/270", "MAIN/33550"]
    assert part(data, Kind.PIXELS).size == 4
    assert part(data, Kind.ICC).size == len(PROFILE) + (20 if big else 12)
    assert lost(data) == []


@pytest.mark.parametrize("order", ["<", ">"])
def test_directories_of_descriptions_are_tags_but_makers_notes_are_lost(order: str) -> None:
    writer = Writer(order)
    interoperability = writer.directory([(1, (TEXT, b"R98\0"))])
    entries = [(36867, (TEXT, b"2024\0")), (37500, (RAW, b"offsets")), (37521, (TEXT, b"12\0"))]
    exif = writer.directory([*entries, (40965, (LONG, [interoperability])), (50000, (PLACE, [8]))])
    gps = writer.directory([(1, (TEXT, b"N\0")), (1, (TEXT, b"S\0"))])
    tags = samples(writer) | {34665: (LONG, [exif]), 34853: (LONG, [gps])}
    writer.page(sorted(tags.items()))
    data = writer.written()
    found = {p.key: p.data for p in contents(data).parts if p.kind is Kind.TAG}
    assert found == {
        "EXIF/36867": b"2024\0",
        "EXIF/37521": b"12\0",
        "INTEROPERABILITY/1": b"R98\0",
        "GPS/1": b"N\0",
    }
    assert lost(data) == [
        "maker's notes, whose place in the file changes",
        "directory of tag EXIF/50000",
        "further tag GPS/1",
    ]


@pytest.mark.parametrize(
    ("tag", "values"),
    [
        (301, (SHORT, [0, 65535])),
        (318, (RATIONAL, [1, 3, 1, 3])),
        (319, (RATIONAL, [1, 3] * 6)),
        (282, (RATIONAL, [72, 1])),  # without 283
        (532, (RATIONAL, [16, 1, 235, 1, 128, 1, 240, 1, 128, 1, 240, 1])),
        (700, (LONG, [1])),
        (34675, (SHORT, [1])),
        (34377, (BYTE, b"not resources")),
        (33723, (LONG, [5])),
        (37724, (RAW, b"layers")),
        (65000, (TEXT, b"private\0")),
    ],
)
def test_tags_that_change_colours_or_are_unknown_are_told(tag: int, values: Values) -> None:
    assert [name.split(" (")[0] for name in lost(tiff({tag: values}))] == [f"tag {tag}"]


def test_iptc_becomes_a_photoshop_resource() -> None:
    assert held(tiff({33723: (BYTE, IPTC)})) == [(Kind.RESOURCES, BLOCK + bytes(len(BLOCK) % 2))]
    both = {34377: (BYTE, BLOCK)}
    assert lost(tiff({**both, 33723: (BYTE, IPTC + b"\0\0")})) == []
    assert lost(tiff({**both, 33723: (BYTE, IPTC + b"\x1c")})) == [
        "IPTC that differs from that in the Photoshop resources"
    ]


def test_the_usual_black_and_white_of_ycbcr_is_nothing_to_keep() -> None:
    usual = {532: (RATIONAL, [0, 1, 255, 1, 128, 1, 255, 1, 128, 1, 255, 1])}
    assert lost(tiff(usual, photometric=6)) == []
    assert lost(tiff(usual)) == ["tag 532 (ReferenceBlackWhite)"]


def test_further_pages_and_pictures_are_told_with_all_that_they_have() -> None:
    writer = Writer()
    inner = writer.directory(sorted(samples(writer).items()))
    main = samples(writer) | {330: (LONG, [inner])}
    writer.page(sorted(main.items()))
    size = len(writer.data)
    writer.page(sorted((samples(writer) | {270: (TEXT, b"the second page\0")}).items()))
    data = writer.written()
    assert lost(data) == ["further pictures (tag 330)", "page 2"]
    sizes = {part.name: part.size for part in contents(data).parts}
    assert sizes["page 2"] == len(data) - size - 6  # but the frame of its directory
    assert sizes["pixels"] == 4


def test_what_nothing_refers_to_is_told() -> None:
    writer = Writer()
    tags = samples(writer)
    writer.put(bytes(6))
    tags[700] = (BYTE, XMP)
    inner = writer.directory([])  # so that there is something between two gaps
    writer.put(b"secret")
    tags[34853] = (LONG, [inner])
    writer.page(sorted(tags.items()))
    data = writer.written()
    assert lost(data) == [UNREFERENCED]
    sizes = {part.name: part.size for part in contents(data).parts}
    assert (sizes[UNREFERENCED], sizes["padding"]) == (6, 7)


def test_damaged_and_double_tags_are_told() -> None:
    writer = Writer()
    tags = [*samples(writer).items(), (256, (SHORT, [2])), (270, (99, b"text"))]
    writer.page(tags)
    assert lost(writer.written()) == ["damaged tag 270", "further tag 256"]


@pytest.mark.parametrize("sizes", [[2], [2, 200], [2, 2, 2], [2, 2**32 - 1]])
def test_strips_that_are_not_there_mean_no_contents(sizes: list[int]) -> None:
    assert list_contents(tiff({279: (LONG, sizes)})) is None


@pytest.mark.parametrize("big", [False, True])
def test_strips_may_overlap(big: bool) -> None:
    writer = Writer(big=big)
    tags = samples(writer)
    place = len(writer.data) - 4
    tags[273] = (LONG8 if big else LONG, [place + 1, place])
    tags[279] = (SHORT, [3, 2])
    writer.page(sorted(tags.items()))
    assert part(writer.written(), Kind.PIXELS).size == 4


@pytest.mark.parametrize(
    ("formats", "real", "signed"),
    [([1], False, False), ([1, 3], True, False), ([2], False, True), ([5], False, True)],
)
def test_samples_are_told(formats: list[int], real: bool, signed: bool) -> None:
    found = contents(tiff({339: (SHORT, formats)}, bits=32, photometric=0))
    assert (found.bits, found.real, found.signed, found.inverted) == (32, real, signed, True)


@pytest.mark.parametrize(("step", "bits"), [(256, 8), (257, 8), (255, 16)])
def test_colours_of_a_palette_have_8_or_16_bits(step: int, bits: int) -> None:
    levels = (np.arange(256).repeat(3) * step).tolist()
    assert contents(tiff({320: (SHORT, levels)}, photometric=3)).bits == bits


def test_values_that_share_bytes_are_no_way_to_fill_memory() -> None:
    writer = Writer()
    big = 1 << 20
    place = writer.put(bytes(big))
    pointers = [(tag, (TEXT, b"12345")) for tag in range(1000, 1100)]
    exif = writer.directory(pointers)
    tags = samples(writer) | {34665: (LONG, [exif])}
    writer.page(sorted(tags.items()))
    data = bytearray(writer.written())
    for entry in range(exif + 2, exif + 2 + 12 * len(pointers), 12):
        struct.pack_into("<II", data, entry + 4, big, place)
    assert list_contents(bytes(data)) is None
    for entry in range(exif + 2, exif + 2 + 12 * len(pointers), 12):
        struct.pack_into("<II", data, entry + 4, 5, place)
    assert list_contents(bytes(data)) is not None


def test_random_damage_to_tiff_files_leaves_contents_or_none() -> None:
    writer = Writer()
    exif = writer.directory([(36867, (TEXT, b"2024\0"))])
    inner = writer.directory(sorted(samples(writer).items()))
    tags = samples(writer) | {34665: (LONG, [exif]), 330: (LONG, [inner]), 700: (BYTE, XMP)}
    writer.page(sorted(tags.items()))
    whole = writer.written()
    damaged = [whole[:size] for size in range(len(whole))]
    for at in range(len(whole)):
        damaged += [whole[:at] + bytes([level]) + whole[at + 1 :] for level in (0, 1, 20, 255)]
    found = [list_contents(data) for data in damaged]
    for data, listed in zip(damaged, found, strict=True):
        assert listed is None or sum(part.size for part in listed.parts) == len(data)
    assert None in found
    assert sum(listed is not None for listed in found) > 100
