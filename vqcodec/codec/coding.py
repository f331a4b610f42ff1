"""Index grids to tile streams and back: the one coding loop.

Encoder and decoder run the same loop over the same steps with the same tables;
they differ in the coder, which writes or reads, and in where logits come from:
an encoder knows every index and asks the prior once, a decoder step by step.
Tiles of equal size share their network calls; the results do not depend on
which tiles do, as the prior is exact.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import groupby, pairwise
from typing import Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from vqcodec.codec.wavefront import steps
from vqcodec.container import Header, Mode
from vqcodec.entropy.coder import Coder, Decoder, Encoder, pack_fixed, unpack_fixed
from vqcodec.entropy.tables import frequencies
from vqcodec.errors import FormatError
from vqcodec.models.integer_pixelcnn import IntegerPixelCNN

Indices = NDArray[np.int32]
Progress = Callable[[int], None]
"""Told how many indices have just been coded."""

_BATCH_POSITIONS = 1 << 16


class LogitSource(Protocol):
    """Where integer logits come from; the prior as seen by the loop."""

    def logits(self, t: int, first: int, stop: int) -> Tensor:
        """Return (tiles, n, K) for rows first..stop-1 of step t."""
        ...

    def put(self, t: int, first: int, indices: Tensor) -> None:
        """Learn the indices (tiles, n) of the step."""
        ...


def code_tiles(source: LogitSource, coders: Sequence[Coder], indices: Indices) -> None:
    """Code a batch of tiles, int32 (tiles, rows, columns), in place.

    With encoders `indices` is read, with decoders it is filled.
    """
    _, rows, columns = indices.shape
    for step in steps(rows, columns):
        i = np.arange(step.first, step.stop)
        j = step.t - 2 * i
        logits = source.logits(step.t, step.first, step.stop)  # (tiles, n, K)
        tables = frequencies(logits.flatten(0, 1).cpu().numpy())
        known = indices[:, i, j]
        for tile, coder in enumerate(coders):
            known[tile] = coder.code(tables[tile * len(i) : (tile + 1) * len(i)], known[tile])
        indices[:, i, j] = known
        source.put(step.t, step.first, torch.from_numpy(known))


def encode_grid(
    prior: IntegerPixelCNN, header: Header, grid: Indices, progress: Progress | None = None
) -> tuple[bytes, ...]:
    """Turn an index grid, int32 (rows, columns), into the streams of its tiles."""
    boxes = tile_boxes(header)
    size = prior.config.codebook_size
    if header.mode is Mode.FIXED:
        return tuple(pack_fixed(grid[box].ravel(), size) for box in boxes)
    streams: dict[int, bytes] = {}
    for batch in _batches(boxes, range(len(boxes))):
        indices = np.stack([grid[boxes[tile]] for tile in batch])
        encoders = [Encoder() for _ in batch]
        code_tiles(prior.known(torch.from_numpy(indices)), encoders, indices)
        streams |= {t: coder.finish() for t, coder in zip(batch, encoders, strict=True)}
        _tell(progress, indices.size)
    return tuple(streams[tile] for tile in range(len(boxes)))


def decode_grid(
    prior: IntegerPixelCNN,
    header: Header,
    streams: Sequence[bytes],
    wanted: Iterable[int] | None = None,
    progress: Progress | None = None,
) -> Indices:
    """Undo `encode_grid` for the wanted tiles (None: all); the others stay 0.

    Raises CorruptError if a stream is not one that an encoder writes.
    """
    boxes = tile_boxes(header)
    size = prior.config.codebook_size
    grid = np.zeros((header.rows, header.columns), dtype=np.int32)
    for batch in _batches(boxes, range(len(boxes)) if wanted is None else wanted):
        shape = grid[boxes[batch[0]]].shape
        indices = np.zeros((len(batch), *shape), dtype=np.int32)
        try:
            if header.mode is Mode.FIXED:
                for row, tile in enumerate(batch):
                    count = shape[0] * shape[1]
                    indices[row] = unpack_fixed(streams[tile], count, size).reshape(shape)
            else:
                decoders = [Decoder(streams[tile]) for tile in batch]
                code_tiles(prior.wavefront(len(batch), shape[0]), decoders, indices)
                for decoder in decoders:
                    decoder.finish()
        except FormatError as error:
            error.args = (f"tiles {batch[0]} to {batch[-1]}: {error}",)
            raise
        for row, tile in enumerate(batch):
            grid[boxes[tile]] = indices[row]
        _tell(progress, indices.size)
    return grid


def tile_boxes(header: Header) -> list[tuple[slice, slice]]:
    """Return rows and columns of every tile, row by row."""
    down, across = header.row_edges, header.column_edges
    return [
        (slice(top, bottom), slice(left, right))
        for top, bottom in pairwise(down)
        for left, right in pairwise(across)
    ]


def tiles_touching(header: Header, rows: slice, columns: slice) -> list[int]:
    """Return the numbers of the tiles that share an index with the given rows and columns."""
    return [
        number
        for number, (r, c) in enumerate(tile_boxes(header))
        if r.start < rows.stop and rows.start < r.stop
        if c.start < columns.stop and columns.start < c.stop
    ]


def _batches(boxes: list[tuple[slice, slice]], wanted: Iterable[int]) -> Iterator[list[int]]:
    """Group tiles of equal size, each group's positions bounded."""

    def shape(tile: int) -> tuple[int, int]:
        rows, columns = boxes[tile]
        return rows.stop - rows.start, columns.stop - columns.start

    for (rows, columns), group in groupby(sorted(wanted, key=shape), key=shape):
        tiles = list(group)
        most = max(1, _BATCH_POSITIONS // (rows * columns))
        for start in range(0, len(tiles), most):
            yield tiles[start : start + most]


def _tell(progress: Progress | None, count: int) -> None:
    if progress is not None:
        progress(count)
