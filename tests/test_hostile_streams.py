"""Small files that ask for much: what they cost is bounded by what they are."""

from __future__ import annotations

import json
import struct
import tracemalloc
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from conftest import Run, photo
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray
from PIL import Image, PngImagePlugin
from test_hostile import greyscale, tiny

import vqcodec
from vqcodec.codec import coding
from vqcodec.codec.coding import decode_grid
from vqcodec.container import ALPHA, Chunk, Container, Header, Mode, parse, serialise, span, spans
from vqcodec.entropy.coder import Decoder, Encoder, LenientDecoder
from vqcodec.errors import CorruptError
from vqcodec.image import alpha
from vqcodec.models.model import Model

TOTAL = 1 << 24


@contextmanager
def memory_at_most(size: int) -> Iterator[None]:
    """Fail if more bytes than these are taken at a time by Python and NumPy."""
    tracemalloc.start()
    try:
        yield
        assert tracemalloc.get_traced_memory()[1] <= size
    finally:
        tracemalloc.stop()


def skewed(rng: np.random.Generator, symbols: int) -> tuple[NDArray[np.float64], NDArray[np.int32]]:
    """Tables (P, K) of f - 1, flat ones and such that nearly everything is one symbol's, and
    symbols, most of them likely ones.
    """
    size = int(rng.integers(2, 9))
    weights = rng.random((symbols, size)) ** rng.choice([1.0, 8.0, 200.0], (symbols, 1))
    tables = np.floor(weights / weights.sum(1, keepdims=True) * (TOTAL - size))
    likely = tables.argmax(1)
    tables[np.arange(symbols), likely] += TOTAL - size - tables.sum(1)
    rare = rng.random(symbols) < 0.1
    picked = np.where(rare, rng.integers(0, size, symbols), likely)
    return tables, picked.astype(np.int32)


@given(st.integers(0, 1 << 32), st.integers(1, 200))
def test_valid_streams_are_read_symbol_by_symbol(seed: int, symbols: int) -> None:
    """No stream is taken for one that has run out; nor does any become shorter by a symbol more."""
    tables, picked = skewed(np.random.default_rng(seed), symbols)
    encoder = Encoder()
    sizes = []
    for table, symbol in zip(tables, picked, strict=True):
        encoder.code(table[None], np.array([symbol]))
        sizes.append(len(encoder.finish()))
    assert sizes == sorted(sizes)
    decoder = Decoder(encoder.finish())
    none = np.zeros(1, dtype=np.int32)
    assert [int(decoder.code(table[None], none)[0]) for table in tables] == picked.tolist()
    decoder.finish()


def read_whole(stream: bytes, tables: NDArray[np.float64]) -> None:
    decoder = Decoder(stream)
    decoder.code(tables, np.zeros(len(tables), dtype=np.int32))
    decoder.finish()


@given(st.integers(0, 1 << 32), st.integers(1, 200))
def test_streams_that_lack_words_are_refused(seed: int, symbols: int) -> None:
    """Also where zeros that are made up for missing words give the right symbols."""
    tables, picked = skewed(np.random.default_rng(seed), symbols)
    encoder = Encoder()
    encoder.code(tables, picked)
    stream = encoder.finish()
    read_whole(stream, tables)
    for end in range(0, len(stream), 4):
        with pytest.raises(CorruptError):
            read_whole(stream[:end], tables)


def test_a_lenient_decoder_reads_zeros_once_it_is_lost() -> None:
    table = np.full((1, 2), TOTAL / 2 - 1)
    encoder, none = Encoder(), np.zeros(1, dtype=np.int32)
    for _ in range(40):
        encoder.code(table, np.array([1], dtype=np.int32))
    for stream in (b"", b"123", encoder.finish()[:4]):
        decoder = LenientDecoder(stream)
        read = [int(decoder.code(table, none)[0]) for _ in range(200)]
        assert decoder.lost
        assert read[100:] == [0] * 100
    decoder = LenientDecoder(encoder.finish())
    decoder.code(table, none)
    assert not decoder.lost
    decoder.finish()  # there is more in the stream
    assert decoder.lost


def one_tile(model: Model, stream: bytes, mode: Mode = Mode.PRIOR) -> Container:
    """A picture of the largest tile there is."""
    header = Header(
        mode=mode,
        shape=(1024 * model.stride, 1024 * model.stride),
        model=bytes.fromhex(model.sha256)[:8],
        stride_log2=model.stride.bit_length() - 1,
        tile_log2=10,
    )
    return Container(header=header, tiles=(stream,))


@pytest.mark.usefixtures("level")
@pytest.mark.parametrize("words", [0, 1, 2, 8])
@pytest.mark.parametrize("lenient", [False, True])
def test_a_tile_that_runs_out_of_words_is_left_at_once(words: int, lenient: bool) -> None:
    """A million positions are not decoded from zeros that are made up for missing words."""
    container = one_tile(tiny("vqvae-prior"), b"\x12\x34\x56\x78" * words)
    told: list[int] = []
    arguments = (tiny("vqvae-prior"), container.header, container.tiles, None, told.append)
    with memory_at_most(1 << 24):  # the grid's 4 MiB among it
        if not lenient:
            with pytest.raises(CorruptError):
                decode_grid(*arguments)
        else:
            lost = set[int]()
            decode_grid(*arguments, lost)
            assert lost == {0}
    assert sum(told) < 100 * (words + 1)  # an index of this model takes about two bits


