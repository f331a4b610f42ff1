"""ConvNeXt blocks along frames as they train; `models.convnext` says what they consist of.

Shapes: B sounds of T frames; one row, as a grid of one dimension has.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from vqcodec.engines.layers import NORM_EPSILON
from vqcodec.models.convnext import KERNEL_SIZE

_FIRST_LOG_MAGNITUDE = -4.0


class ChannelNorm(nn.Module):
    """Channels less their mean, over their standard deviation, at each place."""

    def forward(self, x: Tensor) -> Tensor:
        """Map (B, channels, n, m) to the same shape."""
        last = x.permute(0, 2, 3, 1)
        return F.layer_norm(last, last.shape[3:], eps=NORM_EPSILON).permute(0, 3, 1, 2)


class Block(nn.Module):
    """A ConvNeXt block along time, added to its input."""

    def __init__(self, width: int, hidden: int) -> None:
        super().__init__()
        margin = (0, KERNEL_SIZE // 2)
        self.depthwise = nn.Conv2d(width, width, (1, KERNEL_SIZE), padding=margin, groups=width)
        self.norm = ChannelNorm()
        self.first = nn.Conv2d(width, hidden, 1)
        self.second = nn.Conv2d(hidden, width, 1)
        # Blocks begin as the identity, so that depth costs nothing at the start.
        nn.init.zeros_(self.second.weight)
        nn.init.zeros_(self.second.bias)  # type: ignore[arg-type]

    def forward(self, x: Tensor) -> Tensor:
        """Map (B, width, 1, T) to the same shape."""
        out: Tensor = self.second(F.gelu(self.first(self.norm(self.depthwise(x)))))
        return x + out


class Stack(nn.Module):
    """Blocks between two layers that see one frame each."""

    def __init__(self, *, width: int, hidden: int, depth: int, inputs: int, outputs: int) -> None:
        super().__init__()
        self.layers = nn.Sequential(
            nn.Conv2d(inputs, width, 1),
            ChannelNorm(),
            *(Block(width, hidden) for _ in range(depth)),
            ChannelNorm(),
            nn.Conv2d(width, outputs, 1),
        )
        self.to(memory_format=torch.channels_last)  # type: ignore[call-overload]

    def forward(self, x: Tensor) -> Tensor:
        """Map (B, inputs, 1, T) to (B, outputs, 1, T)."""
        out: Tensor = self.layers(x)
        return out


class SpectrumStack(Stack):
    """Blocks whose outputs (B, 2 bins, 1, T) are logarithms of magnitudes, then phases."""

    def __init__(self, *, width: int, hidden: int, depth: int, inputs: int, bins: int) -> None:
        super().__init__(width=width, hidden=hidden, depth=depth, inputs=inputs, outputs=2 * bins)
        head = self.layers[-1]
        assert isinstance(head, nn.Conv2d)
        assert head.bias is not None
        # What is made first is about as loud as the quieter parts of speech.
        nn.init.constant_(head.bias[:bins], _FIRST_LOG_MAGNITUDE)
