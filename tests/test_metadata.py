"""What a file says beside its pixels comes back, byte for byte, through a .vqc file."""

from __future__ import annotations

import io
import struct
import tracemalloc
import zlib
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from conftest import photo, with_metadata
from PIL import Image, ImageOps
from test_reading import png, read, saved

import vqcodec
from vqcodec.codec.search import Wish
from vqcodec.container import Chunk, parse, serialise
from vqcodec.errors import CorruptError, FormatError, LimitError, PictureError, VqcWarning
from vqcodec.image import exif_tags
from vqcodec.image.chunks import write_png_chunks
from vqcodec.image.inventory.parts import Density, Unit
from vqcodec.image.metadata import comment_chunk, comment_of
from vqcodec.image.picture import PNG_CHUNKS_MAX, Metadata, Picture
from vqcodec.image.pipeline import decode, encode
from vqcodec.image.survey import survey
from vqcodec.image.writing import _SIDE_MAX, change_by, format_of, write_picture
from vqcodec.models.vqvae import VqVae


def through(data: bytes, model: VqVae) -> Picture:
    """The picture that a .vqc file of a picture file holds."""
    return decode(encode(read(data).picture, model, Wish()).data, model=model)


def tag(number: int, kind: int, count: int, value: bytes) -> bytes:
    return struct.pack(">HHI", number, kind, count) + value


def exif_block(*, orientation: int = 6) -> bytes:
    """EXIF with UTF-8 where ASCII should be, a maker's note with an absolute offset, and a gap."""
    text, note = "Zürich\0".encode(), b"MAKER\0" + struct.pack(">I", 128) + b"\xfe\xff"
    main = [
        tag(0x010E, 2, len(text), struct.pack(">I", 100)),
        tag(0x0112, 3, 1, struct.pack(">HH", orientation, 0)),
        tag(0x8769, 4, 1, struct.pack(">I", 64)),
    ]
    inner = [tag(0x927C, 7, len(note), struct.pack(">I", 128))]
    block = b"MM\0*\0\0\0\x08" + struct.pack(">H", len(main)) + b"".join(main) + bytes(4)
    block = block.ljust(64, b"\xaa") + struct.pack(">H", 1) + inner[0] + bytes(4)
    block = block.ljust(100, b"\xbb") + text
    return block.ljust(128, b"\xcc") + note


def segment(marker: int, data: bytes) -> bytes:
    return bytes((0xFF, marker)) + struct.pack(">H", len(data) + 2) + data


def jpeg(*segments: bytes) -> bytes:
    plain = saved(photo(60, 30), "JPEG")
    assert plain[2:4] == b"\xff\xe0"
    behind = 4 + int.from_bytes(plain[4:6], "big")
    return plain[:behind] + b"".join(segments) + plain[behind:]


GUID = b"0123456789ABCDEF" * 2
EXTENDED = b"<x:xmpmeta>" + b"long " * 40_000 + b"</x:xmpmeta>"
XMP = b'<x:xmpmeta><rdf:Description xmpNote:HasExtendedXMP="' + GUID + b'"/></x:xmpmeta>'
IPTC = b"8BIM\x04\x04\0\0\0\0\0\x08\x1c\x02\x05\0\x03abc"


def extension() -> list[bytes]:
    head = b"http://ns.adobe.com/xmp/extension/\0" + GUID
    return [
        segment(0xE1, head + struct.pack(">II", len(EXTENDED), at) + EXTENDED[at : at + 60_000])
        for at in range(0, len(EXTENDED), 60_000)
    ]


def everything() -> bytes:
    return jpeg(
        segment(0xE1, b"Exif\0\0" + exif_block()),
        segment(0xE1, b"http://ns.adobe.com/xap/1.0/\0" + XMP),
        *extension(),
        segment(0xED, b"Photoshop 3.0\0" + IPTC),
        segment(0xFE, b"caf\xc3\xa9"),
        segment(0xFE, b"caf\xe9"),
    )


def test_a_jpeg_file_comes_back_with_all_that_it_said(model: VqVae) -> None:
    data = everything()
    source = read(data)
    assert not source.inventory.lost
    back = write_picture(through(data, model), "JPEG")
    found = read(back).picture.metadata
    before = read(data).picture.metadata
    assert found == before
    assert before.exif == exif_tags.upright(exif_block())
    assert (found.xmp, found.xmp_extension, found.resources) == (XMP, EXTENDED, IPTC)
    assert b"caf\xc3\xa9" in back
    assert b"caf\xe9" in back


