"""Pillow images of any mode to 8-bit RGB and alpha."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from vqcodec.errors import PictureError, SampleRangeError
from vqcodec.image import colour

Range: TypeAlias = tuple[float, float]
"""The values that are black and white."""


_NAMES = {"RGB": "RGB", "L": "grey", "CMYK": "CMYK", "LAB": "L*a*b*"}
"""Modes whose pixels may have a colour profile, in words for people."""
_OTHERS = {"CMYK": "CMYK", "LAB": "L*a*b*", "YCbCr": "YCbCr", "HSV": "HSV"}
"""Modes of colours that RGB of 8 bits does not hold exactly, in words for people."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Samples:
    """What Pillow's mode leaves open about the samples of a picture."""

    bits: int | None = None
    """Of a grey sample as it is in Pillow's image, None where that is not known."""
    inverted: bool = False
    """Whether a sample of more than 8 bits is white at 0."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Converted:
    """8-bit RGB."""

    pixels: NDArray[np.uint8]
    """(H, W, 3)."""
    alpha: NDArray[np.uint8] | None
    """(H, W)."""
    icc: bytes | None
    """The profile of `pixels`; None is sRGB."""
    trouble: str = ""
    """The profile of the image and why it is not used, as in "its colour profile, which ..."."""
    replaced: str = ""
    """As `replaced_colours` says it."""


def samples_of(image: Image.Image) -> Samples:
    """Say what is known of an image without its file."""
    if image.mode.startswith("I;16") or image.format in ("PNG", "PPM"):
        return Samples(bits=16)
    return Samples()


def has_range(image: Image.Image) -> bool:
    """Tell whether it is known which values of an image are black and white."""
    return image.mode not in ("F", "I") or samples_of(image).bits is not None


def is_grey(mode: str) -> bool:
    """Tell whether an image of a Pillow mode has grey pixels, with alpha or without."""
    return mode in ("1", "L", "LA", "La", "I", "F") or mode.startswith("I;")


def replaced_colours(mode: str, icc: bytes | None) -> str:
    """Name what the pixels of an image lose when they become RGB, even without any coding: numbers
    of other colours, or of grey that has a profile. Empty if RGB holds them exactly.
    """
    if is_grey(mode):
        used = icc is not None and colour.fits(icc, "L")
        return "its grey levels, which its colour profile turns into sRGB" if used else ""
    return f"its {_OTHERS[mode]} colours, which become RGB" if mode in _OTHERS else ""


def convert(
    image: Image.Image, icc: bytes | None, samples: Samples, value_range: Range | None
) -> Converted:
    """Take an image of any mode apart; `icc` is its profile.

    Pixels of mode RGB keep their numbers and their profile; grey, CMYK and other colours
    become sRGB, through the profile where there is one. `value_range` says what is black and
    white where samples are real numbers or integers of more than 8 bits.

    Raises: PictureError for such samples whose range is neither known nor given, or of which one is
    not finite.
    """
    alpha, opaque = _split_alpha(image)
    if opaque.mode == "F" or opaque.mode.startswith("I"):
        opaque = Image.fromarray(_to_bytes(opaque, samples, value_range))
    elif opaque.mode not in _NAMES:
        opaque = opaque.convert("L" if opaque.mode == "1" else "RGB")
    profile, trouble = icc, ""
    if icc is not None and not colour.fits(icc, opaque.mode):
        profile, trouble = (
            None,
            f"its colour profile, which is not one of {_NAMES[opaque.mode]} pixels",
        )
    if opaque.mode == "RGB":
        return Converted(
            pixels=np.asarray(opaque),
            alpha=alpha,
            icc=profile,
            trouble=trouble,
            replaced=replaced_colours(image.mode, None),
        )
    if profile is not None or opaque.mode == "LAB":
        try:
            opaque = colour.to_srgb(opaque, profile)
        except ValueError:
            trouble = "its colour profile, which is unusable"
            profile = None
            opaque = colour.to_srgb(opaque, None) if opaque.mode == "LAB" else opaque
    pixels = np.asarray(opaque.convert("RGB"))
    replaced = replaced_colours(image.mode, profile)
    return Converted(pixels=pixels, alpha=alpha, icc=None, trouble=trouble, replaced=replaced)


def to_levels(values: NDArray, value_range: Range) -> NDArray[np.uint8]:
    """Map numbers linearly to 0..255, those outside the range to its ends.

    Raises ValueError if the range is none or a number is not finite.
    """
    low, high = value_range
    if not (np.isfinite([low, high]).all() and low != high):
        raise ValueError(f"the range from {low:g} to {high:g} is none")
    if not np.isfinite(values).all():
        raise ValueError("a sample is not finite")
    # Numbers may be too large for a range that is very small.
    scaled = (values.astype(np.float64) - low) * (255.0 / (high - low))
    levels: NDArray[np.uint8] = np.nan_to_num(scaled).clip(0, 255).round().astype(np.uint8)
    return levels


def _to_bytes(image: Image.Image, samples: Samples, value_range: Range | None) -> NDArray[np.uint8]:
    values = np.asarray(image)
    if value_range is not None:
        if not np.isfinite(values).all():
            raise PictureError("a sample is not finite", hint="replace such samples first")
        return to_levels(values, value_range)
    if samples.bits is None or image.mode == "F":
        kind = "floating-point numbers" if image.mode == "F" else "integers of 32 bits"
        finite = values[np.isfinite(values)]
        span = f", here {finite.min():g} to {finite.max():g}" if finite.size else ""
        raise SampleRangeError(
            f"its samples are {kind}{span}, of which nothing says what is black and white"
        )
    levels = (
        values.astype(np.int64).clip(0, (1 << samples.bits) - 1) >> (samples.bits - 8)
    ).astype(np.uint8)
    return 255 - levels if samples.inverted else levels


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
    opaque = rgba.getchannel("R") if is_grey(image.mode) else rgba.convert("RGB")
    return np.asarray(rgba.getchannel("A")), opaque
