"""The kernel and NumPy are one codec: logits, tables, bytes, choices and what is refused."""

from __future__ import annotations

import dataclasses
import math
import multiprocessing
import os
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from itertools import accumulate
from typing import Any

import numpy as np
import pytest
import reference
from conftest import photo
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray
from samples import frozen, vectors

import vqcodec
from vqcodec import processors
from vqcodec.codec.coding import code_tiles, decode_grid
from vqcodec.container import Medium, Mode, parse
from vqcodec.entropy.coder import Decoder, Encoder
from vqcodec.entropy.tables import surpluses
from vqcodec.errors import CorruptError
from vqcodec.grid import Size, area_of, whole
from vqcodec.models.photo import Photo
from vqcodec.prior import kernel
from vqcodec.prior.chooser import Chooser, KnownIndices, LeastCost, bounded
from vqcodec.prior.codebooks import Codebooks
from vqcodec.prior.context import Prior, ToldPrior
from vqcodec.prior.heads import Categorical, Gaussian, Slices
from vqcodec.prior.kernel import Kernel, pack
from vqcodec.prior.taps import TrunkTaps, dilated, wedge
from vqcodec.prior.trunk import Trunk
from vqcodec.prior.wavefront import rows_and_columns
from vqcodec.registry.load import parse_model

LEVELS = [level for level in kernel.levels() if level != kernel.NUMPY]
pytestmark = pytest.mark.skipif(not LEVELS, reason="the extension was not built")

Indices = NDArray[np.int32]
SAMPLES = [
    each
    for each in (*frozen(), *vectors())
    if (header := parse(each.data).header).mode is Mode.PRIOR and header.medium is not Medium.CLIP
]
"""Clips have several priors in a stream: test_clip_files.py has theirs."""


def kernels(prior: Prior) -> Iterator[Kernel]:
    network, groups = pack(prior.trunk, prior.head), sum(groups for groups, _ in prior.parts)
    offsets = prior.offsets.astype(np.int32) if isinstance(prior, ToldPrior) else None
    return (Kernel(network, level, groups, offsets) for level in LEVELS)


def with_numpy(prior: Prior, chooser: Chooser, size: Size) -> tuple[bytes, Indices]:
    grid = np.empty((*size, sum(groups for groups, _ in prior.parts)), dtype=np.int32)
    encoder = Encoder()
    code_tiles(prior, [encoder], [whole(size)], grid, chooser)
    return encoder.finish(), grid


def read_with_numpy(prior: Prior, stream: bytes, size: Size) -> Indices:
    grid = np.empty((*size, sum(groups for groups, _ in prior.parts)), dtype=np.int32)
    decoder = Decoder(stream)
    code_tiles(prior, [decoder], [whole(size)], grid)
    decoder.finish()
    return grid


def tables_of(prior: Prior, indices: Indices) -> tuple[NDArray[np.int32], NDArray[np.int32]]:
    """Return all logits and frequencies of a tile as the kernel orders them."""
    known = flat(indices)
    width = sum(count * size for count, size in prior.parts)
    logits = np.empty((len(known), width), dtype=np.int32)
    frequencies = np.empty_like(logits)
    context = prior.context([indices.shape[:-1]])
    for step in context.steps():
        none = np.empty((len(step.place), 0))
        found = [none], [none]
        done = 0
        for part, (count, _) in enumerate(prior.parts):
            own = context.logits(part, slice(0, len(step.place)))
            found[0].append(own.swapaxes(0, 1).reshape(len(step.place), -1))
            found[1].append(surpluses(own).reshape(len(step.place), -1) + 1.0)
            context.put(part, known[step.place, done : done + count])
            done += count
        logits[step.place], frequencies[step.place] = map(np.hstack, found)
    return logits, frequencies


def read(each: Kernel, stream: bytes, size: Size) -> Indices:
    indices = np.empty((*size, each.groups), dtype=np.int32)
    each.decode(stream, indices)
    return indices


def the_same_everywhere(prior: Prior, indices: Indices, stream: bytes) -> None:
    size = indices.shape[:-1]
    rows, columns = rows_and_columns(size)
    expected = tables_of(prior, indices)
    known = KnownIndices(prior.parts, flat(indices))
    for each in kernels(prior):
        found = np.empty_like(expected[0]), np.empty_like(expected[1])
        each.network.tables(each.level, rows, columns, indices.copy(), *found, each.offsets)
        assert np.array_equal(found[0], expected[0]), each.level
        assert np.array_equal(found[1], expected[1]), each.level
        written, coded = each.encode(known, size)
        assert written == stream
        assert np.array_equal(coded, indices)
        assert np.array_equal(read(each, stream, size), indices)