def test_only_the_orientation_of_exif_changes() -> None:
    for orientation in range(1, 9):
        block = exif_block(orientation=orientation)
        changed = exif_tags.upright(block)
        assert [i for i in range(len(block)) if block[i] != changed[i]] == (
            [31] if orientation > 1 else []
        )
        assert exif_tags.orientation(changed) == 1
    # Values that are no orientation are no business of ours.
    assert exif_tags.upright(exif_block(orientation=9)) == exif_block(orientation=9)


@pytest.mark.parametrize("cut", [9, 30, 60, 70, 110, 130])
def test_damaged_exif_is_kept_as_it_is(cut: int, model: VqVae) -> None:
    block = exif_block()[:cut]
    data = jpeg(segment(0xE1, b"Exif\0\0" + block))
    assert not read(data).inventory.lost
    kept = through(data, model).metadata.exif
    assert kept == exif_tags.upright(block)
    for name in ("PNG", "JPEG", "WEBP"):
        out = write_picture(through(data, model), name)
        assert read(out).picture.metadata.exif == kept


@pytest.mark.parametrize("name", ["PNG", "JPEG", "WEBP", "TIFF", "AVIF"])
@pytest.mark.filterwarnings("ignore::vqcodec.errors.VqcWarning")
def test_metadata_is_kept_through_formats(model: VqVae, name: str) -> None:
    image = with_metadata()
    data = saved(image, "JPEG", exif=image.info["exif"], icc_profile=image.info["icc_profile"])
    picture = replace(
        through(data, model), metadata=replace(through(data, model).metadata, xmp=b"<x/>")
    )
    out = write_picture(picture, name)
    again = Image.open(io.BytesIO(out))
    assert again.size == (30, 60)  # upright
    again.load()
    assert again.info["icc_profile"] == image.info["icc_profile"]
    assert again.getexif()[0x010E] == "a description"
    assert ImageOps.exif_transpose(again).size == (30, 60)
    found = read(out)
    assert found.picture.metadata.xmp == b"<x/>"
    if name in ("PNG", "JPEG", "WEBP"):
        assert found.picture.metadata.exif == picture.metadata.exif
        assert not found.inventory.lost


@pytest.mark.filterwarnings("ignore::vqcodec.errors.VqcWarning")
def test_no_orientation_is_left_in_any_metadata() -> None:
    exif = Image.Exif()
    exif[0x0112] = 6
    xmp = b'<x:xmpmeta><rdf:Description tiff:Orientation="6"/></x:xmpmeta>'
    picture = read(saved(photo(60, 30), "JPEG", exif=exif, xmp=xmp)).picture
    assert picture.pixels.shape == (60, 30, 3)
    for name in ("PNG", "JPEG", "WEBP", "TIFF", "AVIF"):
        out = Image.open(io.BytesIO(write_picture(picture, name)))
        assert ImageOps.exif_transpose(out).size == (30, 60), name


TEXTS = [
    (b"tEXt", b"Title\0caf\xe9"),
    (b"iTXt", b"Author\0\0\0en\0Autor\0caf\xc3\xa9"),
    (b"zTXt", b"Note\0\0" + zlib.compress(b"packed")),
    (b"tIME", bytes((7, 234, 11, 26, 5, 4, 3))),
    (b"pHYs", struct.pack(">IIB", 11811, 5905, 1)),
    (b"cICP", b"\x0c\x0d\x00\x01"),
]


def test_texts_and_other_chunks_of_png_come_back(model: VqVae) -> None:
    data = png(np.asarray(photo(20, 20)), *TEXTS)
    assert not read(data).inventory.lost
    out = write_picture(through(data, model), "PNG")
    assert read(out).picture.metadata == read(data).picture.metadata
    for kind, value in (*TEXTS[:2], (b"tEXt", b"Note\0packed"), *TEXTS[3:]):
        assert kind + value in out, kind
    with Image.open(io.BytesIO(out)) as image:
        image.load()
        assert image.text == {"Title": "café", "Author": "café", "Note": "packed"}
        assert image.info["dpi"] == pytest.approx((300, 150), abs=0.1)


def test_texts_of_png_have_no_zeros_inside() -> None:
    comments = (
        comment_chunk(b"caf\xc3\xa9\0"),
        comment_chunk(b"\xe9\0\xe9\0"),
        ("tEXt", b"Empty\0"),
    )
    pixels = np.zeros((2, 2, 3), np.uint8)
    out = write_picture(Picture(pixels=pixels, metadata=Metadata(png_chunks=comments)), "PNG")
    found = read(out).picture.metadata.png_chunks
    assert found == (comment_chunk(b"caf\xc3\xa9"), comment_chunk(b"\xe9\xe9"), comments[2])


