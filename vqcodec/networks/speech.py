"""The transform of `speech`: spectra to latents frame by frame, and back.

`models.speech_transform` says what it consists of. As in `transform`, one network serves every
quality by gains.

Shapes: B sounds of T frames, D latents for each; one row, as a grid of one dimension has.
"""

from __future__ import annotations

from vqcodec.models.config_sound import SpeechConfig
from vqcodec.models.stft import BINS
from vqcodec.networks.convnext import SpectrumStack, Stack


class Analysis(Stack):
    """Features of spectra, (B, 2 BINS, 1, T), to latents (B, D, 1, T)."""

    def __init__(self, config: SpeechConfig) -> None:
        super().__init__(
            width=config.width,
            hidden=config.hidden,
            depth=config.analysis_depth,
            inputs=2 * BINS,
            outputs=config.latents,
        )


class Synthesis(SpectrumStack):
    """Latents (B, D, 1, T) to logarithms of magnitudes and to phases, (B, 2 BINS, 1, T)."""

    def __init__(self, config: SpeechConfig) -> None:
        super().__init__(
            width=config.width,
            hidden=config.hidden,
            depth=config.synthesis_depth,
            inputs=config.latents,
            bins=BINS,
        )