def many_tiles(model: Model) -> Container:
    """2^28 pixels, of whose 4096 tiles all but the first are nothing that can be decoded."""
    fixed = one_tile(model, b"", Mode.FIXED).header
    header = replace(fixed, shape=(1 << 14, 1 << 14), tile_log2=6)
    first = bytes(64 * 64 * 3 // 8)
    return Container(header=header, tiles=(first, *[b"?"] * (header.tile_count - 1)))


def test_a_crop_takes_memory_for_its_tiles_alone() -> None:
    """The grid of the whole picture would take 64 MiB."""
    model = tiny("vqvae-prior")
    data = serialise(many_tiles(model))
    with memory_at_most(1 << 23):
        for crop in ((0, 0, 1, 1), (100, 30, 60, 90)):
            picture = vqcodec.decompress(data, model=model, crop=crop)
            assert picture.size == crop[2:]
    with pytest.raises(CorruptError):
        vqcodec.decompress(data, model=model, crop=(300, 0, 1, 1))


@pytest.mark.usefixtures("level")
@pytest.mark.parametrize("mode", [Mode.FIXED, Mode.PRIOR])
def test_salvage_decodes_each_batch_once(mode: Mode, monkeypatch: pytest.MonkeyPatch) -> None:
    """However many of its tiles are wrong, and none of those that are right is lost."""
    model = tiny("vqvae-prior")
    rows = 9 * 16 * model.stride
    image = photo(rows, 40)
    right = parse(vqcodec.compress(image, model=model, prior=mode is Mode.PRIOR))
    grid = vqcodec.indices(serialise(right), model=model)
    header = replace(right.header, tile_log2=4)
    streams, _ = coding.encode_grid(model, header, grid)
    wrong = {0, 2, 3, 5, 6, 7}
    assert len(streams) == 9
    tiles = tuple(b"\xff" * 9 if n in wrong else stream for n, stream in enumerate(streams))
    calls = []
    name = "_read_tiles" if mode is Mode.PRIOR else "_unpack_tiles"
    decode = getattr(coding, name)
    monkeypatch.setattr(coding, name, lambda *a, **b: calls.append(a) or decode(*a, **b))
    lost = set[int]()
    found = decode_grid(model, header, tiles, lost=lost)
    assert lost == wrong
    assert len(calls) == 1
    for number, box in enumerate(header.tiles()):
        assert np.array_equal(found[box], grid[box] * (number not in wrong))


def png_chunk(kind: bytes, data: bytes = b"") -> bytes:
    sealed = kind + data
    return struct.pack(">I", len(data)) + sealed + struct.pack(">I", zlib.crc32(sealed))


@pytest.mark.parametrize("kind", [b"IDAT", b"tEXt"])
def test_alpha_of_countless_chunks_takes_little_memory(kind: bytes) -> None:
    picture = greyscale(16, 8, 16)
    data = picture[:33] + png_chunk(kind) * 200_000 + picture[33:]
    with memory_at_most(2 * len(data)):
        assert alpha.unpack(data, (16, 16)).shape == (16, 16)


def test_alpha_leaves_pillows_limit_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    """It is one for all threads, and pictures of others are read meanwhile."""
    limits = []

    class Watched(PngImagePlugin.PngImageFile):
        def load(self) -> object:
            limits.append(Image.MAX_IMAGE_PIXELS)
            return super().load()

    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 10)
    monkeypatch.setattr(PngImagePlugin, "PngImageFile", Watched)
    values = np.arange(256, dtype=np.uint8).reshape(16, 16)
    assert np.array_equal(alpha.unpack(alpha.pack(values), (16, 16)), values)
    assert set(limits) == {10}


def tiled(tiles: int) -> Container:
    """A picture of so many tiles in a row, with a chunk."""
    header = Header(
        mode=Mode.PRIOR, shape=(16, 16 * tiles), model=bytes(8), stride_log2=0, tile_log2=4
    )
    chunk = Chunk(type=ALPHA, data=b"")
    streams = tuple(bytes(number % 3) for number in range(tiles))
    return Container(header=header, chunks=(chunk,), tiles=streams)


def test_fields_of_few_tiles_are_listed_and_of_many_are_summed(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(span, "TILES_LISTED", 5)
    names = {}
    for tiles in (5, 6):
        container = tiled(tiles)
        found = spans(container)
        data = serialise(container)
        assert sum(field.size for field in found) == len(data)
        names[tiles] = [field.name for field in found if field.name.startswith("tile")]
        for field in found:
            if field.name == "header checksum":
                seen = zlib.crc32(data[: field.offset]).to_bytes(4, "little")
                assert data[field.offset : field.offset + 4] == seen
    assert len(names[5]) == 1 + 3 * 5
    assert names[6] == ["tile_log2", "tile table", "tiles"]


def test_inspecting_countless_tiles_takes_little_memory(run: Run) -> None:
    tiles = 100_000
    data = serialise(tiled(tiles))
    with memory_at_most(100 * tiles):
        found = vqcodec.inspect(data)
    assert found.tiles == tiles
    Path("many.vqc").write_bytes(data)
    told = json.loads(run("inspect", "many.vqc", "--json").out)
    assert sum(field["size"] for field in told["spans"]) == told["bytes"] == len(data)
    assert len(told["spans"]) < 20