def test_significant_bits_are_those_of_alpha_too() -> None:
    data = png(np.zeros((4, 4, 3), np.uint8), (b"sBIT", b"\5\6\5"))
    picture = read(data).picture
    opaque = write_picture(picture, "PNG")
    assert read(opaque).picture.metadata == picture.metadata
    alpha = np.full((4, 4), 9, np.uint8)
    assert b"sBIT\5\6\5\x08" in write_picture(replace(picture, alpha=alpha), "PNG")


def test_texts_beyond_the_limit_keep_the_source() -> None:
    many = [(b"tEXt", b"Note\0%d" % number) for number in range(PNG_CHUNKS_MAX + 1)]
    assert not read(png(np.zeros((2, 2), np.uint8), *many[:-1])).inventory.lost
    assert read(png(np.zeros((2, 2), np.uint8), *many)).inventory.lost


@pytest.mark.parametrize(
    "comment", [b"", b"plain", b"caf\xc3\xa9", b"caf\xe9", b"zero\0", b"\xff" * 9]
)
def test_comments_are_kept_as_bytes(comment: bytes) -> None:
    assert comment_of(comment_chunk(comment)) == comment


DENSITIES = {
    "JPEG": Density(Unit.INCH, (300, 1), (150, 1)),
    "PNG": Density(Unit.METRE, (11811, 1), (5905, 1)),
    "TIFF": Density(Unit.CENTIMETRE, (2362, 20), (1181, 20)),
}


@pytest.mark.parametrize("name", DENSITIES)
@pytest.mark.filterwarnings("ignore::vqcodec.errors.VqcWarning")
def test_densities_come_back_exactly(name: str) -> None:
    pixels = np.asarray(photo(20, 20))
    picture = Picture(pixels=pixels, metadata=Metadata(density=DENSITIES[name]))
    for _ in range(2):  # what was read is written again
        source = read(write_picture(picture, name))
        picture = source.picture
        assert picture.metadata.density == DENSITIES[name]
        assert not source.inventory.lost


def test_densities_turn_with_the_picture() -> None:
    data = saved(photo(20, 20), "JPEG", dpi=(300, 150), exif=b"Exif\0\0" + exif_block())
    source = read(data)
    assert source.picture.metadata.density == Density(Unit.INCH, (150, 1), (300, 1))
    assert not source.inventory.lost


@pytest.mark.filterwarnings("ignore::vqcodec.errors.VqcWarning")
def test_tiff_keeps_what_describes_it_and_not_its_layout(model: VqVae) -> None:
    exif = Image.Exif()
    exif[0x010E], exif[0x8298] = "a description", "© someone"
    exif[33550] = (1.0, 2.0, 0.0)  # GeoTIFF's pixel scale
    exif.get_ifd(0x8769)[0x9003] = "2026:11:26 05:04:03"
    exif.get_ifd(0x8825)[1] = "N"
    written = Metadata(exif=exif.tobytes().removeprefix(b"Exif\0\0"))
    data = write_picture(Picture(pixels=np.asarray(photo(60, 30)), metadata=written), "TIFF")
    source = read(data)
    assert not source.inventory.lost
    block = source.picture.metadata.exif
    assert block is not None
    kept = Image.Exif()
    kept.load(block)
    assert kept[0x010E] == "a description"
    assert kept[33550] == (1.0, 2.0, 0.0)
    assert kept.get_ifd(0x8769)[0x9003] == "2026:11:26 05:04:03"
    assert 273 not in kept  # where the strips of pixels were
    again = write_picture(through(data, model), "TIFF")
    assert read(again).picture.metadata.exif == block


def hostile_tags(*tags: bytes, padding: int = 0) -> bytes:
    head = b"MM\0*\0\0\0\x08" + struct.pack(">H", len(tags)) + b"".join(tags) + bytes(4)
    return head + bytes(padding)


@pytest.mark.filterwarnings("ignore::vqcodec.errors.VqcWarning")
def test_tags_of_storage_in_exif_do_not_reach_tiff_files() -> None:
    storage = (254, 256, 257, 258, 259, 262, 266, 273, 277, 278, 279, 284, 317, 320, 338, 339)
    tags = [tag(number, 3, 1, b"\0\7\0\0") for number in storage]
    pixels = np.asarray(photo(20, 20))
    picture = Picture(pixels=pixels, metadata=Metadata(exif=hostile_tags(*tags)))
    out = Image.open(io.BytesIO(write_picture(picture, "TIFF")))
    assert np.array_equal(np.asarray(out), pixels)


