"""Sound to be compressed, as a sequence of blocks that can be read more than once."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Protocol, TypeAlias

import numpy as np
from numpy.typing import ArrayLike, NDArray

from vqcodec.audio.waveform import CHANNELS_MAX, RATE_MAX, Tags
from vqcodec.counting import counted

Block: TypeAlias = NDArray[np.float32]
"""(n, channels), full scale being -1..1."""


class Recording(Protocol):
    """Sound, its rate and what is known of it."""

    @property
    def rate(self) -> int:
        """Samples per second."""
        ...

    @property
    def channels(self) -> int:
        """Number of channels."""
        ...

    @property
    def tags(self) -> Tags:
        """Texts about it."""
        ...

    @property
    def modified(self) -> int | None:
        """When its file was last changed, nanoseconds since 1970 in UTC, if that is known."""
        ...

    @property
    def losses(self) -> tuple[str, ...]:
        """What of it is not kept, beside what compression changes."""
        ...

    def blocks(self, length: int) -> Iterator[Block]:
        """Yield all of it from the start, in blocks of `length` samples; the last may be shorter.

        Raises: SoundError if it cannot be read.
        """
        ...


@dataclass(frozen=True, slots=True, eq=False)
class Samples:
    """Sound that is in memory."""

    block: Block
    """All of it."""
    rate: int
    tags: Tags = ()
    modified: int | None = None
    losses: tuple[str, ...] = ()

    @property
    def channels(self) -> int:
        """Number of channels."""
        return int(self.block.shape[1])

    def blocks(self, length: int) -> Iterator[Block]:
        """Yield all of it."""
        for start in range(0, len(self.block), length):
            yield self.block[start : start + length]


def samples_of(samples: ArrayLike, rate: int, tags: Tags) -> Samples:
    """Take what a caller gave as sound: floats or int16, (n,) or (channels, n).

    Raises ValueError if it is something else.
    """
    array = np.asarray(samples)
    if array.dtype == np.int16:
        array = array.astype(np.float32) / 32768
    if array.dtype.kind != "f":
        raise ValueError(f"samples are {array.dtype}, not floating-point numbers or int16")
    if array.ndim not in (1, 2) or not array.size:
        raise ValueError(f"samples have the shape {array.shape}, not (n,) or (channels, n)")
    array = np.atleast_2d(array)
    if len(array) > CHANNELS_MAX:
        raise ValueError(f"there are {counted(len(array), 'channel')}, more than {CHANNELS_MAX}")
    if not np.isfinite(array).all():
        raise ValueError("a sample is not finite")
    if isinstance(rate, bool) or int(rate) != rate or not 1 <= rate <= RATE_MAX:
        raise ValueError(f"rate is {rate!r}, not a whole number from 1 to {RATE_MAX}")
    return Samples(array.T.astype(np.float32), int(rate), tags)
