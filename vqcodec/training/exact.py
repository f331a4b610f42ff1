"""Second stage of `photo-2`: the synthesis computes in integers, as files are decoded.

Loss, rate and batches are those of the first stage (`deep`), with settings of their own. What the
integers are worth is set once, by crops of training pictures at every quality
(`networks.calibration`); weights go on from the first stage's, rounded at every step.
"""

from __future__ import annotations

import torch
from torch import Tensor

from vqcodec.networks.calibration import calibrate
from vqcodec.networks.exact import ExactSynthesis
from vqcodec.training.config import DeepPhotoRecipe, DeepTransformTraining
from vqcodec.training.deep import DeepTransformStage
from vqcodec.training.transform import ExactPhoto, Photo

_CHUNK = 8
"""Crops that pass through the networks at once."""


class ExactTransformStage(DeepTransformStage):
    """See the module's docstring. Its module has an `ExactSynthesis`."""

    name = "exact"

    def _settings(self, recipe: DeepPhotoRecipe) -> DeepTransformTraining:
        if recipe.train.exact is None:
            raise ValueError("train.exact: missing")
        return recipe.train.exact


def blank_exact(recipe: DeepPhotoRecipe, photo: Photo) -> ExactPhoto:
    """Return the first stage's networks with a synthesis of integers, of random weights."""
    synthesis = ExactSynthesis(recipe.transform.synthesis)
    return ExactPhoto(photo.analysis, synthesis, photo.gains, photo.prior)


@torch.no_grad()
def begin_exact(recipe: DeepPhotoRecipe, photo: Photo, crops: Tensor) -> ExactPhoto:
    """Make the stage's networks of the first stage's, on the CPU.

    `crops` are training pictures, uint8 (B, 3, H, W). The qualities take turns.
    """
    made = blank_exact(recipe, photo)
    made.synthesis.take(photo.synthesis)
    latents = []
    qualities = torch.arange(len(crops)) % recipe.transform.qualities + 1
    for pixels, few in zip(torch.split(crops, _CHUNK), torch.split(qualities, _CHUNK), strict=True):
        gains = photo.gains(few.float())
        latents.append((photo.analysis(pixels.float() / 255.0) * gains).round() / gains)
    calibrate(made.synthesis, latents)
    return made
