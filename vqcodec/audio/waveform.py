"""What a .vqc file says of sound beside its indices."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeAlias

from vqcodec.errors import CorruptError

RATE_MAX = (1 << 20) - 1
SAMPLES_MAX = (1 << 32) - 1
LEVEL_MAX = 255
CHANNELS_MAX = 255
"""Most channels of sound, those that are the same counted each."""

Tags: TypeAlias = tuple[tuple[str, str], ...]
"""Names, such as TITLE, and texts: Vorbis comments."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Waveform:
    """How samples follow from what the model makes of indices. Raises CorruptError if a value is
    out of range or the channels are written in another way than the shortest.
    """

    rate: int
    """Samples per second, 1..2^20-1."""
    samples: int
    """Samples of a channel, 1..2^32-1."""
    levels: tuple[int, ...]
    """For each coded channel how loud it is, 0..255, see `vqcodec.audio.level`."""
    channels: tuple[int, ...]
    """For each channel the coded one that it is. Coded ones appear first in ascending order."""

    def __post_init__(self) -> None:
        if not 1 <= self.rate <= RATE_MAX:
            raise CorruptError(f"rate is {self.rate}, not 1 to {RATE_MAX}")
        if not 1 <= self.samples <= SAMPLES_MAX:
            raise CorruptError(f"samples are {self.samples}, not 1 to {SAMPLES_MAX}")
        if not all(0 <= level <= LEVEL_MAX for level in self.levels):
            raise CorruptError(f"a level is not 0 to {LEVEL_MAX}")
        if len(self.channels) > CHANNELS_MAX:
            raise CorruptError(f"there are more than {CHANNELS_MAX} channels")
        if tuple(dict.fromkeys(self.channels)) != tuple(range(len(self.levels))):
            raise CorruptError("coded channels are not all there, in ascending order")

    @property
    def seconds(self) -> float:
        """How long it takes."""
        return self.samples / self.rate

    def samples_at(self, rate: int) -> int:
        """Return how many samples a channel has at another rate."""
        return -(-self.samples * rate // self.rate)

    def frames(self, rate: int, hop: int) -> int:
        """Return how many frames of `hop` samples at another rate cover it."""
        return -(-self.samples_at(rate) // hop)
