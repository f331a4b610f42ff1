from __future__ import annotations

import io
import warnings
import zlib
from dataclasses import replace

import numpy as np
import pytest
import torch
from conftest import photo
from PIL import Image, ImageCms, ImageOps

import vqcodec
from vqcodec.codec.coding import decode_grid, encode_grid, tiles_touching
from vqcodec.container import Chunk, Header, Mode, parse, serialise
from vqcodec.errors import (
    CorruptError,
    FormatError,
    LimitError,
    ModelError,
    PictureError,
    VqcWarning,
)
from vqcodec.image import chunks, pictures
from vqcodec.image.pictures import from_image
from vqcodec.image.transform import decode_indices, measure_pixels
from vqcodec.models.vqvae import VqVae
from vqcodec.models.wavefront import steps


@pytest.mark.parametrize(("rows", "columns"), [(1, 1), (1, 9), (9, 1), (5, 7), (7, 5), (64, 3)])
def test_steps_visit_each_position_once_after_all_it_depends_on(rows: int, columns: int) -> None:
    when = {}
    sizes = [(rows, columns), (3, 4)]
    places = []
    for number, step in enumerate(steps(sizes)):
        assert (step.column + 2 * step.row == step.t).all()
        for position in zip(step.tile, step.row, step.column, strict=True):
            assert position not in when
            when[position] = number
        assert step.stops == [int((step.tile <= tile).sum()) for tile in range(2)]
        places += zip(step.place, step.tile, step.row, step.column, strict=True)
    every = [(b, i, j) for b in range(2) for i in range(sizes[b][0]) for j in range(sizes[b][1])]
    assert [position for _, *position in sorted(places)] == [list(position) for position in every]
    assert [place for place, *_ in sorted(places)] == list(range(len(every)))
    for (b, i, j), number in when.items():
        for di, dj in ((0, -1), (-1, -1), (-1, 0), (-1, 1), (-2, 2)):
            assert when.get((b, i + di, j + dj), -1) < number


def test_windows_meet_without_a_seam(model: VqVae) -> None:
    pixels = np.asarray(photo(150, 130))
    whole = measure_pixels(model, pixels, window=1000)
    cut = measure_pixels(model, pixels, window=8)
    assert (whole != cut).double().mean() < 0.005  # an argmin may tip on the last bit of a float
    grid = np.random.default_rng(0).integers(0, 24, size=(33, 38, 1), dtype=np.int32)
    for window in (7, 16):
        seamed = decode_indices(model, grid, 0, window=window).astype(int)
        assert abs(seamed - decode_indices(model, grid, 0, window=1000)).max() <= 1


def test_the_halo_is_needed(model: VqVae) -> None:
    """One index less around a window changes pixels, so the test above can fail."""
    grid = np.random.default_rng(0).integers(0, 24, size=(24, 24, 1), dtype=np.int32)
    halo = model.config.decoder_halo
    whole = decode_indices(model, grid, 0).astype(int)
    short = decode_indices(model, grid[8 - halo + 1 :], 0).astype(int)[4 * (halo - 1) :]
    exact = decode_indices(model, grid[8 - halo :], 0).astype(int)[4 * halo :]
    assert abs(exact - whole[32:]).max() <= 1
    assert abs(short - whole[32:]).max() > 1


@pytest.mark.parametrize("mode", Mode)
@pytest.mark.parametrize("size", [(1, 1), (7, 3), (64, 64), (333, 90), (70, 400)])
def test_grid_round_trip(model: VqVae, size: tuple[int, int], mode: Mode) -> None:
    header = Header(
        mode=mode,
        width=size[0],
        height=size[1],
        model=bytes.fromhex(model.sha256)[:8],
        stride_log2=2,
        tile_log2=4,
    )
    rng = np.random.default_rng(0)
    grid = rng.integers(0, 24, size=(header.rows, header.columns, 1), dtype=np.int32)
    streams, coded = encode_grid(model, header, torch.from_numpy(grid))
    assert np.array_equal(coded, grid)
    assert np.array_equal(decode_grid(model, header, streams), grid)
    some = decode_grid(model, header, streams, wanted=[len(streams) - 1])
    assert some[-1, -1] == grid[-1, -1]


