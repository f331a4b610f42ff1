"""Index grids to tile streams and back: the one coding loop.

Encoder and decoder run the same loop over the same steps with the same tables;
they differ in the coder, which writes or reads, and in the source of logits, which
knows the indices, chooses them, or learns them as they are read.
Tiles of equal size share their network calls; the results do not depend on
which tiles do, as the prior is exact.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import groupby, pairwise

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from vqcodec.codec.wavefront import Step, steps
from vqcodec.container import Header, Mode
from vqcodec.entropy.coder import Coder, Decoder, Encoder, pack_fixed, unpack_fixed
from vqcodec.entropy.tables import surpluses
from vqcodec.errors import CorruptError, FormatError
from vqcodec.models.model import Model, Source
from vqcodec.models.precision import full_precision

Indices = NDArray[np.int32]
Progress = Callable[[int], None]
"""Told how many positions have just been coded."""

_BATCH_POSITIONS = 1 << 16
_CHUNK_LOGITS = 1 << 17
"""Logits that are worked on at a time: what fits into a processor's cache."""


def code_tiles(source: Source, coders: Sequence[Coder], indices: Indices) -> None:
    """Code a batch of tiles, int32 (tiles, rows, columns, G), in place.

    With encoders `indices` is read where the source leaves no choice, and holds what
    was coded in the end; with decoders it is filled.
    """
    _, rows, columns, _ = indices.shape
    with torch.inference_mode(), full_precision():
        for step in steps(rows, columns):
            _code_step(step, source, coders, indices)


def _code_step(step: Step, source: Source, coders: Sequence[Coder], indices: Indices) -> None:
    i = np.arange(step.first, step.stop)
    j = step.t - 2 * i
    done = 0
    for part, (groups, codewords) in enumerate(source.parts):
        span = slice(done, done + groups)
        coded = indices[:, i, j, span]  # (tiles, n, g), a copy
        for some in _chunks(len(coders), len(i) * groups * codewords):
            logits = source.logits(step.t, step.first, step.stop, part, some)
            known = torch.from_numpy(coded[some])
            chosen = source.choose(logits, known, part, some).int().cpu().numpy()
            tables = surpluses(logits.flatten(0, 2).cpu().numpy())
            tables = tables.reshape(len(chosen), -1, codewords)
            each = zip(coders[some], tables, chosen, strict=True)
            for at, (coder, table, symbols) in enumerate(each, some.start):
                coded[at] = coder.code(table, symbols.ravel()).reshape(symbols.shape)
        indices[:, i, j, span] = coded
        source.put(step.t, step.first, part, torch.from_numpy(coded))
        done += groups


def encode_grid(
    model: Model,
    header: Header,
    measured: Tensor,
    weight: float = 1.0,
    progress: Progress | None = None,
) -> tuple[tuple[bytes, ...], Indices]:
    """Turn what was measured of a picture, (rows, columns, C), into the streams of its tiles.

    Also returns the indices that they hold, int32 (rows, columns, G).
    """
    boxes = tile_boxes(header)
    groups = model.groups(header.quality)
    grid = np.zeros((header.rows, header.columns, groups), dtype=np.int32)
    streams: dict[int, bytes] = {}
    for batch in _batches(boxes, range(len(boxes))):
        tiles = torch.stack([measured[boxes[tile]] for tile in batch])
        if header.mode is Mode.FIXED:
            indices = model.nearest(tiles, header.quality).int().cpu().numpy()
            made = [pack_fixed(row.ravel(), model.codebook_size) for row in indices]
        else:
            indices = np.zeros((*tiles.shape[:3], groups), dtype=np.int32)
            encoders = [Encoder() for _ in batch]
            code_tiles(model.encoding(tiles, header.quality, weight), encoders, indices)
            made = [coder.finish() for coder in encoders]
        streams |= zip(batch, made, strict=True)
        for tile, row in zip(batch, indices, strict=True):
            grid[boxes[tile]] = row
        _tell(progress, math.prod(indices.shape[:3]))
    return tuple(streams[tile] for tile in range(len(boxes))), grid


def decode_grid(
    model: Model,
    header: Header,
    streams: Sequence[bytes],
    wanted: Iterable[int] | None = None,
    progress: Progress | None = None,
    lost: set[int] | None = None,
) -> Indices:
    """Return the indices of the wanted tiles (None: all), int32 (rows, columns, G); 0 elsewhere.

    Raises CorruptError if a stream is not one that an encoder writes, unless there is a set
    `lost` for the numbers of such tiles.
    """
    boxes = tile_boxes(header)
    groups = model.groups(header.quality)
    grid = np.zeros((header.rows, header.columns, groups), dtype=np.int32)

    def decode(batch: list[int]) -> list[tuple[int, Indices]]:
        indices = np.zeros((len(batch), *grid[boxes[batch[0]]].shape), dtype=np.int32)
        try:
            _decode_tiles(model, header, [streams[tile] for tile in batch], indices)
        except FormatError as error:
            if lost is None:
                error.args = (f"tiles {batch[0]} to {batch[-1]}: {error}",)
                raise
            if len(batch) == 1:
                lost.update(batch)
                return []
            # Which of them it is shows when each is decoded by itself.
            return [found for tile in batch for found in decode([tile])]
        return list(zip(batch, indices, strict=True))

    for batch in _batches(boxes, range(len(boxes)) if wanted is None else wanted):
        for tile, row in decode(batch):
            grid[boxes[tile]] = row
            _tell(progress, row.shape[0] * row.shape[1])
    return grid


def _decode_tiles(model: Model, header: Header, streams: Sequence[bytes], indices: Indices) -> None:
    """Fill a batch of tiles, int32 (tiles, rows, columns, G). Raises CorruptError."""
    if header.mode is Mode.FIXED:
        for tile, stream in zip(indices, streams, strict=True):
            tile[:] = unpack_fixed(stream, tile.size, model.codebook_size).reshape(tile.shape)
        if (indices >= model.codewords(header.quality)).any():
            raise CorruptError("an index has no codeword")
    else:
        decoders = [Decoder(stream) for stream in streams]
        source = model.decoding(len(streams), indices.shape[1], header.quality)
        code_tiles(source, decoders, indices)
        for decoder in decoders:
            decoder.finish()


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


def _chunks(tiles: int, logits: int) -> Iterator[slice]:
    """Cut a batch of tiles with so many logits each into chunks."""
    size = max(1, _CHUNK_LOGITS // logits)
    for start in range(0, tiles, size):
        yield slice(start, min(start + size, tiles))


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
