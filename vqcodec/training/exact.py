"""photo-2's networks with a synthesis of integers, and back to real numbers.

What the integers are worth is set once, by crops of training pictures at every quality
(`networks.calibration`); weights go on from those of real numbers, rounded at every step.
"""

from __future__ import annotations

import torch
from torch import Tensor

from vqcodec.models.config import DeepTransformConfig
from vqcodec.networks.calibration import calibrate
from vqcodec.networks.deep import deep_synthesis
from vqcodec.networks.exact import ExactSynthesis
from vqcodec.networks.transform import Synthesis
from vqcodec.training.transform import Photo

_CHUNK = 8
"""Crops that pass through the networks at once."""


@torch.no_grad()
def to_integers(
    config: DeepTransformConfig, photo: Photo[Synthesis], crops: Tensor
) -> Photo[ExactSynthesis]:
    """Give the networks a synthesis of integers, on the CPU.

    `crops` are training pictures, uint8 (B, 3, H, W). The qualities take turns.
    """
    synthesis = ExactSynthesis(config.synthesis)
    synthesis.take(photo.synthesis)
    latents = []
    qualities = torch.arange(len(crops)) % config.qualities + 1
    for pixels, few in zip(torch.split(crops, _CHUNK), torch.split(qualities, _CHUNK), strict=True):
        gains = photo.gains(few.float())
        latents.append((photo.analysis(pixels.float() / 255.0) * gains).round() / gains)
    calibrate(synthesis, latents)
    return Photo(photo.analysis, synthesis, photo.gains, photo.prior)


def to_reals(
    config: DeepTransformConfig, photo: Photo[ExactSynthesis], dtype: torch.dtype
) -> Photo[Synthesis]:
    """Give the networks a synthesis of real numbers; `dtype` is that inside blocks."""
    synthesis = deep_synthesis(config, dtype)
    photo.synthesis.give(synthesis)
    return Photo(photo.analysis, synthesis, photo.gains, photo.prior)
