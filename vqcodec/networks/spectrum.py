"""Sound to spectra and back in torch, as `models.stft` has it in NumPy: for B sounds at once."""

from __future__ import annotations

from functools import cache

import torch
import torch.nn.functional as F
from torch import Tensor

from vqcodec.models import stft


def features(samples: Tensor) -> Tensor:
    """Map samples float32 (B, 320 T) to what the analysis reads, (B, 2 BINS, 1, T)."""
    frames = F.pad(samples, (stft.MARGIN, stft.MARGIN)).unfold(1, stft.WINDOW_SIZE, stft.HOP)
    spectra = torch.fft.rfft(frames * (stft.scale_of(stft.HOP) * _window(stft.HOP, samples.device)))
    both = torch.cat([*compressed(spectra, stft.POWER)], dim=2)  # (B, T, 2 BINS)
    return both[:, None].permute(0, 3, 1, 2)


def compressed(spectra: Tensor, power: float) -> tuple[Tensor, Tensor]:
    """Raise magnitudes to a power, smoothly at 0: real and imaginary parts."""
    real, imaginary = spectra.real, spectra.imag
    squares = real.square() + imaginary.square() + stft.MAGNITUDE_FLOOR**2
    factor = squares.pow((power - 1.0) / 2.0)
    return real * factor, imaginary * factor


def samples(values: Tensor) -> Tensor:
    """Map what a synthesis makes, float32 (B, 2 bins, 1, T), to samples (B, hop T)."""
    hop = stft.hop_of(values.shape[1] // 2)
    logarithms, phases = values[:, :, 0].mT.chunk(2, dim=2)  # (B, T, bins) each
    magnitudes = logarithms.clamp_max(stft.LOG_MAGNITUDE_MAX).exp()
    spectra = torch.polar(magnitudes, phases)
    window = _window(hop, values.device)
    frames = torch.fft.irfft(spectra, n=len(window)) * (window / stft.scale_of(hop))
    squares = window.square().expand(1, frames.shape[1], -1)
    return _overlapped(frames) / _overlapped(squares)


@cache
@torch.inference_mode(False)
def _window(hop: int, device: torch.device) -> Tensor:
    return torch.from_numpy(stft.window_of(hop)).float().to(device)


def _overlapped(frames: Tensor) -> Tensor:
    """Add up frames (B, T, 4 hop) where they overlap: (B, hop T)."""
    count, hop = frames.shape[1], frames.shape[2] // stft.OVERLAP
    margin = (stft.OVERLAP - 1) * hop // 2
    parts = frames.view(len(frames), count, stft.OVERLAP, hop)
    sums = sum(
        F.pad(parts[:, :, part], (0, 0, part, stft.OVERLAP - 1 - part))
        for part in range(stft.OVERLAP)
    )
    assert isinstance(sums, Tensor)
    return sums.flatten(1)[:, margin : margin + count * hop]
