"""What WebP, GIF, BMP, icon, JPEG 2000 and Netpbm files consist of."""

from __future__ import annotations

import io
import struct

import pytest
from picture_files import (
    FURTHER,
    PLAIN,
    PROFILE,
    UNREFERENCED,
    XMP,
    chunk,
    contents,
    exif,
    held,
    lost,
    part,
)
from PIL import Image, features

from vqcodec.image.inventory.listing import list_contents
from vqcodec.image.inventory.parts import Density, Kind, Unit

# WebP.

needs_webp = pytest.mark.skipif(not features.check("webp"), reason="Pillow without WebP")


def webp(*chunks: tuple[bytes, bytes]) -> bytes:
    body = b"WEBP" + b"".join(
        kind + struct.pack("<I", len(data)) + data + bytes(len(data) % 2) for kind, data in chunks
    )
    return b"RIFF" + struct.pack("<I", len(body)) + body


def test_chunks_of_webp_are_what_they_say() -> None:
    data = webp(
        (b"VP8X", bytes(10)),
        (b"ICCP", PROFILE),
        (b"ALPH", b"alpha"),
        (b"VP8 ", b"pixels"),
        (b"EXIF", b"Exif\0\0" + exif()),
        (b"XMP ", XMP),
    )
    assert held(data) == [(Kind.ICC, PROFILE), (Kind.EXIF, exif()), (Kind.XMP, XMP)]
    assert lost(data) == []


def test_other_chunks_of_webp_are_told() -> None:
    pixels = (b"VP8L", b"pixels")
    assert lost(webp(pixels, (b"abcd", b""))) == ["chunk abcd"]
    assert lost(webp(pixels, (b"EXIF", exif()), (b"EXIF", exif()))) == ["further chunk EXIF"]
    assert lost(webp(pixels, (b"VP8 ", b""))) == ["further chunk VP8"]
    assert list_contents(webp((b"EXIF", exif()))) is None


# GIF.


def gif(*extensions: bytes) -> bytes:
    """A picture with extensions before its end."""
    return PLAIN["GIF"][:-1] + b"".join(extensions) + b";"


def application(name: bytes, *blocks: bytes) -> bytes:
    body = b"".join(bytes([len(block)]) + block for block in blocks)
    return b"\x21\xff\x0b" + name + body + b"\0"


def test_comments_and_xmp_of_gif_are_found() -> None:
    trailer = bytes([1, *range(255, -1, -1)])
    xmp = b"\x21\xff\x0bXMP DataXMP" + XMP + trailer + b"\0"
    data = gif(b"\x21\xfe\3caf\1\xe9\0", xmp)
    assert held(data) == [(Kind.COMMENT, b"caf\xe9"), (Kind.XMP, XMP)]
    assert lost(data) == []
    assert lost(gif(xmp, application(b"XMP DataXMP", b"abc"))) == [
        "application extension XMP DataXMP"
    ]


@pytest.mark.parametrize(
    ("extension", "name"),
    [
        (application(b"ICCRGBG1012", b"profile"), "application extension ICCRGBG1012"),
        (application(b"NETSCAPE2.0", b"\2" + bytes(4)), "application extension NETSCAPE2.0"),
        (b"\x21\x01\x01a\0", "text to be drawn (plain text extension)"),
        (b"\x21\x77\0", "extension 119"),
    ],
)
def test_other_extensions_of_gif_are_told(extension: bytes, name: str) -> None:
    assert lost(gif(extension)) == [name]


def test_a_single_frame_of_gif_needs_no_repetitions() -> None:
    assert lost(gif(application(b"NETSCAPE2.0", b"\1\0\0"))) == []


def test_the_shape_of_gifs_pixels_is_a_density() -> None:
    wide = bytearray(PLAIN["GIF"])
    wide[12] = 113  # pixels twice as wide as high
    assert held(bytes(wide)) == [(Kind.DENSITY, Density(Unit.NONE, (64, 1), (128, 1)).pack())]


# BMP.


def bmp(bits: int = 24, *, pixels: bytes = bytes(8), size: int = 40, **fields: int) -> bytes:
    """A bitmap of two pixels, or one of 32 bits, and the header's fields from the 5th on."""
    width = 2 if bits < 32 else 1
    info = struct.pack("<iiHHI", width, 1, 1, bits, fields.get("compression", 0))
    info += struct.pack("<IiiI", 0, fields.get("x", 0), fields.get("y", 0), 0) + bytes(4)
    header = bytearray(struct.pack("<I", size) + info.ljust(size - 4, b"\0"))
    if "space" in fields:
        struct.pack_into(">I", header, 56, fields["space"])
    if "gamma" in fields:
        struct.pack_into("<I", header, 96, fields["gamma"])
    if "profile" in fields:
        struct.pack_into("<II", header, 112, size + len(pixels), fields["profile"])
    return struct.pack("<2sIII", b"BM", 0, 0, 14 + size) + bytes(header) + pixels


SPACES = {name: int.from_bytes(name.encode(), "big") for name in ("BGRs", " niW", "DEBM", "KNIL")}


