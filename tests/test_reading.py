"""Pictures of every kind become the pixels that their files mean."""

from __future__ import annotations

import io
import struct
import warnings
import zlib
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from conftest import photo
from numpy.typing import NDArray
from PIL import Image, ImageCms

import vqcodec
from vqcodec.container import parse
from vqcodec.errors import PictureError, SampleRangeError, VqcWarning
from vqcodec.image import metadata as image_metadata
from vqcodec.image.colour import SRGB_CHROMATICITIES, SRGB_CURVE, PngColours, rgb_profile
from vqcodec.image.picture import Picture
from vqcodec.image.reading import Source, picture_of, read_picture
from vqcodec.models.vqvae import VqVae

MAX = 1 << 20


def read(data: bytes, **options: Any) -> Source:
    """Read a picture file, whatever it warns of."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", VqcWarning)
        return read_picture(data, max_pixels=MAX, **options)


def taken(image: Any, **options: Any) -> Picture:
    return picture_of(image, max_pixels=MAX, **options)


def saved(image: Image.Image, format_name: str, **options: Any) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, format_name, **options)
    return buffer.getvalue()


def png(rows: NDArray[Any], *chunks: tuple[bytes, bytes]) -> bytes:
    """A PNG file of grey or RGB samples of 8 or 16 bits, with chunks before its pixels."""
    bits, colours = 8 * rows.dtype.itemsize, {2: 0, 3: 2}[rows.ndim]
    height, width = rows.shape[:2]
    lines = rows.astype(rows.dtype.newbyteorder(">")).reshape(height, -1)
    packed = zlib.compress(b"".join(b"\0" + line.tobytes() for line in lines))
    head = struct.pack(">IIBBBBB", width, height, bits, colours, 0, 0, 0)
    parts = ((b"IHDR", head), *chunks, (b"IDAT", packed), (b"IEND", b""))
    return b"\x89PNG\r\n\x1a\n" + b"".join(
        struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
        for kind, data in parts
    )


def ppm(values: NDArray[np.uint16], most: int) -> bytes:
    kind = "P6" if values.ndim == 3 else "P5"
    head = f"{kind}\n{values.shape[1]} {values.shape[0]}\n{most}\n".encode()
    return head + values.astype(">u2").tobytes()


SOLID = [
    ("1", 1, (255, 255, 255)),
    ("L", 77, (77, 77, 77)),
    ("LA", (77, 200), (77, 77, 77)),
    ("La", (77, 255), (77, 77, 77)),
    ("P", 0, (200, 100, 50)),
    ("PA", (0, 200), (200, 100, 50)),
    ("RGB", (200, 100, 50), (200, 100, 50)),
    ("RGBA", (200, 100, 50, 9), (200, 100, 50)),
    ("RGBa", (200, 100, 50, 255), (200, 100, 50)),
    ("RGBX", (200, 100, 50, 0), (200, 100, 50)),
    ("CMYK", (55, 155, 205, 0), (200, 100, 50)),
    ("YCbCr", (124, 86, 182), (200, 99, 49)),
    ("HSV", (14, 191, 200), (199, 99, 50)),
    ("I;16", 77 * 256 + 255, (77, 77, 77)),
    ("I;16B", 77 * 256 + 255, (77, 77, 77)),
]


@pytest.mark.parametrize(("mode", "value", "colour"), SOLID, ids=[row[0] for row in SOLID])
def test_every_mode_has_the_right_colour(
    model: VqVae, mode: str, value: Any, colour: tuple[int, int, int]
) -> None:
    if mode in ("P", "PA"):
        image = Image.new("P", (5, 4))
        image.putpalette([200, 100, 50])
        image = image.convert(mode) if mode == "PA" else image
        if mode == "PA":
            image.putalpha(200)
    else:
        image = Image.new(mode, (5, 4), value)
    picture = taken(image)
    assert picture.pixels.shape == (4, 5, 3)
    assert (abs(picture.pixels.astype(int) - colour) <= 1).all(), picture.pixels[0, 0]
    assert (picture.alpha is not None) == (mode in ("LA", "La", "PA", "RGBA", "RGBa"))
    if picture.alpha is not None:
        assert (picture.alpha == {"RGBA": 9, "RGBa": 255, "La": 255}.get(mode, 200)).all()
    assert vqcodec.decompress(vqcodec.compress(image, model=model), model=model).size == (5, 4)


def test_lab_is_a_colour_without_a_profile() -> None:
    lab = ImageCms.createProfile("LAB")
    image = ImageCms.profileToProfile(
        Image.new("RGB", (4, 4), (200, 100, 50)),
        ImageCms.createProfile("sRGB"),
        lab,
        outputMode="LAB",
    )
    assert image is not None
    assert abs(taken(image).pixels.astype(int) - (200, 100, 50)).max() <= 3


@pytest.mark.parametrize("bits", [9, 12, 16])
@pytest.mark.parametrize("colours", [False, True], ids=["grey", "rgb"])
@pytest.mark.parametrize("format_name", ["PNG", "PPM", "TIFF", "JPEG2000"])
def test_high_bits_are_kept_with_a_warning_and_the_source_stays(
    format_name: str, colours: bool, bits: int
) -> None:
    """8 bits of every format: 0, the middle and white are where they belong."""
    most = (1 << bits) - 1
    values = np.array([[0, most // 2 + 1, most]], dtype=np.uint16).repeat(3, 0)
    if colours:
        values = values[..., None].repeat(3, 2)
    if format_name == "PNG":
        data = png((values.astype(np.uint32) * 65535 // most).astype(np.uint16))
    elif format_name == "PPM":
        data = ppm(values, most)
    elif colours or bits != 16:
        pytest.skip("Pillow writes no such file")
    else:
        data = saved(Image.fromarray(values), format_name)
    with pytest.warns(VqcWarning, match="not kept: the low . of .* bits per channel"):
        picture = taken(data)
    assert picture.pixels[0, :, 0].tolist() == [0, 128, 255]
    assert read(data).inventory.lost


REALS = np.array([[-2.0, 0.0, 1.0, 3.0, 8.0, 9.0]], dtype=np.float32)


@pytest.mark.parametrize(
    "data",
    [
        saved(Image.fromarray(REALS), "TIFF"),
        saved(Image.fromarray(REALS.clip(0, 9).astype(np.int32)), "TIFF"),
        b"Pf\n6 1\n-1.0\n" + REALS.tobytes(),
    ],
    ids=["float tiff", "int tiff", "pfm"],
)
def test_numbers_without_a_range_are_not_guessed_at(data: bytes) -> None:
    with pytest.raises(SampleRangeError, match="black and white"):
        read(data)
    source = read(data, value_range=(-1.0, 1.0))
    first = source.picture.pixels[0, :4, 0].tolist()
    assert first in ([0, 128, 255, 255], [128, 128, 255, 255])
    assert source.inventory.lost, "8 bits are not all of it"


def test_a_range_is_linear_and_may_fall() -> None:
    image = Image.fromarray(np.array([[0.0, 0.25, 1.0]], dtype=np.float32))
    assert taken(image, value_range=(0, 1)).pixels[0, :, 0].tolist() == [0, 64, 255]
    assert taken(image, value_range=(1, 0)).pixels[0, :, 0].tolist() == [255, 191, 0]
    for wrong in ((1, 1), (0, float("nan")), (float("-inf"), 0)):
        with pytest.raises(ValueError, match="range"):
            taken(image, value_range=wrong)
    with pytest.raises(PictureError, match="black and white"):
        taken(image)


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_samples_that_are_not_finite_are_refused(value: float) -> None:
    reals = np.array([[0.0, value, 1.0]], dtype=np.float32)
    for array in (reals, reals.astype(np.float64), np.stack([reals] * 3, axis=2)):
        with pytest.raises(ValueError, match="not finite"):
            taken(array, value_range=(0, 1))
    image = Image.fromarray(reals)
    for source in (image, saved(image, "TIFF"), b"Pf\n3 1\n-1.0\n" + reals.tobytes()):
        with pytest.raises(PictureError, match="not finite"):
            taken(source, value_range=(0, 1))


def shown(data: bytes) -> NDArray[np.int64]:
    """What a viewer that obeys profiles shows, in sRGB: a file whose colours we state ourselves."""
    picture = read(data).picture
    image = Image.fromarray(picture.pixels)
    if picture.metadata.icc is not None:
        srgb = ImageCms.createProfile("sRGB")
        source = ImageCms.ImageCmsProfile(io.BytesIO(picture.metadata.icc))
        image = ImageCms.profileToProfile(image, source, srgb)  # type: ignore[assignment]
    return np.asarray(image).astype(np.int64)


def gamma(value: float) -> tuple[bytes, bytes]:
    return b"gAMA", struct.pack(">I", round(value * 100_000))


def primaries(*values: float) -> tuple[bytes, bytes]:
    return b"cHRM", struct.pack(">8I", *(round(value * 100_000) for value in values))


WIDE = (0.3127, 0.329, 0.68, 0.32, 0.265, 0.69, 0.15, 0.06)
RAMP = np.arange(0, 256, dtype=np.uint8).reshape(16, 16)


@pytest.mark.parametrize("colours", [False, True], ids=["grey", "rgb"])
@pytest.mark.parametrize("exponent", [1.0, 0.45455, 0.55556])
def test_gamma_of_png_is_shown_as_it_was(colours: bool, exponent: float) -> None:
    rows = RAMP[..., None].repeat(3, 2) if colours else RAMP
    light = (RAMP / 255.0) ** (1 / exponent)
    srgb = np.where(light <= 0.0031308, 12.92 * light, 1.055 * light ** (1 / 2.4) - 0.055)
    found = shown(png(rows, gamma(exponent)))
    assert abs(found - 255 * srgb[..., None]).max() <= 1.5


def test_primaries_of_png_are_shown_as_they_were() -> None:
    rows = np.zeros((4, 4, 3), np.uint8) + np.array([0, 255, 0], np.uint8)
    picture = read(png(rows + 0, primaries(*WIDE))).picture
    assert picture.metadata.icc is not None
    profile = ImageCms.ImageCmsProfile(io.BytesIO(picture.metadata.icc)).profile
    green = profile.green_primary
    assert green is not None
    p3 = (0.2920, 0.6922, 0.0419)  # of Display P3's own profile, adapted to D50
    assert np.allclose(green[0], p3, atol=1e-3)


@pytest.mark.parametrize(
    "chunks",
    [
        [],
        [(b"sRGB", b"\0")],
        [(b"sRGB", b"\0"), gamma(1.0)],
        [gamma(0.45455), primaries(*SRGB_CHROMATICITIES)],
    ],
    ids=["nothing", "sRGB", "sRGB and gAMA", "sRGB's own numbers"],
)
def test_srgb_of_png_needs_no_profile(chunks: list[tuple[bytes, bytes]]) -> None:
    source = read(png(RAMP, *chunks))
    assert source.picture.metadata.icc is None
    assert not source.inventory.lost


def test_numbers_that_are_no_colours_are_taken_as_srgb_with_a_warning() -> None:
    for chunk in (primaries(*[0.0] * 8), primaries(*[0.3] * 8), (b"gAMA", bytes(4))):
        with pytest.warns(VqcWarning, match="colours are taken as sRGB"):
            picture = read_picture(png(RAMP, chunk), max_pixels=MAX).picture
        assert picture.metadata.icc is None


def test_cicp_is_kept_and_counts_before_the_others() -> None:
    code = b"\x0c\x0d\x00\x01"
    source = read(png(RAMP, (b"cICP", code), gamma(1.0)))
    assert (source.picture.metadata.cicp, source.picture.metadata.icc) == (code, None)
    assert not source.inventory.lost


def test_a_made_profile_is_srgb_where_it_says_so() -> None:
    profile = ImageCms.ImageCmsProfile(io.BytesIO(rgb_profile(SRGB_CHROMATICITIES, SRGB_CURVE)))
    rng = np.random.default_rng(0)
    pixels = rng.integers(0, 256, (32, 32, 3), dtype=np.uint8)
    out = ImageCms.profileToProfile(
        Image.fromarray(pixels), profile, ImageCms.createProfile("sRGB")
    )
    assert abs(np.asarray(out).astype(int) - pixels).max() <= 1
    assert PngColours().profile() is None


def grey_profile(exponent: float) -> bytes:
    """A profile of grey pixels: a curve and no primaries."""
    curve = b"curv\0\0\0\0" + struct.pack(">IH", 1, round(exponent * 256))
    white = b"XYZ \0\0\0\0" + struct.pack(">3i", 63190, 65536, 54061)
    text = b"mluc" + struct.pack(">III2s2sII", 0, 1, 12, b"en", b"US", 2, 28) + b"\0g"
    tags = [(b"desc", text), (b"cprt", text), (b"wtpt", white), (b"kTRC", curve)]
    table, body = struct.pack(">I", len(tags)), b""
    start = 128 + 4 + 12 * len(tags)
    for name, data in tags:
        table += name + struct.pack(">II", start + len(body), len(data))
        body += data + bytes(-len(data) % 4)
    size = start + len(body)
    head = struct.pack(">I4sI4s4s4s", size, b"", 0x04300000, b"mntr", b"GRAY", b"XYZ ")
    head += bytes(12) + b"acsp" + bytes(28) + struct.pack(">3i", 63190, 65536, 54061)
    return head.ljust(128, b"\0") + table + body


def iccp(profile: bytes) -> tuple[bytes, bytes]:
    return b"iCCP", b"profile\0\0" + zlib.compress(profile)


def test_grey_profiles_are_applied_to_8_and_16_bits_alike() -> None:
    linear = iccp(grey_profile(1.0))
    eight = read(png(RAMP, linear))
    sixteen = read(png(RAMP.astype(np.uint16) * 257, linear))
    assert eight.picture.pixels[8, 0, 0] == 188  # 128 of 255 in linear light
    assert np.array_equal(eight.picture.pixels, sixteen.picture.pixels)
    assert eight.picture.metadata.icc is None
    assert not eight.inventory.lost


@pytest.mark.parametrize(
    ("rows", "profile"),
    [
        (np.zeros((4, 4, 3), np.uint8), grey_profile(1.0)),
        (RAMP, rgb_profile(SRGB_CHROMATICITIES, SRGB_CURVE)),
        (RAMP, b"no profile at all"),
    ],
    ids=["grey on RGB", "RGB on grey", "none"],
)
def test_profiles_that_do_not_fit_are_named_and_not_kept(
    rows: NDArray[np.uint8], profile: bytes
) -> None:
    with pytest.warns(VqcWarning, match="not kept: its colour profile"):
        picture = taken(png(rows, iccp(profile)))
    assert picture.metadata.icc is None
    assert np.array_equal(picture.pixels[..., 0], rows[..., 0] if rows.ndim == 3 else rows)


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("format_name", ["JPEG", "PNG", "WEBP", "TIFF", "AVIF"])
def test_orientations_of_every_format_are_applied(format_name: str, orientation: int) -> None:
    corner = np.zeros((16, 32, 3), np.uint8)
    corner[:8, :16] = (250, 20, 20)
    exif = Image.Exif()
    exif[0x0112] = orientation
    data = saved(Image.fromarray(corner), format_name, exif=exif, quality=95)
    source = read(data)
    pixels = source.picture.pixels
    assert pixels.shape[:2] == ((16, 32) if orientation < 5 else (32, 16))
    halves = np.array_split(pixels[..., 0].astype(int), 2)
    red = [[int(part.mean() > 128) for part in np.array_split(half, 2, axis=1)] for half in halves]
    places = {
        1: (0, 0),
        2: (0, 1),
        3: (1, 1),
        4: (1, 0),
        5: (0, 0),
        6: (0, 1),
        7: (1, 1),
        8: (1, 0),
    }
    assert red[places[orientation][0]][places[orientation][1]] == 1
    assert sum(map(sum, red)) == 1
    again = source.picture.metadata.exif
    if again is not None:
        found = Image.Exif()
        found.load(again)
        assert found.get(0x0112, 1) == 1


def test_orientation_in_xmp_alone_is_applied_too() -> None:
    xmp = b'<x:xmpmeta><rdf:Description tiff:Orientation="6"/></x:xmpmeta>'
    source = read(saved(photo(60, 30), "JPEG", xmp=xmp))
    assert source.picture.pixels.shape == (60, 30, 3)
    assert source.picture.metadata.xmp == xmp.replace(b'"6"', b'"1"')
    assert not source.inventory.lost


def test_training_reads_what_the_codec_codes(tmp_path: Path) -> None:
    pytest.importorskip("torch")
    from vqcodec.training.data import read_rgb

    side = np.arange(256, dtype=np.uint16)
    files = {
        "deep.png": png((side * 257).reshape(16, 16)),
        "linear.png": png(RAMP, iccp(grey_profile(1.0))),
        "turned.jpg": saved(photo(60, 30), "JPEG", exif=b"Exif\0\0" + turned_exif()),
        "inks.jpg": saved(photo(40, 30).convert("CMYK"), "JPEG"),
    }
    for name, data in files.items():
        (tmp_path / name).write_bytes(data)
        assert np.array_equal(read_rgb(tmp_path / name), read(data).picture.pixels)
    assert read_rgb(tmp_path / "deep.png").mean() == pytest.approx(127.5)


def turned_exif() -> bytes:
    return b"MM\0*\0\0\0\x08\0\1" + struct.pack(">HHIHH", 0x112, 3, 1, 6, 0) + bytes(4)


def test_colours_under_full_transparency_cost_nothing(model: VqVae) -> None:
    rng = np.random.default_rng(0)
    visible = np.asarray(photo(96, 96))
    noisy = visible.copy()
    noisy[:, 40:] = rng.integers(0, 256, noisy[:, 40:].shape, dtype=np.uint8)
    alpha = np.zeros((96, 96), np.uint8)
    alpha[:, :40] = rng.integers(1, 256, (96, 40), dtype=np.uint8)
    image = Image.fromarray(np.dstack([noisy, alpha]))
    picture = taken(image)
    assert np.array_equal(picture.alpha, alpha)
    assert np.array_equal(picture.pixels[:, :40], visible[:, :40])
    steps = abs(np.diff(picture.pixels[:, 39:].astype(int), axis=1))
    assert steps.max() < 60
    assert steps.mean() < 2
    out = vqcodec.decompress(vqcodec.compress(image, model=model), model=model)
    assert np.array_equal(np.asarray(out)[..., 3], alpha)
    source = read(saved(image, "PNG"))
    assert source.inventory.lost == ("colours under full transparency",)
    one_colour = np.where(alpha[..., None] > 0, visible, 0)
    plain = saved(Image.fromarray(np.dstack([one_colour, alpha])), "PNG")
    assert not read(plain).inventory.lost


def test_a_picture_that_nobody_sees_is_taken() -> None:
    assert (taken(Image.new("RGBA", (7, 5))).alpha == 0).all()


@pytest.mark.parametrize("name", ["icc_profile", "xmp"])
def test_too_much_metadata_is_dropped_with_a_warning(
    model: VqVae, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    monkeypatch.setattr(image_metadata, "METADATA_MAX", 1000)
    image = photo()
    image.info[name] = bytes(2000)
    with pytest.warns(VqcWarning, match="dropped"):
        data = vqcodec.compress(image, model=model)
    assert not parse(data).chunks


def test_damaged_pictures_are_picture_errors_or_pictures() -> None:
    frames = [photo(20, 20, seed=k) for k in range(3)]
    for name in ("GIF", "TIFF", "PNG", "WEBP", "AVIF", "BMP", "JPEG2000", "ICO"):
        several = {"save_all": True, "append_images": frames[1:]}
        data = saved(frames[0], name, **({} if name in ("BMP", "JPEG2000", "ICO") else several))
        for end in range(0, len(data), max(1, len(data) // 40)):
            try:
                assert read(data[:end]).picture.pixels.shape[2] == 3
            except PictureError:
                continue


def test_limits_on_pixels_are_those_that_are_asked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    data = saved(photo(100, 100), "PNG")
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 10)
    assert read(data).picture.pixels.shape == (100, 100, 3)
    assert Image.MAX_IMAGE_PIXELS == 10
    with pytest.raises(PictureError, match="more than 9999 pixels"):
        read_picture(data, max_pixels=9999)


def inputs(tmp_path: Path) -> dict[str, Any]:
    image = photo(40, 30)
    path = tmp_path / "a.png"
    image.save(path)
    pixels = np.asarray(image)
    return {
        "str": str(path),
        "path": path,
        "bytes": path.read_bytes(),
        "bytearray": bytearray(path.read_bytes()),
        "memoryview": memoryview(path.read_bytes()),
        "file": io.BytesIO(path.read_bytes()),
        "image": image,
        "array": pixels,
        "strided": pixels[:, ::-1][:, ::-1],
        "float": pixels / 255.0,
        "uint16": pixels.astype(np.uint16) * 257,
    }


def test_everything_that_is_a_picture_gives_the_same_file(model: VqVae, tmp_path: Path) -> None:
    ranges = {"float": (0.0, 1.0), "uint16": (0, 65535)}
    files = {
        name: vqcodec.compress(given, model=model, value_range=ranges.get(name))
        for name, given in inputs(tmp_path).items()
    }
    assert len(set(files.values())) == 1
    data = files["bytes"]
    written = tmp_path / "a.vqc"
    written.write_bytes(data)
    sizes = {
        vqcodec.decompress(given, model=model).size
        for given in (data, bytearray(data), memoryview(data), io.BytesIO(data), written)
    }
    assert sizes == {(40, 30)}
    assert np.array_equal(vqcodec.verify(written, model=model), vqcodec.indices(data, model=model))


def test_arrays_of_every_shape_are_taken() -> None:
    pixels = np.asarray(photo(40, 30))
    grey = pixels[..., 0]
    for array in (grey, grey[..., None]):
        assert np.array_equal(taken(array).pixels, grey[..., None].repeat(3, 2))
    alpha = np.dstack([pixels, grey])
    picture = taken(alpha)
    assert np.array_equal(picture.alpha, grey)


@pytest.mark.parametrize(
    ("given", "said"),
    [
        (np.zeros((4, 4, 3)), "value_range"),
        (np.zeros((4, 4, 3), np.uint16), "value_range"),
        (np.zeros((4, 4, 3), bool), "value_range"),
        (np.zeros((3, 40, 40), np.uint8), "expected an array"),
        (np.zeros((4, 4, 2), np.uint8), "expected an array"),
        (np.zeros((4,), np.uint8), "expected an array"),
        (np.zeros((0, 4, 3), np.uint8), "expected an array"),
        ([[1, 2], [3, 4]], "expected a path"),
        (None, "expected a path"),
        (7, "expected a path"),
        (io.StringIO("text"), "expected a path"),
        (Image.new("RGB", (0, 5)), "0x5 pixels"),
    ],
)
def test_what_is_no_picture_is_a_value_error_with_a_sentence(
    model: VqVae, given: Any, said: str
) -> None:
    with pytest.raises(ValueError, match=said):
        vqcodec.compress(given, model=model)


def test_images_that_cannot_be_read_are_picture_errors(model: VqVae, tmp_path: Path) -> None:
    path = tmp_path / "a.png"
    photo().save(path)
    closed = Image.open(path)
    closed.close()
    cut = Image.open(io.BytesIO(path.read_bytes()[:2000]))
    for image in (closed, cut):
        with pytest.raises(PictureError, match="cannot be read"):
            vqcodec.compress(image, model=model)
    with pytest.raises(FileNotFoundError):
        vqcodec.compress(tmp_path / "none.png", model=model)
    with pytest.raises(ValueError, match="max_pixels"):
        vqcodec.compress(photo(), model=model, max_pixels=100)


@pytest.mark.parametrize(
    "wish",
    [
        {"quality": "5"},
        {"quality": True},
        {"quality": float("nan")},
        {"quality": 10**400},
        {"target_size": 400.5},
        {"target_size": True},
        {"target_bpp": float("inf")},
        {"target_bpp": float("nan")},
        {"target_psnr": float("inf")},
        {"target_psnr": "high"},
    ],
    ids=str,
)
def test_wishes_that_are_no_numbers_are_value_errors(model: VqVae, wish: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=next(iter(wish))):
        vqcodec.compress(photo(), model=model, **wish)


@pytest.mark.parametrize("crop", [(1, 2, 3), (10.5, 1, 5, 5), ("a", 0, 1, 1), 7, (0, 0, 2**70, 1)])
def test_crops_that_are_none_are_value_errors(model: VqVae, crop: Any) -> None:
    data = vqcodec.compress(photo(), model=model)
    with pytest.raises(ValueError, match="crop"):
        vqcodec.decompress(data, model=model, crop=crop)
