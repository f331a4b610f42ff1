"""Pillow opens and saves .vqc files once this module has been imported.

    import vqcodec.pillow
    from PIL import Image

    image = Image.open("photo.vqc")
    image.save("smaller.vqc", quality=3)

Opening reads size, mode and metadata; pixels are decoded when they are first asked for. Wrong
files end as those of Pillow's own formats do: in `PIL.UnidentifiedImageError` where the header
or the metadata is wrong, and else in OSError on `load` or `verify`. If
`ImageFile.LOAD_TRUNCATED_IMAGES` is set, `load` makes do with what is left of a damaged file, as
`vqcodec.salvage` does. `Image.MAX_IMAGE_PIXELS` is the limit of pixels.

`save` takes the arguments `quality`, `target_size`, `target_bpp`, `target_psnr`, `lossless`,
`effort`, `tune`, `value_range`, `model` and `device` of `vqcodec.compress`, and `exif`,
`icc_profile` and `xmp`; without the argument, the image's own profile is kept, as in AVIF files.
Pixels are stored upright: the orientation that `exif` says is applied and set to 1. Modes other
than RGB and RGBA are converted, as for `vqcodec.compress`. Modes I and F, of which nothing says
what is black and white, need `value_range` and end in OSError without it. Pillow opens the file
before `save` is asked, so an error leaves a file that existed empty; who must not lose it writes
what `vqcodec.compress` returns.
"""

from __future__ import annotations

from dataclasses import replace
from typing import IO, Any

from PIL import Image, ImageFile

import vqcodec
from vqcodec.container import ALPHA, Limits, Medium, recover
from vqcodec.container.layout import SIDE_MAX, SIGNATURE
from vqcodec.errors import FormatError, SampleRangeError, TruncatedError, VqcError
from vqcodec.image.chunks import unpack
from vqcodec.image.writing import info_of

MIME_TYPE = "image/x-vqc"
"""Of pictures; files of sound are audio/x-vqc, those of clips video/x-vqc."""

_LIMITS = Limits(pixels=SIDE_MAX**2, media=frozenset({Medium.PICTURE}))
"""`Image.open` holds the size against Pillow's own limit before anything is decoded."""
_OPTIONS = frozenset(
    {
        *("quality", "target_size", "target_bpp", "target_psnr", "lossless"),
        *("effort", "tune", "value_range", "model", "device"),
    }
)
"""What `save` hands on to `vqcodec.compress`."""


class VqcImageFile(ImageFile.ImageFile):
    """A picture of a .vqc file, mode RGB, or RGBA if the file has alpha."""

    format = "VQC"
    format_description = "vqcodec picture"

    _data = b""
    """The file until its pixels are decoded; empty in copies that other processes are sent."""

    def _open(self) -> None:
        assert self.fp is not None
        data = self.fp.read()
        try:
            container = recover(data, _LIMITS).container
            others = tuple(chunk for chunk in container.chunks if chunk.type != ALPHA)
            _, metadata = unpack(replace(container, chunks=others))
        except FormatError as error:
            raise SyntaxError(str(error)) from error  # which `Image.open` expects
        height, width = container.header.shape
        self._size = width, height
        self._mode = "RGB" if container.chunk(ALPHA) is None else "RGBA"
        self.info |= info_of(metadata)
        self._data = data

    def load(self) -> Any:
        """Decode the pixels, once, and return Pillow's access to them.

        Raises: OSError if the file is wrong or its model is not there.
        """
        if self._data:
            image = self._decoded()
            self.im, self.readonly = image.im, 0
            self._mode = image.mode  # damaged alpha may be left out
            self._data = b""
            if self.fp is not None and self._exclusive_fp:
                self.fp.close()
            self.fp = None
        return super().load()

    def verify(self) -> None:
        """Check all of the file as `vqcodec.verify` does, without making pixels.

        It must be called directly after `Image.open`. Raises: OSError if anything is wrong or
        the file's model is not there; RuntimeError after `load`.
        """
        if not self._data:
            raise RuntimeError("verify must be called directly after open")
        try:
            vqcodec.verify(self._data, max_pixels=self.width * self.height)
        except VqcError as error:
            raise _os_error(error) from error
        super().verify()

    def close(self) -> None:
        """Close the file and let go of its bytes and pixels."""
        self._data = b""
        super().close()

    def _decoded(self) -> Image.Image:
        pixels = self.width * self.height
        try:
            if ImageFile.LOAD_TRUNCATED_IMAGES:
                return vqcodec.salvage(self._data, max_pixels=pixels).image
            return vqcodec.decompress(self._data, max_pixels=pixels)
        except VqcError as error:
            raise _os_error(error) from error


def _accept(prefix: bytes) -> bool:
    return prefix.startswith(SIGNATURE)


def _save(image: Image.Image, file: IO[bytes], filename: str | bytes) -> None:
    wanted: dict[str, Any] = image.encoderinfo
    options = {name: wanted[name] for name in _OPTIONS & wanted.keys()}
    described = image.copy()
    described.info = _info_to_write(image)
    try:
        data = vqcodec.compress(described, max_pixels=image.width * image.height, **options)
    except SampleRangeError as error:
        raise OSError(f"cannot write mode {image.mode} as VQC") from error
    except VqcError as error:
        raise _os_error(error) from error
    file.write(data)


def _save_all(image: Image.Image, file: IO[bytes], filename: str | bytes) -> None:
    """Save the only frame. Raises ValueError if there are several."""
    pictures = [image, *image.encoderinfo.get("append_images", ())]
    if sum(getattr(picture, "n_frames", 1) for picture in pictures) > 1:
        raise ValueError("a VQC file holds one picture: several frames cannot be saved as one")
    _save(image, file, filename)


def _info_to_write(image: Image.Image) -> dict[Any, Any]:
    """Return what is to be written besides the pixels. Raises ValueError for what is no bytes."""
    wanted: dict[str, Any] = image.encoderinfo
    exif = wanted.get("exif")
    info: dict[Any, Any] = {
        "exif": exif.tobytes() if isinstance(exif, Image.Exif) else exif,
        "icc_profile": wanted.get("icc_profile", image.info.get("icc_profile")),
        "xmp": wanted.get("xmp"),
    }
    for name, value in info.items():
        if value and not isinstance(value, bytes):
            raise ValueError(f"{name} must be bytes, not {type(value).__name__}")
    info["transparency"] = image.info.get("transparency")
    return {name: value for name, value in info.items() if value is not None}


def _os_error(error: VqcError) -> OSError:
    """Return what Pillow's own formats raise instead."""
    message = f"{error}; {error.hint}" if error.hint else str(error)
    if isinstance(error, TruncatedError):
        message = f"image file is truncated: {message}"
    return OSError(message)


Image.register_open(VqcImageFile.format, VqcImageFile, _accept)
Image.register_save(VqcImageFile.format, _save)
Image.register_save_all(VqcImageFile.format, _save_all)  # which refuses with a clear message
Image.register_extension(VqcImageFile.format, ".vqc")
Image.register_mime(VqcImageFile.format, MIME_TYPE)
