"""Pillow images to plain pixels with metadata, and back.

The only module that knows what kinds of picture there are.
"""

from __future__ import annotations

import io
import warnings
import zlib
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import PurePath
from typing import IO, Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageCms, ImageOps, PngImagePlugin

from vqcodec.container import ALPHA, EXIF, ICC, XMP, Chunk, Container
from vqcodec.errors import CorruptError, LimitError, PictureError

METADATA_MAX = 1 << 24
"""Most bytes of unpacked metadata of one kind."""


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
    """TIFF structure, without JPEG's 'Exif' prefix."""
    xmp: bytes | None = None


def open_image(file: IO[bytes], max_pixels: int) -> Image.Image:
    """Open a picture, its size checked before it is decoded.

    Raises: PictureError if Pillow cannot read it or it is too large.
    """
    # The limit below takes the place of Pillow's own, which is smaller.
    Image.MAX_IMAGE_PIXELS = None
    try:
        image = Image.open(file)
        if image.width * image.height > max_pixels:
            raise PictureError(
                f"{image.width}x{image.height} is more than {max_pixels} pixels",
                hint="--max-pixels raises the limit",
            )
        image.load()
    except PictureError:
        raise
    except (OSError, SyntaxError, ValueError, EOFError) as error:
        raise PictureError("not a picture that Pillow can read, or damaged") from error
    return image


def format_of(name: str) -> str:
    """Return Pillow's name of the format that a file name's suffix asks for; '-' is PNG.

    Raises: ValueError if Pillow cannot write it.
    """
    if name == "-":
        return "PNG"
    Image.init()
    suffix = PurePath(name).suffix.lower()
    found = Image.registered_extensions().get(suffix, "")
    if found not in Image.SAVE:
        raise ValueError(f"{name}: Pillow writes no format with the suffix {suffix!r}")
    return found


def from_image(image: Image.Image, *, strip: bool = False) -> Picture:
    """Take a Pillow image of any mode apart.

    EXIF orientation is applied; 16-bit pictures keep their high 8 bits; CMYK and
    other colours become sRGB, through the ICC profile where there is one. Of an
    animation the first frame is taken, with a warning. `strip` drops metadata.
    """
    if getattr(image, "n_frames", 1) > 1:
        warnings.warn("an animation: only its first frame is kept", stacklevel=2)
        image.seek(0)
    xmp = _xmp(image.info)
    upright = ImageOps.exif_transpose(image)
    exif = upright.getexif().tobytes() if upright.getexif() else b""
    icc = upright.info.get("icc_profile") or None
    alpha = None
    if upright.has_transparency_data and upright.mode not in ("I;16", "I", "F"):
        upright = upright.convert("RGBA")
        alpha = np.asarray(upright.getchannel("A"))
        icc = icc if image.mode in ("RGB", "RGBA", "P", "PA", "RGBa") else None
        rgb = upright.convert("RGB")
    else:
        rgb, icc = _to_rgb(upright, icc)
    picture = Picture(
        pixels=np.asarray(rgb),
        alpha=alpha,
        icc=icc,
        exif=exif.removeprefix(b"Exif\0\0") or None,
        xmp=xmp,
    )
    return replace(picture, icc=None, exif=None, xmp=None) if strip else picture


def to_image(picture: Picture) -> Image.Image:
    """Make a Pillow image, RGB or RGBA; metadata is in `info` where `save_options` finds it."""
    image = Image.fromarray(picture.pixels)
    if picture.alpha is not None:
        image.putalpha(Image.fromarray(picture.alpha))
    for key, value in (("icc_profile", picture.icc), ("exif", picture.exif), ("xmp", picture.xmp)):
        if value is not None:
            image.info[key] = b"Exif\0\0" + value if key == "exif" else value
    return image


def save_image(image: Image.Image, file: IO[bytes], format_name: str) -> None:
    """Write an image in a format that Pillow knows, with its metadata.

    Formats without alpha get the picture on white, with a warning. Raises
    ValueError if Pillow cannot write the format.
    """
    if format_name in ("JPEG", "BMP", "PPM") and image.mode == "RGBA":
        warnings.warn(f"{format_name} has no alpha: the picture is put on white", stacklevel=2)
        info = image.info
        white = Image.new("RGBA", image.size, "white")
        image = Image.alpha_composite(white, image).convert("RGB")
        image.info = info
    options: dict[str, object] = {
        key: image.info[key] for key in ("icc_profile", "exif", "xmp") if key in image.info
    }
    if format_name == "JPEG":
        options |= {"quality": 95, "subsampling": 0}
    if format_name == "PNG":
        options["compress_level"] = 4
        if "xmp" in options:
            text = PngImagePlugin.PngInfo()
            xmp = bytes(image.info["xmp"]).decode("utf-8", "replace")
            text.add_itxt("XML:com.adobe.xmp", xmp)
            options["pnginfo"] = text
            del options["xmp"]
    try:
        image.save(file, format_name, **options)
    except (KeyError, OSError) as error:
        if isinstance(error, OSError) and error.errno is not None:
            raise
        raise ValueError(f"Pillow cannot write this picture as {format_name}: {error}") from error


