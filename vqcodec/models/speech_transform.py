"""The transform of `speech` as lists of layers: spectra to latents frame by frame, and back.

Both are stacks of ConvNeXt blocks along time (`convnext`); `stft` makes spectra of sound and sound
of spectra.

Windows of a sound that bring their surroundings give exactly what the whole sound gives.

Tensors are named without the network's prefix in the model file.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from vqcodec.engines.engine import Engine
from vqcodec.engines.layers import Network
from vqcodec.models import stft
from vqcodec.models.config_sound import SpeechConfig
from vqcodec.models.convnext import KERNEL_SIZE, stack


def analysis(config: SpeechConfig) -> Network:
    """Make the network from spectra (2 BINS, 1, T) to latents (D, 1, T)."""
    return _network(config, config.analysis_depth, 2 * stft.BINS, config.latents)


def synthesis(config: SpeechConfig) -> Network:
    """Make the network from latents (D, 1, T) to spectra (2 BINS, 1, T)."""
    return _network(config, config.synthesis_depth, config.latents, 2 * stft.BINS)


def _network(config: SpeechConfig, depth: int, inputs: int, outputs: int) -> Network:
    return stack(
        width=config.width, hidden=config.hidden, depth=depth, inputs=inputs, outputs=outputs
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class SpeechTransform:
    """Both networks, and what lies between them and samples of 16 kHz in about -1..1."""

    config: SpeechConfig
    analysis: Engine
    synthesis: Engine

    @property
    def encoder_halo(self) -> int:
        """Frames around a window whose samples can change its latents."""
        return self.config.analysis_depth * (KERNEL_SIZE // 2) + stft.REACH

    @property
    def decoder_halo(self) -> int:
        """Frames around a window that can change its samples."""
        return self.config.synthesis_depth * (KERNEL_SIZE // 2) + stft.REACH

    def latents(self, samples: NDArray[np.float32], inner: slice) -> NDArray[np.float32]:
        """Map samples (320 T,) to the latents of some of their frames, (n, D)."""
        read = stft.features(stft.spectra(samples))
        latents = self.analysis.run(read, inner=(slice(0, 1), inner))
        return np.ascontiguousarray(latents[:, 0].T)

    def samples(self, latents: NDArray[np.float32], inner: slice) -> NDArray[np.float32]:
        """Map latents (T, D) to the samples of some of their frames, (320 n,)."""
        start = max(0, inner.start - stft.REACH)
        stop = min(len(latents), inner.stop + stft.REACH)
        read = np.ascontiguousarray(latents.T)[:, None]
        made = self.synthesis.run(read, inner=(slice(0, 1), slice(start, stop)))
        samples = stft.samples(stft.synthesised(made))
        return samples[(inner.start - start) * stft.HOP : (inner.stop - start) * stft.HOP]
