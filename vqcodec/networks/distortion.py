"""How far a decoded picture is from its original, as training weighs it.

The mean squared error, and 1 - MS-SSIM (Wang, Simoncelli and Bovik, 2003) beside it: the
one is as sure of noise on a wall as of noise in grass, the other keeps what shows.

pytorch-msssim, which measures results (`vqcodec.metrics`), serves no training: where one scale of
a channel is unlike its original it returns 0 with no gradient at all, which no step leaves again.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import reduce

import torch
from torch import Tensor
from torch.nn.functional import avg_pool2d

MS_SSIM_SIDE = 176
"""Pixels that a side needs for five scales of an 11x11 window."""
_WEIGHTS = (0.0448, 0.2856, 0.3001, 0.2363, 0.1333)
_TAPS, _SIGMA = 11, 1.5
_C1, _C2 = 0.01**2, 0.03**2
_LEAST = 1e-3
"""A factor of MS-SSIM below it counts as this: powers of 0 and less have no gradient."""


@dataclass(frozen=True, slots=True)
class Distortion:
    """Of pictures (B,)."""

    mse: Tensor
    """On the scale 0..255."""
    unlike: Tensor
    """1 - MS-SSIM; 0 where it has no weight."""
    total: Tensor
    """MSE and the weighted other, together."""

    def figures(self) -> dict[str, float]:
        """Return mean PSNR, and mean MS-SSIM in dB if it has weight."""
        figures = {"psnr": float((255.0**2 / self.mse.detach()).log10().mean()) * 10.0}
        if bool(self.unlike.any()):
            figures["ms_ssim"] = float(self.unlike.detach().log10().mean()) * -10.0
        return figures


def distortion(decoded: Tensor, original: Tensor, weight: float) -> Distortion:
    """Compare pictures float32 (B, 3, H, W) in 0..1; `weight` is what 1 - MS-SSIM counts as."""
    mse = (decoded - original).square().mean((1, 2, 3)) * 255.0**2
    unlike = 1.0 - ms_ssim(decoded, original) if weight else torch.zeros_like(mse)
    return Distortion(mse, unlike, mse + weight * unlike)


def ms_ssim(decoded: Tensor, original: Tensor) -> Tensor:
    """Return the MS-SSIM of pictures float32 (B, 3, H, W) in 0..1, mean over the channels: (B,).

    Sides are at least 176 pixels.
    """
    factors = []
    for scale in range(len(_WEIGHTS)):
        luminance, structure = _similarities(decoded, original)
        last = scale == len(_WEIGHTS) - 1
        factors.append(luminance * structure if last else structure)
        padding = [side % 2 for side in original.shape[2:]]
        decoded = avg_pool2d(decoded, 2, padding=padding)
        original = avg_pool2d(original, 2, padding=padding)
    means = (factor.mean((2, 3)).clamp_min(_LEAST) for factor in factors)  # (B, 3) each
    powers = (mean.pow(weight) for mean, weight in zip(means, _WEIGHTS, strict=True))
    return reduce(torch.mul, powers).mean(1)


def _similarities(decoded: Tensor, original: Tensor) -> tuple[Tensor, Tensor]:
    """Luminance, and contrast times structure, at every place of the window."""
    count = len(original)
    products = [decoded, original, decoded * decoded, original * original, decoded * original]
    blurred = _blur(torch.cat(products))
    one, two, square_one, square_two, both = torch.split(blurred, count)
    cross = one * two
    squares = one.square() + two.square()
    luminance = (2.0 * cross + _C1) / (squares + _C1)
    structure = (2.0 * (both - cross) + _C2) / (square_one + square_two - squares + _C2)
    return luminance, structure


def _blur(pictures: Tensor) -> Tensor:
    """Gaussian windows that lie inside: a product with a banded matrix for each axis."""
    rows, columns = (_band(side, pictures.device) for side in pictures.shape[2:])
    return rows @ (pictures @ columns.T)


def _band(side: int, device: torch.device) -> Tensor:
    """(side - 10, side): the window's weights at each place."""
    places = torch.arange(side, device=device)
    distance = places - (places[: side - _TAPS + 1, None] + _TAPS // 2)
    weights = torch.exp(distance.square() / (-2.0 * _SIGMA**2))
    weights = weights * (distance.abs() <= _TAPS // 2)
    return weights / weights.sum(1, keepdim=True)
