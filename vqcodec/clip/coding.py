"""Indices of frames to tile streams and back (format/SPEC.md, section 5, "Tiles of clips").

A tile is a box of some frames, rows and columns. Its frames are coded one after the other in one
stream, each under a prior that is told of the frame before; of the first it is told nothing, so
tiles stand by themselves in time as in space.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from vqcodec.codec.coding import Indices, Progress
from vqcodec.codec.sequence import reader, writer
from vqcodec.codec.threads import in_threads
from vqcodec.container import Header, Mode
from vqcodec.entropy.coder import pack_fixed, unpack_fixed
from vqcodec.errors import CorruptError
from vqcodec.grid import Box, area_of, size_of
from vqcodec.models.clip import UNKNOWN_ACTION, ClipVqVae
from vqcodec.prior.context import ToldPrior
from vqcodec.prior.temporal import NOTHING


@dataclass(frozen=True, slots=True)
class TileCoder:
    """Codes the tiles of a file, which are boxes (frames, rows, columns)."""

    model: ClipVqVae
    mode: Mode
    actions: bytes = b""
    """Of each frame of the clip the action that led to it; empty if none is known."""

    def encode(
        self, grid: Indices, header: Header, progress: Progress | None = None
    ) -> tuple[bytes, ...]:
        """Return the streams of all tiles of a file with the indices (T, N, M)."""
        boxes, streams = header.tiles(), []
        parts = [grid[box] for box in boxes]
        code = self._pack if self.mode is Mode.FIXED else self._write
        for box, stream in zip(boxes, in_threads(code, parts, boxes), strict=True):
            streams.append(stream)
            if progress is not None:
                progress(area_of(box))
        return tuple(streams)

    def decode(
        self,
        streams: Sequence[bytes],
        boxes: Sequence[Box],
        *,
        lenient: bool = False,
        progress: Progress | None = None,
    ) -> Iterator[Indices | None]:
        """Yield the indices of tiles, (frames, rows, columns) each.

        Raises CorruptError if a stream is not one that an encoder writes; if `lenient`, None is
        in its place.
        """
        code = self._unpack if self.mode is Mode.FIXED else self._read

        def decode(stream: bytes, box: Box) -> Indices | None:
            try:
                return code(stream, box)
            except CorruptError:
                if not lenient:
                    raise
                return None

        for box, tile in zip(boxes, in_threads(decode, streams, boxes), strict=True):
            yield tile
            if progress is not None:
                progress(area_of(box))

    def _write(self, tile: Indices, box: Box) -> bytes:
        coder = writer(self.model.prior, tile.size)
        for prior, frame in self._frames(tile, box):
            coder.code(prior, frame)
        return coder.finish()

    def _read(self, stream: bytes, box: Box) -> Indices:
        tile = np.zeros(size_of(box), np.int32)
        coder = reader(self.model.prior, stream)
        for prior, frame in self._frames(tile, box):
            coder.code(prior, frame)
        coder.finish()
        return tile

    def _frames(self, tile: Indices, box: Box) -> Iterator[tuple[ToldPrior, Indices]]:
        """Yield the frames of a tile, each to be coded before the next, and their priors."""
        before = np.full(tile.shape[1:], NOTHING, np.int32)
        action = UNKNOWN_ACTION
        for number, frame in enumerate(tile, start=box[0].start):
            if self.actions and number > box[0].start:
                action = self.actions[number]
            yield self.model.prior_after(before, action), frame
            before = frame

    def _pack(self, tile: Indices, box: Box) -> bytes:
        return pack_fixed(tile.ravel(), self.model.codebook_size)

    def _unpack(self, stream: bytes, box: Box) -> Indices:
        size = size_of(box)
        return unpack_fixed(stream, area_of(box), self.model.codebook_size).reshape(size)
