"""What a damaged .vqc file still holds of a clip.

Tiles are coded by themselves, so damage in one leaves the others: it is a part of the frame, for
some frames, that stands still as the last frame before left it. If what is damaged is how long
frames are shown, they come as fast as the model's clips have them; without the actions no index
can be decoded.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from typing import cast

import numpy as np

from vqcodec.clip.chunks import pack_timing, unusable
from vqcodec.clip.decoding import Film, open_container
from vqcodec.clip.footage import Clip, Pixels
from vqcodec.clip.pipeline import clip_of
from vqcodec.clip.timing import from_milliseconds, timing_of
from vqcodec.codec.loading import ModelLike, model_of
from vqcodec.codec.progress import Progress
from vqcodec.container import Chunk, Container, Limits, Medium, Mode, layout, recover
from vqcodec.errors import CorruptError
from vqcodec.models.clip import ClipVqVae
from vqcodec.storage import BytesLike, bytes_of

_NO_ACTIONS = frozenset({layout.TIMING, layout.MODIFIED})
"""The types of chunks that were no actions before they were damaged."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LostFrames:
    """A tile that shows an earlier frame, or grey."""

    number: int
    start: float
    """Seconds."""
    stop: float
    """Seconds."""
    box: tuple[int, int, int, int]
    """(x, y, width, height) in pixels."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Wreck:
    """A damaged file of a clip that can be decoded."""

    film: Film
    damage: tuple[str, ...]
    """What is wrong beside the tiles, a sentence each."""
    _lost: set[int] = field(default_factory=set)

    def frames(self, progress: Progress | None = None) -> Iterator[Pixels]:
        """Yield all frames."""
        return self.film.frames(lost=self._lost, progress=progress)

    @property
    def lost(self) -> tuple[LostFrames, ...]:
        """What is lost, as far as it has been found by decoding."""
        return tuple(self._frames(number) for number in sorted(self._lost))

    @property
    def losses(self) -> tuple[str, ...]:
        """All that is wrong with the file, a sentence each; empty if it is whole."""
        return (*(self._told(lost) for lost in self.lost), *self.damage)

    def _frames(self, number: int) -> LostFrames:
        header, timing = self.film.container.header, self.film.timing
        frames, rows, columns = header.elements_of(header.tiles()[number])
        return LostFrames(
            number=number,
            start=timing.start(frames.start),
            stop=timing.start(frames.stop),
            box=(
                columns.start,
                rows.start,
                columns.stop - columns.start,
                rows.stop - rows.start,
            ),
        )

    def _told(self, lost: LostFrames) -> str:
        where = ""
        if lost.box != (0, 0, *reversed(self.film.size)):
            where = f" of pixels {','.join(map(str, lost.box))} (X,Y,W,H)"
        span = f"seconds {lost.start:.2f} to {lost.stop:.2f}"
        return f"tile {lost.number} is lost, {span}{where} show what was before, or grey"


@dataclass(frozen=True, slots=True, kw_only=True)
class SalvagedClip:
    """A clip and what is missing from it."""

    clip: Clip
    lost: tuple[LostFrames, ...]
    losses: tuple[str, ...]
    """All that is wrong with the file, a sentence each; empty if it is whole."""


def salvage_clip(
    data: BytesLike,
    *,
    model: ModelLike = None,
    device: str = "cpu",
    max_pixels: int = Limits().pixels,
    progress: Progress | None = None,
) -> SalvagedClip:
    """Decompress all of a damaged .vqc file of a clip that holds; the arguments are
    `decompress_clip`'s.

    Tiles whose checksum does not hold, or whose stream does not decode, show what the last frame
    before them does, or grey if there is none.

    Raises: FormatError if the header, the tile table or the actions are damaged; ModelError.
    """
    wreck = open_wreck(bytes_of(data), model=model, device=device, max_pixels=max_pixels)
    frames = np.stack(list(wreck.frames(progress)))
    clip = clip_of(wreck.film, frames, range(len(frames)))
    return SalvagedClip(clip=clip, lost=wreck.lost, losses=wreck.losses)


def open_wreck(
    data: bytes,
    *,
    model: ModelLike = None,
    device: str = "cpu",
    max_pixels: int = Limits().pixels,
) -> Wreck:
    """Return what decodes a damaged file. Raises: as `salvage_clip`."""
    limits = Limits(pixels=max_pixels, media=frozenset({Medium.CLIP}))
    remains = recover(data, limits)
    container, damage = remains.container, list(remains.damage)
    if remains.broken - _NO_ACTIONS and container.header.mode is Mode.PRIOR:
        raise CorruptError(
            "chunks are damaged, perhaps the actions, without which no tile can be decoded"
        )
    loaded = cast(ClipVqVae, model_of(container.header, model, device))
    wrong = unusable(container)
    damage += wrong.values()
    held = tuple(chunk for chunk in container.chunks if chunk.type not in wrong)
    container = replace(container, chunks=held)
    try:
        film = open_container(container, loaded, device)
    except CorruptError as error:
        damage.append(f"{error}: how long frames are shown is not known")
        film = open_container(_usual(container, loaded), loaded, device)
    return Wreck(film=film, damage=tuple(damage), _lost=set(remains.lost))


def _usual(container: Container, model: ClipVqVae) -> Container:
    """Return the file with frames that are shown as long as those of the model's clips."""
    duration = from_milliseconds(1000.0 / model.clip.frames_per_second)
    timing = replace(timing_of([duration]), frames=container.header.shape[0])
    others = [chunk for chunk in container.chunks if chunk.type != layout.TIMING]
    made = Chunk(type=layout.TIMING, data=pack_timing(timing))
    return replace(container, chunks=tuple(sorted([made, *others], key=lambda c: c.type)))
