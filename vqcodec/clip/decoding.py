"""A .vqc file of a clip to frames, group by group."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import TypeAlias, cast

import numpy as np

from vqcodec.clip.chunks import Description, check_actions, unpack
from vqcodec.clip.coding import TileCoder
from vqcodec.clip.footage import Pixels
from vqcodec.clip.timing import Timing
from vqcodec.codec.coding import Indices
from vqcodec.codec.coding import Progress as Count
from vqcodec.codec.loading import ModelLike, model_of
from vqcodec.codec.progress import Progress, counter
from vqcodec.codec.salvage import continue_into
from vqcodec.codec.transform import decode_indices
from vqcodec.container import Container
from vqcodec.grid import Box, Size, area_of, whole
from vqcodec.models.clip import ClipVqVae
from vqcodec.prior.temporal import NOTHING

GREY = 128
"""Red, green and blue where nothing is left."""
_Tiles: TypeAlias = "list[tuple[int, Box]]"
"""Numbers and boxes of the tiles of the same frames."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Film:
    """A file of a clip that has been parsed, and the model that decodes it."""

    container: Container
    model: ClipVqVae
    description: Description

    @property
    def timing(self) -> Timing:
        """When frames are shown."""
        return self.description.timing

    @property
    def size(self) -> Size:
        """Height and width of a frame, pixels."""
        return self.container.header.shape[1:]

    def frames(
        self,
        span: range | None = None,
        *,
        lost: set[int] | None = None,
        progress: Progress | None = None,
    ) -> Iterator[Pixels]:
        """Yield the frames of a span (None: all), (H, W, 3).

        Raises CorruptError if a tile is wrong, unless there is a set `lost`: then such tiles are
        put into it. They, and those that are in it, show the last frame before them, or grey.
        """
        span = range(self.timing.frames) if span is None else span
        size = self.container.header.grid[1:]
        count = counter(progress, 2 * area_of(whole(size)) * len(span))
        last = np.full(size, NOTHING, np.int32)
        for tiles in self._groups(span):
            grid = self._group(tiles, last, lost, count)
            last = grid[-1].copy()
            for number, frame in enumerate(grid, start=tiles[0][1][0].start):
                if number in span:
                    yield self._drawn(frame, [box[1:] for _, box in tiles], count)

    def indices(self, progress: Progress | None = None) -> Indices:
        """Return all indices, int32 (T, rows, columns). Raises: as `frames`."""
        size = self.container.header.grid
        count = counter(progress, area_of(whole(size)))
        grid = np.empty(size, np.int32)
        for tiles in self._groups(range(size[0])):
            grid[tiles[0][1][0]] = self._group(tiles, grid[0], None, count)
        return grid

    def _groups(self, span: range) -> Iterator[_Tiles]:
        """Yield the tiles of the frames that share tiles with those of a span."""
        tiles = enumerate(self.container.header.tiles())
        for start, group in groupby(tiles, key=lambda tile: tile[1][0].start):
            held = list(group)
            if start < span.stop and span.start < held[0][1][0].stop:
                yield held

    def _group(
        self,
        tiles: _Tiles,
        last: Indices,
        lost: set[int] | None,
        count: Count | None,
    ) -> Indices:
        """Return the indices of the frames of some tiles, (frames, rows, columns), lost ones
        having those of the frame `last`.
        """
        frames = tiles[0][1][0]
        grid = np.repeat(last[None], frames.stop - frames.start, axis=0)
        held = [tile for tile in tiles if lost is None or tile[0] not in lost]
        streams = [self.container.tiles[number] for number, _ in held]
        coder = TileCoder(self.model, self.container.header.mode, self.description.actions)
        decoded = coder.decode(
            streams, [box for _, box in held], lenient=lost is not None, progress=count
        )
        for (number, box), tile in zip(held, decoded, strict=True):
            if tile is not None:
                grid[(slice(None), *box[1:])] = tile
            elif lost is not None:
                lost.add(number)
        return grid

    def _drawn(self, frame: Indices, boxes: Sequence[Box], count: Count | None) -> Pixels:
        """Return the pixels of a frame's indices, of whose tiles some may be unknown."""
        grey = [box for box in boxes if (frame[box] == NOTHING).any()]
        for box in grey:
            frame[box] = 0
        for box in grey:
            continue_into(frame[:, :, None], box, self.model.decoder_halo)
        pixels = decode_indices(self.model, frame[:, :, None], 0, whole(self.size), progress=count)
        for rows, columns in grey:
            stride = self.model.stride
            pixels[
                rows.start * stride : rows.stop * stride,
                columns.start * stride : columns.stop * stride,
            ] = GREY
        return pixels


def open_container(container: Container, model: ModelLike, device: str) -> Film:
    """Return what decodes a file that has been parsed.

    Raises: FormatError, ModelError; ValueError for a device that is not there.
    """
    description = unpack(container)
    loaded = cast(ClipVqVae, model_of(container.header, model, device))
    check_actions(description.actions, len(loaded.clip.actions))
    return Film(container=container, model=loaded, description=description)