def test_same_bytes_whatever_the_grouping_and_threads(
    model: VqVae, monkeypatch: pytest.MonkeyPatch
) -> None:
    image = photo(300, 200)
    data = vqcodec.compress(image, model=model)
    grid = vqcodec.indices(data, model=model)
    header = parse(data).header
    monkeypatch.setattr("vqcodec.codec.coding._BATCH_POSITIONS", 1)
    before = torch.get_num_threads()
    try:
        for threads in (1, 2):
            torch.set_num_threads(threads)
            streams, _ = encode_grid(model, header, torch.from_numpy(grid))
            assert streams == parse(data).tiles
            assert np.array_equal(vqcodec.indices(data, model=model), grid)
    finally:
        torch.set_num_threads(before)


@pytest.mark.parametrize("size", [(1, 1), (2, 5), (3, 1), (63, 64), (257, 130), (5, 700)])
def test_any_size(model: VqVae, size: tuple[int, int]) -> None:
    image = photo(*size)
    data = vqcodec.compress(image, model=model)
    out = vqcodec.decompress(data, model=model)
    assert out.size == size
    assert out.mode == "RGB"
    grid = vqcodec.indices(data, model=model)
    assert np.array_equal(grid, measure_pixels(model, np.asarray(image)).numpy())


def test_prior_none_costs_the_fixed_length(model: VqVae) -> None:
    data = vqcodec.compress(photo(64, 64), model=model, prior=False)
    assert sum(map(len, parse(data).tiles)) == 16 * 16 * 5 // 8
    assert vqcodec.decompress(data, model=model).size == (64, 64)


def test_crop_is_the_part_of_the_whole(model: VqVae) -> None:
    image = photo(700, 420)
    image.putalpha(photo(700, 420, seed=1).convert("L"))
    data = vqcodec.compress(image, model=model)
    whole = np.asarray(vqcodec.decompress(data, model=model)).astype(int)
    for x, y, w, h in ((0, 0, 1, 1), (250, 100, 30, 57), (699, 419, 1, 1), (255, 0, 2, 420)):
        part = np.asarray(vqcodec.decompress(data, model=model, crop=(x, y, w, h)))
        assert abs(part - whole[y : y + h, x : x + w]).max() <= 1
    for crop in ((-1, 0, 5, 5), (0, 0, 0, 5), (690, 0, 11, 5), (0, 0, 701, 1)):
        with pytest.raises(ValueError, match="crop"):
            vqcodec.decompress(data, model=model, crop=crop)


def test_crop_decodes_only_the_tiles_it_needs(model: VqVae) -> None:
    data = vqcodec.compress(photo(700, 300), model=model)
    header = parse(data).header
    assert header.tile_count == 6
    assert tiles_touching(header, slice(-4, 6), slice(-4, 6)) == [0]
    assert tiles_touching(header, slice(0, 75), slice(60, 61)) == [1, 4]
    container = parse(data)
    broken = replace(container, tiles=(container.tiles[0], *[b"abc"] * 5))
    part = vqcodec.decompress(serialise(broken), model=model, crop=(0, 0, 20, 20))
    assert part == vqcodec.decompress(data, model=model, crop=(0, 0, 20, 20))
    with pytest.raises(CorruptError):
        vqcodec.decompress(serialise(broken), model=model)


def modes() -> list[Image.Image]:
    rgb = photo(40, 30)
    grey = rgb.convert("L")
    rgba = rgb.copy()
    rgba.putalpha(grey.rotate(90).resize(grey.size))
    la = grey.copy()
    la.putalpha(grey.rotate(180))
    palette = rgba.convert("P")
    palette.info["transparency"] = 3
    deep = Image.fromarray((np.asarray(grey).astype(np.uint16) << 8) + 77)
    return [
        rgb,
        grey,
        rgba,
        la,
        rgb.convert("P"),
        palette,
        grey.convert("1"),
        deep,
        Image.fromarray((np.asarray(grey).astype(np.int32) << 8) + 9),
        Image.fromarray(np.asarray(grey).astype(np.float32)),
        rgb.convert("CMYK"),
        rgb.convert("YCbCr"),
        rgb.convert("LAB"),
        rgb.convert("HSV"),
    ]


