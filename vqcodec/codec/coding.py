"""Index grids to tile streams and back: the one coding loop.

Encoder and decoder run the same loop over the same steps with the same tables;
they differ in the coder, which writes or reads, and in that an encoder has a chooser of
indices. Tiles share the products of the prior; the results do not depend on which tiles do,
as the prior is exact.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Callable, Iterable, Iterator, Sequence

import numpy as np
from numpy.typing import NDArray

from vqcodec.codec.kinds import content_of, sort_tiles
from vqcodec.codec.literal import continue_into_literal
from vqcodec.codec.threads import in_threads
from vqcodec.container import Header, Mode
from vqcodec.entropy.coder import Coder, Decoder, Encoder, LenientDecoder, pack_fixed, unpack_fixed
from vqcodec.entropy.tables import surpluses
from vqcodec.errors import CorruptError, FormatError
from vqcodec.grid import Box, area_of, bounding, size_of, within
from vqcodec.models.model import Model
from vqcodec.prior.chooser import Chooser, KnownIndices
from vqcodec.prior.context import Context, Prior
from vqcodec.prior.wavefront import Step

Indices = NDArray[np.int32]
Progress = Callable[[int], None]
"""Told how many positions have just been coded."""

_BATCH_POSITIONS = 1 << 17
"""Positions of tiles that go together."""
_BATCH_NUMBERS = 1 << 25
"""Numbers that are kept of the last steps of all of them."""
_CHUNK_LOGITS = 1 << 17
"""Logits that are worked on at a time: what fits into a processor's cache."""


def code_tiles(
    prior: Prior,
    coders: Sequence[Coder],
    boxes: Sequence[Box],
    grid: Indices,
    chooser: Chooser | None = None,
    progress: Progress | None = None,
) -> None:
    """Code a batch of tiles, boxes of a grid int32 (..., G), and put what was coded there. An
    encoder codes what the chooser chooses, a decoder has none.

    Ends before the last position if all coders are lost.
    """
    corners = [np.array([side.start for side in sides]) for sides in zip(*boxes, strict=True)]
    context = prior.context([size_of(box) for box in boxes])
    for step in context.steps():
        coded = _code_step(step, prior, context, coders, chooser)
        along = zip(corners, step.position, strict=True)
        grid[tuple(corner[step.tile] + own for corner, own in along)] = coded
        if progress is not None:
            progress(len(step.place))
        if all(coder.lost for coder in coders):
            break


def _code_step(
    step: Step,
    prior: Prior,
    context: Context,
    coders: Sequence[Coder],
    chooser: Chooser | None,
) -> Indices:
    """Code the P positions of a step and return their indices, (P, G)."""
    bounds = [0, *step.stops]
    coded = np.zeros((len(step.place), sum(groups for groups, _ in prior.parts)), dtype=np.int32)
    done = 0
    for part, (groups, codewords) in enumerate(prior.parts):
        found = coded[:, done : done + groups]
        for tiles in _chunks(bounds, groups * codewords):
            start = bounds[tiles.start]
            some = slice(start, bounds[tiles.stop])
            logits = context.logits(part, some)
            if chooser is not None:
                found[some] = chooser.choose(step.place[some], part, logits)
            tables = surpluses(logits)
            for tile in tiles:
                own = slice(bounds[tile] - start, bounds[tile + 1] - start)
                symbols = found[bounds[tile] : bounds[tile + 1]]
                table = tables[own].reshape(-1, codewords)
                symbols[:] = coders[tile].code(table, symbols.ravel()).reshape(symbols.shape)
        context.put(part, found)
        done += groups
    return coded


