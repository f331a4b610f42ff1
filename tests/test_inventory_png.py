"""What PNG files consist of."""

from __future__ import annotations

import struct
import zlib
from collections.abc import Sequence

import pytest
from picture_files import PROFILE, XMP, chunk, contents, exif, held, lost, part

from vqcodec.image.inventory.ledger import TEXT_MAX
from vqcodec.image.inventory.listing import list_contents
from vqcodec.image.inventory.parts import Density, Kind, Unit


def png(*chunks: bytes, mode: str = "RGB", bits: int = 8, behind: bytes = b"") -> bytes:
    """A picture of a pixel with chunks before its pixels, and some behind."""
    colour = {"L": 0, "RGB": 2, "P": 3, "LA": 4, "RGBA": 6}[mode]
    header = chunk("IHDR", struct.pack(">IIBBBBB", 1, 1, bits, colour, 0, 0, 0))
    row = bytes(1 + (len(mode) * bits + 7) // 8)
    pixels = chunk("IDAT", zlib.compress(row))
    end = chunk("IEND", b"")
    return b"".join((b"\x89PNG\r\n\x1a\n", header, *chunks, pixels, behind, end))


def test_texts_are_kept_unpacked() -> None:
    packed = zlib.compress(b"long " * 100)
    data = png(
        chunk("tEXt", b"Title\0caf\xe9"),
        chunk("zTXt", b"Comment\0\0" + packed),
        chunk("iTXt", b"Title\0\0\0de\0Titel\0K\xc3\xa4se"),
        behind=chunk("iTXt", b"Title\0\1\0\0\0" + packed),
    )
    found = [(p.key, p.data) for p in contents(data).parts if p.kind is Kind.PNG_CHUNK]
    assert found == [
        ("tEXt", b"Title\0caf\xe9"),
        ("tEXt", b"Comment\0" + b"long " * 100),
        ("iTXt", b"Title\0\0\0de\0Titel\0K\xc3\xa4se"),
        ("iTXt", b"Title\0\0\0\0\0" + b"long " * 100),
    ]
    assert lost(data) == []


@pytest.mark.parametrize(
    ("kind", "data"),
    [
        ("tEXt", b"no separator"),
        ("tEXt", b"\0no keyword"),
        ("tEXt", b"k" * 80 + b"\0"),
        ("zTXt", b"Comment\0\0" + zlib.compress(b"text")[:-1]),
        ("zTXt", b"Comment\0\0" + zlib.compress(b"text") + b"more"),
        ("zTXt", b"Comment\0\1" + zlib.compress(b"text")),
        ("zTXt", b"Comment\0\0" + zlib.compress(bytes(TEXT_MAX + 1))),
        ("iTXt", b"Title"),
        ("iTXt", b"Title\0\2\0\0\0text"),
        ("iTXt", b"XML:com.adobe.xmp\0\0\0en\0\0" + XMP),
        ("iCCP", b"name\0\0not packed"),
        ("gAMA", b"\0\0\1"),
        ("pHYs", struct.pack(">IIB", 1, 1, 2)),
        ("sBIT", b"\x09\1\1"),
        ("sBIT", b"\1\1"),
        ("bKGD", struct.pack(">3H", 0, 0, 256)),
        ("bKGD", b"\0\0"),
        ("hIST", b"\0\0"),
        ("tIME", b"\0"),
        ("caBX", b"who made it"),
    ],
)
def test_chunks_that_are_unknown_or_wrong_are_told(kind: str, data: bytes) -> None:
    assert lost(png(chunk(kind, data))) == [f"chunk {kind}"]


def test_texts_unpack_to_no_more_than_the_limit_together() -> None:
    half = chunk("zTXt", b"Comment\0\0" + zlib.compress(bytes(TEXT_MAX // 2 + 1)))
    data = png(half, half, half)
    assert lost(data) == ["chunk zTXt"]
    assert len(held(data)) == 1


def test_metadata_of_png_are_found() -> None:
    data = png(
        chunk("gAMA", b"gamm"),
        chunk("cHRM", bytes(range(32))),
        chunk("sRGB", b"\0"),
        chunk("cICP", b"\x09\x10\0\1"),
        chunk("iCCP", b"name\0\0" + zlib.compress(PROFILE)),
        chunk("pHYs", struct.pack(">IIB", 3000, 4000, 1)),
        chunk("tIME", b"2024 ok"),
        chunk("eXIf", exif()),
        chunk("iTXt", b"XML:com.adobe.xmp\0\0\0\0\0" + XMP),
    )
    assert held(data) == [
        (Kind.GAMMA, b"gamm"),
        (Kind.CHROMATICITIES, bytes(range(32))),
        (Kind.SRGB, b"\0"),
        (Kind.CICP, b"\x09\x10\0\1"),
        (Kind.ICC, PROFILE),
        (Kind.DENSITY, Density(Unit.METRE, (3000, 1), (4000, 1)).pack()),
        (Kind.PNG_CHUNK, b"2024 ok"),
        (Kind.EXIF, exif()),
        (Kind.XMP, XMP),
    ]
    assert lost(data) == []


def raw_profile(keyword: bytes, profile: bytes) -> bytes:
    """As ImageMagick writes it."""
    lines = [profile[at : at + 36].hex() for at in range(0, len(profile), 36)]
    text = f"\nexif\n{len(profile):8}\n" + "\n".join(lines) + "\n"
    return chunk("zTXt", keyword + b"\0\0" + zlib.compress(text.encode()))


@pytest.mark.parametrize("keyword", [b"Raw profile type exif", b"Raw profile type APP1"])
def test_imagemagicks_exif_is_exif_unless_there_is_another(keyword: bytes) -> None:
    text = raw_profile(keyword, b"Exif\0\0" + exif())
    assert held(png(text)) == [(Kind.EXIF, exif())]
    both = png(text, behind=chunk("eXIf", exif("two")))
    assert part(both, Kind.EXIF).data == exif("two")
    assert part(both, Kind.PNG_CHUNK).data.startswith(keyword + b"\0\nexif")


@pytest.mark.parametrize("profile", [b"http://ns.adobe.com/xap/1.0/\0" + XMP, b"", b"Exif\0\0"])
def test_imagemagicks_other_profiles_are_texts(profile: bytes) -> None:
    assert part(png(raw_profile(b"Raw profile type APP1", profile)), Kind.PNG_CHUNK).key == "tEXt"


@pytest.mark.parametrize(
    ("mode", "bits", "data", "expected"),
    [
        ("RGB", 8, (1, 2, 3), (1, 2, 3)),
        ("RGB", 16, (65535, 32768, 0), (255, 128, 0)),
        ("L", 8, (7,), (7, 7, 7)),
        ("L", 2, (2,), (170, 170, 170)),
        ("LA", 16, (257,), (1, 1, 1)),
    ],
)
def test_a_background_becomes_that_of_8_bit_rgb(
    mode: str, bits: int, data: Sequence[int], expected: Sequence[int]
) -> None:
    raw = struct.pack(f">{len(data)}H", *data)
    found = part(png(chunk("bKGD", raw), mode=mode, bits=bits), Kind.PNG_CHUNK)
    assert struct.unpack(">3H", found.data) == expected


def test_a_background_of_the_palette_is_looked_up() -> None:
    palette = chunk("PLTE", bytes([1, 2, 3, 4, 5, 6]))
    data = png(palette, chunk("bKGD", b"\1"), mode="P")
    assert struct.unpack(">3H", part(data, Kind.PNG_CHUNK).data) == (4, 5, 6)
    assert lost(png(palette, chunk("bKGD", b"\2"), mode="P")) == ["chunk bKGD"]
    assert lost(png(chunk("bKGD", b"\0"), palette, mode="P")) == ["chunk bKGD"]
    assert lost(png(palette)) == ["suggested palette"]


@pytest.mark.parametrize(
    ("mode", "bits", "significant", "kept"),
    [
        ("RGB", 8, b"\5\6\5", b"\5\6\5"),
        ("RGBA", 8, b"\5\6\5\1", b"\5\6\5"),
        ("L", 8, b"\4", b"\4\4\4"),
        ("LA", 8, b"\4\1", b"\4\4\4"),
        ("P", 4, b"\5\6\5", b"\5\6\5"),
        ("RGB", 8, b"\x08\x08\x08", b""),
        ("L", 16, b"\x10", b""),
        ("L", 4, b"\4", b""),
    ],
)
def test_significant_bits_become_those_of_rgb(
    mode: str, bits: int, significant: bytes, kept: bytes
) -> None:
    data = png(chunk("sBIT", significant), mode=mode, bits=bits)
    assert [found for _, found in held(data)] == ([kept] if kept else [])
    assert lost(data) == []


def test_chunks_that_come_again_or_too_late_are_told() -> None:
    gamma, block = chunk("gAMA", b"gamm"), chunk("eXIf", exif())
    assert lost(png(gamma, gamma)) == ["further chunk gAMA"]
    assert lost(png(behind=gamma)) == ["misplaced chunk gAMA"]
    assert lost(png(block, behind=block)) == ["further chunk eXIf"]
    assert lost(png(gamma[:-1] + b"\0")) == ["chunk gAMA with a wrong checksum"]
    header = png()[8:33]
    assert list_contents(png(header)) is None
    assert list_contents(png(behind=chunk("tEXt", b"a\0b") + chunk("IDAT", b""))) is None


@pytest.mark.parametrize("bits", [1, 2, 4, 8, 16])
def test_bits_of_png_samples_are_told(bits: int) -> None:
    assert contents(png(mode="L", bits=bits)).bits == bits
    assert contents(png(mode="P", bits=min(bits, 8))).bits == 8
