"""`vqcodec.pillow`, tested as Pillow tests its own formats: files of every kind, whole and not."""

from __future__ import annotations

import hashlib
import io
import pickle
import sys
import warnings
from collections.abc import Callable
from pathlib import Path
from random import Random
from typing import Any

import numpy as np
import pytest
from conftest import photo, with_metadata
from frozen.renew import FROZEN
from PIL import Image, ImageFile, UnidentifiedImageError, features

import vqcodec
from vqcodec.container import ALPHA, Chunk, Container, Header, Mode, parse, serialise
from vqcodec.errors import PictureError
from vqcodec.image.opening import is_picture
from vqcodec.pillow import MIME_TYPE, VqcImageFile

FUZZ = Path(__file__).parent.parent / "fuzz"
sys.path.insert(0, str(FUZZ))
import mutator  # noqa: E402

SEEDS = sorted((FUZZ / "corpus" / "container").glob("*.vqc"))
MODES = (
    *("1", "L", "P", "RGB", "RGBA", "RGBX", "RGBa", "LA", "La", "PA", "CMYK", "YCbCr", "LAB"),
    *("HSV", "I;16", "I;16L", "I;16B"),
)
"""All that can be saved without more being said."""


def saved(image: Image.Image, **options: Any) -> bytes:
    """A file, stored exactly unless the options ask for something else."""
    buffer = io.BytesIO()
    image.save(buffer, "VQC", **(options or {"lossless": True}))
    return buffer.getvalue()


def opened(data: bytes) -> ImageFile.ImageFile:
    return Image.open(io.BytesIO(data))


def same(image: Image.Image, other: Image.Image) -> bool:
    """Tell whether two images have the same pixels, whatever their classes and metadata."""
    return image.mode == other.mode and np.array_equal(np.asarray(image), np.asarray(other))


def with_alpha() -> Image.Image:
    image = photo(40, 30)
    image.putalpha(Image.linear_gradient("L").resize((40, 30)))
    return image


@pytest.fixture
def path(tmp_path: Path) -> Path:
    path = tmp_path / "a.vqc"
    path.write_bytes(saved(photo()))
    return path


