"""Sound that a decoder returns late, moved to where it was.

Some codecs' files do not say by how much their decoder delays sound. A delay that a player would
never notice must not count against them, as measures that compare short times would let it.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from vqcodec_bench.sound_metrics import RATE, Samples

_LATEST = round(0.06 * RATE)
_HEARD = 60 * RATE
"""What is compared of a longer sound."""
_HOP = RATE // 1000
_WINDOW = 16 * _HOP
_BANDS = 20
_POWER = 0.3
"""Of magnitudes: about how loud they are heard."""


def aligned(original: Samples, decoded: Samples) -> Samples:
    """Return what was decoded from where it fits the original best, at most 60 ms later.

    What is compared is how loud 20 bands are from one millisecond to the next, not waves: codecs
    of very low rates do not keep those.
    """
    reference, late = _loudness(original[:_HEARD]), _loudness(decoded[:_HEARD])
    delays = range(min(_LATEST // _HOP, max(len(late) - 1, 0)) + 1)
    likeness = [_correlation(reference, late[delay:]) for delay in delays]
    return decoded[_HOP * int(np.argmax(likeness)) :]


def fitted(samples: Samples, length: int) -> Samples:
    """Cut samples to a length, or follow them by silence of at most a frame of 60 ms.

    Raises: ValueError if more is lacking.
    """
    if length - len(samples) > _LATEST:
        raise ValueError(f"{length} samples came back as {len(samples)}")
    return np.pad(samples, (0, max(0, length - len(samples))))[:length]


def _loudness(samples: Samples) -> NDArray[np.float32]:
    """Return how loud each band is, (milliseconds, bands), the mean of each being 0."""
    padded = np.pad(samples, (_WINDOW // 2, _WINDOW))
    frames = np.lib.stride_tricks.sliding_window_view(padded, _WINDOW)[::_HOP]
    magnitudes = np.abs(np.fft.rfft(frames * np.hanning(_WINDOW).astype(np.float32), axis=1))
    edges = np.unique(np.geomspace(1, magnitudes.shape[1], _BANDS + 1).astype(int))
    bands = np.add.reduceat(magnitudes, edges[:-1], axis=1) ** _POWER
    centred: NDArray[np.float32] = (bands - bands.mean(0)).astype(np.float32)
    return centred


def _correlation(one: NDArray[np.float32], other: NDArray[np.float32]) -> float:
    length = min(len(one), len(other))
    return float(np.vdot(one[:length], other[:length]))
