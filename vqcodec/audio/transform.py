"""Samples of a model's rate to what is measured of them, and indices to samples, in windows.

A window is computed with as many frames around it as its result depends on (the network's
halo), so windows meet without a seam and memory does not grow with the recording.
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterable, Iterator, Sequence

import numpy as np
from numpy.typing import NDArray

from vqcodec.audio.recording import Block
from vqcodec.codec.coding import Indices, Progress
from vqcodec.grid import Size
from vqcodec.models.model import SoundModel


def measure_blocks(
    model: SoundModel,
    blocks: Iterable[Block],
    shape: Size,
    *,
    window: int | None = None,
    progress: Progress | None = None,
) -> NDArray:
    """Return what encoding needs to know of sound, (channels, frames, C), in a temporary file.

    `shape` is that of the frames, (channels, frames); blocks are (n, channels) at the model's
    rate. What lacks of the last frame is silence. `window` is the length of a window in frames.
    """
    channels, frames = shape
    hop, halo = model.hop, model.encoder_halo
    measured: NDArray | None = None
    reel = _Reel(blocks, channels)
    for inner, outer in _windows(slice(0, frames), frames, window or model.window, halo):
        samples = reel.wound(outer.start * hop, outer.stop * hop)
        for channel in range(channels):
            part = model.measure(samples[channel], _within(outer, inner))
            if measured is None:
                measured = _scratch((*shape, part.shape[1]), part.dtype)
            measured[channel, inner] = part
            if progress is not None:
                progress(len(part))
    assert measured is not None  # no recording is empty
    return measured


def synthesise(
    model: SoundModel,
    grid: Indices,
    quality: int,
    area: slice | None = None,
    *,
    speakers: Sequence[int] | None = None,
    window: int | None = None,
    progress: Progress | None = None,
) -> Iterator[Block]:
    """Yield blocks (n, channels) of the frames `area` (None: all) of indices (channels, N, G).

    `speakers` are the numbers of those in whose voices the channels are, None: all 0.
    Only indices within the decoder's halo of the area are looked at. Raises CorruptError if an
    index has no codeword.
    """
    channels, frames = grid.shape[:2]
    area = area or slice(0, frames)
    for inner, outer in _windows(area, frames, window or model.window, model.decoder_halo):
        count = inner.stop - inner.start
        block = np.empty((count * model.hop, channels), np.float32)
        for channel in range(channels):
            block[:, channel] = model.samples(
                grid[channel, outer],
                quality,
                _within(outer, inner),
                speakers[channel] if speakers else 0,
            )
        if progress is not None:
            progress(count * channels)
        yield block


class _Reel:
    """Blocks that are wound on: only a part that moves forward is kept."""

    def __init__(self, blocks: Iterable[Block], channels: int) -> None:
        self._blocks = iter(blocks)
        self._held = np.empty((channels, 0), np.float32)
        self._start = 0

    def wound(self, start: int, stop: int) -> NDArray[np.float32]:
        """Return the samples start..stop, (channels, stop - start); what is before is dropped.
        Beyond the last block there is silence.
        """
        parts = [self._held[:, start - self._start :]]
        lacking = stop - start - parts[0].shape[1]
        while lacking > 0:
            block = next(self._blocks, None)
            if block is None:
                block = np.zeros((lacking, len(self._held)), np.float32)
            parts.append(block.T)
            lacking -= len(block)
        self._held, self._start = np.concatenate(parts, axis=1), start
        return np.ascontiguousarray(self._held[:, : stop - start])


def _windows(area: slice, frames: int, window: int, halo: int) -> Iterator[tuple[slice, slice]]:
    """Yield windows of the area, each with its surroundings as far as there are frames."""
    for start in range(area.start, area.stop, window):
        stop = min(start + window, area.stop)
        yield slice(start, stop), slice(max(start - halo, 0), min(stop + halo, frames))


def _within(outer: slice, inner: slice) -> slice:
    return slice(inner.start - outer.start, inner.stop - outer.start)


def _scratch(shape: tuple[int, ...], dtype: np.dtype) -> NDArray:
    """Return an array whose numbers the system may keep on disk: hours of sound have many."""
    with tempfile.TemporaryFile() as file:
        return np.memmap(file, dtype, "w+", shape=shape)