def test_a_bitmaps_density_is_kept() -> None:
    data = bmp(x=3000, y=4000)
    assert held(data) == [(Kind.DENSITY, Density(Unit.METRE, (3000, 1), (4000, 1)).pack())]
    assert lost(bmp(x=3000)) == ["pixel density in one direction only"]


@pytest.mark.parametrize("size", [12, 40, 52, 56, 64, 108, 124])
def test_bitmaps_with_every_header_are_read(size: int) -> None:
    core = struct.pack("<2sIIIIHHHH", b"BM", 0, 0, 26, 12, 2, 1, 1, 24) + bytes(8)
    data = core if size == 12 else bmp(size=size)
    assert lost(data) == []
    assert part(data, Kind.PIXELS).size == 8


def test_colours_of_bitmaps_are_told() -> None:
    assert lost(bmp(size=108, gamma=5)) == ["calibrated colours"]
    assert lost(bmp(size=124, gamma=5, space=SPACES["BGRs"])) == []
    assert lost(bmp(size=124, gamma=5, space=SPACES[" niW"])) == []
    assert lost(bmp(size=124, space=5)) == ["unknown colours"]
    embedded = bmp(size=124, space=SPACES["DEBM"], profile=len(PROFILE)) + PROFILE
    assert held(embedded) == [(Kind.ICC, PROFILE)]
    linked = bmp(size=124, space=SPACES["KNIL"], profile=5) + b"a.icc"
    assert lost(linked) == ["name of a colour profile"]


@pytest.mark.parametrize(
    ("bits", "pixels", "expected"),
    [
        (32, b"abc\0", []),
        (32, b"abc\xff", []),
        (32, b"abc\x80", ["fourth channel"]),
        (16, struct.pack("<HH", 0x7FFF, 0x1234), []),
        (16, struct.pack("<HH", 0x7FFF, 0x8000), ["fourth channel"]),
        (16, struct.pack("<HH", 0xFFFF, 0x8000), []),
    ],
)
def test_a_bitmaps_fourth_channel_is_told(bits: int, pixels: bytes, expected: list[str]) -> None:
    assert lost(bmp(bits, pixels=pixels)) == expected


def test_gaps_in_bitmaps_are_told() -> None:
    data = bytearray(bmp() + bytes(12))
    struct.pack_into("<I", data, 10, 54 + 12)
    data[54:66] = bytes(12)
    assert lost(bytes(data)) == []
    data[54:66] = b"hidden bytes"
    assert lost(bytes(data)) == [UNREFERENCED]


# Icons.


def icon(*pictures: tuple[int, int, bytes], kind: int = 1) -> bytes:
    """Pictures of a side, of bits, and their files."""
    head = struct.pack("<HHH", 0, kind, len(pictures))
    place = len(head) + 16 * len(pictures)
    for side, bits, data in pictures:
        head += struct.pack("<BBBBHHII", side, side, 0, 0, 1, bits, len(data), place)
        place += len(data)
    return head + b"".join(data for _, _, data in pictures)


def png_of(side: int, colour: str, text: bytes = b"") -> bytes:
    buffer = io.BytesIO()
    Image.new("RGB", (side, side), colour).save(buffer, "PNG")
    return buffer.getvalue()[:33] + text + buffer.getvalue()[33:]


def test_an_icons_other_pictures_are_told() -> None:
    small, red, blue = png_of(16, "lime"), png_of(32, "red"), png_of(32, "blue")
    assert lost(icon((16, 32, small), (32, 32, red))) == ["other picture of 16x16 pixels"]
    data = icon((32, 32, red), (32, 24, blue), (16, 24, small))
    read = Image.open(io.BytesIO(data)).convert("RGB").getpixel((0, 0))
    chosen = red if read == (255, 0, 0) else blue
    kept = [p.size for p in contents(data).parts if p.kind in (Kind.PIXELS, Kind.STRUCTURE)]
    assert sum(kept) == 6 + 3 * 16 + len(chosen)
    assert set(lost(data)) == {"other picture of 32x32 pixels", "other picture of 16x16 pixels"}


def test_metadata_in_an_icons_picture_and_hotspots_are_told() -> None:
    told = chunk("tEXt", b"Title\0in an icon")
    assert lost(icon((16, 32, png_of(16, "red", told)))) == ["text"]
    assert lost(icon((16, 32, png_of(16, "red")), kind=2)) == ["hotspot of a cursor"]


def test_bytes_behind_the_mask_of_an_icons_bitmap_are_told() -> None:
    bitmap = PLAIN["ICO of bitmaps"][22:]
    assert lost(icon((16, 32, bitmap))) == []
    assert len(lost(icon((16, 32, bitmap + bytes(16 * 4) + b"more")))) == 1


# JPEG 2000.


def box(kind: bytes, content: bytes) -> bytes:
    return struct.pack(">I", 8 + len(content)) + kind + content


