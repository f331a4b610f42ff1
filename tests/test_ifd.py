"""TIFF directories as raw bytes, and their tags in other files."""

from __future__ import annotations

import io
import struct
from typing import Literal

import pytest
from PIL import Image

from vqcodec.image import exif_tags, ifd
from vqcodec.image.ifd import Block, Entry

Order = Literal["<", ">"]
ORDERS: tuple[Order, ...] = ("<", ">")


def block(order: Order, tree: exif_tags.Tree) -> bytes:
    """An EXIF block of one directory and what is in it."""
    head = b"II*\0\x08\0\0\0" if order == "<" else b"MM\0*\0\0\0\x08"
    return head + exif_tags.build(tree, order, len(head))


def text(tag: int, value: bytes) -> Entry:
    return Entry(tag, 2, len(value), value, 0)


def short(order: Order, tag: int, *values: int) -> Entry:
    return Entry(tag, 3, len(values), struct.pack(f"{order}{len(values)}H", *values), 0)


def values(data: bytes) -> dict[int, bytes]:
    parsed = Block(data)
    return {e.tag: bytes(e.value) for e in parsed.directory(parsed.first).entries}


def sample(order: Order) -> exif_tags.Tree:
    return {
        270: text(270, b"caf\xe9, in an encoding that nothing tells\0"),
        271: text(271, b"Me\0"),
        274: short(order, 274, 6),
        ifd.EXIF_DIRECTORY: {
            33434: Entry(33434, 5, 1, struct.pack(order + "II", 1, 3), 0),
            ifd.MAKER_NOTE: Entry(ifd.MAKER_NOTE, 7, 5, b"\x01\x02\x03\x04\x05", 0),
            ifd.INTEROPERABILITY: {1: text(1, b"R98\0")},
        },
        ifd.GPS_DIRECTORY: {1: text(1, b"N\0")},
    }


@pytest.mark.parametrize("order", ORDERS)
def test_what_is_written_is_read(order: Order) -> None:
    tree = sample(order)
    data = block(order, tree)
    assert len(data) == 8 + exif_tags.size_of(tree)
    parsed = Block(data)
    main = parsed.directory(parsed.first)
    assert main.damaged == ()
    assert values(data)[270] == b"caf\xe9, in an encoding that nothing tells\0"
    exif = parsed.subdirectory(main, ifd.EXIF_DIRECTORY)
    assert exif is not None
    interoperability = parsed.subdirectory(exif, ifd.INTEROPERABILITY)
    assert interoperability is not None
    assert bytes(interoperability.entries[0].value) == b"R98\0"
    assert parsed.subdirectory(main, ifd.INTEROPERABILITY) is None


@pytest.mark.parametrize("order", ORDERS)
def test_pillow_reads_what_is_written(order: Order) -> None:
    exif = Image.Exif()
    exif.load(block(order, sample(order)))
    assert exif[271] == "Me"
    assert exif[274] == 6
    assert exif.get_ifd(ifd.EXIF_DIRECTORY)[33434] == pytest.approx(1 / 3)
    assert exif.get_ifd(ifd.GPS_DIRECTORY)[1] == "N"


@pytest.mark.parametrize("order", ORDERS)
def test_upright_changes_nothing_but_the_orientation(order: Order) -> None:
    data = block(order, sample(order))
    assert exif_tags.orientation(data) == 6
    turned = exif_tags.upright(data)
    assert exif_tags.orientation(turned) == 1
    assert sum(a != b for a, b in zip(data, turned, strict=True)) == 1
    assert exif_tags.upright(turned) == turned


@pytest.mark.parametrize("data", [b"", b"II", b"II*\0", b"II*\0\xff\0\0\0", b"Exif\0\0", bytes(99)])
def test_without_a_directory_there_is_no_orientation(data: bytes) -> None:
    assert exif_tags.orientation(data) is None
    assert exif_tags.upright(data) == data


def test_values_change_byte_order_and_mean_the_same() -> None:
    little, big = sample("<"), sample(">")
    assert block(">", exif_tags.in_order(little, "<", ">")) == block(">", big)
    assert exif_tags.in_order(big, ">", ">") is big