@pytest.fixture
def nothing_decodes(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise AssertionError("pixels were decoded")

    monkeypatch.setattr("vqcodec.image.pipeline.decompress", refuse)
    monkeypatch.setattr("vqcodec.image.salvage.salvage", refuse)


@pytest.fixture
def tiny_models(no_installed_models: Path) -> None:
    """Install the models that made the fuzzers' seeds."""
    no_installed_models.mkdir()
    for model in (FUZZ / "corpus" / "model").glob("*.safetensors"):
        data = model.read_bytes()
        name = f"{hashlib.sha256(data).hexdigest()}.safetensors"
        (no_installed_models / name).write_bytes(data)


def test_pillow_lists_the_format() -> None:
    assert Image.registered_extensions()[".vqc"] == "VQC"
    listing = io.StringIO()
    features.pilinfo(listing)
    assert f"VQC {MIME_TYPE}\nExtensions: .vqc\nFeatures: open, save" in listing.getvalue()


@pytest.mark.usefixtures("nothing_decodes")
def test_opening_decodes_nothing() -> None:
    source = with_metadata()
    data = saved(source, lossless=True, exif=source.info["exif"], xmp=b"<x:xmpmeta/>")
    with opened(data) as image:
        assert (image.format, image.mode, image.size) == ("VQC", "RGB", (30, 60))
        assert image.get_format_mimetype() == MIME_TYPE
        assert image.getexif()[0x010E] == "a description"
        assert image.info["icc_profile"] == source.info["icc_profile"]
        assert image.info["xmp"] == b"<x:xmpmeta/>"
    with opened(saved(with_alpha())) as image:
        assert image.mode == "RGBA"
    with pytest.raises(AssertionError, match="decoded"):
        opened(data).load()


@pytest.mark.parametrize("name", ["paper", "photo", "photo-low"])
def test_pixels_are_those_that_vqcodec_decodes(name: str) -> None:
    data = (FROZEN / f"{name}.vqc").read_bytes()
    with Image.open(FROZEN / f"{name}.vqc", formats=["VQC"]) as image:
        assert same(image, vqcodec.decompress(data))


@pytest.mark.parametrize("mode", MODES)
def test_every_mode_is_written_as_vqcodec_takes_it(mode: str) -> None:
    source = with_alpha() if "A" in mode or "a" in mode else photo(40, 30)
    image = source.convert("RGB").convert(mode) if mode == "PA" else source.convert(mode)
    data = saved(image)
    assert data == vqcodec.compress(image, lossless=True)
    loaded = opened(data)
    loaded.load()
    has_alpha = mode in ("RGBA", "RGBa", "LA", "La", "PA")
    assert (loaded.mode, loaded.size) == ("RGBA" if has_alpha else "RGB", (40, 30))
    if mode in ("RGB", "L", "P", "1", "RGBA"):
        assert same(loaded, image.convert(loaded.mode))


@pytest.mark.parametrize("mode", ["I", "F"])
def test_modes_without_a_known_white_need_a_range(mode: str, tmp_path: Path) -> None:
    image = Image.linear_gradient("L").convert(mode)
    with pytest.raises(OSError, match=f"cannot write mode {mode} as VQC"):
        image.save(tmp_path / "a.vqc")
    assert not list(tmp_path.iterdir())
    loaded = opened(saved(image, lossless=True, value_range=(0, 255)))
    assert same(loaded, Image.linear_gradient("L").convert("RGB"))


def test_transparent_colours_of_palettes_become_alpha() -> None:
    image = photo(40, 30).quantize(8)
    image.info["transparency"] = 3
    assert same(opened(saved(image)), image.convert("RGBA"))


@pytest.mark.parametrize(
    "options",
    [
        {"quality": 2},
        {"quality": 6.5},
        {"target_size": 700},
        {"lossless": True},
        {"model": "paper"},
    ],
)
def test_options_are_those_of_compress(options: dict[str, Any]) -> None:
    image = photo()
    assert saved(image, **options) == vqcodec.compress(image, **options)


@pytest.mark.parametrize(
    ("options", "reason"),
    [
        ({"quality": 80}, "quality is 80, not 1 to 12"),
        ({"quality": 5, "lossless": True}, "give one of"),
        ({"effort": 10}, "effort is 10"),
        ({"exif": "text"}, "exif must be bytes, not str"),
        ({"icc_profile": 7}, "icc_profile must be bytes, not int"),
    ],
)
def test_wrong_options_leave_no_file(options: dict[str, Any], reason: str, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=reason):
        photo().save(tmp_path / "a.vqc", **options)
    assert not list(tmp_path.iterdir())


def test_models_that_are_not_there_are_an_os_error(path: Path) -> None:
    with pytest.raises(OSError, match="no model is called 'other'"):
        photo().save(path, model="other")
    foreign = Header(mode=Mode.FIXED, shape=(4, 4), model=b"unknown!", stride_log2=2, tile_log2=4)
    image = opened(serialise(Container(header=foreign, tiles=(b"",))))
    assert image.size == (4, 4)
    for read in (image.verify, image.load):
        with pytest.raises(OSError, match="which is not installed; get that model's file"):
            read()


def test_empty_images_are_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="0x0 pixels"):
        Image.new("RGB", (0, 0)).save(tmp_path / "a.vqc")


def test_metadata_are_written_as_pillows_formats_do() -> None:
    source = with_metadata()
    kept = opened(saved(source))
    assert kept.info == {"icc_profile": source.info["icc_profile"]}
    assert opened(saved(source, lossless=True, icc_profile=None)).info == {}
    exif = Image.Exif()
    exif[0x010E] = "other"
    for given in (exif, exif.tobytes(), exif.tobytes().removeprefix(b"Exif\0\0")):
        assert opened(saved(source, lossless=True, exif=given)).getexif()[0x010E] == "other"


def test_pixels_are_stored_upright() -> None:
    exif = Image.Exif()
    exif[0x0112] = 6
    image = opened(saved(photo(40, 30), lossless=True, exif=exif))
    assert same(image, photo(40, 30).transpose(Image.Transpose.ROTATE_270))
    assert image.getexif()[0x0112] == 1