def codestream(*segments: bytes, bits: int = 8) -> bytes:
    size = struct.pack(">HHHIIIIIIIIH", 0xFF51, 41, 0, 2, 2, 0, 0, 2, 2, 0, 0, 1)
    size += bytes([bits - 1, 1, 1])
    tile = struct.pack(">HHHIBB", 0xFF90, 10, 0, 18, 0, 1) + b"\xff\x93data"
    return b"\xff\x4f" + size + b"".join(segments) + tile + b"\xff\xd9"


def jp2(
    *boxes: bytes, colours: bytes = b"\1\0\0" + struct.pack(">I", 16), more: bytes = b""
) -> bytes:
    header = box(b"ihdr", bytes(14)) + box(b"colr", colours) + more
    start = box(b"jP  ", b"\r\n\x87\n") + box(b"ftyp", b"jp2 ")
    return b"".join((start, box(b"jp2h", header), *boxes, box(b"jp2c", codestream())))


def test_metadata_of_jpeg_2000_are_found() -> None:
    xmp = bytes.fromhex("be7acfcb97a942e89c71999491e3afac") + XMP
    resolution = struct.pack(">4H2b", 3000, 1, 4000, 3, 0, 1)
    data = jp2(
        box(b"uuid", b"JpgTiffExif->JP2" + exif()),
        box(b"uuid", xmp),
        colours=b"\2\0\0" + PROFILE,
        more=box(b"res ", box(b"resc", resolution)),
    )
    assert held(data) == [
        (Kind.ICC, PROFILE),
        (Kind.DENSITY, Density(Unit.METRE, (40000, 3), (3000, 1)).pack()),
        (Kind.EXIF, exif()),
        (Kind.XMP, XMP),
    ]
    assert lost(data) == []


@pytest.mark.parametrize(
    ("data", "name"),
    [
        (jp2(box(b"uuid", bytes(16))), "box uuid"),
        (jp2(box(b"xml ", b"<x/>")), "box xml"),
        (jp2(box(b"jp2c", codestream())), "box jp2c"),
        (jp2(colours=b"\1\0\0" + struct.pack(">I", 14)), "unknown colours"),
        (jp2(more=box(b"colr", b"\1")), "further description of the colours"),
        (jp2(more=box(b"abcd", b"")), "box abcd"),
        (
            jp2(more=box(b"res ", box(b"resc", struct.pack(">4H2b", 9, 1, 9, 1, 99, 99)))),
            "box resc",
        ),
        (codestream(b"\xff\x63\0\2"), "segment FF63"),
    ],
)
def test_other_parts_of_jpeg_2000_are_told(data: bytes, name: str) -> None:
    assert lost(data) == [name]


def test_comments_and_samples_of_codestreams_are_told() -> None:
    data = codestream(b"\xff\x64\0\7\0\1abc", bits=0x80 + 12)
    assert held(data) == [(Kind.COMMENT, b"abc")]
    assert (contents(data).bits, contents(data).signed) == (12, True)


# Netpbm.


def test_comments_of_netpbm_are_found() -> None:
    data = b"P5#one\n 2 # two\r1\n#\n255\n" + b"#!"
    assert held(data) == [(Kind.COMMENT, b"one"), (Kind.COMMENT, b" two"), (Kind.COMMENT, b"")]
    plain = b"P2 2 1 255 1 # not 7\n2\n"
    assert held(plain) == [(Kind.COMMENT, b" not 7")]
    assert (lost(data), lost(plain)) == ([], [])


@pytest.mark.parametrize(
    "picture",
    [
        b"P5 1 1 255\n\0",
        b"P6 1 1 65535\n" + bytes(6),
        b"P4 9 1\n\0\0",
        b"Pf 1 1 -1.0\n" + bytes(4),
        b"P2 1 1 9 7\n",
        b"P1 2 1 01\n",
        b"P3 1 1 9 7 7 7\n",
    ],
)
def test_a_second_picture_is_told(picture: bytes) -> None:
    assert lost(picture) == []
    assert lost(picture + picture) == [FURTHER]


@pytest.mark.parametrize(
    ("header", "bits", "real"),
    [
        (b"P5 1 1 255\n", 8, False),
        (b"P5 1 1 1023\n", 10, False),
        (b"P4 1 1\n", 1, False),
        (b"PF 1 1 1\n", 32, True),
    ],
)
def test_samples_of_netpbm_are_told(header: bytes, bits: int, real: bool) -> None:
    data = header + bytes(20)
    assert (contents(data).bits, contents(data).real) == (bits, real)


def test_a_scale_is_told() -> None:
    assert lost(b"Pf 1 1 2.5\n" + bytes(4)) == ["scale of the samples"]


@pytest.mark.parametrize(
    "data",
    [
        b"P5 0 1 255\n",
        b"P5 1 1 65536\n\0\0",
        b"P5 1 1 0\n\0",
        b"P2 1 1 9 x",
        b"P2 2 1 9 1",
        b"P1 2 1 02",
        b"P5 99999999999 1 255\n",
        b"Pf 1 1 nan\n" + bytes(4),
        b"P5\n#",
    ],
)
def test_wrong_netpbm_files_have_no_contents(data: bytes) -> None:
    assert list_contents(data) is None
