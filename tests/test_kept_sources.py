"""Sources of which something would be lost stay: what a reading of odd and damaged files showed.

Each test compares what was read with the file by means of its own.
"""

from __future__ import annotations

import io
import struct
import zlib
from pathlib import Path

import numpy as np
import pytest
from conftest import Run, photo, removing
from numpy.typing import NDArray
from PIL import Image
from test_metadata import exif_block, hostile_tags, jpeg, segment, tag
from test_reading import grey_profile, png, read, saved, taken

from vqcodec.errors import PictureError, VqcWarning
from vqcodec.image.inventory.parts import Density, Unit
from vqcodec.image.picture import Metadata, Picture
from vqcodec.image.reading import picture_of, read_picture
from vqcodec.image.survey import survey
from vqcodec.image.writing import write_picture

PIXELS = np.asarray(photo(24, 16))
ADAM7 = (
    *((0, 0, 8, 8), (4, 0, 8, 8), (0, 4, 4, 8), (2, 0, 4, 4)),
    *((0, 2, 2, 4), (1, 0, 2, 2), (0, 1, 1, 2)),
)
"""First column and row of each pass of an interlaced picture, and its steps."""


def tiff(samples: NDArray[np.uint8], photometric: int, extra: list[int], *more: bytes) -> bytes:
    """An uncompressed TIFF file of one strip; `extra` are the kinds of its last channels."""
    height, width, count = samples.shape
    kinds = struct.pack(f">{len(extra)}H", *extra)
    tags = [
        tag(256, 3, 1, struct.pack(">HH", width, 0)),
        tag(257, 3, 1, struct.pack(">HH", height, 0)),
        tag(258, 3, count, struct.pack(">I", 400)),
        tag(259, 3, 1, b"\0\1\0\0"),
        tag(262, 3, 1, struct.pack(">HH", photometric, 0)),
        tag(273, 4, 1, struct.pack(">I", 500)),
        tag(277, 3, 1, struct.pack(">HH", count, 0)),
        tag(278, 3, 1, struct.pack(">HH", height, 0)),
        tag(279, 4, 1, struct.pack(">I", samples.size)),
        *more,
    ]
    if extra:
        value = kinds.ljust(4, b"\0") if len(kinds) <= 4 else struct.pack(">I", 450)
        tags.append(tag(338, 3, len(extra), value))
    head = b"MM\0*\0\0\0\x08" + struct.pack(">H", len(tags)) + b"".join(tags) + bytes(4)
    head = head.ljust(400, b"\0") + struct.pack(f">{count}H", *[8] * count)
    head = head.ljust(450, b"\0") + (kinds if len(kinds) > 4 else b"")
    return head.ljust(500, b"\0") + samples.tobytes()


def with_channels(count: int) -> NDArray[np.uint8]:
    rng = np.random.default_rng(0)
    return np.dstack([PIXELS, rng.integers(0, 256, (16, 24, count), dtype=np.uint8)])


@pytest.mark.parametrize("extra", [[0], [0, 0], [1, 0], [2, 0]])
def test_channels_that_are_not_read_are_named(extra: list[int]) -> None:
    assert any(
        "further channels" in loss
        for loss in survey(tiff(with_channels(len(extra)), 2, extra)).lost
    )


@pytest.mark.parametrize("extra", [[], [2]])
def test_channels_that_are_read_are_no_loss(extra: list[int]) -> None:
    data = tiff(with_channels(len(extra)), 2, extra)
    assert not survey(data).lost
    assert (read(data).picture.alpha is not None) == bool(extra)


def test_inks_that_are_not_cmyk_are_named() -> None:
    inks = np.dstack([PIXELS, PIXELS[..., :1]])
    assert not survey(tiff(inks, 5, [])).lost
    assert survey(tiff(inks, 5, [], tag(332, 3, 1, b"\0\2\0\0"))).lost


