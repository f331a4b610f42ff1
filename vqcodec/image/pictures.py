"""Pillow images to plain pixels with metadata, and back.

The only module that knows what kinds of picture there are. Pillow's readers
raise almost anything for damaged files, hence the broad handlers: what is read
comes from outside, and one bad picture must not end a batch.
"""

from __future__ import annotations

import io
import threading
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import PurePath
from typing import IO

import numpy as np
from numpy.typing import NDArray
from PIL import ExifTags, Image, ImageCms, ImageOps, PngImagePlugin

from vqcodec.errors import PictureError, VqcWarning
from vqcodec.image.exif import is_bomb

METADATA_MAX = 1 << 24
"""Most bytes of unpacked metadata of one kind."""
_JPEG_SEGMENT = 65_500
_TIFF_XMP = 700
_RESIZING = frozenset({"ICO", "ICNS"})
"""Formats that Pillow writes at sizes of its own choice."""
_NO_PICTURES = frozenset({"BUFR", "EPS", "GRIB", "HDF5", "MPEG", "WMF"})
"""What Pillow recognises by name but cannot read by itself."""
_DROPPING_ALPHA = frozenset({"BMP", "DIB", "JPEG", "MPO", "PPM"})
_DESCRIPTIVE = (
    *(ExifTags.Base.ImageDescription, ExifTags.Base.Make, ExifTags.Base.Model),
    *(ExifTags.Base.Software, ExifTags.Base.DateTime, ExifTags.Base.Artist),
    *(ExifTags.Base.Copyright, ExifTags.Base.XResolution, ExifTags.Base.YResolution),
    ExifTags.Base.ResolutionUnit,
)
"""What is kept of a TIFF file's tags: the others say how its pixels are stored."""
_pillow_limit = threading.Lock()


@dataclass(frozen=True, slots=True, kw_only=True)
class Picture:
    """8-bit RGB, upright, and what came with it."""

    pixels: NDArray[np.uint8]
    """(H, W, 3)."""
    alpha: NDArray[np.uint8] | None = None
    """(H, W), 255 is opaque."""
    icc: bytes | None = None
    """Colour profile; None means sRGB."""
    exif: bytes | None = None
    """TIFF structure, without JPEG's 'Exif' prefix and without an orientation."""
    xmp: bytes | None = None


def open_image(file: IO[bytes], max_pixels: int) -> Image.Image:
    """Open a picture, its size checked before it is decoded.

    Raises: PictureError if Pillow cannot read it or it is too large.
    """
    try:
        with without_pillows_limit():
            image = Image.open(file)
        if image.width * image.height <= max_pixels:
            deep = ";16" in str([tile[3] for tile in image.tile])
            image.load()
            if deep:
                _warn("16 bits per channel: the high 8 of them are kept")
            return image
    except MemoryError:
        raise
    except Exception as error:
        raise PictureError("not a picture that Pillow can read, or damaged") from error
    raise PictureError(
        f"{image.width}x{image.height} is more than {max_pixels} pixels",
        hint="--max-pixels raises the limit",
    )


def from_image(image: Image.Image, *, strip: bool = False) -> Picture:
    """Take a Pillow image of any mode apart.

    EXIF orientation is applied. 16-bit pictures keep their high 8 bits; pictures of
    real numbers are taken as 0..1 or, if they exceed 1, as 0..255. Grey, CMYK and
    other colours become sRGB, through the ICC profile where there is one. Of an
    animation the first frame is taken, with a warning. `strip` drops metadata.
    """
    if is_bomb(image.info.get("exif") or b""):
        _warn("its EXIF data are damaged and dropped")
        image = image.copy()
        del image.info["exif"]
    layered = image.format in ("MPO", "PSD")  # previews and layers, no animation
    if image.tell() and not layered:
        image.seek(0)
    try:
        upright = ImageOps.exif_transpose(image)
    except Exception:
        _warn("its EXIF data are damaged, its orientation is unknown")
        upright = image
    alpha, opaque = _split_alpha(upright)
    pixels, icc = _to_rgb(opaque, upright.info.get("icc_profile") or None)
    exif = None if strip else _read_exif(image)
    if _frames(image) != 1:
        parts, kept = ("layers or previews", "picture") if layered else ("frames or pages", "first")
        _warn(f"several {parts}: only the {kept} is kept")
    if strip:
        return Picture(pixels=pixels, alpha=alpha)
    xmp = upright.info.get("xmp") or upright.info.get("XML:com.adobe.xmp")
    return Picture(
        pixels=pixels,
        alpha=alpha,
        icc=_fitting("ICC", icc),
        exif=_fitting("EXIF", exif),
        xmp=_fitting("XMP", xmp.encode() if isinstance(xmp, str) else xmp),
    )