@pytest.mark.parametrize("image", modes(), ids=lambda image: image.mode)
def test_every_mode(model: VqVae, image: Image.Image) -> None:
    picture = from_image(image)
    assert picture.pixels.shape == (30, 40, 3)
    out = vqcodec.decompress(vqcodec.compress(image, model=model), model=model)
    assert out.size == image.size
    if image.has_transparency_data:
        assert np.array_equal(
            np.asarray(out.getchannel("A")), image.convert("RGBA").getchannel("A")
        )
    else:
        assert out.mode == "RGB"


def test_sixteen_bits_keep_the_high_eight() -> None:
    values = np.array([[0, 255, 256, 65535]], dtype=np.uint16)
    assert from_image(Image.fromarray(values)).pixels[0, :, 0].tolist() == [0, 0, 1, 255]


def test_arrays_are_taken_and_wrong_ones_refused(model: VqVae) -> None:
    pixels = np.asarray(photo())
    assert vqcodec.compress(pixels, model=model) == vqcodec.compress(photo(), model=model)
    for wrong in (pixels[..., :2], pixels.astype(float), pixels[0], pixels[:0]):
        with pytest.raises(ValueError, match="uint8"):
            vqcodec.compress(wrong, model=model)
    with pytest.raises(ValueError, match="max_pixels"):
        vqcodec.compress(pixels, model=model, max_pixels=100)


def with_metadata() -> Image.Image:
    exif = Image.Exif()
    exif[0x0112] = 6
    exif[0x010E] = "a description"
    buffer = io.BytesIO()
    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    photo(60, 30).save(buffer, "JPEG", exif=exif, icc_profile=profile, xmp=b"<x:xmpmeta/>")
    return Image.open(buffer)


@pytest.mark.parametrize("suffix", [".png", ".jpg", ".webp"])
def test_metadata_is_kept_through_formats(model: VqVae, suffix: str) -> None:
    image = with_metadata()
    out = vqcodec.decompress(vqcodec.compress(image, model=model), model=model)
    assert out.size == (30, 60)  # upright
    buffer = io.BytesIO()
    pictures.save_image(out, buffer, pictures.format_of("x" + suffix))
    again = Image.open(buffer)
    again.load()
    assert again.info["icc_profile"] == image.info["icc_profile"]
    assert again.getexif()[0x010E] == "a description"
    assert again.getexif().get(0x0112, 1) == 1
    assert from_image(again).xmp == b"<x:xmpmeta/>"


def test_no_orientation_is_left_in_any_metadata(model: VqVae) -> None:
    exif = Image.Exif()
    exif[0x0112] = 6
    xmp = b'<x:xmpmeta><rdf:Description tiff:Orientation="6"/></x:xmpmeta>'
    buffer = io.BytesIO()
    photo(60, 30).save(buffer, "JPEG", exif=exif, xmp=xmp)
    picture = from_image(Image.open(buffer))
    assert picture.pixels.shape == (60, 30, 3)
    again = io.BytesIO()
    pictures.save_image(pictures.to_image(picture), again, "JPEG")
    assert ImageOps.exif_transpose(Image.open(again)).size == (30, 60)


def test_tiff_keeps_its_description_but_not_its_layout() -> None:
    exif = Image.Exif()
    exif[0x010E] = "a description"
    buffer = io.BytesIO()
    photo(60, 30).save(buffer, "TIFF", exif=exif)
    picture = from_image(Image.open(buffer))
    again = io.BytesIO()
    pictures.save_image(pictures.to_image(picture), again, "JPEG")
    kept = Image.open(again).getexif()
    assert kept[0x010E] == "a description"
    assert 273 not in kept  # where the strips of pixels were


