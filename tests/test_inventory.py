"""What picture files consist of, to the byte: nothing that is lost goes unnoticed."""

from __future__ import annotations

import random

import pytest
from picture_files import (
    AFTER,
    FURTHER,
    PLAIN,
    PROFILE,
    UNREFERENCED,
    XMP,
    animation,
    chunk,
    contents,
    exif,
    held,
    lost,
    part,
    saved,
)
from PIL import features

from vqcodec.image.inventory.ledger import PARTS_MAX, SPANS_MAX, TEXT_MAX, Ledger
from vqcodec.image.inventory.listing import list_contents
from vqcodec.image.inventory.parts import Kind


def skip_without(form: str) -> None:
    if form in ("WEBP", "AVIF") and not features.check(form.lower()):
        pytest.skip(f"Pillow without {form}")


@pytest.mark.parametrize("name", PLAIN)
def test_of_a_plain_picture_everything_is_kept(name: str) -> None:
    assert lost(PLAIN[name]) == []
    assert contents(PLAIN[name]).format in name or contents(PLAIN[name]).format == "Netpbm"
    # The pixels weigh something, and only the coder's or Pillow's own words come with them.
    assert part(PLAIN[name], Kind.PIXELS).size > 0
    assert {kind for kind, _ in held(PLAIN[name])} <= {Kind.COMMENT, Kind.DENSITY}


@pytest.mark.parametrize("name", PLAIN)
def test_data_behind_the_picture_are_told_unless_they_are_zeros(name: str) -> None:
    assert lost(PLAIN[name] + b"\0\0\0") == []
    assert lost(PLAIN[name] + b"moov") == [AFTER]


@pytest.mark.parametrize("form", ["JPEG", "PNG", "WEBP", "AVIF"])
def test_metadata_are_found(form: str) -> None:
    skip_without(form)
    data = saved(form, icc_profile=PROFILE, exif=b"Exif\0\0" + exif(), xmp=XMP)
    expected = [(Kind.EXIF, exif()), (Kind.ICC, PROFILE), (Kind.XMP, XMP)]
    if form == "PNG":  # where Pillow does not write it
        expected.pop()
    assert sorted(held(data), key=lambda item: item[0].name) == expected
    assert lost(data) == []


@pytest.mark.parametrize("name", PLAIN)
def test_damaged_files_have_contents_or_none(name: str) -> None:
    whole = PLAIN[name]
    rng = random.Random(name)
    damaged = [whole[:size] for size in range(0, len(whole), 1 + len(whole) // 600)]
    for _ in range(600):
        out = bytearray(whole)
        # Most of what can be wrong is in the beginning.
        for _ in range(rng.randint(1, 3)):
            at = int(len(out) * rng.random() ** 3)
            out[at] = rng.choice((0, 1, 127, 255, rng.randrange(256)))
        damaged.append(bytes(out))
    for data in damaged:
        found = list_contents(data)
        assert found is None or sum(part.size for part in found.parts) == len(data)


@pytest.mark.parametrize("name", PLAIN)
def test_of_half_a_file_nothing_is_told(name: str) -> None:
    assert list_contents(PLAIN[name][: len(PLAIN[name]) // 2]) is None


@pytest.mark.parametrize("form", ["TGA", "PCX", "SGI", "DDS"])
def test_formats_without_a_parser_have_no_contents(form: str) -> None:
    assert list_contents(saved(form)) is None
    assert list_contents(b"") is None


@pytest.mark.parametrize(
    ("form", "expected"),
    [
        ("GIF", ["frame 2", "frame 3", "number of repetitions"]),
        ("WEBP", ["animation", "frame 2", "frame 3"]),
        ("PNG", ["animation", "frame 1", "frame 2", "frame 3"]),
        ("TIFF", ["page 2", "page 3"]),
        ("MPO", ["segment APP2 (MPF)", FURTHER]),
        ("AVIF", ["sequence of pictures (box moov)"]),
    ],
)
def test_further_pictures_are_told(form: str, expected: list[str]) -> None:
    skip_without(form)
    assert set(lost(saved(form, **animation(), loop=0))) >= set(expected)


def test_bytes_in_several_parts_count_once() -> None:
    ledger = Ledger(bytes(range(100)))
    ledger.pixels((10, 60), (20, 30))
    ledger.structure((50, 70), (0, 0))
    ledger.other("thumbnail", (15, 20), (71, 100))
    sizes = {part.name: part.size for part in ledger.contents("test").parts}
    assert sizes == {
        "pixels": 50,
        "headers and tables": 10,
        "thumbnail": 29,
        UNREFERENCED: 10,
        "padding": 1,
    }


def test_a_ledger_has_bounds() -> None:
    ledger = Ledger(bytes(SPANS_MAX * 3))
    with pytest.raises(ValueError, match="outside"):
        ledger.pixels((0, SPANS_MAX * 3 + 1))
    with pytest.raises(ValueError, match="too many"):
        ledger.pixels(*((at, at + 1) for at in range(0, SPANS_MAX * 3, 2)))
    for number in range(PARTS_MAX - 1):
        ledger.other(f"part {number}")
    with pytest.raises(ValueError, match="too many"):
        ledger.other("one more")
    with pytest.raises(ValueError, match="too many"):
        Ledger(b"12").add("text", Kind.PNG_CHUNK, data=bytes(TEXT_MAX + 3))


def many(name: str, count: int) -> bytes:
    """A file with so many empty chunks."""
    whole = PLAIN[name]
    if name == "JPEG":
        return whole[:2] + b"\xff\xfe\0\2" * count + whole[2:]
    if name == "PNG":
        return whole[:33] + chunk("abcd", b"") * count + whole[33:]
    if name == "GIF":
        return whole[:-1] + b"\x21\x77\0" * count + b";"
    if name == "WebP":
        return resized(whole + b"abcd\0\0\0\0" * count, 8 * count)
    if name == "Netpbm":
        return whole[:3] + b"#\n" * count + whole[3:]
    if name == "JPEG 2000 codestream":
        return whole[:-2] + b"\xff\x64\0\4\0\0" * count + whole[-2:]
    return whole + b"\0\0\0\x08abcd" * count


def resized(riff: bytes, change: int) -> bytes:
    size = int.from_bytes(riff[4:8], "little") + change
    return riff[:4] + size.to_bytes(4, "little") + riff[8:]


CHUNKED = {
    *("JPEG", "PNG", "GIF", "WebP", "Netpbm", "JPEG 2000", "JPEG 2000 codestream", "AVIF")
} & PLAIN.keys()


@pytest.mark.parametrize("name", sorted(CHUNKED))
def test_a_file_of_too_many_chunks_has_no_contents(name: str) -> None:
    assert list_contents(many(name, 3)) is not None
    assert list_contents(many(name, SPANS_MAX + 1)) is None