def encode_grid(
    model: Model,
    header: Header,
    measured: NDArray,
    weight: float = 1.0,
    progress: Progress | None = None,
) -> tuple[tuple[bytes, ...], Indices]:
    """Turn what was measured of a picture, (rows, columns, C), into the streams of its tiles.

    Also returns the indices that they hold, int32 (rows, columns, G).
    """
    boxes = header.tiles()
    if header.mode is Mode.PRIOR:

        def choose(tiles: Sequence[Box]) -> Chooser:
            return model.chooser([measured[box] for box in tiles], header.quality, weight)

        return _encode(model, header, choose, progress)
    grid = np.zeros((*header.grid, model.groups(header.quality)), dtype=np.int32)
    streams: list[bytes] = []
    for box in boxes:
        grid[box] = model.nearest(measured[box], header.quality)
        streams.append(pack_fixed(grid[box].ravel(), model.codebook_size))
        if progress is not None:
            progress(area_of(box))
    return tuple(streams), grid


def encode_indices(model: Model, header: Header, grid: Indices) -> tuple[bytes, ...]:
    """Return the streams of tiles, range-coded, that hold indices int32 (rows, columns, G)."""
    parts = model.prior_of(header.quality).parts

    def choose(tiles: Sequence[Box]) -> Chooser:
        flat = [grid[box].reshape(-1, grid.shape[2]) for box in tiles]
        return KnownIndices(parts, np.concatenate(flat))

    return _encode(model, header, choose, None)[0]


def _encode(
    model: Model,
    header: Header,
    choose: Callable[[Sequence[Box]], Chooser],
    progress: Progress | None,
) -> tuple[tuple[bytes, ...], Indices]:
    """Range-code the indices that are chosen for tiles; return their streams and the indices."""
    prior, boxes = model.prior_of(header.quality), header.tiles()
    grid = np.zeros((*header.grid, model.groups(header.quality)), dtype=np.int32)
    streams: list[bytes] = []
    for batch in _batches(boxes, range(len(boxes)), model.prior_of(header.quality)):
        own = [boxes[tile] for tile in batch]
        streams += _write_tiles(prior, choose, own, grid, progress)
    return tuple(streams), grid


def decode_grid(
    model: Model,
    header: Header,
    streams: Sequence[bytes],
    wanted: Sequence[int] | None = None,
    progress: Progress | None = None,
    lost: set[int] | None = None,
) -> Indices:
    """Return the indices of the wanted tiles (None: all), int32 (rows, columns, G).

    The rows and columns are those that bound the wanted tiles; memory is taken for no others.
    Literal tiles have those that `continue_into_literal` finds in the wanted tiles beside them.
    Raises CorruptError if a stream is not one that an encoder writes, unless there is a set
    `lost`: then such tiles are put into it, tiles that are in it already are left out, and the
    indices of both are 0.
    """
    boxes = header.tiles()
    wanted = range(len(boxes)) if wanted is None else wanted
    around = bounding(boxes[tile] for tile in wanted)
    grid = np.zeros((*size_of(around), model.groups(header.quality)), dtype=np.int32)
    decode = _unpack_tiles if header.mode is Mode.FIXED else _read_tiles
    indexed, literal = sort_tiles(header, streams, wanted, lost)
    for batch in _batches(boxes, indexed, model.prior_of(header.quality)):
        own = [within(around, boxes[tile]) for tile in batch]
        some = [content_of(header, streams[tile]) for tile in batch]
        lenient = lost is not None
        try:
            wrong = decode(model, header.quality, some, own, grid, progress, lenient=lenient)
        except FormatError as error:
            error.args = (f"tiles {batch[0]} to {batch[-1]}: {error}",)
            raise
        for number in wrong:
            grid[own[number]] = 0
        if lost is not None:
            lost.update(batch[number] for number in wrong)
    sources = [tile for tile in indexed if lost is None or tile not in lost]
    continue_into_literal(grid, header, around, literal, sources)
    return grid


def decode_whole_grid(
    header: Header,
    streams: Sequence[bytes],
    model: Model | None,
    progress: Progress | None = None,
) -> Indices:
    """Return all indices of a file, int32 (rows, columns, G); G is 0 without a model."""
    if model is None:
        return np.zeros((*header.grid, 0), dtype=np.int32)
    return decode_grid(model, header, streams, progress=progress)