@pytest.mark.parametrize("name", ["icc_profile", "xmp"])
def test_too_much_metadata_is_dropped_with_a_warning(
    model: VqVae, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    monkeypatch.setattr(pictures, "METADATA_MAX", 1000)
    image = photo()
    image.info[name] = bytes(2000)
    with pytest.warns(VqcWarning, match="dropped"):
        data = vqcodec.compress(image, model=model)
    assert not parse(data).chunks


def test_metadata_too_large_for_jpeg_is_dropped_with_a_warning() -> None:
    image = photo()
    image.info["xmp"] = bytes(70_000)
    with pytest.warns(VqcWarning, match="do not fit"):
        pictures.save_image(image, io.BytesIO(), "JPEG")


def test_damaged_exif_is_dropped_with_a_warning(model: VqVae) -> None:
    for damage in (b"junk", b"Exif\0\0II*\0\x08\0\0\0\xff\xff"):
        image = photo()
        image.info["exif"] = damage
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            data = vqcodec.compress(image, model=model)
        assert vqcodec.decompress(data, model=model).size == image.size
    container = parse(vqcodec.compress(photo(), model=model))
    chunk = Chunk(type=b"exif", data=zlib.compress(b"garbage"))
    out = vqcodec.decompress(serialise(replace(container, chunks=(chunk,))), model=model)
    for name in ("PNG", "JPEG", "TIFF", "WEBP"):
        with pytest.warns(VqcWarning, match="damaged"):
            pictures.save_image(out, io.BytesIO(), name)


def test_damaged_pictures_are_picture_errors_or_pictures() -> None:
    frames = [photo(20, 20, seed=k) for k in range(3)]
    for name, options in (("GIF", {}), ("TIFF", {}), ("PNG", {}), ("WEBP", {})):
        buffer = io.BytesIO()
        frames[0].save(buffer, name, save_all=True, append_images=frames[1:], **options)
        data = buffer.getvalue()
        for end in range(0, len(data), max(1, len(data) // 40)):
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                try:
                    image = pictures.open_image(io.BytesIO(data[:end]), 1 << 20)
                except PictureError:
                    continue
                assert from_image(image).pixels.shape == (20, 20, 3)


def test_reals_are_levels_or_parts() -> None:
    levels = np.array([[0.0, 127.6, 300.0]], dtype=np.float32)
    assert from_image(Image.fromarray(levels)).pixels[0, :, 0].tolist() == [0, 128, 255]
    parts = np.array([[0.0, 0.5, 1.0]], dtype=np.float32)
    assert from_image(Image.fromarray(parts)).pixels[0, :, 0].tolist() == [0, 128, 255]


def test_strip_drops_metadata_but_not_alpha(model: VqVae) -> None:
    image = with_metadata()
    image.putalpha(image.convert("L"))
    chunks = parse(vqcodec.compress(image, model=model, strip=True)).chunks
    assert [chunk.type for chunk in chunks] == [b"ALPH"]


def test_orientation_is_applied(model: VqVae) -> None:
    data = vqcodec.compress(with_metadata(), model=model, strip=True)
    assert (parse(data).header.width, parse(data).header.height) == (30, 60)


def test_animations_give_their_first_frame_with_a_warning(model: VqVae) -> None:
    buffer = io.BytesIO()
    frames = [photo(20, 20, seed=k) for k in range(3)]
    frames[0].save(buffer, "WEBP", save_all=True, append_images=frames[1:], lossless=True)
    image = Image.open(buffer)
    with pytest.warns(VqcWarning, match="only the first is kept"):
        picture = from_image(image)
    assert np.array_equal(picture.pixels, np.asarray(frames[0]))


def test_formats_without_alpha_get_white_and_a_warning() -> None:
    image = photo(9, 9)
    image.putalpha(0)
    buffer = io.BytesIO()
    with pytest.warns(VqcWarning, match="white"):
        pictures.save_image(image, buffer, "JPEG")
    assert np.asarray(Image.open(buffer)).min() > 250


@pytest.mark.parametrize("name", ["photo.xyz", "photo", "photo.ico", ""])
def test_unknown_formats_are_refused(name: str) -> None:
    with pytest.raises(ValueError, match="suffix"):
        pictures.format_of(name)


@pytest.mark.parametrize(
    ("kind", "data", "error"),
    [
        (b"ALPH", b"no picture", CorruptError),
        (b"exif", b"no zlib", CorruptError),
        (b"iccp", b"", CorruptError),
    ],
)
def test_wrong_chunks_are_format_errors(
    model: VqVae, kind: bytes, data: bytes, error: type[FormatError]
) -> None:
    container = parse(vqcodec.compress(photo(), model=model))
    wrong = replace(container, chunks=(Chunk(type=kind, data=data),))
    with pytest.raises(error):
        vqcodec.decompress(serialise(wrong), model=model)


def test_metadata_bombs_are_refused(model: VqVae, monkeypatch: pytest.MonkeyPatch) -> None:
    image = photo()
    image.info["icc_profile"] = bytes(2000)
    data = vqcodec.compress(image, model=model)
    monkeypatch.setattr(chunks, "METADATA_MAX", 1000)
    with pytest.raises(LimitError):
        vqcodec.decompress(data, model=model)


def test_alpha_of_another_size_is_refused(model: VqVae) -> None:
    small = photo(20, 20)
    small.putalpha(128)
    alpha = parse(vqcodec.compress(small, model=model)).chunks
    container = replace(parse(vqcodec.compress(photo(), model=model)), chunks=alpha)
    with pytest.raises(CorruptError):
        vqcodec.decompress(serialise(container), model=model)


def test_damaged_streams_with_right_checksums_are_format_errors_or_pictures(model: VqVae) -> None:
    container = parse(vqcodec.compress(photo(70, 50), model=model))
    rng = np.random.default_rng(0)
    for _ in range(20):
        noise = rng.integers(0, 256, size=4 * int(rng.integers(0, 40)), dtype=np.uint8).tobytes()
        data = serialise(replace(container, tiles=(noise,)))
        try:
            grid = vqcodec.indices(data, model=model)
        except FormatError:
            continue
        assert grid.max() < 24


def test_another_model_is_refused(model: VqVae) -> None:
    container = parse(vqcodec.compress(photo(), model=model))
    other = replace(container, header=replace(container.header, model=bytes(8)))
    with pytest.raises(ModelError, match="was made with model"):
        vqcodec.decompress(serialise(other), model=model)
    for change in ({"stride_log2": 3}, {"quality": 1}):
        strange = replace(container, header=replace(container.header, **change))
        with pytest.raises(CorruptError):
            vqcodec.decompress(serialise(strange), model=model)


@pytest.mark.parametrize("prior", [True, False])
@pytest.mark.parametrize("crop", [None, (70, 60, 20, 130)])
def test_progress_ends_with_one(
    model: VqVae, prior: bool, crop: tuple[int, int, int, int] | None
) -> None:
    seen: list[float] = []
    data = vqcodec.compress(photo(300, 200), model=model, prior=prior, progress=seen.append)
    assert seen == sorted(seen)
    assert seen.index(1.0) == len(seen) - 1
    seen.clear()
    vqcodec.decompress(data, model=model, crop=crop, progress=seen.append)
    assert seen == sorted(seen)
    assert seen.index(1.0) == len(seen) - 1


def test_inspect_accounts_for_every_byte(model: VqVae) -> None:
    data = vqcodec.compress(with_metadata(), model=model)
    found = vqcodec.inspect(data)
    assert sum(span.size for span in found.spans) == len(data) == found.bytes
    assert found.model_name is None
    assert found.as_dict()["spans"][0]["name"] == "signature"


def sixteen_bits() -> bytes:
    """A PNG file of 2x2 pixels, RGB with 16 bits each, which Pillow reads but does not write."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        crc = zlib.crc32(kind + data)
        return len(data).to_bytes(4, "big") + kind + data + crc.to_bytes(4, "big")

    size = (2).to_bytes(4, "big") * 2
    rows = (b"\0" + bytes(range(12))) * 2
    parts = ((b"IHDR", size + b"\x10\x02\0\0\0"), (b"IDAT", zlib.compress(rows)), (b"IEND", b""))
    return b"\x89PNG\r\n\x1a\n" + b"".join(chunk(*part) for part in parts)


def two_pictures(format_name: str) -> bytes:
    file = io.BytesIO()
    photo(16, 16).save(file, format_name, save_all=True, append_images=[photo(16, 16, seed=2)])
    return file.getvalue()


@pytest.mark.parametrize(
    ("data", "said"),
    [
        (sixteen_bits(), "16 bits per channel"),
        (two_pictures("MPO"), "several layers or previews"),
        (two_pictures("TIFF"), "several frames or pages"),
    ],
)
def test_what_a_file_has_more_than_its_picture_is_not_dropped_in_silence(
    data: bytes, said: str
) -> None:
    with pytest.warns(VqcWarning, match=said):
        from_image(pictures.open_image(io.BytesIO(data), 1 << 20))
