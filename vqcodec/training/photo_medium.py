"""Photographs as photo-1's training sees them; see `medium`."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor, nn

from vqcodec.networks.distortion import Distortion, distortion
from vqcodec.networks.latent_prior import LatentPrior
from vqcodec.training.config import PhotoRecipe
from vqcodec.training.data import Pictures, centre, read_rgb
from vqcodec.training.precision import autocast

if TYPE_CHECKING:
    from vqcodec.networks.transform import Synthesis
    from vqcodec.training.transform import Photo

_VALIDATION_SIDE = 512


class PictureMedium:
    """What photo's architectures share.

    Crops are uint8 (B, 3, H, W), originals in 0..1, latents (B, D, N, M).
    """

    rate = "bpp"

    def __init__(
        self,
        networks: Photo[Any],
        lambdas: Tensor,
        ms_ssim: float,
        precision: str,
        pictures: Pictures,
        validation: Sequence[Tensor],
        device: torch.device,
    ) -> None:
        """`lambdas` are the weights of the qualities, (Q,), on the device."""
        self.networks = networks.to(device)
        self.lambdas = lambdas
        self.ms_ssim = ms_ssim
        self.pictures = pictures
        self.validation = validation
        self.device = device
        self._precision = precision

    @property
    def fixed(self) -> Sequence[nn.Module]:
        """Analysis and gains."""
        return self.networks.analysis, self.networks.gains

    @property
    def prior(self) -> LatentPrior:
        """The context."""
        return self.networks.prior

    def batch(self, count: int, length: int, rng: np.random.Generator) -> Tensor:
        """Draw pixels: uint8 (count, 3, length, length), channels last in memory."""
        return self.pictures.crops(count, length, rng)

    def originals(self, batch: Tensor) -> Tensor:
        """Return pixels in 0..1."""
        return batch.to(self.device).float() / 255.0

    def latents(self, originals: Tensor) -> Tensor:
        """Map pixels (B, 3, H, W) to latents (B, D, N, M)."""
        latents: Tensor = self.networks.analysis(originals)
        return latents

    def gains(self, qualities: Tensor) -> Tensor:
        """Return gains (B, D, 1, 1)."""
        gains: Tensor = self.networks.gains(qualities.float())
        return gains

    def context(
        self, seen: Tensor, qualities: Tensor, *, integer: bool = False
    ) -> tuple[Tensor, Tensor]:
        """Return the prior's means and scales, (B, D, N, M) each."""
        with self._autocast():
            means, scales = self.networks.prior(seen, qualities, integer=integer)
        return means, scales

    def decoded(self, latents: Tensor) -> Tensor:
        """Map latents (B, D, N, M) to pixels (B, 3, H, W), not clamped."""
        made: Tensor = self.networks.synthesis(latents)
        return made

    def rates(self, costs: Tensor, originals: Tensor) -> Tensor:
        """Return bits per pixel."""
        return costs / (originals.shape[2] * originals.shape[3])

    def distortion(self, decoded: Tensor, originals: Tensor) -> Distortion:
        """Compare pictures."""
        return distortion(decoded, originals, self.ms_ssim)

    def written(self, decoded: Tensor) -> Tensor:
        """Round to 8 bits."""
        return (decoded.clamp(0.0, 1.0) * 255.0).round() / 255.0

    def judged(self, decoded: Tensor, originals: Tensor) -> dict[str, float]:
        """There are no further figures."""
        return {}

    def _autocast(self) -> torch.autocast:
        return autocast(self.device, self._precision)


class PhotoMedium(PictureMedium):
    """photo-1's: its networks compute in the recipe's precision."""

    def __init__(
        self,
        recipe: PhotoRecipe,
        networks: Photo[Synthesis],
        lambdas: Tensor,
        pictures: Pictures,
        validation: Sequence[Path],
        device: torch.device,
    ) -> None:
        """`lambdas` are the weights of the qualities, (Q,), on the device."""
        super().__init__(
            networks,
            lambdas,
            recipe.train.transform.ms_ssim,
            recipe.train.precision,
            pictures,
            middles(validation, _VALIDATION_SIDE, recipe.transform.stride),
            device,
        )

    def latents(self, originals: Tensor) -> Tensor:
        """Map pixels (B, 3, H, W) to latents (B, D, N, M)."""
        with self._autocast():
            latents = super().latents(originals)
        return latents.float()

    def decoded(self, latents: Tensor) -> Tensor:
        """Map latents (B, D, N, M) to pixels (B, 3, H, W), not clamped."""
        with self._autocast():
            made = super().decoded(latents)
        return made.float()


def middles(paths: Sequence[Path], side: int, stride: int) -> list[Tensor]:
    """Read the middle of each picture, at most `side` pixels wide and high: uint8 (1, 3, h, w)."""
    return [centre(read_rgb(path), side, stride) for path in paths]
