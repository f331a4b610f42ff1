"""Encoder and decoder of the VQ-VAE of sound as lists of layers (format/SPEC.md, section 9).

arXiv 1711.00937, section 4.3: "the encoder has 6 strided convolutions with stride 2 and
window-size 4". The encoder here is these convolutions and a few blocks. The paper's decoder, a
WaveNet, makes one sample after the other; this one makes all of them at once, by ConvNeXt blocks
from codewords and a speaker's numbers to the spectra of short frames (`stft`), as `speech` does.

Both have one row. Windows of a sound that bring their surroundings give exactly what the whole
sound gives. Tensors are named without the network's prefix in the model file.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from vqcodec.engines.engine import Engine
from vqcodec.engines.layers import (
    Affine,
    ChannelNorm,
    Conv,
    Layer,
    Network,
    Rectifier,
    RowConv,
    reach,
)
from vqcodec.models import stft
from vqcodec.models.config_sound import SoundAutoencoderConfig
from vqcodec.models.convnext import KERNEL_SIZE, block, stack

LOUDNESS = 20.0
"""What samples are multiplied by before the first layer: speech is then about as loud as 1."""


def encoder(config: SoundAutoencoderConfig) -> Network:
    """Make the network from samples (1, 1, hop N) to latents (D, 1, N)."""
    layers: list[Layer] = [Affine(LOUDNESS, 0.0)]
    inputs = 1
    for number, (stride, width) in enumerate(zip(config.strides, config.widths, strict=True)):
        layers += [RowConv(f"down.{number}", inputs, width, stride), Rectifier()]
        inputs = width
    blocks = (
        block(f"blocks.{number}", inputs, config.encoder_hidden)
        for number in range(config.encoder_depth)
    )
    layers += [ChannelNorm(inputs), *blocks, Conv("project", inputs, config.code_dim, 1)]
    return Network(1, config.code_dim, tuple(layers))


def decoder(config: SoundAutoencoderConfig) -> Network:
    """Make the network from what `SoundAutoencoder.samples` gives it, for each of T frames a part
    of a codeword and a speaker's numbers, to spectra (2 bins, 1, T).
    """
    return stack(
        width=config.decoder_width,
        hidden=config.decoder_hidden,
        depth=config.decoder_depth,
        inputs=config.code_dim // config.frames + config.speaker_dim,
        outputs=2 * stft.bins_of(config.spectrum_hop),
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class SoundAutoencoder:
    """Both networks, and what lies between them and samples of 16 kHz in about -1..1."""

    config: SoundAutoencoderConfig
    encoder: Engine
    decoder: Engine

    @property
    def encoder_halo(self) -> int:
        """Indices around a window whose samples can change its latents."""
        return -(-reach(encoder(self.config).layers) // self.config.hop)

    @property
    def decoder_halo(self) -> int:
        """Indices around a window that can change its samples."""
        frames = self.config.decoder_depth * (KERNEL_SIZE // 2) + stft.REACH
        return -(-frames // self.config.frames)

    def latents(self, samples: NDArray[np.float32], inner: slice) -> NDArray[np.float32]:
        """Map samples (hop N,) to the latents of some of their indices, (n, D)."""
        latents = self.encoder.run(samples[None, None])[:, 0, inner]
        return np.ascontiguousarray(latents.T)

    def samples(
        self, codewords: NDArray[np.float32], speaker: NDArray[np.float32], inner: slice
    ) -> NDArray[np.float32]:
        """Map codewords (N, D) to the samples of some of them, (hop n,), in the voice of a speaker
        (E,).
        """
        each = self.config.frames
        parts = codewords.reshape(len(codewords) * each, -1)
        voices = np.broadcast_to(speaker, (len(parts), len(speaker)))
        read = np.ascontiguousarray(np.concatenate([parts, voices], axis=1).T)[:, None]
        first, last = inner.start * each, inner.stop * each
        start, stop = max(0, first - stft.REACH), min(len(parts), last + stft.REACH)
        made = self.decoder.run(read, inner=(slice(0, 1), slice(start, stop)))
        samples = stft.samples(stft.synthesised(made))
        hop = self.config.spectrum_hop
        return samples[(first - start) * hop : (last - start) * hop]
