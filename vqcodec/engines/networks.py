"""The networks of each architecture as lists of layers (format/SPEC.md, sections 9 and 10).

Tensors are named without the network's prefix in the model file. Pixels are about 0..1; the
convolutions see and make -1..1.
"""

from __future__ import annotations

from vqcodec.engines.layers import (
    Affine,
    Channels,
    Concatenation,
    Conv,
    Crop,
    Layer,
    Network,
    Rectifier,
    Shuffle,
    Sum,
    TransposedConv,
    residual,
)
from vqcodec.models.config import AutoencoderConfig, TransformConfig

_TO_SIGNED = Affine(2.0, -1.0)
_FROM_SIGNED = Affine(0.5, 0.5)


def paper_encoder(config: AutoencoderConfig) -> Network:
    """Make the network from pixels (3, H, W), whole strides of 4, to latents (D, H/4, W/4)."""
    hidden = config.hidden
    layers = (
        _TO_SIGNED,
        Conv("down1", 3, hidden, 4, stride=2, padding=1),
        Rectifier(),
        Conv("down2", hidden, hidden, 4, stride=2, padding=1),
        *_paper_blocks(config),
        Crop(),
        Rectifier(),
        Conv("project", hidden, config.code_dim, 1),
    )
    return Network(3, config.code_dim, layers)


def paper_decoder(config: AutoencoderConfig) -> Network:
    """Make the network from codewords (D, N, M) to pixels (3, 4N, 4M), not clamped."""
    hidden = config.hidden
    layers = (
        Conv("project", config.code_dim, hidden, 3, padding=1),
        *_paper_blocks(config),
        Rectifier(),
        Crop(),
        TransposedConv("up1", hidden, hidden),
        Rectifier(),
        TransposedConv("up2", hidden, 3),
        Crop(),
        _FROM_SIGNED,
    )
    return Network(config.code_dim, 3, layers)


def photo_analysis(config: TransformConfig) -> Network:
    """Make the network from pixels (3, H, W), whole strides of 16, to latents (D, H/16, W/16)."""
    (fine, middle, coarse), (a, b, c) = config.widths, config.depths
    transform = (
        Conv("layers.0", 3, fine, 8, stride=4, padding=2),
        Crop(),
        *_photo_blocks(1, a, fine),
        Conv(f"layers.{a + 1}", fine, middle, 4, stride=2, padding=1),
        Crop(),
        *_photo_blocks(a + 2, b, middle),
        Conv(f"layers.{a + b + 2}", middle, coarse, 4, stride=2, padding=1),
        Crop(),
        *_photo_blocks(a + b + 3, c, coarse),
        Crop(),
        Conv(f"layers.{a + b + c + 3}", coarse, config.latents - config.details, 1),
    )
    details = (Crop(), Conv("details", 3, config.details, 16, stride=16))
    return Network(3, config.latents, (_TO_SIGNED, Concatenation((transform, details))))


def photo_synthesis(config: TransformConfig) -> Network:
    """Make the network from latents (D, N, M) to pixels (3, 16N, 16M), not clamped."""
    (fine, middle, coarse), (a, b, c) = config.widths, config.depths
    first_detail = config.latents - config.details
    transform = (
        Channels(0, first_detail),
        Conv("layers.0", first_detail, coarse, 3, padding=1),
        *_photo_blocks(1, c, coarse),
        Crop(),
        Conv(f"layers.{c + 1}", coarse, 4 * middle, 1),
        Shuffle(2),
        *_photo_blocks(c + 3, b, middle),
        Crop(),
        Conv(f"layers.{c + b + 3}", middle, 4 * fine, 1),
        Shuffle(2),
        *_photo_blocks(c + b + 5, a, fine),
        Conv(f"layers.{c + b + a + 5}", fine, 3 * 16, 3, padding=1),
        Crop(),
        Shuffle(4),
    )
    details = (
        Channels(first_detail, config.latents),
        Crop(),
        Conv("details.0", config.details, 3 * 16 * 16, 1, bias=False),
        Shuffle(16),
    )
    return Network(config.latents, 3, (Sum((transform, details)), _FROM_SIGNED))


def _paper_blocks(config: AutoencoderConfig) -> tuple[Layer, ...]:
    hidden = config.hidden
    return tuple(
        residual(
            Rectifier(),
            Conv(f"blocks.{number}.spatial", hidden, hidden, 3, padding=1),
            Rectifier(),
            Conv(f"blocks.{number}.pointwise", hidden, hidden, 1),
        )
        for number in range(config.residual_blocks)
    )


def _photo_blocks(first: int, count: int, channels: int) -> tuple[Layer, ...]:
    """Make so many residual blocks, whose numbers begin with `first`."""
    return tuple(
        residual(
            Conv(f"layers.{number}.first", channels, channels, 3, padding=1),
            Rectifier(0.1),
            Conv(f"layers.{number}.second", channels, channels, 3, padding=1),
        )
        for number in range(first, first + count)
    )
