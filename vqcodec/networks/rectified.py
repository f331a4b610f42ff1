"""The networks of `photo-2`: photo-1's (`transform`), deeper, and a synthesis for integers.

A layer of integers reads activations that are never negative, and the residual stream between
blocks has both signs. So every layer that reads the stream reads

    relu(stream + offset),

with an offset per channel, which is learned: what lies below -offset is cut, the rest is a linear
function of the stream. Inside blocks there is ReLU alone. Outside the picture the stream is 0.

The analysis runs in real numbers for ever; its blocks are photo-1's.
"""

from __future__ import annotations

from functools import partial

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from vqcodec.models.config import DeepTransformConfig
from vqcodec.networks.transform import Analysis, Block, Synthesis


class RectifiedConv(nn.Conv2d):
    """Convolution of relu(x + offset), x being 0 outside; `offset` (inputs,) is learned."""

    def __init__(self, inputs: int, outputs: int, kernel_size: int, padding: int = 0) -> None:
        super().__init__(inputs, outputs, kernel_size)
        self._margin = padding
        self.offset = nn.Parameter(torch.zeros(inputs))

    def forward(self, x: Tensor) -> Tensor:
        """Map (B, inputs, n, m) to (B, outputs, n, m)."""
        padded = F.pad(x, (self._margin,) * 4) if self._margin else x
        shifted = padded + self.offset.to(x.dtype)[:, None, None]
        return super().forward(F.relu(shifted, inplace=True))


class MixedBlock(Block):
    """`Block` whose two convolutions compute in a dtype of their own, on a float32 stream."""

    def __init__(self, channels: int, dtype: torch.dtype) -> None:
        super().__init__(channels)
        self._dtype = dtype

    def forward(self, x: Tensor) -> Tensor:
        """Map float32 (B, channels, n, m) to the same."""
        with _inside(x, self._dtype):
            out: Tensor = self.second(F.leaky_relu(self.first(x), 0.1, inplace=True))
        return x + out


class RectifiedBlock(nn.Module):
    """x + second(relu(first(relu(x + offset)))), two 3x3 convolutions."""

    def __init__(self, channels: int, dtype: torch.dtype) -> None:
        """`dtype` is that of the two convolutions; the stream is float32."""
        super().__init__()
        self.first = RectifiedConv(channels, channels, 3, padding=1)
        self.second = nn.Conv2d(channels, channels, 3, padding=1)
        # Blocks begin as the identity, so that depth costs nothing at the start.
        nn.init.zeros_(self.second.weight)
        nn.init.zeros_(self.second.bias)  # type: ignore[arg-type]
        self._dtype = dtype

    def forward(self, x: Tensor) -> Tensor:
        """Map float32 (B, channels, n, m) to the same."""
        with _inside(x, self._dtype):
            out: Tensor = self.second(F.relu(self.first(x.to(self._dtype)), inplace=True))
        return x + out


def deep_analysis(config: DeepTransformConfig, dtype: torch.dtype = torch.float32) -> Analysis:
    """Make the analysis; `dtype` is that of the convolutions inside blocks."""
    return Analysis(config.analysis, partial(MixedBlock, dtype=dtype))


def rectified_synthesis(
    config: DeepTransformConfig, dtype: torch.dtype = torch.float32
) -> Synthesis:
    """Make the synthesis; `dtype` is that of the convolutions inside blocks."""
    return Synthesis(config.synthesis, partial(RectifiedBlock, dtype=dtype), RectifiedConv)


def _inside(x: Tensor, dtype: torch.dtype) -> torch.autocast:
    """Return the context in which a block's convolutions compute."""
    return torch.autocast(x.device.type, dtype, enabled=dtype != torch.float32)