@pytest.mark.parametrize("sample", SAMPLES, ids=lambda sample: sample.name)
def test_files_and_vectors(sample: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whose indices are those of the reference, as tests/test_vectors.py shows."""
    container = parse(sample.data)
    model = parse_model(sample.model.read_bytes(), sha256=container.header.model.hex())
    prior = model.prior_of(container.header.quality)
    monkeypatch.setenv(kernel.VARIABLE, kernel.NUMPY)
    areas = [area_of(box) for box in container.header.tiles()]
    smallest = areas.index(min(areas))
    tile = decode_grid(model, container.header, container.tiles, [smallest])
    the_same_everywhere(prior, tile, container.tiles[smallest])


def integers(rng: np.random.Generator, kind: type[Any], most: int, *shape: int) -> NDArray[Any]:
    """Numbers of a distribution that is drawn too: large ones, small ones, or mostly zeros."""
    values = rng.integers(-most, most + 1, shape)
    values >>= rng.integers(0, 8)
    values[rng.random(shape) < rng.choice([0.0, 0.5, 0.95])] = 0
    return values.astype(kind)


def random_layer(
    rng: np.random.Generator, tensors: dict[str, NDArray[Any]], name: str, inputs: int, outputs: int
) -> None:
    weight = integers(rng, np.int8, 127, outputs, inputs)
    room = (1 << 24) - 1 - 127 * np.abs(weight.astype(int)).sum(1)
    tensors[f"{name}.weight"] = weight
    tensors[f"{name}.bias"] = (room * rng.uniform(-1, 1, outputs)).astype(np.int32)
    tensors[f"{name}.shift"] = rng.integers(0, 21, outputs, dtype=np.uint8)


def random_trunk(
    rng: np.random.Generator, reads: int, channels: int, taps: TrunkTaps
) -> dict[str, NDArray[Any]]:
    tensors: dict[str, NDArray[Any]] = {}
    random_layer(rng, tensors, "first", len(taps.first) * reads, channels)
    for number, own in enumerate(taps.layers):
        random_layer(rng, tensors, f"layers.{number}", len(own) * channels, channels)
    return tensors


def random_wedge(rng: np.random.Generator) -> TrunkTaps:
    return wedge(int(rng.integers(0, 4)))


def random_dilated(rng: np.random.Generator) -> TrunkTaps:
    """Layers that reach back a step or across the whole of a tile."""
    dilations = (1 << rng.integers(0, 7, rng.integers(0, 5))).tolist()
    return dilated(int(rng.integers(1, 6)), int(rng.integers(2, 5)), dilations)


Taps = Callable[[np.random.Generator], TrunkTaps]


def random_categorical(rng: np.random.Generator, random_taps: Taps = random_wedge) -> Prior:
    reads, channels, size = (
        int(rng.integers(low, high)) for low, high in ((1, 20), (1, 70), (2, 70))
    )
    taps = random_taps(rng)
    tensors = random_trunk(rng, reads, channels, taps)
    tensors["embedding"] = integers(rng, np.int8, 127, size, reads)
    random_layer(rng, tensors, "hidden", channels, channels)
    random_layer(rng, tensors, "output", channels, size)
    return Prior(
        Trunk.read(tensors, reads=reads, channels=channels, taps=taps, dtype=np.float64),
        Categorical.read(
            tensors, codebook_size=size, embedding=reads, channels=channels, dtype=np.float64
        ),
    )


def random_gaussian(rng: np.random.Generator, random_taps: Taps = random_wedge) -> Prior:
    widths = tuple(int(width) for width in rng.integers(1, 20, rng.integers(1, 4)))
    channels, hidden = (int(rng.integers(1, 40)) for _ in range(2))
    coarse, taps = int(rng.integers(1, sum(widths) + 1)), random_taps(rng)
    tensors = random_trunk(rng, coarse, channels, taps)
    tensors["precisions"] = rng.integers(0, 1 << rng.integers(1, 22), 1024, dtype=np.int32)
    books: dict[str, NDArray[Any]] = {"rest": np.zeros(sum(widths), np.int16)}
    for s, (start, width) in enumerate(zip(accumulate(widths, initial=0), widths, strict=False)):
        random_layer(rng, tensors, f"hidden.{s}", channels + start, hidden)
        random_layer(rng, tensors, f"output.{s}", hidden, 2 * width)
        left = rng.permutation(width)
        for number in range(rng.integers(0, 4)):
            d = int(rng.choice([1, 2, 4, 8]))
            groups, size = int(rng.integers(1, 4)), int(rng.integers(2, 60))
            if groups * d > len(left):
                break
            mine, left = left[: groups * d], left[groups * d :]
            name = f"{s}.{number}"
            books[f"{name}.channels"] = mine.reshape(groups, d).astype(np.int16)
            books[f"{name}.vectors"] = integers(rng, np.int16, 4095, groups, size, d)
            books[f"{name}.bias"] = integers(rng, np.int16, 4095, groups, size)
            books[f"{name}.embedding"] = integers(rng, np.int8, 127, groups, size, d)
    trunk = Trunk.read(tensors, reads=coarse, channels=channels, taps=taps, dtype=np.float64)
    trunk.offset[:] = integers(rng, np.int16, 32767, channels)
    slices = Slices.read(
        tensors, channels=channels, hidden=hidden, widths=widths, coarse=coarse, dtype=np.float64
    )
    return Prior(trunk, Gaussian(slices, Codebooks(books, slices=widths, size=64)))


Kind = Callable[[np.random.Generator, Taps], Prior]
seeds = st.integers(0, 1 << 32)
every_kind = pytest.mark.parametrize("kind", [random_categorical, random_gaussian])
every_dimension = pytest.mark.parametrize("taps", [random_wedge, random_dilated])


def random_size(rng: np.random.Generator, taps: Taps) -> Size:
    """Rows and columns, or where taps are of one dimension a length."""
    if taps is random_dilated:
        return (int(rng.integers(1, 100)),)
    rows, columns = map(int, rng.integers(1, 12, 2))
    return rows, columns


def random_indices(rng: np.random.Generator, prior: Prior, size: Size) -> Indices:
    codewords = [count for groups, count in prior.parts for _ in range(groups)]
    shape = (*size, len(codewords))
    return rng.integers(0, np.array(codewords, dtype=int), shape, dtype=np.int32)


def flat(indices: Indices) -> Indices:
    """Return the indices of a tile position after position, (P, G)."""
    *size, groups = indices.shape
    return indices.reshape(math.prod(size), groups)


@every_dimension
@every_kind
@given(seed=seeds)
def test_random_models(kind: Kind, taps: Taps, seed: int) -> None:
    rng = np.random.default_rng(seed)
    prior = kind(rng, taps)
    size = random_size(rng, taps)
    indices = random_indices(rng, prior, size)
    stream, _ = with_numpy(prior, KnownIndices(prior.parts, flat(indices)), size)
    the_same_everywhere(prior, indices, stream)


@every_dimension
@every_kind
@given(seed=seeds)
def test_priors_that_each_position_is_told_something_else(
    kind: Kind, taps: Taps, seed: int
) -> None:
    rng = np.random.default_rng(seed)
    prior = kind(rng, taps)
    size = random_size(rng, taps)
    offsets = integers(rng, np.int16, 32767, math.prod(size), prior.trunk.channels)
    told = ToldPrior.of(prior, offsets.astype(np.float64))
    indices = random_indices(rng, prior, size)
    stream, _ = with_numpy(told, KnownIndices(prior.parts, flat(indices)), size)
    the_same_everywhere(told, indices, stream)


@given(seed=seeds)
def test_one_dimension_is_one_row(seed: int) -> None:
    rng = np.random.default_rng(seed)
    prior = random_gaussian(rng, random_dilated)
    (columns,) = random_size(rng, random_dilated)
    indices = random_indices(rng, prior, (columns,))
    known = KnownIndices(prior.parts, indices)
    assert with_numpy(prior, known, (columns,))[0] == with_numpy(prior, known, (1, columns))[0]


def test_the_reference_says_the_same(photo_like: Photo, photo_data: bytes) -> None:
    """Logits, frequencies and bytes of a whole tile."""
    slow, quality, (rows, columns) = reference.load(photo_data), 2, (5, 6)
    rng = np.random.default_rng(0)
    prior = photo_like.prior_of(quality)
    sizes = np.array(photo_like.codewords(quality))
    indices = rng.integers(0, sizes, (rows, columns, len(sizes)), dtype=np.int32)
    expected: list[int] = []

    def code(logits: NDArray, index: int) -> int:
        expected.extend((*logits.tolist(), *reference.frequencies(logits).tolist()))
        return index

    reference.walk(indices.copy(), slow, quality, code)
    stream = reference.encode_prior(indices, slow, quality)
    the_same_everywhere(prior, indices, stream)
    logits, frequencies = tables_of(prior, indices)
    assert sum(expected) == int(logits.sum()) + int(frequencies.sum())


@every_dimension
@given(seed=seeds)
def test_choices(taps: Taps, seed: int) -> None:
    """Also among equal costs, of latents that are no numbers, and far from all codewords."""
    rng = np.random.default_rng(seed)
    prior = random_gaussian(rng, taps)
    assert isinstance(prior.head, Gaussian)
    size = random_size(rng, taps)
    latents = rng.normal(size=(math.prod(size), sum(prior.head.slices.widths)))
    latents *= rng.choice([1e-3, 1.0, 100.0, 1e30])
    latents[rng.random(latents.shape) < 0.1] = rng.choice([0.0, np.nan, np.inf, -np.inf])
    with np.errstate(over="ignore"):
        scaled = bounded(latents.astype(np.float32))
    chooser = LeastCost(prior.head.codebooks, scaled, float(rng.choice([1e-6, 0.5, 24.0, 1e6])))
    expected, picked = with_numpy(prior, chooser, size)
    for each in kernels(prior):
        stream, indices = each.encode(chooser, size)
        assert np.array_equal(indices, picked), each.level
        assert stream == expected


def outcome(read: Callable[[], Indices]) -> list[int] | None:
    try:
        return read().ravel().tolist()
    except CorruptError:
        return None


@every_dimension
@every_kind
@given(seed=seeds)
def test_hostile_streams(kind: Kind, taps: Taps, seed: int) -> None:
    """Cut, changed, longer, and mere noise: what NumPy refuses the kernel refuses."""
    rng = np.random.default_rng(seed)
    prior = kind(rng, taps)
    size = random_size(rng, taps)
    indices = random_indices(rng, prior, size)
    stream, _ = with_numpy(prior, KnownIndices(prior.parts, flat(indices)), size)
    changed = bytearray(stream)
    if changed:
        changed[rng.integers(len(changed))] ^= 1 << rng.integers(8)
    noise = rng.bytes(4 * int(rng.integers(0, 9)))
    for hostile in (stream[:-4], stream + bytes(4), stream[:-1], bytes(changed), noise):
        expected = outcome(lambda: read_with_numpy(prior, hostile, size))  # noqa: B023
        for each in kernels(prior):
            found = outcome(lambda: read(each, hostile, size))  # noqa: B023
            assert found == expected, (each.level, hostile)


def test_carries_reach_held_words() -> None:
    """Indices whose interval always straddles a word's end, so that words are held for long."""
    rng = np.random.default_rng(4)
    prior = random_categorical(rng)
    assert isinstance(prior.head, Categorical)
    prior.head.output.bias[:] = 0
    prior.head.output.weight[:] = 0
    prior.head.output.matrix[:] = 0
    size = len(prior.head.embedding)
    table = reference.frequencies(np.zeros(size, dtype=int))
    ends, longest = np.cumsum(table), 0
    for _ in range(40):
        slow, picked = reference.Encoder(), []
        for _ in range(30):
            symbol = int(rng.integers(size))
            if slow.low + slow.range > 1 << 64 and rng.random() < 0.98:
                quantile = ((1 << 64) - slow.low) // (slow.range >> 24)
                symbol = int(np.searchsorted(ends, min(quantile, (1 << 24) - 1), side="right"))
            slow.symbol(table, symbol)
            longest = max(longest, len(slow.held))
            picked.append(symbol)
        indices = np.array(picked, dtype=np.int32).reshape(1, -1, 1)
        the_same_everywhere(prior, indices, slow.finish())
    assert longest >= 3


def test_networks_that_do_not_fit_are_refused(photo_like: Photo) -> None:
    """The extension looks after its own memory, whoever calls it."""
    each = next(kernels(photo_like.prior_of(1)))
    rows = np.zeros((3, 2, each.groups), dtype=np.int32)
    few = np.zeros((5, photo_like.prior_of(1).trunk.channels), dtype=np.int32)
    for arguments in (
        (each.level, 2, 2, b"", rows, None),
        (each.level, 0, 2, b"", rows[:0], None),
        (each.level, -3, -2, b"", rows, None),
        (each.level, 3, 2, b"", rows, few),
        ("none", 3, 2, b"", rows, None),
    ):
        with pytest.raises(ValueError, match=r"tile|level"):
            each.network.decode(*arguments)
    with pytest.raises(ValueError, match="size of the tile"):
        each.network.encode(each.level, 3, 2, rows, None, 0.0, few)
    with pytest.raises(ValueError, match="codeword"):
        each.network.encode(each.level, 3, 2, rows + 4096, None, 0.0, None)
    layer = (1, 1, np.zeros(1, np.int8), np.zeros(1, np.int32), np.zeros(1, np.uint8))
    short, wide = (2, 1, *layer[2:]), (2, 1, np.zeros(2, np.int8), *layer[3:])
    taps, one = (1, np.array([[0, -1]], np.int32)), np.ones(1, np.int32)
    powers = np.zeros(401, np.int32)
    for first, hidden, output in (
        (short, (layer,), (layer,)),
        (layer, (short,), (layer,)),
        (layer, (wide,), (layer,)),
        (layer, (layer, layer), (layer,)),
        (layer, (layer,), (layer, layer)),
        (layer, (), ()),
        (layer, (layer,), (layer,)),  # a codebook of one codeword
    ):
        block = (0, 1, 1, 1, 0 * one, np.zeros(1, np.int8), None, None, None)
        starts = np.arange(len(hidden) + 1, dtype=np.int32)
        with pytest.raises(ValueError, match=r"buffer|consistent"):
            kernel.native.Network(
                1, 1, taps, (), first, (), one, starts, hidden, output, None, (block,), powers
            )


def test_taps_that_do_not_fit_are_refused() -> None:
    """Each layer reads what is there already, not too far back, and nothing else."""
    rng = np.random.default_rng(0)
    prior = random_categorical(rng, lambda _: dilated(2, 2, (1, 4)))
    first, (one, four) = prior.trunk.taps.first, prior.trunk.taps.layers
    for wrong in (
        TrunkTaps(((0, -1), (0, 0)), (one, four)),
        TrunkTaps(((0, -1),), (one, four)),
        TrunkTaps(first, (one,)),
        TrunkTaps(first, (one, four, four)),
        TrunkTaps(first, (one, ((0, -4), (0, 1)))),
        TrunkTaps(first, (one, ((0, -4), (1, -2)))),
        TrunkTaps(first, (one, ((0, -4), (0, -4), (0, 0)))),
        TrunkTaps(first, (one, ((0, -1024), (0, 0)))),
    ):
        with pytest.raises(ValueError, match="not consistent"):
            pack(dataclasses.replace(prior.trunk, taps=wrong), prior.head)
    pack(
        dataclasses.replace(prior.trunk, taps=TrunkTaps(first, (((0, -1023), (0, 0)), four))),
        prior.head,
    )


def test_the_environment_names_a_level(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in kernel.levels():
        monkeypatch.setenv(kernel.VARIABLE, name)
        assert kernel.level() == name
    monkeypatch.setenv(kernel.VARIABLE, "")
    assert kernel.level() == LEVELS[0]
    monkeypatch.setenv(kernel.VARIABLE, "avx3")
    with pytest.raises(ValueError, match=r"avx3.*portable, numpy"):
        kernel.level()


@pytest.fixture
def tiles(photo_like: Photo, monkeypatch: pytest.MonkeyPatch) -> bytes:
    """A file of six tiles, which are coded in three threads."""
    monkeypatch.setattr("vqcodec.image.pipeline.TILE_LOG2", 4)
    monkeypatch.setattr(processors, "threads", lambda: 3)
    return vqcodec.compress(photo(600, 300), model=photo_like)


def test_threads_do_not_matter(
    tiles: bytes, photo_like: Photo, monkeypatch: pytest.MonkeyPatch
) -> None:
    grid = vqcodec.indices(tiles, model=photo_like)
    with ThreadPoolExecutor(4) as pool:
        for found in pool.map(lambda _: vqcodec.indices(tiles, model=photo_like), range(8)):
            assert np.array_equal(found, grid)
    monkeypatch.setattr(processors, "threads", lambda: 1)
    assert np.array_equal(vqcodec.indices(tiles, model=photo_like), grid)
    assert vqcodec.compress(photo(600, 300), model=photo_like) == tiles
    monkeypatch.setenv(kernel.VARIABLE, kernel.NUMPY)
    assert np.array_equal(vqcodec.indices(tiles, model=photo_like), grid)
    assert vqcodec.compress(photo(600, 300), model=photo_like) == tiles


def test_progress_counts_every_position(tiles: bytes, photo_like: Photo) -> None:
    container = parse(tiles)
    told: list[int] = []
    decode_grid(photo_like, container.header, container.tiles, progress=told.append)
    assert sum(told) == math.prod(container.header.grid)
    assert len(told) == container.header.tile_count == 6


@pytest.mark.skipif(not hasattr(os, "fork"), reason="a system without fork")
@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_a_forked_process_decodes(tiles: bytes, photo_like: Photo) -> None:
    grid = vqcodec.indices(tiles, model=photo_like)  # the threads of the parent have run
    child = os.fork()
    if child == 0:
        same = np.array_equal(vqcodec.indices(tiles, model=photo_like), grid)
        os._exit(0 if same else 1)
    assert os.waitpid(child, 0)[1] == 0


def decode_in_child(data: bytes) -> Indices:
    return vqcodec.indices(data, model="photo", device="cpu")


def test_a_spawned_process_decodes() -> None:
    sample = next(each for each in frozen() if each.name == "photo.vqc")
    with multiprocessing.get_context("spawn").Pool(1) as pool:
        found = pool.apply(decode_in_child, (sample.data,))
    assert np.array_equal(found, decode_in_child(sample.data))


def test_several_tiles_in_a_stream(photo_like: Photo) -> None:
    """One coder goes on from tile to tile, as NumPy's does, at every level."""
    prior = photo_like.prior_of(2)
    rng = np.random.default_rng(0)
    sizes = [(3, 5), (1, 1), (7, 2)]
    tiles = [
        np.stack([rng.integers(size, size=own) for n, size in prior.parts for _ in range(n)], 2)
        for own in sizes
    ]
    tiles = [tile.astype(np.int32) for tile in tiles]
    encoder = Encoder()
    for tile in tiles:
        known = KnownIndices(prior.parts, flat(tile))
        code_tiles(prior, [encoder], [whole(tile.shape[:2])], np.empty_like(tile), known)
    stream = encoder.finish()
    for each in kernels(prior):
        writer = kernel.coder(None, sum(tile.size for tile in tiles))
        for tile in tiles:
            each.next_tile(writer, tile.copy())
        assert writer.finish() == stream
        reader = kernel.coder(stream, 0)
        for tile in tiles:
            found = np.zeros_like(tile)
            each.next_tile(reader, found)
            assert np.array_equal(found, tile)
        assert reader.finish() == stream
        assert not reads(each, stream[:-4], tiles)
        assert reads(each, stream, tiles)
        early = kernel.coder(stream, 0)
        each.next_tile(early, np.zeros_like(tiles[0]))
        assert early.finish() is None


def reads(each: Kernel, stream: bytes, tiles: list[Indices]) -> bool:
    """Tell whether a stream is one of tiles of these sizes."""
    coder = kernel.coder(stream, 0)
    try:
        for tile in tiles:
            each.next_tile(coder, np.zeros_like(tile))
    except CorruptError:
        return False
    return coder.finish() is not None


def test_coders_look_after_their_memory(photo_like: Photo) -> None:
    each = next(kernels(photo_like.prior_of(1)))
    rows = np.zeros((3, 2, each.groups), dtype=np.int32)
    native = kernel.native
    for stream, symbols in ((b"\0\0\0", 0), (None, -1), (None, (1 << 28) + 1)):
        with pytest.raises(ValueError, match="32-bit words"):
            native.Coder(stream, symbols)
    small = native.Coder(None, 0)
    each.network.code(each.level, 3, 2, small, rows, None)
    with pytest.raises(ValueError, match="more symbols than room"):
        small.finish()
    for use in (small.finish, lambda: each.network.code(each.level, 3, 2, small, rows, None)):
        with pytest.raises(ValueError, match="finished"):
            use()
    coder = native.Coder(None, 100)
    for arguments in (
        (each.level, 2, 2, coder, rows, None),
        (each.level, 0, 2, coder, rows[:0], None),
        ("none", 3, 2, coder, rows, None),
    ):
        with pytest.raises(ValueError, match=r"tile|level"):
            each.network.code(*arguments)
    with pytest.raises(TypeError, match="Coder"):
        each.network.code(each.level, 3, 2, b"", rows, None)
    with pytest.raises(ValueError, match="codeword"):
        each.network.code(each.level, 3, 2, coder, rows + 4096, None)
    assert native.Coder(None, 5).finish() == b""
