"""Sound to short-time spectra and back: what surrounds the networks of `speech`.

Frame t belongs to the samples 320 t to 320 t + 319. Its window reaches 480 samples further on
both sides, as far as there are samples; beyond the ends of the sound there is silence. Spectra
are scaled such that their mean square is that of the samples. Back to samples there are spectra
of any even number of samples from one frame to the next, their hop; windows are four of it.
"""

from __future__ import annotations

import math
from functools import cache

import numpy as np
from numpy.typing import NDArray

RATE = 16000
"""Samples per second."""
HOP = 320
"""Samples from one frame to the next, 20 ms."""
OVERLAP = 4
"""Hops of a frame's window."""
WINDOW_SIZE = OVERLAP * HOP
"""Samples of it."""
MARGIN = (WINDOW_SIZE - HOP) // 2
"""Samples of it on each side of the frame's own."""
REACH = OVERLAP // 2
"""Frames on each side that a frame shares samples with, or parts of them."""
POWER = 0.3
"""Power of magnitudes that networks read; smaller ones count for more then."""
MAGNITUDE_FLOOR = 1e-3
"""Magnitudes well below it count as 0."""
LOG_MAGNITUDE_MAX = 4.0
"""Largest natural logarithm of a magnitude; that of a loud sine is below 3."""


def bins_of(hop: int) -> int:
    """Return the frequencies of a spectrum."""
    return OVERLAP * hop // 2 + 1


def hop_of(bins: int) -> int:
    """Undo `bins_of`."""
    return 2 * (bins - 1) // OVERLAP


@cache
def window_of(hop: int) -> NDArray[np.float64]:
    """Return the periodic Hann window, (4 hop,)."""
    size = OVERLAP * hop
    window: NDArray[np.float64] = np.sin(np.pi * np.arange(size) / size) ** 2
    return window


def scale_of(hop: int) -> float:
    """Return what spectra are multiplied by."""
    energy = float(np.sum(window_of(hop) ** 2))
    return 1.0 / math.sqrt(energy)


BINS = bins_of(HOP)
"""Frequencies of a spectrum of `speech`."""


def spectra(samples: NDArray[np.float32]) -> NDArray[np.complex64]:
    """Map samples (320 T,) to the frames' spectra (T, BINS)."""
    padded = np.pad(samples, MARGIN)
    frames = np.lib.stride_tricks.sliding_window_view(padded, WINDOW_SIZE)[::HOP]
    windowed = frames * (scale_of(HOP) * window_of(HOP)).astype(np.float32)
    return np.fft.rfft(windowed, axis=1).astype(np.complex64)


def samples(spectra: NDArray[np.complex64]) -> NDArray[np.float32]:
    """Map spectra (T, bins) of any hop to the samples (hop T,) that they fit best, in least
    squares (Griffin and Lim, 1984, eq. 6).
    """
    hop = hop_of(spectra.shape[1])
    window = window_of(hop)
    frames = np.fft.irfft(spectra, n=len(window), axis=1) * (window / scale_of(hop))
    squares = np.broadcast_to(window**2, frames.shape)
    return (overlapped(frames) / overlapped(squares)).astype(np.float32)


def overlapped(frames: NDArray[np.float64]) -> NDArray[np.float64]:
    """Add up frames (T, 4 hop) where they overlap: (hop T,)."""
    count, hop = len(frames), frames.shape[1] // OVERLAP
    margin = (OVERLAP - 1) * hop // 2
    sums = np.zeros((count + OVERLAP - 1, hop))
    for part in range(OVERLAP):
        sums[part : part + count] += frames[:, part * hop : (part + 1) * hop]
    return sums.reshape(-1)[margin : margin + count * hop]


def features(spectra: NDArray[np.complex64]) -> NDArray[np.float32]:
    """Map spectra (T, BINS) to what the analysis reads, (2 BINS, 1, T).

    These are real parts, then imaginary ones, of spectra whose magnitudes are raised to `POWER`.
    """
    powers = spectra.real**2 + spectra.imag**2 + np.float32(MAGNITUDE_FLOOR**2)
    compressed = spectra * powers ** np.float32((POWER - 1.0) / 2.0)
    both = np.concatenate([compressed.real, compressed.imag], axis=1)
    return np.ascontiguousarray(both.T)[:, None]


def synthesised(values: NDArray[np.float32]) -> NDArray[np.complex64]:
    """Map what a synthesis makes, (2 bins, 1, T), to spectra (T, bins).

    These are natural logarithms of magnitudes, then phases (Vocos: Siuzdak, arXiv 2306.00814,
    section 3.2). Weights may be such that they are no numbers: such bins become 0.
    """
    logarithms, phases = np.split(values[:, 0].T, 2, axis=1)
    with np.errstate(invalid="ignore"):
        made = np.exp(np.minimum(logarithms, np.float32(LOG_MAGNITUDE_MAX)) + 1j * phases)
    spectra: NDArray[np.complex64] = np.nan_to_num(made, posinf=0.0, neginf=0.0).astype(
        np.complex64
    )
    return spectra
