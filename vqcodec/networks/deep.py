"""The networks of `photo-2`: photo-1's (`transform`), deeper, and a synthesis for integers.

Between the two convolutions of a block integers have ReLU, which costs them nothing, where photo-1
has leaky ReLU. So that photo-2 can begin as photo-1 to the last digit, the slope of what is
negative in the synthesis is a setting: it begins as photo-1's and falls to 0 while the network
trains.

The analysis runs in real numbers for ever; its blocks are photo-1's.
"""

from __future__ import annotations

from functools import partial

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from vqcodec.models.config import DeepTransformConfig
from vqcodec.networks.transform import SLOPE, Analysis, Block, Synthesis


class MixedBlock(Block):
    """`Block` whose two convolutions compute in a dtype of their own, on a float32 stream."""

    def __init__(self, channels: int, dtype: torch.dtype) -> None:
        super().__init__(channels)
        self.slope = SLOPE
        """Of what is negative between the convolutions."""
        self._dtype = dtype

    def forward(self, x: Tensor) -> Tensor:
        """Map float32 (B, channels, n, m) to the same."""
        with torch.autocast(x.device.type, self._dtype, enabled=self._dtype != torch.float32):
            inner = F.leaky_relu(self.first(x), self.slope, inplace=True)
            out: Tensor = self.second(inner)
        return x + out


def deep_analysis(config: DeepTransformConfig, dtype: torch.dtype = torch.float32) -> Analysis:
    """Make the analysis; `dtype` is that of the convolutions inside blocks."""
    return Analysis(config.analysis, partial(MixedBlock, dtype=dtype))


def deep_synthesis(config: DeepTransformConfig, dtype: torch.dtype = torch.float32) -> Synthesis:
    """Make the synthesis; `dtype` is that of the convolutions inside blocks."""
    return Synthesis(config.synthesis, partial(MixedBlock, dtype=dtype))


def set_slope(synthesis: nn.Module, slope: float) -> None:
    """Set the slope of what is negative in all blocks: photo-1's is `transform.SLOPE`, that of
    ReLU 0.
    """
    for module in synthesis.modules():
        if isinstance(module, MixedBlock):
            module.slope = slope