def to_image(picture: Picture) -> Image.Image:
    """Make a Pillow image, RGB or RGBA; metadata is in `info` where `save_image` finds it."""
    image = Image.fromarray(picture.pixels)
    if picture.alpha is not None:
        image.putalpha(Image.fromarray(picture.alpha))
    for key, value in (("icc_profile", picture.icc), ("exif", picture.exif), ("xmp", picture.xmp)):
        if value is not None:
            image.info[key] = b"Exif\0\0" + value if key == "exif" else value
    return image


def is_picture(path: PurePath) -> bool:
    """Tell by its suffix whether a file is a picture that Pillow reads."""
    Image.init()
    found = Image.registered_extensions().get(path.suffix.lower(), "")
    return found in Image.OPEN and found not in _NO_PICTURES


def format_of(name: str) -> str:
    """Return Pillow's name of the format that a file name's suffix asks for; '-' is PNG.

    Raises: ValueError if Pillow cannot write it, or not at the picture's size.
    """
    if name == "-":
        return "PNG"
    Image.init()
    suffix = PurePath(name).suffix.lower()
    found = Image.registered_extensions().get(suffix, "")
    if found not in Image.SAVE or found in _RESIZING:
        raise ValueError(f"{name}: no picture format to write has the suffix {suffix!r}")
    return found


def save_image(image: Image.Image, file: IO[bytes], format_name: str) -> None:
    """Write an image in a format that Pillow knows, with its metadata.

    Formats without alpha get the picture on white, and metadata that a format
    cannot hold is dropped, both with a warning. Raises PictureError if Pillow
    cannot write the picture.
    """
    if image.mode == "RGBA" and not _takes_alpha(format_name):
        _warn(f"{format_name} has no alpha: the picture is put on white")
        white = Image.new("RGBA", image.size, "white")
        flat = Image.alpha_composite(white, image).convert("RGB")
        flat.info = image.info
        image = flat
    options = _metadata_options(image, format_name)
    if format_name == "JPEG":
        options |= {"quality": 95, "subsampling": 0}
    if format_name == "PNG":
        options["compress_level"] = 4
    if format_name == "WEBP":
        options["lossless"] = True
    try:
        image.save(file, format_name, **options)
    except (MemoryError, BrokenPipeError):
        raise
    except Exception as error:
        raise PictureError(f"cannot be written as {format_name}: {error}") from error


def _fitting(name: str, data: bytes | None) -> bytes | None:
    if data is not None and len(data) > METADATA_MAX:
        _warn(f"its {name} data are dropped: more than {METADATA_MAX} bytes")
        return None
    return data or None


def _frames(image: Image.Image) -> int:
    """Count frames, 0 if they are damaged. Moves Pillow's place in the file."""
    try:
        return int(getattr(image, "n_frames", 1))
    except Exception:
        return 0


def _split_alpha(image: Image.Image) -> tuple[NDArray[np.uint8] | None, Image.Image]:
    """Separate alpha from colours; the colours keep their mode where profiles need it."""
    key = image.info.get("transparency")
    if image.mode.startswith("I;16"):
        if not isinstance(key, int):
            return None, image
        return np.where(np.asarray(image) == key, 0, 255).astype(np.uint8), image
    if image.mode in ("I", "F") or not image.has_transparency_data:
        return None, image
    rgba = image.convert("LA" if image.mode == "La" else "RGBA").convert("RGBA")
    grey = image.mode in ("LA", "La", "L", "1")
    return np.asarray(rgba.getchannel("A")), rgba.getchannel("R") if grey else rgba.convert("RGB")


