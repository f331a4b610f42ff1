"""Index grids to tile streams and back: the one coding loop.

Encoder and decoder run the same loop over the same steps with the same tables;
they differ in the coder, which writes or reads, and in the source of logits, which
knows the indices, chooses them, or learns them as they are read.
Tiles share their network calls; the results do not depend on which tiles do,
as the prior is exact.
"""

from __future__ import annotations

import math
from bisect import bisect_right
from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import pairwise

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from vqcodec.container import Header, Mode
from vqcodec.entropy.coder import Coder, Decoder, Encoder, pack_fixed, unpack_fixed
from vqcodec.entropy.tables import surpluses
from vqcodec.errors import CorruptError, FormatError
from vqcodec.models.model import Box, Model, Source
from vqcodec.models.precision import full_precision
from vqcodec.models.wavefront import Size, Step, steps

Indices = NDArray[np.int32]
Progress = Callable[[int], None]
"""Told how many positions have just been coded."""

_BATCH_POSITIONS = 1 << 17
"""Positions of tiles that go together. What is kept of the last steps grows with their rows:
a tile counts as if it had _COLUMNS columns at least.
"""
_COLUMNS = 16
_CHUNK_LOGITS = 1 << 17
"""Logits that are worked on at a time: what fits into a processor's cache."""


def code_tiles(
    source: Source,
    coders: Sequence[Coder],
    sizes: Sequence[Size],
    progress: Progress | None = None,
) -> list[Indices]:
    """Code a batch of tiles of some sizes; return their indices, int32 (rows, columns, G)."""
    areas = [rows * columns for rows, columns in sizes]
    coded = np.zeros((sum(areas), sum(groups for groups, _ in source.parts)), dtype=np.int32)
    with torch.inference_mode(), full_precision():
        for step in steps(sizes):
            _code_step(step, source, coders, coded)
            if progress is not None:
                progress(len(step.place))
    tiles = np.split(coded, np.cumsum(areas)[:-1])
    return [tile.reshape(*size, -1) for tile, size in zip(tiles, sizes, strict=True)]


def _code_step(step: Step, source: Source, coders: Sequence[Coder], coded: Indices) -> None:
    """Code the positions of a step; put their indices where they belong in (places, G)."""
    bounds = [0, *step.stops]
    done = 0
    for part, (groups, codewords) in enumerate(source.parts):
        found = np.empty((len(step.place), groups), dtype=np.int32)
        for tiles in _chunks(bounds, groups * codewords):
            start = bounds[tiles.start]
            some = slice(start, bounds[tiles.stop])
            logits = source.logits(step, part, some)
            chosen = source.choose(logits, part, some).int().cpu().numpy()
            tables = surpluses(logits.cpu())
            for tile in tiles:
                own = slice(bounds[tile] - start, bounds[tile + 1] - start)
                table = tables[own].reshape(-1, codewords)
                symbols = coders[tile].code(table, chosen[own].ravel())
                found[bounds[tile] : bounds[tile + 1]] = symbols.reshape(-1, groups)
        coded[step.place, done : done + groups] = found
        source.put(step, part, torch.from_numpy(found))
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
    grid = np.zeros((header.rows, header.columns, model.groups(header.quality)), dtype=np.int32)
    streams: list[bytes] = []
    for batch in _batches(boxes, range(len(boxes))):
        tiles = [measured[boxes[tile]] for tile in batch]
        if header.mode is Mode.FIXED:
            found = [model.nearest(tile, header.quality).int().cpu().numpy() for tile in tiles]
            streams += [pack_fixed(row.ravel(), model.codebook_size) for row in found]
            if progress is not None:
                progress(sum(math.prod(tile.shape[:2]) for tile in tiles))
        else:
            encoders = [Encoder() for _ in batch]
            source = model.encoding(tiles, header.quality, weight)
            found = code_tiles(source, encoders, [size_of(boxes[tile]) for tile in batch], progress)
            streams += [coder.finish() for coder in encoders]
        for tile, row in zip(batch, found, strict=True):
            grid[boxes[tile]] = row
    return tuple(streams), grid


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
    grid = np.zeros((header.rows, header.columns, model.groups(header.quality)), dtype=np.int32)
    salvages = lost is not None

    def decode(batch: list[int]) -> list[tuple[int, Indices]]:
        sizes = [size_of(boxes[tile]) for tile in batch]
        own = [streams[tile] for tile in batch]
        try:
            found = _decode_tiles(model, header, own, sizes, None if salvages else progress)
        except FormatError as error:
            if lost is None:
                error.args = (f"tiles {batch[0]} to {batch[-1]}: {error}",)
                raise
            if len(batch) == 1:
                lost.update(batch)
                return []
            # Which of them it is shows when fewer are decoded together.
            half = len(batch) // 2
            return decode(batch[:half]) + decode(batch[half:])
        if salvages and progress is not None:
            progress(sum(math.prod(size) for size in sizes))
        return list(zip(batch, found, strict=True))

    for batch in _batches(boxes, range(len(boxes)) if wanted is None else wanted):
        for tile, row in decode(batch):
            grid[boxes[tile]] = row
    return grid


def _decode_tiles(
    model: Model,
    header: Header,
    streams: Sequence[bytes],
    sizes: Sequence[Size],
    progress: Progress | None,
) -> list[Indices]:
    """Return the indices of a batch of tiles. Raises CorruptError."""
    if header.mode is Mode.PRIOR:
        decoders = [Decoder(stream) for stream in streams]
        source = model.decoding(sizes, header.quality)
        found = code_tiles(source, decoders, sizes, progress)
        for decoder in decoders:
            decoder.finish()
        return found
    groups = model.groups(header.quality)
    found = []
    for stream, (rows, columns) in zip(streams, sizes, strict=True):
        flat = unpack_fixed(stream, rows * columns * groups, model.codebook_size)
        found.append(flat.reshape(rows, columns, groups))
        if progress is not None:
            progress(rows * columns)
    if any((tile >= model.codewords(header.quality)).any() for tile in found):
        raise CorruptError("an index has no codeword")
    return found


def tile_boxes(header: Header) -> list[Box]:
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


def size_of(box: Box) -> Size:
    """Return how many rows and columns a box has."""
    rows, columns = box
    return rows.stop - rows.start, columns.stop - columns.start


def _chunks(bounds: Sequence[int], logits: int) -> Iterator[range]:
    """Cut tiles, whose positions have so many logits each, into runs of few logits in all."""
    tiles = len(bounds) - 1
    first = 0
    while first < tiles:
        most = bounds[first] + _CHUNK_LOGITS // logits
        last = max(first + 1, bisect_right(bounds, most) - 1)
        yield range(first, last)
        first = last


def _batches(boxes: list[Box], wanted: Iterable[int]) -> Iterator[list[int]]:
    """Cut the wanted tiles into groups whose positions are bounded."""
    batch: list[int] = []
    positions = 0
    for tile in wanted:
        rows, columns = size_of(boxes[tile])
        area = rows * max(columns, _COLUMNS)
        if batch and positions + area > _BATCH_POSITIONS:
            yield batch
            batch, positions = [], 0
        batch.append(tile)
        positions += area
    if batch:
        yield batch
