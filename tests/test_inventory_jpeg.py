"""What JPEG files consist of."""

from __future__ import annotations

import struct
from collections.abc import Sequence

import pytest
from picture_files import PLAIN, exif, held, lost, part, segment

from vqcodec.image.inventory.listing import list_contents
from vqcodec.image.inventory.parts import Density, Kind, Unit


def jpeg(*segments: bytes) -> bytes:
    """A picture with segments behind its JFIF header."""
    whole = PLAIN["JPEG"]
    return whole[:20] + b"".join(segments) + whole[20:]


def extended(guid: bytes, length: int, offset: int, piece: bytes) -> bytes:
    head = b"http://ns.adobe.com/xmp/extension/\0" + guid + struct.pack(">II", length, offset)
    return segment(0xE1, head + piece)


GUID = b"0123456789ABCDEF" * 2
MAIN_XMP = segment(
    0xE1, b'http://ns.adobe.com/xap/1.0/\0<x xmpNote:HasExtendedXMP="' + GUID + b'"/>'
)
PIECES = (extended(GUID, 7, 4, b"efg"), extended(GUID, 7, 0, b"abcd"))


def test_an_extended_xmp_packet_is_put_together() -> None:
    data = jpeg(PIECES[0], MAIN_XMP, PIECES[1])
    assert part(data, Kind.XMP_EXTENSION).data == b"abcdefg"
    assert part(data, Kind.XMP_EXTENSION).size == sum(map(len, PIECES))
    assert lost(data) == []


@pytest.mark.parametrize(
    "segments",
    [
        PIECES,  # that nothing names
        (MAIN_XMP, PIECES[0]),
        (MAIN_XMP, *PIECES, PIECES[1]),
        (MAIN_XMP, *PIECES, extended(GUID[::-1], 7, 0, b"abcdefg")),
        (MAIN_XMP, extended(GUID[::-1], 7, 0, b"abcdefg")),
        (MAIN_XMP, segment(0xE1, b"http://ns.adobe.com/xmp/extension/\0")),
    ],
)
def test_an_extended_xmp_packet_that_is_not_whole_is_told(segments: Sequence[bytes]) -> None:
    assert lost(jpeg(*segments)) == ["incomplete extended XMP"]


def piece(number: int, count: int, data: bytes) -> bytes:
    return segment(0xE2, b"ICC_PROFILE\0" + bytes([number, count]) + data)


def test_a_profile_in_pieces_is_put_together() -> None:
    data = jpeg(piece(2, 2, b"B"), piece(1, 2, b"A"))
    assert part(data, Kind.ICC).data == b"AB"


@pytest.mark.parametrize(
    "pieces",
    [[(1, 2)], [(1, 2), (1, 2)], [(0, 1)], [(1, 1), (2, 2)], [(1, 3), (2, 3)], [(3, 2), (1, 2)]],
)
def test_a_profile_that_is_not_whole_is_told(pieces: list[tuple[int, int]]) -> None:
    assert lost(jpeg(*(piece(*numbers, b"A") for numbers in pieces))) == [
        "incomplete colour profile"
    ]


def test_segments_of_jpeg_are_what_they_say() -> None:
    resources = b"Photoshop 3.0\0"
    data = jpeg(
        segment(0xE1, b"Exif\0\0" + exif()),
        segment(0xED, resources + b"8BIM one"),
        segment(0xED, resources + b"8BIM two"),
        b"\xff\xff" + segment(0xFE, b"caf\xe9"),
        segment(0xFE, b""),
    )
    assert held(data) == [
        (Kind.EXIF, exif()),
        (Kind.COMMENT, b"caf\xe9"),
        (Kind.COMMENT, b""),
        (Kind.RESOURCES, b"8BIM one8BIM two"),
    ]
    assert lost(data) == []


@pytest.mark.parametrize(
    ("code", "payload", "name"),
    [
        (0xE4, b"\x01\x02", "segment APP4"),
        (0xE0, b"JFXX\0\x10", "segment APP0 (JFXX)"),
        (0xE0, b"AVI1\0", "segment APP0 (AVI1)"),
        (0xE1, b"http://example.org/\0", "segment APP1 (http://example.org/)"),
        (0xE2, b"MPF\0II*\0", "segment APP2 (MPF)"),
        (0xEB, b"JP\0\1", "segment APP11 (JP)"),
        (0xED, b"Adobe_CM\0", "segment APP13 (Adobe_CM)"),
        (0xEE, b"Adobe and more than its flags", "segment APP14 (Adobe and more than its flags)"),
        (0xF7, b"", "segment FFF7"),
    ],
)
def test_unknown_segments_are_told(code: int, payload: bytes, name: str) -> None:
    assert lost(jpeg(segment(code, payload))) == [name]


def test_a_second_exif_block_or_xmp_packet_is_told() -> None:
    blocks = [segment(0xE1, b"Exif\0\0" + exif(maker)) for maker in ("one", "two")]
    data = jpeg(*blocks, MAIN_XMP, MAIN_XMP)
    assert part(data, Kind.EXIF).data == exif("one")
    assert lost(data) == ["further EXIF", "further XMP"]


def jfif(unit: int, x: int, y: int, thumbnail: bytes = b"") -> bytes:
    side = b"\1\1" if thumbnail else b"\0\0"
    head = b"JFIF\0\1\1" + struct.pack(">BHH", unit, x, y) + side + thumbnail
    return b"\xff\xd8" + segment(0xE0, head) + PLAIN["JPEG"][20:]


@pytest.mark.parametrize(("code", "unit"), [(0, Unit.NONE), (1, Unit.INCH), (2, Unit.CENTIMETRE)])
def test_a_density_is_kept_as_it_is(code: int, unit: Unit) -> None:
    data = part(jfif(code, 300, 72), Kind.DENSITY).data
    assert Density.unpack(data) == Density(unit, (300, 1), (72, 1))


def test_square_pixels_are_nothing_to_keep_but_thumbnails_are() -> None:
    assert held(jfif(0, 1, 1)) == []
    assert lost(jfif(0, 1, 1)) == []
    assert lost(jfif(0, 1, 1, b"RGB")) == ["thumbnail of 1x1 pixels"]
    assert lost(jfif(3, 1, 1)) == ["pixel density in an unknown unit"]


@pytest.mark.parametrize("garbage", [b"\0", b"garbage", b"\xff\x02", b"\xff\xd8"])
def test_garbage_between_segments_means_no_contents(garbage: bytes) -> None:
    assert list_contents(jpeg(garbage)) is None
