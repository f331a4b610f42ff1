"""How good a decoded picture is: each measure defined once, on 8-bit RGB.

PSNR is one line; the others are those of well-kept libraries, which the extra
`bench` installs.
"""

from __future__ import annotations

import io
import math

import numpy as np
from numpy.typing import NDArray
from PIL import Image

Pixels = NDArray[np.uint8]
"""(H, W, 3), 0..255."""


def bits_per_pixel(size: int, pixels: Pixels) -> float:
    """Return the rate of a file of `size` bytes, everything in it counted."""
    return 8.0 * size / (len(pixels) * len(pixels[0]))


class TooSmallError(ValueError):
    """A picture is too small for a metric."""


def psnr(original: Pixels, decoded: Pixels) -> float:
    """Return the PSNR in dB, the error averaged over R, G and B; at most 100, for equal
    pictures too, so that means exist.
    """
    error = np.mean(np.square(original.astype(np.float64) - decoded))
    return float(10.0 * np.log10(255.0**2 / max(float(error), 255.0**2 * 1e-10)))


def ms_ssim(original: Pixels, decoded: Pixels) -> float:
    """Return the MS-SSIM (Wang 2003, five scales), 0..1, by pytorch-msssim on RGB.

    Raises: TooSmallError for pictures with a side of 160 pixels or less, which five
    scales do not fit.
    """
    if min(original.shape[:2]) <= 160:
        raise TooSmallError("MS-SSIM needs more than 160 pixels on each side")

    import torch
    from pytorch_msssim import ms_ssim as measure

    # Copies, because torch takes no read-only arrays.
    both = (torch.from_numpy(x.copy()).permute(2, 0, 1)[None].float() for x in (original, decoded))
    return float(measure(*both, data_range=255.0))


def ssimulacra2(original: Pixels, decoded: Pixels) -> float:
    """Return the SSIMULACRA2 score, by the package of that name: 100 is equal, below 0 is awful.

    Raises: TooSmallError for pictures with a side of less than 8 pixels, its least scale.
    """
    from ssimulacra2 import compute_ssimulacra2

    if min(original.shape[:2]) < 8:
        raise TooSmallError("SSIMULACRA2 needs at least 8 pixels on each side")

    files = []
    for pixels in (original, decoded):
        # The package reads files; BMP is the quickest to write and read.
        files.append(io.BytesIO())
        Image.fromarray(pixels).save(files[-1], "BMP")
    return float(compute_ssimulacra2(*files))


def decibels(similarity: float) -> float:
    """Return MS-SSIM on the scale on which its curves are compared: -10 log10(1 - x) dB."""
    return -10.0 * math.log10(max(1.0 - similarity, 1e-10))
