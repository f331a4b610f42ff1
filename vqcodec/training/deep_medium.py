"""Photographs and drawn pages as photo-2's training sees them; see `medium`."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from vqcodec.networks.distortion import MS_SSIM_SIDE
from vqcodec.training.canvas import Fonts
from vqcodec.training.config_deep import DeepPhotoRecipe, DeepProductTraining, DeepTraining
from vqcodec.training.data import Pictures
from vqcodec.training.pages import page
from vqcodec.training.photo_medium import PictureMedium, middles
from vqcodec.training.transform import Photo, rate_weights

VALIDATION_SIDE = 256
"""Of each validation picture the middle, at most this wide and high, counts."""
_PAGES = 4


class DeepPhotoMedium(PictureMedium):
    """A share of the crops are drawn pages.

    Convolutions inside blocks have a precision of their own (`networks.deep`), the prior has the
    recipe's, and all else is float32.
    """

    def __init__(
        self,
        recipe: DeepPhotoRecipe,
        settings: DeepTraining,
        networks: Photo[Any],
        pictures: Pictures,
        fonts: Fonts,
        validation: Sequence[Path],
        device: torch.device,
    ) -> None:
        """`settings` are those of the stage. Without fonts there are no pages to validate on.

        Raises ValueError for validation pictures that are too small for MS-SSIM.
        """
        stride = recipe.transform.analysis.stride
        super().__init__(
            networks,
            rate_weights(settings.lambdas, recipe.transform.qualities, device),
            settings.ms_ssim,
            recipe.train.precision,
            pictures,
            middles(validation, VALIDATION_SIDE, stride),
            device,
        )
        least = MS_SSIM_SIDE if settings.ms_ssim else stride
        if any(min(crop.shape[2:]) < least for crop in self.validation):
            raise ValueError(f"validation pictures must be at least {least} pixels high and wide")
        self.stride = stride
        """Pixels of a latent's square on each side."""
        self.latent_count = recipe.transform.latents
        """Latents of a position."""
        self._settings = settings
        self._fonts = fonts
        generators = (np.random.default_rng([recipe.seed, 7, number]) for number in range(_PAGES))
        self.pages = [
            torch.from_numpy(page(rng, VALIDATION_SIDE, fonts)).permute(2, 0, 1)[None]
            for rng in generators
            if fonts
        ]
        """Pages to validate on, uint8 (1, 3, h, w)."""

    @property
    def fixed(self) -> Sequence[nn.Module]:
        """Analysis and gains, and the synthesis if the recipe says so."""
        settings = self._settings
        still = isinstance(settings, DeepProductTraining) and not settings.synthesis
        return (*super().fixed, *([self.networks.synthesis] if still else []))

    def batch(self, count: int, length: int, rng: np.random.Generator) -> Tensor:
        """Draw pixels: uint8 (count, 3, length, length), channels last in memory."""
        drawn = [
            page(rng, length, self._fonts)
            if rng.random() < self._settings.pages
            else self.pictures.crop(length, rng)
            for _ in range(count)
        ]
        return torch.from_numpy(np.stack(drawn)).permute(0, 3, 1, 2)
