"""Recordings with who speaks in them: the speakers that a model comes to know."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from vqcodec.errors import ModelCorruptError
from vqcodec.models.sound_vqvae import read_speakers
from vqcodec.training.data import draws
from vqcodec.training.sounds import Recordings, read_middle


class Speakers:
    """Speakers by name and by number, as the paths of recordings say."""

    def __init__(
        self,
        paths: Sequence[Path],
        folders: Sequence[Path],
        pattern: str,
        names: Sequence[str] | None = None,
    ) -> None:
        """`folders` are those that files lie in, `pattern` is as `VoicesConfig.speaker` says.
        `names` are the speakers; None: all of the files', in alphabetic order.

        Raises ValueError for a file whose path names no speaker, or none of `names`, and for
        names that no model can have.
        """
        self._folders = folders
        self._pattern = pattern
        found = [self._name(path) for path in paths]
        self.names = tuple(sorted(set(found)) if names is None else names)
        try:
            read_speakers(list(self.names))
        except ModelCorruptError as error:
            raise ValueError(f"data.speaker: {error}") from error
        numbers = {name: number for number, name in enumerate(self.names)}
        for path, name in zip(paths, found, strict=True):
            if name not in numbers:
                raise ValueError(f"{path}: the model knows no speaker {name!r}")
        self.numbers = [numbers[name] for name in found]
        """Of the files."""

    def number_of(self, path: Path) -> int | None:
        """Return the number of who speaks in a file; None if it is none of these."""
        name = self._name(path)
        return self.names.index(name) if name in self.names else None

    def _name(self, path: Path) -> str:
        """Return the name of who speaks in a file; empty if its path has none."""
        if not self._pattern:
            return path.parent.name
        [folder, *_] = [folder for folder in self._folders if path.is_relative_to(folder)]
        found = re.search(self._pattern, path.relative_to(folder).as_posix())
        return (found[1] or "") if found else ""


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