def cut(data: bytes) -> bytes:
    return data[: len(data) * 2 // 3] + b"\xff\xd9"


@pytest.mark.parametrize("options", [{}, {"progressive": True}], ids=["baseline", "progressive"])
def test_damaged_jpeg_files_that_pillow_shows_anyway_are_kept(options: dict[str, bool]) -> None:
    data = saved(photo(200, 150), "JPEG", quality=90, **options)
    assert not read(data).inventory.lost
    assert read(cut(data)).inventory.lost
    hidden = data[:-2] + b"hidden" * 200 + data[-2:]
    assert read(hidden).inventory.lost


def test_progressive_files_without_their_last_scans_are_kept() -> None:
    data = saved(photo(200, 150), "JPEG", quality=90, progressive=True)
    last = data.rindex(b"\xff\xda")
    huffman = data.rindex(b"\xff\xc4", 0, last)
    assert survey(data[:huffman] + b"\xff\xd9").lost == ("scans that are missing from the pixels",)


@pytest.mark.parametrize("mode", ["L", "RGB", "CMYK"])
def test_whole_jpeg_files_are_not_damaged(mode: str) -> None:
    sampled = {"subsampling": 0 if mode == "CMYK" else 2}  # the decoder knows no other CMYK
    for options in ({}, {"progressive": True}, sampled, {"restart_marker_rows": 1}):
        data = saved(photo(50, 33).convert(mode), "JPEG", **options)
        assert not read(data).inventory.lost, (mode, options)


@pytest.mark.parametrize("depth", [1, 2, 4, 8])
def test_transparent_greys_of_every_depth_are_transparent(depth: int) -> None:
    levels = (np.arange(16)[None].repeat(4, 0) % (1 << depth)).astype(np.uint8)
    bits = np.unpackbits(levels[..., None], axis=2)[..., 8 - depth :]
    rows = np.packbits(bits.reshape(4, -1), axis=1)
    data = png(rows, (b"tRNS", b"\0\1"))
    head = struct.pack(">IIBBBBB", 16, 4, depth, 0, 0, 0, 0)
    packed = b"IHDR" + head
    data = data[:12] + packed + struct.pack(">I", zlib.crc32(packed)) + data[33:]
    alpha = read(data).picture.alpha
    assert alpha is not None
    assert np.array_equal(alpha == 0, levels == 1)


@pytest.mark.parametrize(
    ("chunks", "is_kept"),
    [
        ([(b"gAMA", (100_000,))], True),
        # Those of ProPhoto RGB, whose blue is darker than any lamp's.
        ([(b"cHRM", (34567, 35850, 73470, 26530, 15960, 84040, 3660, 10))], True),
        ([(b"gAMA", (0,))], False),
        ([(b"gAMA", (2_000_000_000,))], False),
        ([(b"cHRM", (0,) * 8)], False),
    ],
)
@pytest.mark.filterwarnings("ignore::vqcodec.errors.VqcWarning")
def test_colours_that_cannot_be_used_are_lost(
    chunks: list[tuple[bytes, tuple[int, ...]]], is_kept: bool
) -> None:
    packed = [(kind, struct.pack(f">{len(values)}I", *values)) for kind, values in chunks]
    source = read(png(PIXELS, *packed))
    assert bool(source.inventory.lost) != is_kept
    assert survey(png(PIXELS, *packed)) == source.inventory
    assert (source.picture.metadata.icc is not None) == is_kept


@pytest.mark.parametrize("code", [b"\1\x0d\0\0", b"\x09\x10\x09\1"])
def test_colour_codes_of_other_pixels_than_rgb_are_lost(code: bytes) -> None:
    source = read(png(PIXELS, (b"cICP", code)))
    assert source.inventory.lost
    assert source.picture.metadata.cicp is None


def stale(orientation: int) -> bytes:
    return b'<x:xmpmeta><rdf:Description tiff:Orientation="%d"/></x:xmpmeta>' % orientation


def test_xmp_turns_only_what_exif_says_nothing_of() -> None:
    upright = b"Exif\0\0" + exif_block(orientation=1)
    for name in ("JPEG", "PNG", "WEBP"):
        more = {} if name == "PNG" else {"xmp": stale(6)}
        data = saved(photo(24, 16), name, exif=upright, **more)
        assert read(data).picture.pixels.shape == (16, 24, 3), name
    sideways = saved(photo(24, 16), "JPEG", xmp=stale(6))
    assert read(sideways).picture.pixels.shape == (24, 16, 3)


def test_avif_is_turned_by_its_own_boxes_alone() -> None:
    data = saved(photo(24, 16), "AVIF", xmp=stale(6))
    assert read(data).picture.pixels.shape == (16, 24, 3)


def test_what_belongs_to_a_turned_tiff_turns_with_it() -> None:
    rational = [struct.pack(">II", number, 1) for number in (204, 98)]
    base = tiff(PIXELS, 2, [], tag(274, 3, 1, b"\0\6\0\0"))
    at = len(base)
    more = [
        tag(274, 3, 1, b"\0\6\0\0"),
        tag(282, 5, 1, struct.pack(">I", at)),
        tag(283, 5, 1, struct.pack(">I", at + 8)),
        tag(296, 3, 1, b"\0\2\0\0"),
    ]
    data = tiff(PIXELS, 2, [], *more) + b"".join(rational)
    source = read(data)
    assert source.picture.pixels.shape == (24, 16, 3)
    assert source.picture.metadata.density == Density(Unit.INCH, (98, 1), (204, 1))
    assert not source.inventory.lost
    scale = tag(33550, 12, 3, struct.pack(">I", at + 16))
    tied = tiff(PIXELS, 2, [], *more, scale) + b"".join(rational) + bytes(24)
    assert read(tied).inventory.lost


def test_bytes_hidden_behind_pixels_are_named() -> None:
    data = png(PIXELS)
    assert not survey(data).lost
    start = data.index(b"IDAT")
    size = int.from_bytes(data[start - 4 : start], "big")
    rows = zlib.decompress(data[start + 4 : start + 4 + size])
    for packed in (zlib.compress(rows) + b"hidden", zlib.compress(rows + b"hidden")):
        sealed = b"IDAT" + packed
        chunk = struct.pack(">I", len(packed)) + sealed + struct.pack(">I", zlib.crc32(sealed))
        changed = data[: start - 4] + chunk + data[start + 8 + size :]
        assert survey(changed).lost == ("data behind the pixels, in their chunks",)


def test_interlaced_pictures_hold_no_more_than_their_pixels() -> None:
    for width, height in ((1, 1), (2, 3), (5, 9), (24, 16)):
        columns = [-(-(width - x) // dx) for x, _, dx, _ in ADAM7]
        lines = [-(-(height - y) // dy) for _, y, _, dy in ADAM7]
        size = sum(n * (1 + 3 * c) for c, n in zip(columns, lines, strict=True) if c > 0 and n > 0)
        packed = zlib.compress(bytes(size))
        head = b"IHDR" + struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 1)
        parts = (head, b"IDAT" + packed, b"IEND")
        data = b"\x89PNG\r\n\x1a\n" + b"".join(
            struct.pack(">I", len(part) - 4) + part + struct.pack(">I", zlib.crc32(part))
            for part in parts
        )
        assert not survey(data).lost
        assert read(data).picture.pixels.shape == (height, width, 3)


def test_sixteen_bit_bitmaps_with_alpha_are_kept() -> None:
    masks = struct.pack("<4I", 0x7C00, 0x3E0, 0x1F, 0x8000)
    rng = np.random.default_rng(0)
    rows = rng.integers(0, 1 << 16, (8, 8), dtype="<u2").tobytes()
    info = struct.pack("<IiiHHIIiiII", 124, 8, 8, 1, 16, 3, len(rows), 0, 0, 0, 0) + masks
    info = (info + b"BGRs").ljust(124, b"\0")
    data = b"BM" + struct.pack("<IHHI", 14 + len(info) + len(rows), 0, 0, 14 + len(info))
    assert survey(data + info + rows).lost == ("fourth channel",)


def test_gifs_whose_first_frame_leaves_something_open_are_kept() -> None:
    data = bytearray(saved(photo(24, 16).convert("P"), "GIF"))
    assert not survey(bytes(data)).lost
    data[6] += 8
    assert survey(bytes(data)).lost == ("what the first frame leaves open",)


def test_parts_that_say_nothing_are_no_loss() -> None:
    dot = (b"iDOT", bytes(28))
    canvas = (b"vpAg", struct.pack(">IIB", 24, 16, 0))
    assert not survey(png(PIXELS, dot, canvas)).lost
    ducky = segment(0xEC, b"Ducky\0\x01\0\x04\0\0\0\x50\0\0")
    assert not survey(jpeg(ducky)).lost
    assert survey(jpeg(segment(0xEC, b"Ducky\0\2\0\4text"))).lost
    for end in (b"\n", b"\r\n", bytes(9)):
        assert not survey(jpeg() + end).lost
    assert survey(jpeg() + b"\n\n\n").lost
    assert not survey(tiff(PIXELS, 2, [], tag(297, 3, 2, b"\0\0\0\1"))).lost
    assert survey(tiff(PIXELS, 2, [], tag(297, 3, 2, b"\0\1\0\3"))).lost


def test_equal_texts_are_counted() -> None:
    texts = [(b"tEXt", b"Note\0text")] * 1100
    assert len(survey(png(PIXELS, *texts)).lost) == 1100 - 1024


@pytest.mark.parametrize(("dots", "unit"), [(72, 2835), (96, 3780), (300, 11811), (600, 23622)])
def test_densities_of_png_are_whole_dots_per_inch_in_jpeg(dots: int, unit: int) -> None:
    density = Density(Unit.METRE, (unit, 1), (unit, 1))
    picture = Picture(pixels=PIXELS, metadata=Metadata(density=density))
    assert Image.open(io.BytesIO(write_picture(picture, "JPEG"))).info["dpi"] == (dots, dots)


@pytest.mark.parametrize("name", ["PNG", "JPEG", "TIFF"])
def test_densities_that_do_not_fit_are_named(name: str) -> None:
    density = Density(Unit.INCH, (1, 0), (2**32 - 1, 1))
    picture = Picture(pixels=PIXELS, metadata=Metadata(density=density))
    with pytest.warns(UserWarning, match="no place for its pixel density"):
        write_picture(picture, name)


def test_tags_that_tiff_does_not_take_are_named() -> None:
    own = hostile_tags(tag(50341, 7, 4, b"Prin"))
    for exif, said in ((own, "EXIF tags 50341"), (exif_block(), "maker's notes")):
        picture = Picture(pixels=PIXELS, metadata=Metadata(exif=exif))
        with pytest.warns(UserWarning, match=said):
            write_picture(picture, "TIFF")


def test_several_layers_are_said_only_of_several(recwarn: pytest.WarningsRecorder) -> None:
    for name in ("TGA", "PCX", "SGI"):
        taken(saved(photo(8, 8), name))
    assert not [str(w.message) for w in recwarn if "several" in str(w.message)]


def test_results_are_as_private_as_their_sources(folder: Path, run: Run) -> None:
    for name, mode in (("a", 0o600), ("b", 0o640), ("c", 0o444)):
        photo(20, 20).save(f"pictures/{name}.png")
        Path(f"pictures/{name}.png").chmod(mode)
    assert run(*removing()).code == 0
    modes = [Path(f"pictures/{n}.vqc").stat().st_mode & 0o777 for n in "abc"]
    assert [mode & 0o077 for mode in modes] == [0, 0o040, 0o044]
    assert all(mode & 0o600 == 0o600 for mode in modes)


def test_links_to_other_sources_are_left_out(folder: Path, run: Run) -> None:
    photo(20, 20).save("pictures/a.png")
    Path("pictures/b.png").symlink_to("a.png")
    result = run(*removing())
    assert result.code == 0
    assert "b.png is a link to another of the files" in result.err
    assert Path("pictures/a.vqc").exists()


def test_long_names_stop_nothing(folder: Path, run: Run) -> None:
    long = "x" * 251
    photo(20, 20).save(f"pictures/{long}.png")
    photo(20, 20).save("pictures/ok.png")
    assert run(*removing()).code == 0
    assert {path.stem for path in Path("pictures").iterdir()} == {long, "ok"}


def test_results_of_other_pictures_are_named(folder: Path, run: Run) -> None:
    photo(20, 20).save("pictures/p.png")
    assert run(*removing()).code == 0
    kept = Path("pictures/p.vqc").read_bytes()
    photo(20, 20, seed=1).save("pictures/p.jpg")
    photo(20, 20, seed=2).save("pictures/q.jpg")
    result = run(*removing())
    assert "p.vqc exists and is of another file than pictures/p.jpg" in result.err
    assert "-f" not in result.err
    assert Path("pictures/p.vqc").read_bytes() == kept
    assert Path("pictures/p.jpg").exists()
    assert not Path("pictures/q.jpg").exists()


def other_colours() -> dict[str, bytes]:
    """Files whose pixels RGB of 8 bits does not hold exactly, by a word of what is lost."""
    picture = photo(24, 16)
    profile = {"icc_profile": grey_profile(1.0)}
    return {
        "CMYK": saved(picture.convert("CMYK"), "TIFF"),
        "CMYK colours": saved(picture.convert("CMYK"), "JPEG", subsampling=0),
        "YCbCr": saved(picture.convert("YCbCr"), "TIFF"),
        "L*a*b*": tiff(np.asarray(picture), 8, []),
        "grey levels": saved(picture.convert("L"), "PNG", **profile),
        "grey levels, which": saved(picture.convert("LA"), "PNG", **profile),
    }


@pytest.mark.parametrize("lost", other_colours())
def test_exact_pixels_are_not_kept_where_colours_become_others(lost: str, run: Run) -> None:
    data = other_colours()[lost]
    exact = read_picture(data, max_pixels=1 << 20, exact=True).inventory
    assert any(lost in phrase for phrase in exact.lost), exact.lost
    assert survey(data, exact=True) == exact
    # Coding with loss moves colours too, and asks for no more.
    assert survey(data) == read(data).inventory
    assert not read(data).inventory.lost
    path = Path("picture.tif")
    path.write_bytes(data)
    done = run("compress", path, "--lossless", "--remove-source", "--allow-larger")
    assert done.code == 1
    assert lost in done.out + done.err
    assert path.read_bytes() == data


def test_tags_that_share_bytes_are_refused_without_decoding_too() -> None:
    """A reader that copies the values of each would take more than the file has."""
    samples = np.asarray(photo(24, 16))
    place = struct.pack(">I", 500 + samples.size)
    one, *more = (tag(40_000 + number, 7, 300, place) for number in range(9))
    assert survey(tiff(samples, 2, [], one) + bytes(300)).format == "TIFF"
    for take in (survey, read):
        with pytest.raises(PictureError, match="share bytes"):
            take(tiff(samples, 2, [], one, *more) + bytes(300))


@pytest.mark.parametrize("mode", ["RGB", "RGBA", "L", "LA", "P", "1"])
def test_exact_pixels_of_all_other_modes_are_kept(mode: str, run: Run) -> None:
    image = photo(24, 16).convert(mode)
    data = saved(image, "PNG")
    source = read_picture(data, max_pixels=1 << 20, exact=True)
    assert not source.inventory.lost
    assert survey(data, exact=True) == source.inventory
    assert np.array_equal(source.picture.pixels, np.asarray(image.convert("RGB")))


def hidden_colours() -> Image.Image:
    image = photo(4, 4).convert("RGB")
    image.putalpha(0)
    return image


@pytest.mark.parametrize(
    ("image", "lost"),
    [
        (Image.fromarray(np.full((4, 4), 700, np.uint16)), "the low 8 of 16 bits per channel"),
        (hidden_colours(), "colours under full transparency"),
    ],
)
def test_images_and_their_files_lose_the_same(image: Image.Image, lost: str) -> None:
    for picture in (image, saved(image, "PNG")):
        with pytest.warns(VqcWarning, match=f"^not kept: {lost}$"):
            picture_of(picture, max_pixels=1 << 20)


def test_images_of_other_colours_say_so_if_pixels_are_to_be_exact() -> None:
    image = photo(24, 16).convert("CMYK")
    with pytest.warns(VqcWarning, match="its CMYK colours"):
        picture_of(image, max_pixels=1 << 20, exact=True)