def test_one_picture_per_file(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="one picture"):
        photo().save(tmp_path / "a.vqc", save_all=True, append_images=[photo()])
    animation = io.BytesIO()
    photo().save(animation, "GIF", save_all=True, append_images=[photo(seed=1)])
    frames = Image.open(animation)
    with pytest.raises(ValueError, match="one picture"):
        frames.save(tmp_path / "a.vqc", save_all=True)
    assert not list(tmp_path.iterdir())
    frames.seek(1)
    assert same(opened(saved(frames)), frames.convert("RGB"))
    assert saved(photo(), save_all=True, lossless=True) == saved(photo())


def test_files_may_be_saved_over_themselves(path: Path) -> None:
    with Image.open(path) as image:
        image.save(path, lossless=True)
    with Image.open(path) as image:
        assert same(image, photo())


@pytest.mark.parametrize("protocol", range(pickle.HIGHEST_PROTOCOL + 1))
def test_pickling(path: Path, protocol: int) -> None:
    with Image.open(path) as image:
        loaded = pickle.loads(pickle.dumps(image, protocol))
        assert isinstance(loaded, VqcImageFile)
        assert loaded == image
        assert same(loaded, photo())
    loaded.putpixel((0, 0), (1, 2, 3))
    assert loaded.getpixel((0, 0)) == (1, 2, 3)


def test_copies_and_changes_are_independent(path: Path) -> None:
    with Image.open(path) as image:
        image.copy().putpixel((0, 0), (1, 2, 3))
        assert same(image, photo())
        image.putpixel((0, 0), (1, 2, 3))
        assert image.getpixel((0, 0)) == (1, 2, 3)
    with Image.open(path) as image:
        assert same(image, photo())


def test_thumbnails_and_other_operations_load(path: Path) -> None:
    operations: list[Callable[[Image.Image], Image.Image]] = [
        lambda image: image.resize((9, 9)),
        lambda image: image.crop((1, 2, 30, 31)),
        lambda image: image.convert("L"),
        lambda image: image.rotate(90, expand=True),
    ]
    for operation in operations:
        with Image.open(path) as image:
            assert same(operation(image), operation(photo()))
    with Image.open(path) as image:
        assert image.draft("L", (10, 10)) is None
        image.thumbnail((20, 20))
        expected = photo()
        expected.thumbnail((20, 20))
        assert same(image, expected)


def test_incremental_parsing(path: Path) -> None:
    parser = ImageFile.Parser()
    for byte in path.read_bytes():
        parser.feed(bytes([byte]))
    assert same(parser.close(), photo())


def test_closed_images(path: Path) -> None:
    for load_before in (True, False):
        image = Image.open(path)
        if load_before:
            image.load()
        image.close()
        for read in (image.load, image.tobytes):
            with pytest.raises(ValueError, match="closed image"):
                read()
    with Image.open(path) as image:
        image.load()
    assert same(image, photo())  # as with Pillow's own, what is loaded stays


def test_files_are_closed_and_shared_ones_are_not(path: Path) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        Image.open(path).load()
        with Image.open(path) as image:
            image.save(path.with_name("b.vqc"), lossless=True)
    with path.open("rb") as file:
        assert Image.open(file).load() is not None
        assert not file.closed
        assert same(Image.open(file), photo())


def test_verify() -> None:
    data = (FROZEN / "photo.vqc").read_bytes()
    opened(data).verify()
    image = opened(data)
    image.load()
    with pytest.raises(RuntimeError, match="directly after open"):
        image.verify()
    with pytest.raises(OSError, match="tile 0 does not match its checksum"):
        opened(data[:-1] + bytes([data[-1] ^ 1])).verify()


def test_decompression_bombs(monkeypatch: pytest.MonkeyPatch, path: Path) -> None:
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", photo().width * photo().height - 1)
    with pytest.warns(Image.DecompressionBombWarning):
        Image.open(path)
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 9)
    with pytest.raises(Image.DecompressionBombError):
        Image.open(path)


