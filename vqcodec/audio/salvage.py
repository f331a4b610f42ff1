"""What a damaged .vqc file still holds of sound.

Tiles are coded by themselves, so damage in one leaves the others: it is a segment of one channel
that is silent. If what is damaged is how loud the channels were and at which rate, the sound
comes as the model sees it.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from typing import cast

import numpy as np
from numpy.typing import NDArray

from vqcodec.audio.chunks import MAX_SAMPLES, pack_waveform, unusable
from vqcodec.audio.decoding import Sound, open_container
from vqcodec.audio.level import UNITY
from vqcodec.audio.pipeline import LIMITS
from vqcodec.audio.recording import Block
from vqcodec.audio.waveform import Waveform
from vqcodec.codec.loading import ModelLike, model_of
from vqcodec.codec.progress import Progress
from vqcodec.container import Chunk, Container, layout, recover
from vqcodec.errors import CorruptError
from vqcodec.models.model import SoundModel
from vqcodec.storage import BytesLike, bytes_of


@dataclass(frozen=True, slots=True)
class LostSegment:
    """A tile that is silent."""

    number: int
    start: float
    """Seconds."""
    stop: float
    """Seconds."""
    channels: tuple[int, ...]
    """Counted from 1."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Wreck:
    """A damaged file of sound that can be decoded."""

    sound: Sound
    damage: tuple[str, ...]
    """What is wrong beside the tiles, a sentence each; lost tags among it."""
    _lost: set[int] = field(default_factory=set)

    def blocks(self, progress: Progress | None = None) -> Iterator[Block]:
        """Yield all samples, those of lost tiles being 0."""
        return self.sound.blocks(lost=self._lost, progress=progress)

    @property
    def lost(self) -> tuple[LostSegment, ...]:
        """What is lost, as far as it has been found by decoding."""
        return tuple(self._segment(number) for number in sorted(self._lost))

    @property
    def losses(self) -> tuple[str, ...]:
        """All that is wrong with the file, a sentence each; empty if it is whole."""
        return (*(self._told(segment) for segment in self.lost), *self.damage)

    def _segment(self, number: int) -> LostSegment:
        header, waveform, model = self.sound.container.header, self.sound.waveform, self.sound.model
        coded, frames = header.tiles()[number]
        start, stop = (frame * model.hop / model.rate for frame in (frames.start, frames.stop))
        own = (n for n, c in enumerate(waveform.channels, start=1) if c == coded.start)
        return LostSegment(number, start, min(stop, waveform.seconds), tuple(own))

    def _told(self, segment: LostSegment) -> str:
        where = ""
        if len(self.sound.waveform.levels) > 1:
            where = f" of channel {' and '.join(map(str, segment.channels))}"
        span = f"seconds {segment.start:.2f} to {segment.stop:.2f}"
        return f"tile {segment.number} is lost, {span}{where} are silent"


@dataclass(frozen=True, slots=True, kw_only=True)
class SalvagedSound:
    """Sound and what is missing from it."""

    samples: NDArray[np.float32]
    """(channels, n)."""
    rate: int
    lost: tuple[LostSegment, ...]
    losses: tuple[str, ...]
    """All that is wrong with the file, a sentence each; empty if it is whole."""


def salvage_audio(
    data: BytesLike,
    *,
    model: ModelLike = None,
    device: str = "cpu",
    speaker: str | None = None,
    max_samples: int = MAX_SAMPLES,
    progress: Progress | None = None,
) -> SalvagedSound:
    """Decompress all of a damaged .vqc file of sound that holds; the arguments are
    `decompress_audio`'s.

    Tiles whose checksum does not hold, or whose stream does not decode, are silent. Up to the
    halo of the model's decoder, frames beside them are estimates.

    Raises: FormatError if the header or the tile table is damaged; ModelError.
    """
    wreck = open_wreck(
        bytes_of(data), model=model, device=device, speaker=speaker, max_samples=max_samples
    )
    blocks = list(wreck.blocks(progress))
    return SalvagedSound(
        samples=np.concatenate(blocks).T,
        rate=wreck.sound.waveform.rate,
        lost=wreck.lost,
        losses=wreck.losses,
    )


def open_wreck(
    data: bytes,
    *,
    model: ModelLike = None,
    device: str = "cpu",
    speaker: str | None = None,
    max_samples: int = MAX_SAMPLES,
) -> Wreck:
    """Return what decodes a damaged file. Raises: as `salvage_audio`."""
    remains = recover(data, LIMITS)
    container, damage = remains.container, list(remains.damage)
    loaded = cast(SoundModel, model_of(container.header, model, device))
    wrong = unusable(container, len(loaded.speakers))
    damage += wrong.values()
    held = tuple(chunk for chunk in container.chunks if chunk.type not in wrong)
    container = replace(container, chunks=held)
    try:
        sound = open_container(container, loaded, device, max_samples, speaker)
    except CorruptError as error:
        damage.append(f"{error}: its rate and how loud it was are not known")
        sound = open_container(_plain(container, loaded), loaded, device, max_samples, speaker)
    return Wreck(sound=sound, damage=tuple(damage), _lost=set(remains.lost))


def _plain(container: Container, model: SoundModel) -> Container:
    """Return the file with a waveform that is what the model sees."""
    coded, frames = container.header.shape
    waveform = Waveform(
        rate=model.rate,
        samples=frames * model.hop,
        levels=(UNITY,) * coded,
        channels=tuple(range(coded)),
    )
    others = [chunk for chunk in container.chunks if chunk.type != layout.WAVEFORM]
    made = Chunk(type=layout.WAVEFORM, data=pack_waveform(waveform))
    return replace(container, chunks=tuple(sorted([made, *others], key=lambda c: c.type)))
