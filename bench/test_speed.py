"""Speed in a warm process, on a picture of Kodak's size (768x512).

    python -m pytest bench --benchmark-only

The picture is bench/hills.jpg, whose prior-coded indices cost as much time as
any other's; $VQCODEC_BENCH_PICTURE names another one.
"""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from pytest_benchmark.fixture import BenchmarkFixture

import vqcodec
from vqcodec.codec.coding import code_tiles, decode_grid, encode_grid
from vqcodec.container import parse
from vqcodec.entropy.coder import Encoder
from vqcodec.entropy.tables import surpluses
from vqcodec.image.transform import decode_indices, measure_pixels
from vqcodec.models.vqvae import VqVae
from vqcodec.models.wavefront import steps

EXAMPLE = Path(__file__).parent / "hills.jpg"


@pytest.fixture(scope="module")
def model() -> VqVae:
    loaded = vqcodec.load_model("paper")
    assert isinstance(loaded, VqVae)
    return loaded


@pytest.fixture(scope="module")
def image() -> Image.Image:
    path = os.environ.get("VQCODEC_BENCH_PICTURE", EXAMPLE)
    with Image.open(path) as opened:
        return opened.convert("RGB")


@pytest.fixture(scope="module")
def data(image: Image.Image, model: VqVae) -> bytes:
    return vqcodec.compress(image, model=model)


@pytest.fixture(scope="module")
def grid(data: bytes, model: VqVae) -> np.ndarray:
    return vqcodec.indices(data, model=model)[:, :, 0]


@pytest.mark.benchmark(group="whole")
def test_compress(benchmark: BenchmarkFixture, image: Image.Image, model: VqVae) -> None:
    benchmark(vqcodec.compress, image, model=model)


@pytest.mark.benchmark(group="whole")
def test_decompress(benchmark: BenchmarkFixture, data: bytes, model: VqVae) -> None:
    benchmark(vqcodec.decompress, data, model=model)


@pytest.mark.benchmark(group="parts")
def test_container_parse(benchmark: BenchmarkFixture, data: bytes) -> None:
    benchmark(parse, data)


@pytest.mark.benchmark(group="parts")
def test_encoder_network(benchmark: BenchmarkFixture, image: Image.Image, model: VqVae) -> None:
    benchmark(measure_pixels, model, np.asarray(image))


@pytest.mark.benchmark(group="parts")
def test_decoder_network(benchmark: BenchmarkFixture, grid: np.ndarray, model: VqVae) -> None:
    benchmark(decode_indices, model, grid[:, :, None], 0)


@pytest.mark.benchmark(group="parts")
def test_entropy_encode(
    benchmark: BenchmarkFixture, data: bytes, grid: np.ndarray, model: VqVae
) -> None:
    benchmark(encode_grid, model, parse(data).header, torch.from_numpy(grid[:, :, None]))


@pytest.mark.benchmark(group="entropy decoding")
def test_entropy_decode_by_wavefront(
    benchmark: BenchmarkFixture, data: bytes, model: VqVae
) -> None:
    container = parse(data)
    benchmark(decode_grid, model, container.header, container.tiles)
    benchmark.extra_info["positions"] = container.header.rows * container.header.columns


class OneByOne:
    """The prior as codecs without a wavefront run it: anew at each position, on
    the part of the tile that the position can depend on.
    """

    def __init__(self, model: VqVae, grid: torch.Tensor) -> None:
        self._prior = model.prior
        self._reach = 2 + model.prior.config.layers
        self._grid = grid

    def __call__(self, i: int, j: int) -> np.ndarray:
        """Return the table (1, K) of one position."""
        up, left = max(0, i - self._reach), max(0, j - self._reach)
        part = self._grid[None, up : i + 1, left : j + self._reach + 1]
        return surpluses(self._prior.logits(part)[:, i - up, j - left, None])


@pytest.mark.benchmark(group="entropy decoding")
def test_entropy_decode_position_by_position(
    benchmark: BenchmarkFixture, grid: np.ndarray, model: VqVae
) -> None:
    """Time of 64 positions; multiply by positions / 64 to compare."""
    one_by_one = OneByOne(model, torch.from_numpy(grid[:64, :64].copy()))
    positions = [(i, j) for i in range(24, 32) for j in range(24, 32)]
    expected = model.prior.logits(torch.from_numpy(grid[None, :64, :64].copy()))
    for i, j in positions[:3]:
        table = surpluses(expected[:, i, j, None])
        assert np.array_equal(one_by_one(i, j), table)
    benchmark(lambda: [one_by_one(i, j) for i, j in positions])
    benchmark.extra_info["positions"] = len(positions)


@pytest.mark.benchmark(group="entropy decoding")
def test_entropy_decode_position_by_position_cached(
    benchmark: BenchmarkFixture, model: VqVae
) -> None:
    """The wavefront's own cache, but one position per step: a tile of one row."""
    row, indices = [(slice(0, 1), slice(0, 512))], np.zeros((1, 512, 1), dtype=np.int32)
    benchmark(lambda: code_tiles(model.prior.wavefront([(1, 512)]), [Encoder()], row, indices))
    benchmark.extra_info["positions"] = 512


@pytest.mark.benchmark(group="entropy decoding parts")
def test_prior_network_alone(benchmark: BenchmarkFixture, data: bytes, model: VqVae) -> None:
    header = parse(data).header
    sizes = [(header.row_edges[1], header.column_edges[1])] * header.tile_count

    def walk() -> None:
        front = model.prior.wavefront(sizes)
        for step in steps(sizes):
            front.logits(step, 0, slice(0, len(step.place)))
            front.put(step, 0, torch.zeros(len(step.place), 1, dtype=torch.int32))

    benchmark(walk)


@pytest.mark.benchmark(group="entropy decoding parts")
def test_frequency_tables_alone(
    benchmark: BenchmarkFixture, grid: np.ndarray, model: VqVae
) -> None:
    logits = model.prior.logits(torch.from_numpy(grid[None, :64, :64].copy()))
    flat = logits.flatten(0, 2)
    benchmark(lambda: [surpluses(part[None]) for part in flat.split(128)])
    benchmark.extra_info["positions"] = len(flat)
