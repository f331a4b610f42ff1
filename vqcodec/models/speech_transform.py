"""The transform of `speech` as lists of layers: spectra to latents frame by frame, and back.

ConvNeXt blocks (Liu et al., arXiv 2201.03545) along time, as in Vocos (arXiv 2306.00814): nothing
is made coarser or finer in between, so the networks have one row, and a column for each frame
(`stft` makes spectra of sound and sound of spectra).

Tensors are named without the network's prefix in the model file.
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
from vqcodec.models.config import SpeechConfig
from vqcodec.models.stft import BINS, REACH

KERNEL_SIZE = 7
"""Frames that a block's convolution reads."""


def analysis(config: SpeechConfig) -> Network:
    """Make the network from spectra (2 BINS, 1, T) to latents (D, 1, T)."""
    return _network(config, config.analysis_depth, 2 * BINS, config.latents)


def synthesis(config: SpeechConfig) -> Network:
    """Make the network from latents (D, 1, T) to spectra (2 BINS, 1, T)."""
    return _network(config, config.synthesis_depth, config.latents, 2 * BINS)


def halo(depth: int) -> int:
    """Return how many frames around a part of the sound or of the latents change what a network
    of so many blocks makes of it, those included whose spectra share samples with it.
    """
    return depth * (KERNEL_SIZE // 2) + REACH


def _network(config: SpeechConfig, depth: int, inputs: int, outputs: int) -> Network:
    width = config.width
    layers = (
        Conv("layers.0", inputs, width, 1),
        ChannelNorm(width),
        *(_block(f"layers.{number}", config) for number in range(2, 2 + depth)),
        Crop(),
        ChannelNorm(width),
        Conv(f"layers.{depth + 3}", width, outputs, 1),
    )
    return Network(inputs, outputs, layers)


def _block(name: str, config: SpeechConfig) -> Layer:
    return residual(
        Depthwise(f"{name}.depthwise", config.width, KERNEL_SIZE),
        ChannelNorm(config.width),
        Conv(f"{name}.first", config.width, config.hidden, 1),
        Gelu(),
        Conv(f"{name}.second", config.hidden, config.width, 1),
    )
