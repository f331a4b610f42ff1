"""Encoder and decoder of the VQ-VAE as lists of layers (format/SPEC.md, section 9).

arXiv 1711.00937, section 4.1: "the encoder consists of 2 strided convolutional
layers with stride 2 and window size 4x4, followed by two residual 3x3 blocks
(implemented as ReLU, 3x3 conv, ReLU, 1x1 conv), all having 256 hidden units.
The decoder similarly has two residual 3x3 blocks, followed by two transposed
convolutions with stride 2 and window size 4x4."

Tensors are named without the network's prefix in the model file. Pixels are about 0..1; the
convolutions see and make -1..1.
"""

from __future__ import annotations

from vqcodec.engines.layers import (
    FROM_SIGNED,
    TO_SIGNED,
    Conv,
    Crop,
    Layer,
    Network,
    Rectifier,
    TransposedConv,
    residual,
)
from vqcodec.models.config import AutoencoderConfig


def encoder(config: AutoencoderConfig) -> Network:
    """Make the network from pixels (3, H, W), whole strides of 4, to latents (D, H/4, W/4)."""
    hidden = config.hidden
    layers = (
        TO_SIGNED,
        Conv("down1", 3, hidden, 4, stride=2, padding=1),
        Rectifier(),
        Conv("down2", hidden, hidden, 4, stride=2, padding=1),
        *residual_blocks(hidden, config.residual_blocks),
        Crop(),
        Rectifier(),
        Conv("project", hidden, config.code_dim, 1),
    )
    return Network(3, config.code_dim, layers)


def decoder(config: AutoencoderConfig) -> Network:
    """Make the network from codewords (D, N, M) to pixels (3, 4N, 4M), not clamped."""
    hidden = config.hidden
    layers = (
        Conv("project", config.code_dim, hidden, 3, padding=1),
        *residual_blocks(hidden, config.residual_blocks),
        Rectifier(),
        Crop(),
        TransposedConv("up1", hidden, hidden),
        Rectifier(),
        TransposedConv("up2", hidden, 3),
        Crop(),
        FROM_SIGNED,
    )
    return Network(config.code_dim, 3, layers)


def residual_blocks(channels: int, count: int) -> tuple[Layer, ...]:
    """Make blocks of ReLU, 3x3 convolution, ReLU and 1x1 convolution: blocks.0, blocks.1, .."""
    return tuple(
        residual(
            Rectifier(),
            Conv(f"blocks.{number}.spatial", channels, channels, 3, padding=1),
            Rectifier(),
            Conv(f"blocks.{number}.pointwise", channels, channels, 1),
        )
        for number in range(count)
    )
