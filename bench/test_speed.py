"""Speed in a warm process, on a picture of Kodak's size (768x512).

    python -m pytest bench --benchmark-only

The picture is bench/hills.jpg, whose prior-coded indices cost as much time as
any other's; $VQCODEC_BENCH_PICTURE names another one.
"""

from __future__ import annotations

import math
import os
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from pytest_benchmark.fixture import BenchmarkFixture

import vqcodec
from vqcodec.codec.coding import code_tiles, decode_grid, encode_grid
from vqcodec.codec.transform import decode_indices, measure_pixels
from vqcodec.container import parse
from vqcodec.entropy.coder import Encoder
from vqcodec.entropy.tables import surpluses
from vqcodec.grid import size_of
from vqcodec.models.vqvae import VqVae
from vqcodec.prior.chooser import KnownIndices

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
    benchmark(encode_grid, model, parse(data).header, grid[:, :, None])


@pytest.mark.benchmark(group="entropy decoding")
def test_entropy_decode_by_wavefront(
    benchmark: BenchmarkFixture, data: bytes, model: VqVae
) -> None:
    container = parse(data)
    benchmark(decode_grid, model, container.header, container.tiles)
    benchmark.extra_info["positions"] = math.prod(container.header.grid)


@pytest.mark.benchmark(group="entropy decoding")
def test_entropy_decode_position_by_position(benchmark: BenchmarkFixture, model: VqVae) -> None:
    """The wavefront's own cache, but one position per step: a tile of one row."""
    row, indices = [(slice(0, 1), slice(0, 512))], np.zeros((1, 512, 1), dtype=np.int32)
    chooser = KnownIndices(model.prior.parts, indices[0])
    benchmark(lambda: code_tiles(model.prior, [Encoder()], row, indices, chooser))
    benchmark.extra_info["positions"] = 512


@pytest.mark.benchmark(group="entropy decoding parts")
def test_prior_network_alone(benchmark: BenchmarkFixture, data: bytes, model: VqVae) -> None:
    header = parse(data).header
    sizes = [size_of(header.tiles()[0])] * header.tile_count

    def walk() -> None:
        context = model.prior.context(sizes)
        for step in context.steps():
            context.logits(0, slice(0, len(step.place)))
            context.put(0, np.zeros((len(step.place), 1), dtype=np.int32))

    benchmark(walk)


@pytest.mark.benchmark(group="entropy decoding parts")
def test_frequency_tables_alone(benchmark: BenchmarkFixture, model: VqVae) -> None:
    rng = np.random.default_rng(0)
    logits = rng.normal(scale=40.0, size=(4096, model.codebook_size)).round().astype(np.float32)
    benchmark(lambda: [surpluses(part[None]) for part in np.split(logits, 32)])
    benchmark.extra_info["positions"] = len(logits)