def _read_tiles(
    model: Model,
    quality: int,
    streams: Sequence[bytes],
    boxes: Sequence[Box],
    grid: Indices,
    progress: Progress | None,
    *,
    lenient: bool,
) -> list[int]:
    """Put the indices of a batch of range-coded tiles into their boxes of the grid.

    Return which of the tiles are wrong, or raise CorruptError unless `lenient`.
    """
    prior = model.prior_of(quality)
    kernel = prior.kernel()
    if kernel is None:
        decoders = [(LenientDecoder if lenient else Decoder)(stream) for stream in streams]
        code_tiles(prior, decoders, boxes, grid, progress=progress)
        for decoder in decoders:
            decoder.finish()
        return [number for number, decoder in enumerate(decoders) if decoder.lost]

    def decode(stream: bytes, box: Box) -> bool:
        try:
            kernel.decode(stream, grid[box])
        except CorruptError:
            if not lenient:
                raise
            return False
        return True

    wrong = []
    for number, right in enumerate(in_threads(decode, streams, boxes)):
        if not right:
            wrong.append(number)
        elif progress is not None:
            progress(area_of(boxes[number]))
    return wrong


def _write_tiles(
    prior: Prior,
    choose: Callable[[Sequence[Box]], Chooser],
    boxes: Sequence[Box],
    grid: Indices,
    progress: Progress | None,
) -> list[bytes]:
    """Return the range-coded streams of a batch of tiles, and put their indices into the grid."""
    kernel = prior.kernel()
    if kernel is None:
        encoders = [Encoder() for _ in boxes]
        code_tiles(prior, encoders, boxes, grid, choose(boxes), progress)
        return [encoder.finish() for encoder in encoders]

    def encode(box: Box) -> bytes:
        stream, grid[box] = kernel.encode(choose([box]), size_of(box))
        return stream

    streams = []
    for stream, box in zip(in_threads(encode, boxes), boxes, strict=True):
        streams.append(stream)
        if progress is not None:
            progress(area_of(box))
    return streams


def _unpack_tiles(
    model: Model,
    quality: int,
    streams: Sequence[bytes],
    boxes: Sequence[Box],
    grid: Indices,
    progress: Progress | None,
    *,
    lenient: bool,
) -> list[int]:
    """Do what `_read_tiles` does with tiles of fixed length."""
    wrong = []
    for number, (stream, box) in enumerate(zip(streams, boxes, strict=True)):
        tile = grid[box]
        try:
            tile[:] = unpack_fixed(stream, tile.size, model.codebook_size).reshape(tile.shape)
            if (tile >= model.codewords(quality)).any():
                raise CorruptError("an index has no codeword")
        except CorruptError:
            if not lenient:
                raise
            wrong.append(number)
        if progress is not None:
            progress(area_of(box))
    return wrong


def _chunks(bounds: Sequence[int], logits: int) -> Iterator[range]:
    """Cut tiles, whose positions have so many logits each, into runs of few logits in all."""
    tiles = len(bounds) - 1
    first = 0
    while first < tiles:
        most = bounds[first] + _CHUNK_LOGITS // logits
        last = max(first + 1, bisect_right(bounds, most) - 1)
        yield range(first, last)
        first = last


def _batches(boxes: list[Box], wanted: Iterable[int], prior: Prior) -> Iterator[list[int]]:
    """Cut the wanted tiles into groups that take bounded memory."""
    batch: list[int] = []
    positions = numbers = 0
    for tile in wanted:
        area, kept = area_of(boxes[tile]), prior.trunk.kept(size_of(boxes[tile]))
        if batch and (positions + area > _BATCH_POSITIONS or numbers + kept > _BATCH_NUMBERS):
            yield batch
            batch, positions, numbers = [], 0, 0
        batch.append(tile)
        positions += area
        numbers += kept
    if batch:
        yield batch
