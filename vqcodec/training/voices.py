"""Recordings with who speaks in them."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from vqcodec.training.data import draws
from vqcodec.training.path_names import Speakers
from vqcodec.training.sounds import Recordings, read_middle


class Voices:
    """Batches of crops and who speaks in each, both functions of the step."""

    def __init__(
        self, recordings: Recordings, speakers: Speakers, *, seed: int, count: int, length: int
    ) -> None:
        """`speakers` are those of the recordings. A batch has `count` crops of `length` samples."""
        self._recordings = recordings
        self._numbers = torch.tensor(speakers.numbers)
        self._seed = seed
        self._count = count
        self._length = length

    def batch(self, step: int) -> Tensor:
        """Draw samples: float32 (count, length)."""
        rng = draws(self._seed, 1, step)
        return torch.from_numpy(
            np.stack([self._recordings.crop(self._length, rng, n) for n in self._drawn(step)])
        )

    def speakers(self, step: int) -> Tensor:
        """Return the numbers of those who speak in the batch of a step, int64 (count,)."""
        return self._numbers[self._drawn(step)]

    def _drawn(self, step: int) -> list[int]:
        """Draw the recordings of a batch."""
        rng = draws(self._seed, 2, step)
        return [self._recordings.draw(rng) for _ in range(self._count)]


def middles(
    paths: Sequence[Path], speakers: Speakers, length: int, hop: int
) -> list[tuple[Tensor, int | None]]:
    """Read the middles of recordings, (1, n) each, with the numbers of who speaks in them.

    Raises ValueError as `sounds.read_middle` does.
    """
    return [
        (torch.from_numpy(read_middle(path, length, hop))[None], speakers.number_of(path))
        for path in paths
    ]


def voice_of(number: int | None, known: Tensor) -> Tensor:
    """Return a speaker's row, (1, E), of those that are known, (S, E); of someone else their
    mean.
    """
    return known.mean(0, keepdim=True) if number is None else known[number : number + 1]
