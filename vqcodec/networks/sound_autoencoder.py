"""Encoder and decoder of the VQ-VAE of sound as they train.

`models.sound_autoencoder` says what they consist of (arXiv 1711.00937, section 4.3).

Shapes: B sounds of `hop` N samples, N latents of D numbers, T frames of spectra; one row.
"""

from __future__ import annotations

from itertools import pairwise

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from vqcodec.engines.layers import RowConv
from vqcodec.models import stft
from vqcodec.models.config_sound import SoundAutoencoderConfig
from vqcodec.models.sound_autoencoder import LOUDNESS
from vqcodec.networks.convnext import Block, ChannelNorm, SpectrumStack


class SoundEncoder(nn.Module):
    """Samples to latents."""

    def __init__(self, config: SoundAutoencoderConfig) -> None:
        super().__init__()
        widths = (1, *config.widths)
        layers = (
            RowConv("", inputs, outputs, stride)
            for (inputs, outputs), stride in zip(pairwise(widths), config.strides, strict=True)
        )
        self.down = nn.ModuleList(
            nn.Conv2d(
                layer.inputs,
                layer.outputs,
                (1, layer.size),
                stride=(1, layer.stride),
                padding=(0, layer.padding),
            )
            for layer in layers
        )
        self.norm = ChannelNorm()
        self.blocks = nn.Sequential(
            *(Block(widths[-1], config.encoder_hidden) for _ in range(config.encoder_depth))
        )
        self.project = nn.Conv2d(widths[-1], config.code_dim, 1)
        self.to(memory_format=torch.channels_last)  # type: ignore[call-overload]

    def forward(self, samples: Tensor) -> Tensor:
        """Map samples (B, hop N) in about -1..1 to latents (B, D, 1, N)."""
        x = LOUDNESS * samples[:, None, None]
        for convolution in self.down:
            x = F.relu(convolution(x))
        latents: Tensor = self.project(self.blocks(self.norm(x)))
        return latents


class SoundDecoder(SpectrumStack):
    """Codewords and voices to logarithms of magnitudes and to phases."""

    def __init__(self, config: SoundAutoencoderConfig) -> None:
        super().__init__(
            width=config.decoder_width,
            hidden=config.decoder_hidden,
            depth=config.decoder_depth,
            inputs=config.code_dim // config.frames + config.speaker_dim,
            bins=stft.bins_of(config.spectrum_hop),
        )
        self.frames = config.frames

    def spectra(self, codewords: Tensor, voices: Tensor) -> Tensor:
        """Map codewords (B, D, 1, N) and speakers' numbers (B, E) to (B, 2 bins, 1, T)."""
        batch, dim, _, count = codewords.shape
        each = self.frames
        parts = codewords.reshape(batch, each, dim // each, count).permute(0, 2, 3, 1)
        parts = parts.reshape(batch, dim // each, 1, count * each)
        voice = voices[:, :, None, None].expand(-1, -1, 1, count * each)
        made: Tensor = self(torch.cat([parts, voice], dim=1))
        return made
