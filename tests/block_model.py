"""A small model that needs no training and yet is a codec: a transform of blocks, whose
qualities trade bits for distortion as those of a trained model do.
"""

from __future__ import annotations

import numpy as np
import torch
from conftest import photo
from torch import Tensor

from vqcodec.models.config import LatentPriorConfig, ProductConfig, TransformConfig
from vqcodec.networks.latent_prior import LatentPrior
from vqcodec.networks.model_files import PhotoParts
from vqcodec.networks.product import Block, Codebooks
from vqcodec.networks.transform import Analysis, Gains, Synthesis
from vqcodec.training.klt import start_as_blocks

TRANSFORM = TransformConfig(
    widths=(12, 24, 24), depths=(1, 1, 1), latents=24, details=8, qualities=3
)
PRIOR = LatentPriorConfig(channels=16, layers=1, slices=(8, 8, 8), hidden=12)


def block_photo() -> PhotoParts:
    """Codewords are integers, and in the last slice pairs of them. Some of them only fill the
    codebooks up, as in trained models: copies of others that cost 40 bits more.
    """
    torch.manual_seed(2)
    analysis, synthesis, gains = Analysis(TRANSFORM), Synthesis(TRANSFORM), Gains(TRANSFORM)
    drawn = np.stack([np.asarray(photo(128, 128, seed=seed)) for seed in range(4)])
    pixels = torch.from_numpy(drawn).permute(0, 3, 1, 2).float() / 255.0
    start_as_blocks(analysis, synthesis, gains, pixels, torch.tensor([0.0001, 0.0004, 0.0016]))
    return PhotoParts(
        config=TRANSFORM,
        product=ProductConfig(codebook_size=64, distance_bits=8.0),
        analysis=analysis,
        synthesis=synthesis,
        gains=gains,
        prior=LatentPrior(PRIOR, TRANSFORM),
        codebooks=[_codebooks() for _ in range(TRANSFORM.qualities)],
    )


def _codebooks() -> Codebooks:
    single = torch.arange(-30.0, 31.0)[:, None]
    double = torch.cartesian_prod(torch.arange(-3.0, 4.0), torch.arange(-3.0, 4.0))
    slices = [[_block(torch.arange(first, first + 8)[:, None], single)] for first in (0, 8)]
    slices.append([_block(torch.arange(16, 24).view(4, 2), double)])
    return Codebooks(slices, torch.zeros(TRANSFORM.latents))


def _block(channels: Tensor, codewords: Tensor) -> Block:
    """Each group has the codewords, the first of them three times."""
    filled = torch.cat([codewords, codewords[:1], codewords[:1]])
    vectors = filled.repeat(len(channels), 1, 1)
    bias = torch.zeros(vectors.shape[:2])
    bias[:, len(codewords) :] = -40.0
    return Block(channels, vectors, bias, torch.asinh(vectors), -bias)
