"""How loud speech is, and a scale that makes all of it about as loud.

A model sees speech at -26 dB of full scale, the level at which speech codecs are compared
(ITU-T P.830, section 7.2.2). How loud a channel was is stored in steps of a quarter of an
octave, 1.5 dB, and undone exactly.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from vqcodec.audio.waveform import LEVEL_MAX
from vqcodec.errors import SoundError

SILENT = 0
"""The level of a channel whose samples are all 0."""
UNITY = 128
"""The level of a channel that is as loud as models expect."""
_EXPECTED = 10 ** (-26 / 20)
"""Root mean square of active speech, full scale being 1."""
_ACTIVE = 10 ** (-15.9 / 10)
"""Frames with less than this part of the mean power are pauses: the margin of ITU-T P.56,
section 7.1.
"""


def scale(level: int) -> float:
    """Return what samples of the expected loudness are multiplied by."""
    return 0.0 if level == SILENT else 2.0 ** ((level - UNITY) / 4)


def level_of(powers: NDArray[np.float64]) -> int:
    """Return the level of a channel from the mean squares of its frames, (F,).

    Raises SoundError if it is louder than can be stored, which no recording is.
    """
    mean = powers.mean()
    if not mean > 0:
        return SILENT
    active = powers[powers >= _ACTIVE * mean].mean()
    level = UNITY + round(4 * math.log2(math.sqrt(active) / _EXPECTED))
    if level > LEVEL_MAX:
        raise SoundError("its samples are too large for sound, whose full scale is 1")
    return max(level, SILENT + 1)
