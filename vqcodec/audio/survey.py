"""What is found out about a recording before it is coded: one pass over all of it."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass

import numpy as np

from vqcodec.audio.level import level_of
from vqcodec.audio.recording import Recording
from vqcodec.audio.waveform import SAMPLES_MAX, Waveform
from vqcodec.counting import counted
from vqcodec.errors import SoundError, SoundSizeError

_FRAME_SECONDS = 0.02
_BLOCK_FRAMES = 512


@dataclass(frozen=True, slots=True)
class Survey:
    """A recording's waveform, and where its coded channels come from."""

    waveform: Waveform
    sources: tuple[int, ...]
    """For each coded channel the first of the recording's channels that is the same."""


def survey(recording: Recording, max_samples: int) -> Survey:
    """Read a recording once: how long it is, how loud its channels are, and which are the same.

    Raises: SoundError; SoundSizeError if it has more than `max_samples`, all channels together.
    """
    frame = max(1, round(recording.rate * _FRAME_SECONDS))
    digests = [hashlib.blake2b() for _ in range(recording.channels)]
    powers: list[np.ndarray] = []
    total = 0
    for block in recording.blocks(frame * _BLOCK_FRAMES):
        total += len(block)
        if total * recording.channels > max_samples or total > SAMPLES_MAX:
            raise SoundSizeError(f"there are more than {counted(max_samples, 'sample')} in all")
        for digest, channel in zip(digests, block.T, strict=True):
            digest.update(channel.tobytes())
        squares = np.square(block, dtype=np.float64)
        starts = np.arange(0, len(block), frame)
        lengths = np.diff(starts, append=len(block))
        powers.append(np.add.reduceat(squares, starts) / lengths[:, None])
    if not total:
        raise SoundError("there are no samples")
    first: dict[bytes, int] = {}
    for number, digest in enumerate(digests):
        first.setdefault(digest.digest(), number)
    sources = tuple(first.values())
    loudness = np.concatenate(powers)
    waveform = Waveform(
        rate=recording.rate,
        samples=total,
        levels=tuple(level_of(loudness[:, source]) for source in sources),
        channels=tuple(sources.index(first[digest.digest()]) for digest in digests),
    )
    return Survey(waveform, sources)