def to_chunks(picture: Picture) -> tuple[Chunk, ...]:
    """Pack what goes beside the pixels. See format/SPEC.md, section "Chunks"."""
    chunks = []
    if picture.alpha is not None:
        buffer = io.BytesIO()
        Image.fromarray(picture.alpha).save(buffer, "PNG", optimize=True)
        chunks.append(Chunk(type=ALPHA, data=buffer.getvalue()))
    for kind, data in ((ICC, picture.icc), (EXIF, picture.exif), (XMP, picture.xmp)):
        if data:
            chunks.append(Chunk(type=kind, data=zlib.compress(data, 9)))
    return tuple(sorted(chunks, key=lambda chunk: chunk.type))


def from_chunks(pixels: NDArray[np.uint8], container: Container) -> Picture:
    """Put decoded pixels (H, W, 3) and the file's chunks together.

    Raises: FormatError if a chunk's data is not what SPEC.md says.
    """
    icc, exif, xmp = (_inflate(container, kind) for kind in (ICC, EXIF, XMP))
    alpha = container.chunk(ALPHA)
    size = (container.header.width, container.header.height)
    return Picture(
        pixels=pixels,
        alpha=None if alpha is None else _read_alpha(alpha, size),
        icc=icc,
        exif=exif,
        xmp=xmp,
    )


def _to_rgb(image: Image.Image, icc: bytes | None) -> tuple[Image.Image, bytes | None]:
    mode = image.mode
    if mode.startswith("I;16") or mode == "I":
        values = np.asarray(image).astype(np.int64).clip(0, 65535)
        return Image.fromarray((values >> 8).astype(np.uint8)).convert("RGB"), None
    if mode == "F":
        values = np.nan_to_num(np.asarray(image)).clip(0.0, 255.0)
        return Image.fromarray(values.round().astype(np.uint8)).convert("RGB"), None
    if mode in ("RGB", "P"):
        return image.convert("RGB"), icc
    if icc is not None:
        try:
            profile = ImageCms.ImageCmsProfile(io.BytesIO(icc))
            srgb = ImageCms.createProfile("sRGB")
            converted = ImageCms.profileToProfile(image, profile, srgb, outputMode="RGB")
            if converted is not None:
                return converted, None
        except (ImageCms.PyCMSError, OSError, ValueError):
            warnings.warn("the colour profile is unusable and ignored", stacklevel=3)
    return image.convert("RGB"), None


def _xmp(info: Mapping[Any, Any]) -> bytes | None:
    xmp = info.get("xmp") or info.get("XML:com.adobe.xmp")
    if isinstance(xmp, str):
        return xmp.encode()
    return xmp if isinstance(xmp, bytes) else None


def _inflate(container: Container, kind: bytes) -> bytes | None:
    packed = container.chunk(kind)
    if packed is None:
        return None
    name = kind.decode()
    unpacker = zlib.decompressobj()
    try:
        data = unpacker.decompress(packed, METADATA_MAX)
    except zlib.error as error:
        raise CorruptError(f"chunk {name} is not a zlib stream") from error
    if unpacker.unconsumed_tail:
        raise LimitError(f"chunk {name} unpacks to more than {METADATA_MAX} bytes")
    if not unpacker.eof or unpacker.unused_data:
        raise CorruptError(f"chunk {name} is not one whole zlib stream")
    return data


def _read_alpha(data: bytes, size: tuple[int, int]) -> NDArray[np.uint8]:
    try:
        with Image.open(io.BytesIO(data), formats=["PNG"]) as image:
            if image.mode != "L" or image.size != size:
                raise CorruptError(f"chunk ALPH is {image.mode} {image.size}, not L {size}")
            return np.asarray(image)
    except (OSError, SyntaxError, ValueError, Image.DecompressionBombError) as error:
        raise CorruptError("chunk ALPH is not a PNG picture") from error
