"""Picture files to Pillow images.

Pillow's readers raise almost anything for damaged files, hence the broad handlers: what is
read comes from outside, and one bad picture must not end a batch.
"""

from __future__ import annotations

import struct
from contextlib import suppress
from functools import cache
from importlib import import_module
from pathlib import PurePath
from typing import IO

from PIL import Image

from vqcodec.codec.beginnings import HEAD_BYTES, is_sound
from vqcodec.errors import PictureError, PictureSizeError

_NO_PICTURES = frozenset({"BUFR", "EPS", "GRIB", "HDF5", "MPEG", "VQC", "WMF"})
"""What Pillow recognises by name but cannot read by itself, and what pictures are to become, which
`vqcodec.pillow` lets it read.
"""
_PREFIX = 16
"""Bytes that Pillow's plugins are shown to recognise their format."""


@cache
def _prepare() -> None:
    """Load Pillow's plugins, and that of pillow-heif where it is installed."""
    Image.preinit()  # common formats are tried first
    Image.init()
    with suppress(ImportError):
        import_module("pillow_heif").register_heif_opener()


def is_picture(path: PurePath) -> bool:
    """Tell by its suffix whether a file is a picture that can be read here."""
    _prepare()
    found = Image.registered_extensions().get(path.suffix.lower(), "")
    # Pillow opens MPO files as the JPEG files that they begin as.
    return found in (*Image.OPEN, "MPO") and found not in _NO_PICTURES


def open_image(file: IO[bytes], max_pixels: int) -> Image.Image:
    """Open and decode a picture, its size checked before it is decoded.

    Raises: PictureError if Pillow cannot read it; PictureSizeError if it is too large.
    """
    if not file.read(1):
        raise PictureError("it is empty")
    file.seek(0)
    try:
        image = _recognised(file)
        if image is not None and image.width * image.height <= max_pixels:
            image.load()
            return image
    except MemoryError:
        raise
    except Exception as error:
        raise _no_picture(file) from error
    if image is None:
        raise _no_picture(file)
    raise PictureSizeError(f"{image.width}x{image.height} is more than {max_pixels} pixels")


def mode_of(file: IO[bytes]) -> str:
    """Return Pillow's mode of a picture, which is not decoded; "RGB" if it cannot be told."""
    with suppress(Exception):
        image = _recognised(file)
        if image is not None:
            return image.mode
    return "RGB"


def _no_picture(file: IO[bytes]) -> PictureError:
    """Return the error of a file that Pillow cannot read."""
    file.seek(0)
    if is_sound(file.read(HEAD_BYTES)):
        return PictureError("not a picture, but sound: `compress_audio` takes its samples")
    return PictureError("not a picture that Pillow can read, or damaged")


def _recognised(file: IO[bytes]) -> Image.Image | None:
    """Do what `Image.open` does, but for its own limit on pixels, which is a global variable
    of Pillow: `open_image`'s limit, which may be larger, takes its place.
    """
    _prepare()
    prefix = file.read(_PREFIX)
    for name in Image.ID:
        factory, accept = Image.OPEN[name]
        accepted = True if accept is None else accept(prefix)
        # A text instead says why the format cannot be read here.
        if not accepted or isinstance(accepted, str) or name in _NO_PICTURES:
            continue
        file.seek(0)
        try:
            return factory(file, "")
        except (SyntaxError, IndexError, TypeError, struct.error):
            continue
    return None
