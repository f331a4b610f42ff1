"""Codes held against phonemes: how far indices of sound say what is spoken.

arXiv 1711.00937, section 4.3: each of the K codewords is mapped to one of 41 phonemes, that with
which it occurs most often; the share of indices whose phoneme is then right is compared with that
of the most likely phoneme. Here the map is fitted on some speakers and tried on others.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

PHONEMES = (
    *("AA", "AE", "AH", "AO", "AW", "AY", "B", "CH", "D", "DH", "EH", "ER", "EY", "F", "G", "HH"),
    *("IH", "IY", "JH", "K", "L", "M", "N", "NG", "OW", "OY", "P", "R", "S", "SH", "T", "TH"),
    *("UH", "UW", "V", "W", "Y", "Z", "ZH", "SIL", "NOISE"),
)
"""The 39 of the CMU dictionary, silence and noise: 41."""
SPOKEN = len(PHONEMES) - 2
"""Numbers of phonemes below this are speech."""
UNKNOWN = -1
"""The phoneme of an index that lies outside of what was aligned."""

Numbers = NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Segment:
    """A phoneme of a recording, or what a name that is none stands for: noise."""

    name: str
    start: float
    """Seconds."""
    stop: float
    """Seconds."""


def phonemes_at(segments: Sequence[Segment], times: NDArray[np.floating]) -> Numbers:
    """Return the numbers of the phonemes at some times in seconds, (n,); `UNKNOWN` where there is
    none. Segments are in order and do not overlap.
    """
    found = np.full(len(times), UNKNOWN)
    for segment in segments:
        number = PHONEMES.index(segment.name if segment.name in PHONEMES else "NOISE")
        found[(segment.start <= times) & (times < segment.stop)] = number
    return found


def phonemes_of_indices(segments: Sequence[Segment], count: int, seconds: float) -> Numbers:
    """Return the phoneme in the middle of each of `count` indices, of so many seconds each."""
    return phonemes_at(segments, (np.arange(count) + 0.5) * seconds)


def of_speech(phonemes: Numbers) -> Numbers:
    """Return the phonemes (n,) with silence and noise made unknown."""
    return np.where(phonemes < SPOKEN, phonemes, UNKNOWN)


@dataclass(frozen=True, slots=True)
class PhonemeMap:
    """For each codeword a phoneme."""

    phonemes: Numbers
    """(K,)"""

    @classmethod
    def fitted(cls, indices: Numbers, phonemes: Numbers, size: int) -> PhonemeMap:
        """Map each of `size` codewords to the phoneme that its indices, (n,), most often have; one
        that does not occur, to the most likely of all. Unknown phonemes do not count.

        Raises ValueError if none is known.
        """
        known = phonemes != UNKNOWN
        if not known.any():
            raise ValueError("no index has a known phoneme")
        counts = np.zeros((size, len(PHONEMES)), np.int64)
        np.add.at(counts, (indices[known], phonemes[known]), 1)
        likely = counts.sum(0).argmax()
        return cls(np.where(counts.any(1), counts.argmax(1), likely))

    def judge(self, indices: Numbers, phonemes: Numbers) -> Judgement:
        """Try it on indices (n,) whose phonemes are known. Raises ValueError if none is."""
        known = phonemes != UNKNOWN
        if not known.any():
            raise ValueError("no index has a known phoneme")
        truth = phonemes[known]
        counts = np.bincount(truth, minlength=len(PHONEMES))
        return Judgement(
            indices=len(truth),
            accuracy=float((self.phonemes[indices[known]] == truth).mean()),
            likeliest=PHONEMES[int(counts.argmax())],
            share=float(counts.max() / len(truth)),
        )


@dataclass(frozen=True, slots=True)
class Judgement:
    """How right a map is."""

    indices: int
    """That were judged."""
    accuracy: float
    """Share of those whose phoneme is right."""
    likeliest: str
    """The phoneme that most of them have."""
    share: float
    """Its share: what a map would reach that knows nothing of the indices."""
