"""The transform of `photo` as lists of layers: pixels to latents at a sixteenth of their
resolution, and back (format/SPEC.md, section 9).

Residual blocks of dense 3x3 convolutions at 1/4, 1/8 and 1/16 of the resolution, most of
the arithmetic where pixels are fewest. The last latents are details: what is too fine for
those networks' width, as a linear transform of 16x16 blocks beside them.

Tensors are named without the network's prefix in the model file. Pixels are about 0..1; the
convolutions see and make -1..1.
"""

from __future__ import annotations

from vqcodec.engines.layers import (
    FROM_SIGNED,
    TO_SIGNED,
    Channels,
    Concatenation,
    Conv,
    Crop,
    Layer,
    Network,
    Rectifier,
    Seam,
    Shuffle,
    Sum,
    cropped,
    residual,
)
from vqcodec.models.config import TransformConfig


def analysis(config: TransformConfig) -> Network:
    """Make the network from pixels (3, H, W), whole strides of 16, to latents (D, H/16, W/16)."""
    (fine, middle, coarse), (a, b, c) = config.widths, config.depths
    transform = (
        Conv("layers.0", 3, fine, 8, stride=4, padding=2),
        Crop(),
        *_blocks(1, a, fine),
        Conv(f"layers.{a + 1}", fine, middle, 4, stride=2, padding=1),
        Crop(),
        *cropped(_blocks(a + 2, b, middle)),
        Conv(f"layers.{a + b + 2}", middle, coarse, 4, stride=2, padding=1),
        Seam(coarse),
        *cropped(_blocks(a + b + 3, c, coarse)),
        Conv(f"layers.{a + b + c + 3}", coarse, config.latents - config.details, 1),
    )
    details = (Crop(), Conv("details", 3, config.details, 16, stride=16), Seam(config.details))
    return Network(3, config.latents, (TO_SIGNED, Concatenation((transform, details))))


def synthesis(config: TransformConfig) -> Network:
    """Make the network from latents (D, N, M) to pixels (3, 16N, 16M), not clamped."""
    (fine, middle, coarse), (a, b, c) = config.widths, config.depths
    first_detail = config.latents - config.details
    transform = (
        Channels(0, first_detail),
        Conv("layers.0", first_detail, coarse, 3, padding=1),
        *cropped(_blocks(1, c, coarse)),
        Seam(coarse),
        Conv(f"layers.{c + 1}", coarse, 4 * middle, 1),
        Shuffle(2),
        *cropped(_blocks(c + 3, b, middle)),
        Conv(f"layers.{c + b + 3}", middle, 4 * fine, 1),
        Shuffle(2),
        *_blocks(c + b + 5, a, fine),
        Conv(f"layers.{c + b + a + 5}", fine, 3 * 16, 3, padding=1),
        Crop(),
        Shuffle(4),
    )
    details = (
        Channels(first_detail, config.latents),
        Seam(config.details),
        Conv("details.0", config.details, 3 * 16 * 16, 1, bias=False),
        Shuffle(16),
    )
    return Network(config.latents, 3, (Sum((transform, details)), FROM_SIGNED))


def _blocks(first: int, count: int, channels: int) -> tuple[Layer, ...]:
    """Make so many residual blocks, whose numbers begin with `first`."""
    return tuple(
        residual(
            Conv(f"layers.{number}.first", channels, channels, 3, padding=1),
            Rectifier(0.1),
            Conv(f"layers.{number}.second", channels, channels, 3, padding=1),
        )
        for number in range(first, first + count)
    )
