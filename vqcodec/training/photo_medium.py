"""Photographs as photo-1's training sees them; see `medium`."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor, nn

from vqcodec.networks.distortion import Distortion, distortion
from vqcodec.networks.latent_prior import LatentPrior
from vqcodec.training.config import PhotoRecipe
from vqcodec.training.data import Pictures, centre, read_rgb
from vqcodec.training.precision import autocast

if TYPE_CHECKING:
    from vqcodec.training.transform import Photo

_VALIDATION_SIDE = 512


class PhotoMedium:
    """Crops are uint8 (B, 3, H, W), originals in 0..1, latents (B, D, N, M)."""

    rate = "bpp"

    def __init__(
        self,
        recipe: PhotoRecipe,
        networks: Photo,
        lambdas: Tensor,
        pictures: Pictures,
        validation: Sequence[Path],
        device: torch.device,
    ) -> None:
        """`lambdas` are the weights of the qualities, (Q,)."""
        self._recipe = recipe
        self._pictures = pictures
        self._device = device
        self.networks = networks.to(device)
        self.lambdas = lambdas
        stride = recipe.transform.stride
        self.validation = [centre(read_rgb(path), _VALIDATION_SIDE, stride) for path in validation]

    @property
    def fixed(self) -> tuple[nn.Module, nn.Module]:
        """Analysis and gains."""
        return self.networks.analysis, self.networks.gains

    @property
    def prior(self) -> LatentPrior:
        """The context."""
        return self.networks.prior

    def batch(self, count: int, length: int, rng: np.random.Generator) -> Tensor:
        """Draw pixels: uint8 (count, 3, length, length), channels last in memory."""
        return self._pictures.crops(count, length, rng)

    def originals(self, batch: Tensor) -> Tensor:
        """Return pixels in 0..1."""
        return batch.to(self._device).float() / 255.0

    def latents(self, originals: Tensor) -> Tensor:
        """Map pixels (B, 3, H, W) to latents (B, D, N, M)."""
        with self._autocast():
            latents: Tensor = self.networks.analysis(originals)
        return latents.float()

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
        with self._autocast():
            made: Tensor = self.networks.synthesis(latents)
        return made.float()

    def rates(self, costs: Tensor, originals: Tensor) -> Tensor:
        """Return bits per pixel."""
        return costs / (originals.shape[2] * originals.shape[3])

    def distortion(self, decoded: Tensor, originals: Tensor) -> Distortion:
        """Compare pictures."""
        return distortion(decoded, originals, self._recipe.train.transform.ms_ssim)

    def written(self, decoded: Tensor) -> Tensor:
        """Round to 8 bits."""
        return (decoded.clamp(0.0, 1.0) * 255.0).round() / 255.0

    def judged(self, decoded: Tensor, originals: Tensor) -> dict[str, float]:
        """There are no further figures."""
        return {}

    def _autocast(self) -> torch.autocast:
        return autocast(self._device, self._recipe.train.precision)