def _to_rgb(image: Image.Image, icc: bytes | None) -> tuple[NDArray[np.uint8], bytes | None]:
    mode = image.mode
    if mode in ("RGB", "P", "RGBX"):
        return np.asarray(image.convert("RGB")), icc
    if mode == "F" or mode.startswith("I"):
        return _grey(np.asarray(image), mode), None
    if icc is not None and mode in ("L", "CMYK", "LAB"):
        try:
            profile = ImageCms.ImageCmsProfile(io.BytesIO(icc))
            srgb = ImageCms.createProfile("sRGB")
            converted = ImageCms.profileToProfile(image, profile, srgb, outputMode="RGB")
            if converted is not None:
                return np.asarray(converted), None
        except (ImageCms.PyCMSError, OSError, ValueError):
            _warn("its colour profile is unusable and ignored")
    return np.asarray(image.convert("RGB")), None


def _grey(values: NDArray, mode: str) -> NDArray[np.uint8]:
    if mode == "F":
        finite = np.nan_to_num(values.astype(np.float64))
        levels = (finite * (255.0 if finite.max() <= 1.0 else 1.0)).round().clip(0, 255)
    else:
        wide = values.astype(np.int64).clip(0, 65535)
        levels = wide >> 8 if mode.startswith("I;16") or wide.max() > 255 else wide
    return np.repeat(levels.astype(np.uint8)[..., None], 3, axis=2)


def _read_exif(image: Image.Image) -> bytes | None:
    """Return a picture's EXIF without its orientation, which has been applied."""
    try:
        source = image.getexif()
        kept = Image.Exif()
        if image.format == "TIFF":
            for tag in _DESCRIPTIVE:
                if tag in source:
                    kept[tag] = source[tag]
            for pointer in (ExifTags.IFD.Exif, ExifTags.IFD.GPSInfo):
                if inner := source.get_ifd(pointer):
                    kept[pointer] = dict(inner)
        elif source:
            kept.load(source.tobytes())
        kept.pop(ExifTags.Base.Orientation, None)
        return kept.tobytes().removeprefix(b"Exif\0\0") if kept else None
    except Exception:
        _warn("its EXIF data are damaged and dropped")
        return None


def _takes_alpha(format_name: str) -> bool:
    if format_name in _DROPPING_ALPHA:
        return False
    try:
        Image.new("RGBA", (1, 1)).save(io.BytesIO(), format_name)
    except Exception:
        return False
    return True


def _metadata_options(image: Image.Image, format_name: str) -> dict[str, object]:
    """Return the metadata as arguments of `Image.save`; what does not fit is left out."""
    options: dict[str, object] = {}
    for key in ("icc_profile", "exif", "xmp"):
        data = image.info.get(key)
        if data is None:
            continue
        if format_name in ("JPEG", "MPO") and key != "icc_profile" and len(data) > _JPEG_SEGMENT:
            _warn(f"its {key.upper()} data do not fit into {format_name} and are dropped")
            continue
        if key == "exif":
            try:
                if is_bomb(data):
                    raise ValueError("values that overlap")
                Image.Exif().load(data)
            except Exception:
                _warn("its EXIF data are damaged and dropped")
                continue
        options[key] = data
    xmp = options.get("xmp")
    if isinstance(xmp, bytes) and format_name == "PNG":
        text = PngImagePlugin.PngInfo()
        text.add_itxt("XML:com.adobe.xmp", xmp.decode("utf-8", "replace"))
        options["pnginfo"] = text
    if isinstance(xmp, bytes) and format_name == "TIFF":
        tags = Image.Exif()
        exif = options.get("exif")
        if isinstance(exif, bytes):
            tags.load(exif)
        tags[_TIFF_XMP] = xmp
        options["exif"] = tags
    return options


@contextmanager
def without_pillows_limit() -> Iterator[None]:
    """Lift Pillow's own limit on pixels: ours, which may be larger, takes its place."""
    with _pillow_limit:
        before = Image.MAX_IMAGE_PIXELS
        Image.MAX_IMAGE_PIXELS = None
        try:
            yield
        finally:
            Image.MAX_IMAGE_PIXELS = before


def _warn(message: str) -> None:
    warnings.warn(message, VqcWarning, stacklevel=3)
