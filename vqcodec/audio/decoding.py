"""A .vqc file of sound to samples, segment by segment."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import cast

import numpy as np

from vqcodec.audio.chunks import Description, check_speakers, unpack
from vqcodec.audio.level import SILENT, scale
from vqcodec.audio.recording import Block
from vqcodec.audio.resampling import part, resampled
from vqcodec.audio.speakers import number_of
from vqcodec.audio.transform import synthesise
from vqcodec.audio.waveform import Waveform
from vqcodec.codec.coding import Indices, decode_grid
from vqcodec.codec.literal import tiles_needed
from vqcodec.codec.loading import ModelLike, model_of
from vqcodec.codec.progress import Progress, counter
from vqcodec.codec.salvage import continue_into
from vqcodec.container import Container
from vqcodec.counting import counted
from vqcodec.errors import CorruptError
from vqcodec.grid import Box, bounding, common, meet, within
from vqcodec.models.model import SoundModel

_RUN_FRAMES = 1 << 13
"""Frames that are decoded at once: many tiles, to keep all threads busy."""
_SETTLING_SECONDS = 1
"""A part that is decoded alone begins so much earlier, as a resampler looks around; in whole
seconds the phase of its filter is that of the whole.
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Sound:
    """A file of sound that has been parsed, and the model that decodes it."""

    container: Container
    model: SoundModel
    description: Description
    speakers: tuple[int, ...]
    """For each coded channel the number of the speaker whose voice it gets."""

    @property
    def waveform(self) -> Waveform:
        """Rate, length, levels and channels."""
        return self.description.waveform

    def span(self, crop: tuple[float, float] | None) -> range:
        """Return which samples a crop from and to a time in seconds has, None being all.

        Raises ValueError if it is none of the sound.
        """
        rate, samples = self.waveform.rate, self.waveform.samples
        if crop is None:
            return range(samples)
        try:
            start, stop = (float(time) for time in crop)
        except (TypeError, ValueError) as error:
            raise ValueError(f"crop is {crop!r}, not two times in seconds") from error
        if not 0 <= start < stop or not math.isfinite(stop) or start * rate >= samples:
            told = f"{start:g} to {stop:g} seconds"
            whole = counted(self.waveform.seconds, "second")
            raise ValueError(f"crop {told} is not inside {whole}")
        first = min(round(start * rate), samples - 1)
        return range(first, max(first + 1, min(round(stop * rate), samples)))

    def blocks(
        self,
        span: range | None = None,
        *,
        lost: set[int] | None = None,
        progress: Progress | None = None,
    ) -> Iterator[Block]:
        """Yield the samples of a span (None: all) in blocks (n, channels), full scale being 1.

        Raises CorruptError if a tile is wrong, unless there is a set `lost`: then such tiles are
        put into it, and they and those that are in it are silent.
        """
        waveform, model = self.waveform, self.model
        span = range(waveform.samples) if span is None else span
        early = start = span.start
        stop = span.stop
        if waveform.rate != model.rate:
            second = max(0, span.start // waveform.rate - _SETTLING_SECONDS)
            early = second * waveform.rate
            start = second * model.rate
            stop = (-(-span.stop // waveform.rate) + _SETTLING_SECONDS) * model.rate
        stop = min(stop, waveform.samples_at(model.rate))
        frames = slice(start // model.hop, -(-stop // model.hop))
        coded = len(waveform.levels)
        decoded = self._decoded(frames, lost, progress)
        exact = part(decoded, start - frames.start * model.hop, stop - start, coded)
        restored = resampled(exact, model.rate, waveform.rate)
        for block in part(restored, span.start - early, len(span), coded):
            yield block[:, waveform.channels]

    def _decoded(
        self, area: slice, lost: set[int] | None, progress: Progress | None
    ) -> Iterator[Block]:
        """Yield the samples of the coded channels at the model's rate, as loud as they were."""
        header, model = self.container.header, self.model
        coded, frames = header.shape
        count = counter(progress, 2 * coded * (area.stop - area.start))
        scales = np.array([scale(level) for level in self.waveform.levels], np.float32)
        silent = [c for c, level in enumerate(self.waveform.levels) if level == SILENT]
        for first in range(area.start, area.stop, _RUN_FRAMES):
            inner = slice(first, min(first + _RUN_FRAMES, area.stop))
            halo = model.decoder_halo
            seen = slice(max(inner.start - halo, 0), min(inner.stop + halo, frames))
            wanted = tiles_needed(header, self.container.tiles, (slice(0, coded), seen))
            grid = decode_grid(model, header, self.container.tiles, wanted, count, lost)
            boxes = [header.tiles()[tile] for tile in wanted]
            around = bounding(boxes)
            gone = [box for tile, box in zip(wanted, boxes, strict=True) if tile in (lost or ())]
            for box in gone:
                _continue_into(grid, within(around, box), halo)
            area_of_run = within(around, (slice(0, coded), inner))[1]
            for block in synthesise(
                model, grid, header.quality, area_of_run, speakers=self.speakers, progress=count
            ):
                block *= scales
                block[:, silent] = 0.0
                stop = first + len(block) // model.hop
                for box in gone:
                    _silence(block, box, (slice(0, coded), slice(first, stop)), model.hop)
                first = stop
                yield block


def open_container(
    container: Container,
    model: ModelLike,
    device: str,
    max_samples: int,
    speaker: str | None = None,
) -> Sound:
    """Return what decodes a file that has been parsed, in the voice of a speaker whom the model
    knows; None: as the file says.

    Raises: FormatError, ModelError; ValueError for a device that is not there, or a speaker whom
    the model does not know.
    """
    description = unpack(container, max_samples)
    loaded = cast(SoundModel, model_of(container.header, model, device))
    frames = description.waveform.frames(loaded.rate, loaded.hop)
    if frames != container.header.shape[1]:
        samples = counted(description.waveform.samples, "sample")
        told = f"{samples} at {description.waveform.rate} Hz"
        needed = counted(frames, "frame")
        raise CorruptError(f"{told} need {needed}, not {container.header.shape[1]}")
    speakers = description.speakers
    check_speakers(speakers, len(loaded.speakers))
    if speaker is not None:
        speakers = (number_of(loaded, speaker),) * len(speakers)
    return Sound(container=container, model=loaded, description=description, speakers=speakers)


def _continue_into(grid: Indices, box: Box, halo: int) -> None:
    """Continue a channel's indices into a tile that is lost."""
    channel, frames = box
    continue_into(grid[channel], (slice(0, 1), frames), halo)


def _silence(block: Block, box: Box, shown: Box, hop: int) -> None:
    """Silence what a tile has of a block, which shows so many frames."""
    if meet(box, shown):
        channel, frames = within(shown, common(box, shown))
        block[frames.start * hop : frames.stop * hop, channel] = 0.0
