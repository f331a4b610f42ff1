"""Sound to short-time spectra and back: what surrounds the networks of `speech`.

Frame t belongs to the samples 320 t to 320 t + 319. Its window reaches 480 samples further on
both sides, as far as there are samples; beyond the ends of the sound there is silence. Spectra
are scaled such that their mean square is that of the samples.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

RATE = 16000
"""Samples per second."""
HOP = 320
"""Samples from one frame to the next, 20 ms."""
WINDOW_SIZE = 1280
"""Samples of a frame's window."""
MARGIN = (WINDOW_SIZE - HOP) // 2
"""Samples of it on each side of the frame's own."""
REACH = -(-MARGIN // HOP)
"""Frames on each side that a frame shares samples with, or parts of them."""
BINS = WINDOW_SIZE // 2 + 1
"""Frequencies of a spectrum."""
WINDOW = np.sin(np.pi * np.arange(WINDOW_SIZE) / WINDOW_SIZE) ** 2
"""The periodic Hann window, float64 (WINDOW_SIZE,)."""
SCALE = float(np.sum(WINDOW**2)) ** -0.5
"""What spectra are multiplied by."""
POWER = 0.3
"""Power of magnitudes that networks read; smaller ones count for more then."""
MAGNITUDE_FLOOR = 1e-3
"""Magnitudes well below it count as 0."""
LOG_MAGNITUDE_MAX = 4.0
"""Largest natural logarithm of a magnitude; that of a loud sine is below 3."""

_OVERLAP = WINDOW_SIZE // HOP


def spectra(samples: NDArray[np.float32]) -> NDArray[np.complex64]:
    """Map samples (320 T,) to the frames' spectra (T, BINS)."""
    padded = np.pad(samples, MARGIN)
    frames = np.lib.stride_tricks.sliding_window_view(padded, WINDOW_SIZE)[::HOP]
    windowed = frames * (SCALE * WINDOW).astype(np.float32)
    return np.fft.rfft(windowed, axis=1).astype(np.complex64)


def samples(spectra: NDArray[np.complex64]) -> NDArray[np.float32]:
    """Map spectra (T, BINS) to the samples (320 T,) that they fit best, in least squares
    (Griffin and Lim, 1984, eq. 6).
    """
    frames = np.fft.irfft(spectra, n=WINDOW_SIZE, axis=1) * (WINDOW / SCALE)
    squares = np.broadcast_to(WINDOW**2, frames.shape)
    return (overlapped(frames) / overlapped(squares)).astype(np.float32)


def overlapped(frames: NDArray[np.float64]) -> NDArray[np.float64]:
    """Add up frames (T, WINDOW_SIZE) where they overlap: (320 T,)."""
    count = len(frames)
    sums = np.zeros((count + _OVERLAP - 1, HOP))
    for part in range(_OVERLAP):
        sums[part : part + count] += frames[:, part * HOP : (part + 1) * HOP]
    return sums.reshape(-1)[MARGIN : MARGIN + count * HOP]


def features(spectra: NDArray[np.complex64]) -> NDArray[np.float32]:
    """Map spectra (T, BINS) to what the analysis reads, (2 BINS, 1, T).

    These are real parts, then imaginary ones, of spectra whose magnitudes are raised to `POWER`.
    """
    powers = spectra.real**2 + spectra.imag**2 + np.float32(MAGNITUDE_FLOOR**2)
    compressed = spectra * powers ** np.float32((POWER - 1.0) / 2.0)
    both = np.concatenate([compressed.real, compressed.imag], axis=1)
    return np.ascontiguousarray(both.T)[:, None]


def synthesised(values: NDArray[np.float32]) -> NDArray[np.complex64]:
    """Map what the synthesis makes, (2 BINS, 1, T), to spectra (T, BINS).

    These are natural logarithms of magnitudes, then phases (Vocos: Siuzdak, arXiv 2306.00814,
    section 3.2). Weights may be such that they are no numbers: such bins become 0.
    """
    logarithms, phases = values[:BINS, 0].T, values[BINS:, 0].T
    with np.errstate(invalid="ignore"):
        made = np.exp(np.minimum(logarithms, np.float32(LOG_MAGNITUDE_MAX)) + 1j * phases)
    spectra: NDArray[np.complex64] = np.nan_to_num(made, posinf=0.0, neginf=0.0).astype(
        np.complex64
    )
    return spectra
