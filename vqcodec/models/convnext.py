"""ConvNeXt blocks along frames (Liu et al., arXiv 2201.03545) as lists of layers.

As in Vocos (arXiv 2306.00814) nothing is made coarser or finer in between: a network has one row,
and a column for each frame.
"""

from __future__ import annotations

from vqcodec.engines.layers import (
    ChannelNorm,
    Conv,
    Crop,
    Depthwise,
    Gelu,
    Layer,
    Network,
    residual,
)

KERNEL_SIZE = 7
"""Frames that a block's convolution reads."""


def stack(*, width: int, hidden: int, depth: int, inputs: int, outputs: int) -> Network:
    """Make a network of `depth` blocks that maps (inputs, 1, T) to (outputs, 1, T)."""
    layers = (
        Conv("layers.0", inputs, width, 1),
        ChannelNorm(width),
        *(block(f"layers.{number}", width, hidden) for number in range(2, 2 + depth)),
        Crop(),
        ChannelNorm(width),
        Conv(f"layers.{depth + 3}", width, outputs, 1),
    )
    return Network(inputs, outputs, layers)


def block(name: str, width: int, hidden: int) -> Layer:
    """Make a block of `width` channels, `hidden` inside it."""
    return residual(
        Depthwise(f"{name}.depthwise", width, KERNEL_SIZE),
        ChannelNorm(width),
        Conv(f"{name}.first", width, hidden, 1),
        Gelu(),
        Conv(f"{name}.second", hidden, width, 1),
    )