@pytest.mark.filterwarnings("ignore::vqcodec.errors.VqcWarning")
@pytest.mark.parametrize("name", ["PNG", "JPEG", "WEBP", "TIFF", "AVIF"])
def test_large_and_overlapping_tags_take_no_more_than_their_bytes(name: str) -> None:
    size = 1 << 20
    large = hostile_tags(tag(0x010E, 3, size // 2, struct.pack(">I", 26)), padding=size)
    many = [tag(40091, 1, 1 << 16, struct.pack(">I", 8))] * 2000
    overlapping = hostile_tags(*many, padding=1 << 16)
    for block in (large, overlapping):
        picture = Picture(pixels=np.zeros((8, 8, 3), np.uint8), metadata=Metadata(exif=block))
        tracemalloc.start()
        write_picture(picture, name)
        _, peak = tracemalloc.get_traced_memory()
        tracemalloc.stop()
        assert peak < 12 * size


@pytest.mark.filterwarnings("ignore::vqcodec.errors.VqcWarning")
def test_tags_are_never_unpacked_when_pictures_are_read() -> None:
    size = 1 << 22
    block = hostile_tags(tag(0x0112, 3, size // 2, struct.pack(">I", 26)), padding=size)
    data = png(np.zeros((8, 8), np.uint8), (b"eXIf", block))
    tracemalloc.start()
    read(data)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 8 * size


@pytest.mark.parametrize("name", ["JPEG", "WEBP", "AVIF", "BMP", "GIF"])
def test_what_a_format_has_no_place_for_is_named(name: str) -> None:
    metadata = Metadata(
        xmp=bytes(70_000),
        resources=IPTC,
        png_chunks=(("tEXt", b"Title\0text"),),
        exif=bytes(70_000),
    )
    picture = Picture(pixels=np.zeros((8, 8, 3), np.uint8), metadata=metadata)
    with pytest.warns(VqcWarning, match=f"{name} has no place for its .*texts"):
        write_picture(picture, name)


@pytest.mark.filterwarnings("ignore::vqcodec.errors.VqcWarning")
def test_damaged_exif_is_left_out_where_it_must_be_taken_apart() -> None:
    picture = Picture(pixels=np.zeros((8, 8, 3), np.uint8), metadata=Metadata(exif=b"garbage"))
    for name in ("TIFF", "AVIF"):
        with pytest.warns(VqcWarning, match="damaged and dropped"):
            write_picture(picture, name)


@pytest.mark.parametrize(("name", "kept"), [("PNG", True), ("JPEG", True), ("WEBP", False)])
def test_of_texts_those_that_are_left_out_are_named(
    name: str, kept: bool, recwarn: pytest.WarningsRecorder
) -> None:
    chunks = (comment_chunk(b"seen"), ("tEXt", b"Title\0a"), ("iTXt", b"Author\0\0\0\0\0b"))
    chunks += (("sBIT", b"\5\5\5"), ("tEXt", b"Title\0c"))
    pixels = np.zeros((8, 8, 3), np.uint8)
    picture = Picture(pixels=pixels, metadata=Metadata(png_chunks=chunks))
    assert (b"seen" in write_picture(picture, name)) is kept
    told = [str(warning.message) for warning in recwarn]
    named = "Title, Author" if kept else "Comment, Title, Author"
    missing = f"{name} has no place for its texts ({named}), PNG chunk sBIT"
    assert told == ([] if name == "PNG" else [missing])
    many = Metadata(png_chunks=tuple(("tEXt", b"Key %d\0a" % number) for number in range(1000)))
    with pytest.warns(VqcWarning, match=r"\(Key 0, .*, 992 more\)"):
        write_picture(Picture(pixels=pixels, metadata=many), "JPEG")


@pytest.mark.parametrize(("name", "most"), _SIDE_MAX.items())
def test_sizes_that_a_format_does_not_have_are_named(name: str, most: int) -> None:
    for shape in ((1, most), (most, 1)):
        assert write_picture(Picture(pixels=np.zeros((*shape, 3), np.uint8)), name)
    for shape in ((1, most + 1), (most + 1, 1)):
        with pytest.raises(PictureError, match=f"{name}, .* at most {most} a side") as caught:
            write_picture(Picture(pixels=np.zeros((*shape, 3), np.uint8)), name)
        assert "PNG and TIFF" in caught.value.hint


def test_formats_without_alpha_get_white_and_a_warning() -> None:
    alpha = np.zeros((9, 9), np.uint8)
    picture = Picture(pixels=np.zeros((9, 9, 3), np.uint8), alpha=alpha)
    with pytest.warns(VqcWarning, match="white"):
        out = write_picture(picture, "JPEG")
    assert np.asarray(Image.open(io.BytesIO(out))).min() > 250


@pytest.mark.parametrize(
    ("name", "quality", "lossy"),
    [
        *(("JPEG", None, True), ("AVIF", 50, True), ("WEBP", 50, True), ("GIF", None, True)),
        *((name, None, False) for name in ("PNG", "WEBP", "TIFF", "BMP")),
    ],
)
def test_formats_that_change_pixels_are_named(name: str, quality: int | None, lossy: bool) -> None:
    pixels = np.asarray(photo(40, 30))
    pixels = np.stack([pixels[..., 0]] * 3, axis=2)
    out = Image.open(io.BytesIO(write_picture(Picture(pixels=pixels), name, quality)))
    same = np.array_equal(np.asarray(out.convert("RGB")), pixels)
    assert ("pixels change" in change_by(name, quality)) == lossy
    assert same or lossy


@pytest.mark.parametrize("name", ["photo.xyz", "photo", "photo.ico", ""])
def test_unknown_formats_are_refused(name: str) -> None:
    with pytest.raises(ValueError, match="suffix"):
        format_of(name)


EVERY_FIELD = {
    "icc": b"profile",
    "exif": exif_block(orientation=1),
    "xmp": XMP,
    "xmp_extension": EXTENDED,
    "resources": IPTC,
    "cicp": b"\x09\x10\x00\x01",
    "density": DENSITIES["JPEG"],
    "png_chunks": (("tEXt", b"Title\0text"), ("tIME", bytes(7))),
    "modified": -(2**62),
}


def test_every_field_has_its_chunk(model: VqVae) -> None:
    assert EVERY_FIELD.keys() == set(Metadata.__dataclass_fields__)
    metadata = Metadata(**EVERY_FIELD)  # type: ignore[arg-type]
    picture = Picture(pixels=np.asarray(photo(20, 20)), metadata=metadata)
    data = encode(picture, model, Wish()).data
    assert decode(data, model=model).metadata == metadata
    assert len(parse(data).chunks) == len(EVERY_FIELD)


@pytest.mark.parametrize(
    ("kind", "data", "error"),
    [
        (b"ALPH", b"no picture", CorruptError),
        (b"exif", b"no zlib", CorruptError),
        (b"iccp", b"", CorruptError),
        (b"cicp", b"\1\1\1\1", CorruptError),
        (b"dens", bytes(16), CorruptError),
        (b"dens", b"\4" + bytes(16), CorruptError),
        (b"time", bytes(9), CorruptError),
        (b"pngc", zlib.compress(b"\0\0\0\1tEXtab"), CorruptError),
        (b"pngc", zlib.compress(struct.pack(">I", 2**31) + b"tEXt"), CorruptError),
        (b"pngc", zlib.compress(write_png_chunks([("IDAT", b"pixels")])), CorruptError),
    ],
)
def test_wrong_chunks_are_format_errors(
    model: VqVae, kind: bytes, data: bytes, error: type[FormatError]
) -> None:
    container = parse(vqcodec.compress(photo(), model=model))
    wrong = serialise(replace(container, chunks=(Chunk(type=kind, data=data),)))
    for read_file in (vqcodec.decompress, vqcodec.verify):
        with pytest.raises(error):
            read_file(wrong, model=model)
    assert vqcodec.salvage(wrong, model=model).damage


def test_metadata_bombs_are_refused(model: VqVae, monkeypatch: pytest.MonkeyPatch) -> None:
    image = photo()
    image.info["xmp"] = bytes(2000)
    data = vqcodec.compress(image, model=model)
    monkeypatch.setattr("vqcodec.codec.chunks.UNPACKED_MAX", 1000)
    with pytest.raises(LimitError):
        vqcodec.decompress(data, model=model)


def test_images_of_the_python_api_have_what_pillow_knows(model: VqVae) -> None:
    out: Any = vqcodec.decompress(
        vqcodec.compress(saved(with_metadata(), "JPEG", dpi=(300, 300)), model=model), model=model
    )
    assert out.info["dpi"] == pytest.approx((300, 300))
    assert "icc_profile" not in out.info


def test_a_survey_is_the_inventory_without_the_pixels() -> None:
    for data in (everything(), png(np.asarray(photo(20, 20)), *TEXTS), jpeg() + b"video"):
        assert survey(data) == read(data).inventory
    assert survey(b"no picture").lost
