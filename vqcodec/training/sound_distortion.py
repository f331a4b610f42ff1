"""How far decoded sound is from its original, as training weighs it.

- Spectra of three sizes whose magnitudes are raised to the power .3, which is about how loud they
  seem: the difference of complex numbers, and that of magnitudes alone (Braun and Tashev, arXiv
  2009.12286, eq. 5). Phases that are not worth their bits would silence the sound without the
  latter.
- Logarithms of mel spectra of seven sizes (as in Kumar et al., arXiv 2306.06546, section 3.5).
- The rise and fall of bands, which makes speech intelligible (`envelopes`).
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache

import numpy as np
import torch
from torch import Tensor

from vqcodec.models.stft import POWER, RATE
from vqcodec.networks.spectrum import compressed
from vqcodec.training.config_speech import SpeechDistortionConfig
from vqcodec.training.envelopes import envelope_distance

_SIZES = (512, 1024, 2048)
"""Of windows of compressed spectra, samples."""
_MEL_BANDS = {32: 5, 64: 10, 128: 20, 256: 40, 512: 80, 1024: 160, 2048: 320}
"""Bands for each size of windows of mel spectra."""
_ENVELOPE_SIZE = 512
"""Of windows whose energies make envelopes."""
_ENERGY = 0.025
"""Mean square of compressed spectra of speech at a usual level."""
_FLOOR = 1e-3
"""Added to mel magnitudes; speech has about .05."""


@dataclass(frozen=True, slots=True)
class SoundDistortion:
    """Of sounds (B,)."""

    spectral: Tensor
    """Mean squared difference of compressed spectra; 1 is about what silence has."""
    log_mel: Tensor
    """Mean absolute difference of mel spectra's natural logarithms."""
    envelope: Tensor
    """1 less the mean correlation of the envelopes of bands."""
    total: Tensor
    """All three, as weighed."""

    def figures(self) -> dict[str, float]:
        """Return the means of the three."""
        return {
            "spectral": float(self.spectral.detach().mean()),
            "log_mel": float(self.log_mel.detach().mean()),
            "envelope": float(self.envelope.detach().mean()),
        }


def sound_distortion(
    decoded: Tensor, original: Tensor, config: SpeechDistortionConfig
) -> SoundDistortion:
    """Compare sounds float32 (B, n) in -1..1."""
    spectral: list[Tensor] = []
    mel: list[Tensor] = []
    envelope = decoded.new_zeros(len(decoded))
    for size, bands in _MEL_BANDS.items():
        spectra = _spectra(decoded, size), _spectra(original, size)
        if size in _SIZES:
            spectral.append(_compressed_difference(*spectra, config.phase))
        if size == _ENVELOPE_SIZE:
            energies = _energies(spectra[0]), _energies(spectra[1])
            envelope = envelope_distance(*energies, size // 4)
        filters = mel_filters(size, bands, decoded.device)
        logarithms = [torch.log(filters @ _magnitudes(each) + _FLOOR) for each in spectra]
        mel.append((logarithms[0] - logarithms[1]).abs().mean((1, 2)))
    means = torch.stack(spectral).mean(0), torch.stack(mel).mean(0)
    total = means[0] + config.log_mel * means[1] + config.envelope * envelope
    return SoundDistortion(*means, envelope, total)


@cache
@torch.inference_mode(False)
def mel_filters(size: int, bands: int, device: torch.device) -> Tensor:
    """Return weights float32 (bands, size / 2 + 1) of a spectrum's magnitudes, on a device.

    Triangles that are equal on the mel scale 2595 log10(1 + f / 700) and overlap by half, from 0
    to half the rate. Each adds up to 1; one too narrow to hold a frequency is that nearest to it.
    """
    count = size // 2 + 1
    frequencies = np.linspace(0.0, RATE / 2.0, count)
    top = 2595.0 * np.log10(1.0 + RATE / 1400.0)
    corners = 700.0 * (10.0 ** (np.linspace(0.0, top, bands + 2) / 2595.0) - 1.0)
    low, middle, high = (corners[first : first + bands, None] for first in range(3))
    rising, falling = (frequencies - low) / (middle - low), (high - frequencies) / (high - middle)
    weights = np.maximum(0.0, np.minimum(rising, falling))
    empty = weights.sum(1) == 0.0
    nearest = np.abs(frequencies - middle).argmin(1)
    weights[empty, nearest[empty]] = 1.0
    return torch.from_numpy(weights / weights.sum(1, keepdims=True)).float().to(device)


@cache
@torch.inference_mode(False)
def _window(size: int, device: torch.device) -> Tensor:
    return torch.hann_window(size, device=device)


def _spectra(samples: Tensor, size: int) -> Tensor:
    """Return spectra (B, size / 2 + 1, frames), whose mean square is that of the samples."""
    window = _window(size, samples.device)
    spectra: Tensor = torch.stft(
        samples, size, size // 4, window=window, pad_mode="constant", return_complex=True
    )
    scale: Tensor = window.square().sum().rsqrt()
    return spectra * scale


def _energies(spectra: Tensor) -> Tensor:
    return spectra.real.square() + spectra.imag.square()


def _magnitudes(spectra: Tensor) -> Tensor:
    # The root has no slope at 0.
    return (_energies(spectra) + 1e-8).sqrt()


def _compressed_difference(decoded: Tensor, original: Tensor, phase: float) -> Tensor:
    """Compare spectra (B, bins, frames): (B,)."""
    one, other = compressed(decoded, POWER), compressed(original, POWER)
    difference = sum((a - b).square() for a, b in zip(one, other, strict=True))
    sizes = [(real.square() + imaginary.square() + 1e-8).sqrt() for real, imaginary in (one, other)]
    both = phase * difference + (1.0 - phase) * (sizes[0] - sizes[1]).square()
    means: Tensor = both.mean((1, 2))
    return means / _ENERGY
