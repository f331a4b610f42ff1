"""photo-2's stages on what `pack.py` packed, their crops drawn by the GPU itself."""

from __future__ import annotations

import os
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from pack import PAGES, PICTURES, VALIDATION
from shelf import Shelf
from torch import Tensor

from vqcodec.training.config_deep import DeepPhotoRecipe, DeepTraining, DeepTransformTraining
from vqcodec.training.data import Pictures, find_pictures, read_rgb
from vqcodec.training.deep_medium import DeepPhotoMedium
from vqcodec.training.transform import Photo

_SCALES = 6
"""Sizes of each picture, evenly over the recipe's range of scales."""


class Shelves:
    """Pictures and drawn pages of a parcel, on a device."""

    def __init__(self, recipe: DeepPhotoRecipe, parcel: Path, device: torch.device) -> None:
        """Decode them and copy them there. Raises ValueError if one cannot be read."""
        stages = recipe.train.stages.values()
        least = max(side for settings in stages for side in settings.sides.values())
        scales = np.linspace(*recipe.data.scale, _SCALES).tolist()
        pictures = packed_pictures(recipe, parcel)
        with ThreadPoolExecutor(os.cpu_count()) as pool:
            self.photographs = Shelf(pool.map(read_rgb, pictures.paths), scales, least, device)
            pages = find_pictures(parcel / PAGES)
            self.sheets = Shelf(pool.map(read_rgb, pages), [1.0], least, device)


class ParcelMedium(DeepPhotoMedium):
    """Crops lie on the device, drawn from one sequence of random numbers, whatever their step.

    Validation leaves out drawn pages: in the fonts of another machine they are other pages.
    """

    def __init__(
        self,
        recipe: DeepPhotoRecipe,
        settings: DeepTraining,
        networks: Photo[Any],
        pictures: Pictures,
        shelves: Shelves,
        parcel: Path,
        device: torch.device,
    ) -> None:
        """`shelves` are those of the folder `parcel`, where the validation pictures are too."""
        validation = find_pictures(parcel / VALIDATION)
        super().__init__(recipe, settings, networks, pictures, [], validation, device)
        self._share = settings.pages
        self._rng = np.random.default_rng([recipe.seed, 10])
        self._shelves = shelves

    def batch(self, count: int, length: int, rng: np.random.Generator) -> Tensor:
        """Draw pixels on the device: uint8 (count, 3, length, length), channels last in memory."""
        own = self._rng
        sheets = own.integers(len(self._shelves.sheets), size=own.binomial(count, self._share))
        numbers = np.array([self.pictures.draw(own) for _ in range(count - len(sheets))], np.int64)
        parts = [
            self._shelves.photographs.crops(numbers, length, own, mirror=True),
            self._shelves.sheets.crops(sheets, length, own, mirror=False),
        ]
        # Joined, they are still channels last.
        return torch.cat(parts)


def packed_pictures(recipe: DeepPhotoRecipe, parcel: Path) -> Pictures:
    """Return the pictures of a parcel. Raises ValueError if there are none."""
    folders = sorted((parcel / PICTURES).iterdir())
    paths = [path for folder in folders for path in find_pictures(folder)]
    return Pictures(paths, recipe.data, folders)


def enlarged(recipe: DeepPhotoRecipe, stage: str, batch: int) -> DeepPhotoRecipe:
    """Return the recipe with batches of another size in a stage, those of large crops in
    proportion.
    """
    settings = recipe.train.stages[stage]
    sizes: dict[str, Any] = {"batch": batch}
    if isinstance(settings, DeepTransformTraining):
        sizes["large_batch"] = max(1, settings.large_batch * batch // settings.batch)
    changed: dict[str, Any] = {stage: replace(settings, **sizes)}
    return replace(recipe, train=replace(recipe.train, **changed))
