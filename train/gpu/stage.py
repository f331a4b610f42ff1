"""photo-2's first stage on what `pack.py` packed, its crops drawn by the GPU itself."""

from __future__ import annotations

import os
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch
from pack import PAGES, PICTURES, VALIDATION
from shelf import Shelf
from torch import Tensor

from vqcodec.training.config import DeepPhotoRecipe
from vqcodec.training.data import Pictures, find_pictures, read_rgb
from vqcodec.training.deep import DeepTransformStage
from vqcodec.training.transform import Photo

_SCALES = 6
"""Sizes of each picture, evenly over the recipe's range of scales."""


class ParcelStage(DeepTransformStage):
    """Loss and validation are those of `DeepTransformStage`, the batches are not.

    They are drawn from one sequence of random numbers, whatever their step. Validation leaves
    out drawn pages: in the fonts of another machine they are other pages.
    """

    def __init__(
        self, recipe: DeepPhotoRecipe, module: Photo, parcel: Path, device: torch.device
    ) -> None:
        """Decode the pictures of the folder `parcel` and copy them to the device.

        Raises ValueError if there are none, or one cannot be read.
        """
        folders = sorted((parcel / PICTURES).iterdir())
        paths = [path for folder in folders for path in find_pictures(folder)]
        self._drawn = Pictures(paths, recipe.data, folders)
        validation = find_pictures(parcel / VALIDATION)
        super().__init__(recipe, module, self._drawn, [""], validation, device)
        self._rng = np.random.default_rng([recipe.seed, 10])
        least = max(self.schedule.crop, self.schedule.large_crop)
        scales = np.linspace(*recipe.data.scale, _SCALES).tolist()
        with ThreadPoolExecutor(os.cpu_count()) as pool:
            self._photographs = Shelf(pool.map(read_rgb, paths), scales, least, device)
            pages = find_pictures(parcel / PAGES)
            self._sheets = Shelf(pool.map(read_rgb, pages), [1.0], least, device)

    def batch(self, step: int) -> Tensor:
        """Draw pixels on the device: uint8 (B, 3, crop, crop), channels last in memory."""
        settings, rng = self.schedule, self._rng
        large = step >= settings.large_from * settings.steps
        count = settings.large_batch if large else settings.batch
        side = settings.large_crop if large else settings.crop
        sheets = rng.integers(len(self._sheets), size=rng.binomial(count, settings.pages))
        numbers = np.array([self._drawn.draw(rng) for _ in range(count - len(sheets))], np.int64)
        parts = [
            self._photographs.crops(numbers, side, rng, mirror=True),
            self._sheets.crops(sheets, side, rng, mirror=False),
        ]
        # Joined, they are still channels last.
        return torch.cat(parts)

    def validate(self) -> dict[str, float]:
        """Rate and PSNR with rounded latents, per quality, and the loss of all of them."""
        figures = super().validate()
        return {name: value for name, value in figures.items() if not name.startswith("page_")}


def enlarged(recipe: DeepPhotoRecipe, batch: int) -> DeepPhotoRecipe:
    """Return the recipe with batches of another size, those of large crops in proportion."""
    settings = recipe.train.transform
    large = max(1, settings.large_batch * batch // settings.batch)
    stage = replace(settings, batch=batch, large_batch=large)
    return replace(recipe, train=replace(recipe.train, transform=stage))
