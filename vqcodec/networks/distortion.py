"""How far a decoded picture is from its original, as training weighs it.

The mean squared error, and 1 - MS-SSIM (Wang, Simoncelli and Bovik, 2003) beside it: the
one is as sure of noise on a wall as of noise in grass, the other keeps what shows.

pytorch-msssim, which measures results (`vqcodec.metrics`), serves no training: where one scale of
a channel is unlike its original it returns 0 with no gradient at all, which no step leaves again.
"""

from __future__ import annotations

from collections.abc import Iterator
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


class Originals:
    """Pictures that others are compared with. What MS-SSIM needs of them is computed once."""

    def __init__(self, pictures: Tensor, weight: float) -> None:
        """Take pictures float32 (B, 3, H, W) in 0..1; `weight` is what 1 - MS-SSIM counts as.

        If it is not 0, sides are at least 176 pixels.
        """
        self._pictures = pictures
        self._weight = weight
        self._scales = [_Scale(each) for each in _pyramid(pictures)] if weight else []

    def distortion(self, decoded: Tensor) -> Distortion:
        """Compare pictures of the same shape."""
        mse = (decoded - self._pictures).square().mean((1, 2, 3)) * 255.0**2
        unlike = 1.0 - self._ms_ssim(decoded) if self._weight else torch.zeros_like(mse)
        return Distortion(mse, unlike, mse + self._weight * unlike)

    def _ms_ssim(self, decoded: Tensor) -> Tensor:
        """Return the MS-SSIM, mean over the channels: (B,)."""
        factors: list[Tensor] = []
        for own, scale in zip(_pyramid(decoded), self._scales, strict=True):
            luminance, structure = scale.similarities(own)
            last = len(factors) == len(_WEIGHTS) - 1
            factors.append(luminance * structure if last else structure)
        means = (factor.mean((2, 3)).clamp_min(_LEAST) for factor in factors)  # (B, 3) each
        powers = (mean.pow(weight) for mean, weight in zip(means, _WEIGHTS, strict=True))
        return reduce(torch.mul, powers).mean(1)


def distortion(decoded: Tensor, original: Tensor, weight: float) -> Distortion:
    """Compare pictures float32 (B, 3, H, W) in 0..1; `weight` is what 1 - MS-SSIM counts as."""
    return Originals(original, weight).distortion(decoded)


class _Scale:
    """Originals at one scale, (B, 3, h, w)."""

    def __init__(self, pictures: Tensor) -> None:
        self._pictures = pictures
        self._bands = tuple(_band(side, pictures.device) for side in pictures.shape[2:])
        self._mean, self._square = self._blur(pictures, pictures * pictures)

    def similarities(self, decoded: Tensor) -> tuple[Tensor, Tensor]:
        """Return luminance, and contrast times structure, at every place of the window."""
        mean, square, both = self._blur(decoded, decoded * decoded, decoded * self._pictures)
        cross = mean * self._mean
        squares = mean.square() + self._mean.square()
        luminance = (2.0 * cross + _C1) / (squares + _C1)
        structure = (2.0 * (both - cross) + _C2) / (square + self._square - squares + _C2)
        return luminance, structure

    def _blur(self, *pictures: Tensor) -> tuple[Tensor, ...]:
        """Gaussian windows that lie inside: a product with a banded matrix for each axis."""
        rows, columns = self._bands
        return torch.split(rows @ (torch.cat(pictures) @ columns.T), len(pictures[0]))


def _pyramid(pictures: Tensor) -> Iterator[Tensor]:
    """Yield pictures at each scale, half as large as at the one before."""
    for scale in range(len(_WEIGHTS)):
        if scale:
            padding = [side % 2 for side in pictures.shape[2:]]
            pictures = avg_pool2d(pictures, 2, padding=padding)
        yield pictures


def _band(side: int, device: torch.device) -> Tensor:
    """(side - 10, side): the window's weights at each place."""
    places = torch.arange(side, device=device)
    distance = places - (places[: side - _TAPS + 1, None] + _TAPS // 2)
    weights = torch.exp(distance.square() / (-2.0 * _SIGMA**2))
    weights = weights * (distance.abs() <= _TAPS // 2)
    return weights / weights.sum(1, keepdim=True)