@pytest.mark.parametrize("order", ORDERS)
def test_descriptions_of_a_tiff_become_an_exif_block_and_tags_again(order: Order) -> None:
    tiff = block(order, {**sample(order), 256: short(order, 256, 40)})
    exif = exif_tags.exif_of_tiff(tiff, 1000)
    assert exif is not None
    kept = values(exif)
    assert kept.keys() == {270, 271, ifd.EXIF_DIRECTORY, ifd.GPS_DIRECTORY}
    file = io.BytesIO()
    Image.new("RGB", (3, 2), "red").save(file, "TIFF")
    extra = Entry(282, 5, 1, struct.pack("<II", 7, 3), 0)
    image = Image.open(io.BytesIO(exif_tags.with_tags(file.getvalue(), exif, [extra])))
    assert image.getpixel((2, 1)) == (255, 0, 0)
    assert image.getexif()[271] == "Me"
    assert image.getexif()[282] == pytest.approx(7 / 3)
    assert image.getexif().get_ifd(ifd.GPS_DIRECTORY)[1] == "N"


def test_a_tiff_has_no_more_descriptions_than_allowed() -> None:
    tiff = block("<", sample("<"))
    assert exif_tags.exif_of_tiff(block("<", {256: short("<", 256, 1)}), 0) is None
    with pytest.raises(ValueError, match="more than 20 bytes"):
        exif_tags.exif_of_tiff(tiff, 20)


def test_the_first_of_two_equal_tags_counts() -> None:
    entry = struct.Struct("<HHI4s")
    twice = entry.pack(271, 2, 3, b"A\0\0\0") + entry.pack(271, 2, 3, b"B\0\0\0")
    data = b"II*\0\x08\0\0\0\x02\0" + twice + bytes(4)
    tree = exif_tags.descriptive(Block(data))
    assert isinstance(found := tree[271], Entry)
    assert bytes(found.value) == b"A\0\0"


def test_damaged_tags_are_told_and_others_read() -> None:
    entry = struct.Struct("<HHII")
    entries = entry.pack(270, 2, 99, 8), entry.pack(271, 99, 1, 0), entry.pack(272, 2, 2, 65)
    data = b"II*\0\x08\0\0\0\x03\0" + b"".join(entries) + bytes(4)
    found = Block(data).directory(8)
    assert found.damaged == (270, 271)
    assert [e.tag for e in found.entries] == [272]


def test_a_bigtiff_is_read() -> None:
    wide = struct.pack("<HHQQ", 273, 16, 1, 1 << 40)
    data = struct.pack("<2sHHHQQ", b"II", 43, 8, 0, 16, 1) + wide + struct.pack("<Q", 0)
    parsed = Block(data)
    (found,) = parsed.directories()
    assert parsed.number(found.entries[0]) == 1 << 40
    with pytest.raises(ValueError, match="not a TIFF"):
        Block(data[:4] + b"\4" + data[5:])


def test_directories_that_overlap_or_go_round_in_circles_end() -> None:
    empty = struct.pack("<HI", 0, 8)
    with pytest.raises(ValueError, match="overlap"):
        list(Block(b"II*\0\x08\0\0\0" + empty).directories())


def test_a_directory_has_no_more_entries_than_there_are_tags() -> None:
    count = ifd.ENTRIES_MAX + 1
    head = struct.pack("<2sHHHQQ", b"II", 43, 8, 0, 16, count)
    with pytest.raises(ValueError, match="not whole"):
        Block(head + bytes(20 * count + 8)).directory(16)


@pytest.mark.parametrize("order", ORDERS)
def test_damaged_blocks_raise_nothing_but_value_errors(order: Order) -> None:
    whole = block(order, sample(order))
    damaged = [whole[:size] for size in range(len(whole))]
    for at in range(len(whole)):
        damaged += [whole[:at] + bytes([level]) + whole[at + 1 :] for level in (0, 1, 127, 255)]
    read = 0
    for data in damaged:
        assert exif_tags.orientation(exif_tags.upright(data)) in (None, 1)
        try:
            tree = exif_tags.descriptive(Block(data))
        except ValueError:
            continue
        read += 1
        assert exif_tags.size_of(tree) == len(exif_tags.build(tree, order, 8))
    assert 0 < read < len(damaged)
