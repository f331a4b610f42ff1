"""In whose voice sound is decoded, of the speakers whom a model knows.

A file names one of them. For a new voice that is the one with whom the decoded sound is nearest to
the recording: its loudest two seconds are decoded in every voice, the middle first, and the rest in
the few that come nearest there.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from vqcodec.audio.recording import Block
from vqcodec.codec.coding import Indices
from vqcodec.models import stft
from vqcodec.models.model import SoundModel

_SECONDS = 2.0
"""Of what is decoded."""
_FIRST_SECONDS = 0.5
"""Of its middle, which is decoded in every voice."""
_KEPT = 8
"""Voices that all of it is decoded in."""
_NAMED = 8
"""Speakers that an error names."""


def number_of(model: SoundModel, speaker: str) -> int:
    """Return the number of a speaker. Raises ValueError for one whom the model does not know."""
    known = model.speakers
    if speaker in known:
        return known.index(speaker)
    if not known:
        raise ValueError(f"the model {model.name} knows no speakers")
    more = f" and {len(known) - _NAMED} more" if len(known) > _NAMED else ""
    names = ", ".join(known[:_NAMED]) + more
    raise ValueError(f"the model {model.name} knows no speaker {speaker!r}; it knows {names}")


@dataclass(slots=True)
class _Stretch:
    """A part of a channel."""

    start: int
    """Its first sample."""
    samples: NDArray[np.float32]
    energy: float


class Loudest:
    """Listens to blocks on their way, and keeps the loudest part of each channel, by which it then
    finds whose voice it is most like.
    """

    def __init__(self, model: SoundModel) -> None:
        self._model = model
        self._length = round(_SECONDS * model.rate / model.hop) * model.hop
        self._found: dict[int, _Stretch] = {}

    def listened(self, blocks: Iterable[Block]) -> Iterator[Block]:
        """Yield the blocks, which are as the model sees them, as they are."""
        if len(self._model.speakers) < 2:  # there is nothing to find
            yield from blocks
            return
        start, held = 0, np.empty((0, 0), np.float32)
        for block in blocks:
            held = np.concatenate([held.reshape(-1, block.shape[1]), block])
            while len(held) >= self._length:
                self._compare(start, held[: self._length])
                start, held = start + self._length, held[self._length :]
            yield block
        self._compare(start, held)

    def speakers(self, grid: Indices) -> tuple[int, ...]:
        """Return for each coded channel, whose indices are (channels, N, G), the number of the
        speaker; 0 where there is nothing to find, as in silence.
        """
        return tuple(
            self._speaker(indices, self._found.get(channel)) for channel, indices in enumerate(grid)
        )

    def _compare(self, start: int, part: Block) -> None:
        for channel, energy in enumerate(np.square(part, dtype=np.float64).sum(0)):
            if channel not in self._found or energy > self._found[channel].energy:
                self._found[channel] = _Stretch(start, part[:, channel].copy(), float(energy))

    def _speaker(self, indices: NDArray[np.integer], stretch: _Stretch | None) -> int:
        if stretch is None or not stretch.energy > 0.0:
            return 0
        model, hop = self._model, self._model.hop
        count = -(-len(stretch.samples) // hop)
        first = stretch.start // hop
        seen = indices[first : first + count]
        original = np.pad(stretch.samples, (0, count * hop - len(stretch.samples)))
        some = min(count, round(_FIRST_SECONDS * model.rate / hop))
        middle = slice((count - some) // 2, (count + some) // 2)
        kept = self._nearest(range(len(model.speakers)), seen, original, middle)[:_KEPT]
        return self._nearest(kept, seen, original, slice(0, count))[0]

    def _nearest(
        self,
        speakers: Sequence[int],
        indices: NDArray[np.integer],
        original: NDArray[np.float32],
        part: slice,
    ) -> list[int]:
        """Sort speakers by how near to the original some of the indices' samples are."""
        model = self._model
        halo = model.decoder_halo
        outer = slice(max(0, part.start - halo), min(len(indices), part.stop + halo))
        inner = slice(part.start - outer.start, part.stop - outer.start)
        wanted = _loudness(original[part.start * model.hop : part.stop * model.hop])

        def distance(speaker: int) -> float:
            made = model.samples(indices[outer], 0, inner, speaker)
            return float(np.square(_loudness(made) - wanted).mean())

        return sorted(speakers, key=distance)


def _loudness(samples: NDArray[np.float32]) -> NDArray[np.float64]:
    """Return about how loud each frequency of each frame of some samples seems."""
    whole = np.pad(samples, (0, -len(samples) % stft.HOP))
    return np.abs(stft.spectra(whole)).astype(np.float64) ** stft.POWER