def test_pillows_limit_of_pixels_is_the_only_one(monkeypatch: pytest.MonkeyPatch) -> None:
    large = Header(
        mode=Mode.LITERAL, shape=(1 << 15,) * 2, model=bytes(8), stride_log2=6, tile_log2=9
    )
    data = serialise(Container(header=large, tiles=(b"",)))
    with pytest.raises(Image.DecompressionBombError):
        opened(data)
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", None)
    assert opened(data).size == (1 << 15, 1 << 15)


def test_other_files_are_not_taken(path: Path) -> None:
    png = io.BytesIO()
    photo().save(png, "PNG")
    for data in (png.getvalue(), b"", path.read_bytes()[:7]):
        with pytest.raises(UnidentifiedImageError):
            Image.open(io.BytesIO(data), formats=["VQC"])
    with pytest.raises(UnidentifiedImageError):
        Image.open(path, formats=["PNG"])
    with pytest.raises(SyntaxError, match=r"not a \.vqc file"):
        VqcImageFile(io.BytesIO(png.getvalue()))
    sound = (FUZZ / "corpus" / "container" / "voice-one.vqc").read_bytes()
    with pytest.raises(UnidentifiedImageError):
        opened(sound)
    with pytest.raises(SyntaxError, match="holds sound"):
        VqcImageFile(io.BytesIO(sound))


def test_truncated_files_end_as_pillows_own(monkeypatch: pytest.MonkeyPatch) -> None:
    picture = photo(20, 17)
    data = saved(picture)
    ends = []
    for end in range(len(data)):
        try:
            image = opened(data[:end])
        except UnidentifiedImageError:
            continue
        assert image.size == picture.size
        with pytest.raises(OSError, match="image file is truncated"):
            image.load()
        ends.append(end)
    header = len(data) - sum(map(len, parse(data).tiles))
    assert ends == list(range(header, len(data)))
    monkeypatch.setattr(ImageFile, "LOAD_TRUNCATED_IMAGES", True)
    for end in (header, len(data) - 1):
        assert (np.asarray(opened(data[:end])) == 128).all()
    assert same(opened(data), picture)


def test_damaged_alpha(monkeypatch: pytest.MonkeyPatch) -> None:
    whole = parse(saved(with_alpha()))
    wrong = Container(
        header=whole.header, chunks=(Chunk(type=ALPHA, data=b"no PNG"),), tiles=whole.tiles
    )
    image = opened(serialise(wrong))
    assert image.mode == "RGBA"
    with pytest.raises(OSError, match="chunk ALPH"):
        image.load()
    monkeypatch.setattr(ImageFile, "LOAD_TRUNCATED_IMAGES", True)
    image.load()
    assert image.mode == "RGB"
    assert same(image, with_alpha().convert("RGB"))


@pytest.mark.usefixtures("tiny_models")
@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("leniently", [False, True])
def test_changed_files_end_in_an_image_or_an_os_error(
    leniently: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ImageFile, "LOAD_TRUNCATED_IMAGES", leniently)
    seeds = [path.read_bytes() for path in SEEDS]
    ended = {True: 0, False: 0}
    for number in range(200):
        rng = Random(number)
        data = bytearray(rng.choice(seeds))
        data = mutator.MUTATORS["decode"](bytes(data), rng, lambda whole: whole[:-1])
        try:
            image = opened(data)
            image.load()
            opened(data).verify()
        except OSError:
            ended[False] += 1
        else:
            ended[True] += 1
            assert np.asarray(image).size
    assert min(ended.values()) > 5


def test_imageio_reads_and_writes_through_pillow(path: Path) -> None:
    imageio = pytest.importorskip("imageio.v3")
    assert np.array_equal(imageio.imread(path), np.asarray(photo()))
    assert imageio.improps(path, plugin="pillow").shape == (61, 83, 3)
    written = path.with_name("b.vqc")
    imageio.imwrite(written, np.asarray(photo()), plugin="pillow", lossless=True)
    assert written.read_bytes() == path.read_bytes()


def test_pictures_to_compress_are_what_they_were(tmp_path: Path) -> None:
    """What has been compressed is no picture to be compressed, in programs that have the plugin
    as in others.
    """
    path = tmp_path / "a.vqc"
    path.write_bytes(saved(photo()))
    assert not is_picture(path)
    with pytest.raises(PictureError):
        vqcodec.compress(path)
