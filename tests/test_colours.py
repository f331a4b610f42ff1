"""Pictures of every mode look after compression as Pillow shows them, with a profile and without.

The codec is lossy, so what is compared is within what the highest quality loses of a smooth
picture. Channels in another order, inks taken for light, samples cut off at the wrong end or a
profile that is lost or applied twice are far outside of it.
"""

from __future__ import annotations

import io
import struct
from typing import Any

import numpy as np
import pytest
from PIL import Image, ImageCms
from test_reading import grey_profile

import vqcodec
from vqcodec.image.colour import rgb_profile
from vqcodec.metrics import psnr

LEAST_PSNR, LEAST_PSNR_OF_EDGES = 38.0, 25.0
"""Decibels; the second of modes with few colours, which have edges wherever waves have none."""
WIDE = rgb_profile((0.3127, 0.329, 0.68, 0.32, 0.265, 0.69, 0.15, 0.06), (1.8,))
"""Of colours that differ from sRGB's in primaries and curve."""
GREY = grey_profile(1.0)
SRGB = ImageCms.createProfile("sRGB")
LAB = ImageCms.createProfile("LAB")


def inks_profile() -> bytes:
    """A profile of CMYK pixels (ICC.1:2022, section 10.10): the colours of 16 mixtures of full
    inks, greener than those that Pillow takes inks for without a profile.
    """
    full = np.array(list(np.ndindex(2, 2, 2, 2)), dtype=np.float64)
    rgb = (255 * (1 - full[:, :3]) * (1 - full[:, 3:]) * (0.7, 1.0, 0.8)).astype(np.uint8)
    mixtures = converted(Image.fromarray(rgb[None]), SRGB, LAB, "LAB")
    # Pillow's L*a*b* has a and b as signed bytes, the profile has 128 more.
    colours = np.asarray(mixtures)[0] ^ np.array([0, 128, 128], dtype=np.uint8)
    identity = np.rint(np.eye(3).ravel() * 65536).astype(">i4").tobytes()
    curve = bytes(range(256))
    table = b"mft1\0\0\0\0" + bytes([4, 3, 2, 0]) + identity
    tag = table + 4 * curve + colours.tobytes() + 3 * curve
    size = 128 + 4 + 12 + len(tag)
    head = struct.pack(">I4sI4s4s4s", size, b"", 0x02400000, b"prtr", b"CMYK", b"Lab ")
    head = (head + struct.pack(">6H", 2026, 1, 1, 0, 0, 0) + b"acsp").ljust(68, b"\0")
    head += np.rint(np.array([0.9642, 1.0, 0.8249]) * 65536).astype(">i4").tobytes()
    return head.ljust(128, b"\0") + struct.pack(">I4sII", 1, b"A2B0", 144, len(tag)) + tag


def converted(image: Image.Image, source: Any, target: Any, mode: str) -> Image.Image:
    """Pillow's conversion between profiles."""
    found = ImageCms.profileToProfile(image, source, target, outputMode=mode)
    assert found is not None
    return found


def smooth() -> Image.Image:
    """Slow waves of all colours."""
    y, x = np.mgrid[0:64, 0:96]
    waves = [np.sin(x / 25 + k) + np.cos(y / 20 - 2 * k) for k in range(3)]
    return Image.fromarray((128 + 55 * np.stack(waves, -1)).astype(np.uint8))


def of_mode(mode: str) -> Image.Image:
    """A picture of that mode that holds as much of the waves as the mode can."""
    image = smooth()
    grey = np.asarray(image.convert("L"))
    match mode:
        case "1":
            return Image.fromarray(np.indices((64, 96)).sum(0) % 64 < 32)
        case "I;16":
            return Image.fromarray(grey.astype(np.uint16) * 256 + 200)
        case "LAB":
            return converted(image, SRGB, LAB, "LAB")
        case "P":
            return image.quantize(256, dither=Image.Dither.NONE)
        case "LA" | "RGBA":
            image = image.convert(mode)
            image.putalpha(Image.fromarray(np.maximum(grey, 1)))
    return image.convert(mode)


def shown(image: Image.Image) -> np.ndarray:
    """What Pillow shows of a picture in sRGB, alpha apart."""
    match image.mode:
        case "I;16":
            image, icc = Image.fromarray((np.asarray(image) >> 8).astype(np.uint8)), image.info
        case "RGB" | "L" | "CMYK" | "LAB":
            icc = image.info
        case "LA" | "1":
            image, icc = image.convert("L"), image.info
        case _:
            image, icc = image.convert("RGB"), image.info
    profile = icc.get("icc_profile")
    if profile is None and image.mode != "LAB":
        return np.asarray(image.convert("RGB"))
    source = LAB if profile is None else ImageCms.ImageCmsProfile(io.BytesIO(profile))
    return np.asarray(converted(image, source, SRGB, "RGB"))


PLAIN = ("RGB", "L", "LA", "RGBA", "P", "1", "CMYK", "I;16", "LAB", "YCbCr", "HSV")
PROFILED = [
    *((mode, WIDE) for mode in ("RGB", "RGBA", "P", "YCbCr", "HSV")),
    *((mode, GREY) for mode in ("L", "LA", "1", "I;16")),
    ("LAB", ImageCms.ImageCmsProfile(LAB).tobytes()),
    ("CMYK", inks_profile()),
]


@pytest.mark.parametrize(
    ("mode", "profile"),
    [*((mode, None) for mode in PLAIN), *PROFILED],
    ids=[*PLAIN, *(f"{mode}-profile" for mode, _ in PROFILED)],
)
def test_every_mode_looks_as_pillow_shows_it(mode: str, profile: bytes | None) -> None:
    image = of_mode(mode)
    least = LEAST_PSNR_OF_EDGES if mode in ("1", "P") else LEAST_PSNR
    if profile is not None:
        plain = shown(image)
        image.info["icc_profile"] = profile
        if mode not in ("1", "LAB"):  # whose profile changes neither black nor white, or nothing
            assert psnr(shown(image), plain) < least
    decoded = vqcodec.decompress(vqcodec.compress(image, quality=8))
    assert psnr(shown(image), shown(decoded)) > least
    has_alpha = mode in ("LA", "RGBA")
    assert decoded.mode == ("RGBA" if has_alpha else "RGB")
    if has_alpha:
        assert np.array_equal(decoded.getchannel("A"), image.getchannel("A"))
