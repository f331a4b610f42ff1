"""The transform of `speech`: spectra to latents frame by frame, and back.

`models.speech_transform` says what it consists of. As in `transform`, one network serves every
quality by gains.

Shapes: B sounds of T frames, D latents for each; one row, as a grid of one dimension has.
"""

from __future__ import annotations

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from vqcodec.engines.layers import NORM_EPSILON
from vqcodec.models.config import SpeechConfig
from vqcodec.models.speech_transform import KERNEL_SIZE
from vqcodec.models.stft import BINS

_FIRST_LOG_MAGNITUDE = -4.0


class ChannelNorm(nn.Module):
    """Channels less their mean, over their standard deviation, at each place."""

    def forward(self, x: Tensor) -> Tensor:
        """Map (B, channels, n, m) to the same shape."""
        last = x.permute(0, 2, 3, 1)
        return F.layer_norm(last, last.shape[3:], eps=NORM_EPSILON).permute(0, 3, 1, 2)


class Block(nn.Module):
    """A ConvNeXt block along time, added to its input."""

    def __init__(self, config: SpeechConfig) -> None:
        super().__init__()
        width = config.width
        margin = (0, KERNEL_SIZE // 2)
        self.depthwise = nn.Conv2d(width, width, (1, KERNEL_SIZE), padding=margin, groups=width)
        self.norm = ChannelNorm()
        self.first = nn.Conv2d(width, config.hidden, 1)
        self.second = nn.Conv2d(config.hidden, width, 1)
        # Blocks begin as the identity, so that depth costs nothing at the start.
        nn.init.zeros_(self.second.weight)
        nn.init.zeros_(self.second.bias)  # type: ignore[arg-type]

    def forward(self, x: Tensor) -> Tensor:
        """Map (B, width, 1, T) to the same shape."""
        out: Tensor = self.second(F.gelu(self.first(self.norm(self.depthwise(x)))))
        return x + out


class _Stack(nn.Module):
    def __init__(self, config: SpeechConfig, depth: int, inputs: int, outputs: int) -> None:
        super().__init__()
        self.layers = nn.Sequential(
            nn.Conv2d(inputs, config.width, 1),
            ChannelNorm(),
            *(Block(config) for _ in range(depth)),
            ChannelNorm(),
            nn.Conv2d(config.width, outputs, 1),
        )
        self.to(memory_format=torch.channels_last)  # type: ignore[call-overload]

    def forward(self, x: Tensor) -> Tensor:
        """Map (B, inputs, 1, T) to (B, outputs, 1, T)."""
        out: Tensor = self.layers(x)
        return out


class Analysis(_Stack):
    """Features of spectra, (B, 2 BINS, 1, T), to latents (B, D, 1, T)."""

    def __init__(self, config: SpeechConfig) -> None:
        super().__init__(config, config.analysis_depth, 2 * BINS, config.latents)


class Synthesis(_Stack):
    """Latents (B, D, 1, T) to logarithms of magnitudes and to phases, (B, 2 BINS, 1, T)."""

    def __init__(self, config: SpeechConfig) -> None:
        super().__init__(config, config.synthesis_depth, config.latents, 2 * BINS)
        head: Any = self.layers[-1]
        # What is made first is about as loud as the quieter parts of speech.
        nn.init.constant_(head.bias[:BINS], _FIRST_LOG_MAGNITUDE)
