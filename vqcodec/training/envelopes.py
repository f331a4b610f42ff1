"""How alike the bands of two sounds rise and fall, which is what speech is understood by.

The measure is STOI's (Taal et al., "An algorithm for intelligibility prediction of time-frequency
weighted noisy speech", IEEE TASLP 19(7), 2011, section II), smooth everywhere: the correlation of
the envelopes of third-octave bands over .4 seconds. STOI's clipping is left out, and quiet bands
count less instead of not at all.
"""

from __future__ import annotations

from functools import cache

import numpy as np
import torch
from torch import Tensor

from vqcodec.models.stft import RATE

_BANDS = 15
_LOWEST = 150.0
"""Middle of the lowest band, Hz."""
_SECONDS = 0.384
_STRIDE = 4
"""Frames between two stretches that are compared."""
_QUIET = 0.003
"""Envelopes that vary less in a stretch, as a root of squares, hardly count."""


def envelope_distance(decoded: Tensor, original: Tensor, hop: int) -> Tensor:
    """Return 1 less the mean correlation, (B,), 0 to 2, from the energies (B, bins, frames) of
    spectra, with so many samples between frames.
    """
    one, other = (_shapes(energies, hop) for energies in (decoded, original))
    distances: Tensor = 0.5 * (one - other).square().sum(3).mean((1, 2))
    return distances


def _shapes(energies: Tensor, hop: int) -> Tensor:
    """Return the envelopes of stretches without their mean, of length 1: (B, bands, stretches,
    frames).
    """
    bands = third_octaves(2 * (energies.shape[1] - 1), energies.device)
    envelopes = (bands @ energies + 1e-8).sqrt()
    length = min(round(_SECONDS * RATE / hop), envelopes.shape[2])
    stretches = envelopes.unfold(2, length, _STRIDE)
    varying = stretches - stretches.mean(3, keepdim=True)
    return varying / (varying.square().sum(3, keepdim=True) + _QUIET**2).sqrt()


@cache
@torch.inference_mode(False)
def third_octaves(size: int, device: torch.device) -> Tensor:
    """Tell which frequencies of a spectrum of windows of so many samples belong to which band:
    float32 (bands, size / 2 + 1) of 0 and 1, on a device. Each has one at least, the nearest to its
    middle.
    """
    frequencies = np.linspace(0.0, RATE / 2.0, size // 2 + 1)
    middles = _LOWEST * 2.0 ** (np.arange(_BANDS)[:, None] / 3.0)
    inside = (frequencies >= middles * 2.0 ** (-1 / 6)) & (frequencies < middles * 2.0 ** (1 / 6))
    inside[np.arange(_BANDS), np.abs(frequencies - middles).argmin(1)] = True
    return torch.from_numpy(inside).float().to(device)
