"""Exact pixels: ONNX Runtime, torch and the reference decoder agree in every sample, at any number
of threads and in any window; and models whose sums could leave their range are refused.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import reference_exact
import torch
from hypothesis import given
from hypothesis import strategies as st

from vqcodec.engines.engine import Engine, make_engine
from vqcodec.engines.layers import IntegerBlock, WideConv, flat, tensor_shapes
from vqcodec.engines.samples import to_samples
from vqcodec.errors import ModelCorruptError
from vqcodec.models import exact
from vqcodec.models.config import TransformConfig

Tensors = dict[str, np.ndarray]

CONFIG = TransformConfig(widths=(8, 12, 16), depths=(1, 2, 1), latents=24, details=8)
# Widths that fit no vector registers, and a resolution without blocks.
ODD_CONFIG = TransformConfig(widths=(5, 17, 3), depths=(2, 0, 1), latents=11, details=10)
LIMIT = 1 << 24


def moderate(config: TransformConfig, seed: int) -> Tensors:
    """Weights of all sizes, shifts that leave samples of all sizes."""
    rng = np.random.default_rng(seed)
    ranges = {"bias": (-5000, 5000), "shift": (5, 9), "input": (0, 4), "output": (0, 5)}
    tensors = {}
    for name, shape in tensor_shapes(exact.synthesis(config)).items():
        kind = name.rpartition(".")[2]
        low, high = ranges.get(kind, (-64, 65))
        dtype = {"bias": np.int32, "high": np.int8, "low": np.int8, "weight": np.int8}
        tensors[name] = rng.integers(low, high, shape).astype(dtype.get(kind, np.uint8))
    last = f"layers.{sum(config.depths) + 5}"  # its samples lie around the middle grey
    tensors[f"{last}.shift"][:] = 1
    tensors[f"{last}.bias"] += np.int32(128 << exact.FRACTION + 1)
    return tensors


def outermost(config: TransformConfig, seed: int) -> Tensors:
    """Weights at their limits, half to one side, without shifts: what can be cut, is."""
    rng = np.random.default_rng(seed)
    tensors = moderate(config, seed)
    for name, tensor in tensors.items():
        kind = name.rpartition(".")[2]
        if tensor.dtype == np.int8:
            tensors[name] = rng.choice(np.array([-64, 64], np.int8), tensor.shape)
        elif kind in ("shift", "input"):
            tensors[name] = np.zeros_like(tensor)
    return tensors


def fullest(config: TransformConfig, seed: int) -> Tensors:
    """Biases with which every sum is proved to stay below 2^24, and only just."""
    tensors = outermost(config, seed)
    for layer in flat(exact.synthesis(config).layers):
        if isinstance(layer, IntegerBlock):
            for part, largest in (("first", 128), ("second", 255)):
                name = f"{layer.name}.{part}"
                _fill(tensors, name, largest * _sizes(tensors[f"{name}.weight"]), seed)
            tensors[f"{layer.name}.first.shift"][:] = 16
        if isinstance(layer, WideConv):
            high, low = (_sizes(tensors[f"{layer.name}.{digit}"]) for digit in ("high", "low"))
            total = 1024 * high + (128 * (high + low) >> 4) + 1
            _fill(tensors, layer.name, total, seed)
            tensors[f"{layer.name}.shift"][:] = 10
    return tensors


def _sizes(weight: np.ndarray) -> np.ndarray:
    return np.abs(weight.astype(np.int64)).reshape(len(weight), -1).sum(1)


def _fill(tensors: Tensors, name: str, sums: np.ndarray, seed: int) -> None:
    signs = np.random.default_rng(seed).choice([-1, 1], sums.shape)
    tensors[f"{name}.bias"] = (signs * (LIMIT - 1 - sums)).astype(np.int32)


MAKERS: dict[str, Callable[[TransformConfig, int], Tensors]] = {
    "moderate": moderate,
    "outermost": outermost,
    "fullest": fullest,
}


def latents(config: TransformConfig, rows: int, columns: int, seed: int) -> np.ndarray:
    """Integers of every size; the largest there are among them."""
    rng = np.random.default_rng(seed)
    drawn = rng.integers(-16384, 16384, (config.latents, rows, columns))
    drawn >>= rng.integers(0, 12, (config.latents, 1, 1))
    drawn.flat[:2] = exact.LATENT_MIN, exact.LATENT_MAX
    return drawn


class Stored:
    """Tensors as the reference decoder reads them of a file."""

    def __init__(self, tensors: Tensors) -> None:
        self._tensors = tensors

    def tensor(
        self, name: str, dtype: str, shape: tuple, low: int = -LIMIT, high: int = LIMIT
    ) -> np.ndarray:
        tensor = self._tensors[name.removeprefix("synthesis.")]
        assert tensor.shape == shape
        assert np.dtype(f"{dtype[0].lower()}{int(dtype[1:]) // 8}") == tensor.dtype
        if not ((tensor >= low) & (tensor <= high)).all():
            raise reference_exact.ModelError(name)
        return tensor.astype(np.int64)


def reference_synthesis(config: TransformConfig, tensors: Tensors) -> reference_exact.Synthesis:
    shape = config.widths, config.depths, config.latents, config.details
    return reference_exact.Synthesis(Stored(tensors), *shape)


def digest(samples: np.ndarray) -> str:
    return hashlib.sha256(samples.astype(np.uint8).tobytes()).hexdigest()


def drawn_by(engine: Engine, values: np.ndarray, **how: Any) -> str:
    """SHA-256 of an engine's samples, (rows, columns, 3)."""
    return digest(to_samples(engine.run(values.astype(np.float32), **how)))


def torch_engine(config: TransformConfig, tensors: Tensors, device: str = "cpu") -> Engine:
    from vqcodec.engines.torch_engine import TorchEngine

    return TorchEngine(exact.synthesis(config), tensors, device)


@pytest.mark.parametrize("config", [CONFIG, ODD_CONFIG], ids=["photo", "odd"])
@pytest.mark.parametrize("kind", MAKERS)
@pytest.mark.parametrize("seed", range(3))
def test_all_engines_give_the_reference_samples(
    config: TransformConfig, kind: str, seed: int
) -> None:
    tensors = MAKERS[kind](config, seed)
    network = exact.synthesis(config)
    exact.check(network, tensors)
    values = latents(config, 5 + seed, 7, seed)
    samples = reference_synthesis(config, tensors).samples(values)
    assert len(np.unique(samples)) > (64 if kind == "moderate" else 1)
    expected = digest(samples.transpose(1, 2, 0))
    runtime = make_engine(network, tensors, "cpu")
    assert {drawn_by(runtime, values, threads=threads) for threads in (1, 2)} == {expected}
    assert drawn_by(torch_engine(config, tensors), values) == expected


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
@pytest.mark.parametrize("kind", MAKERS)
def test_cuda_gives_the_same_samples(kind: str) -> None:
    tensors = MAKERS[kind](CONFIG, 4)
    values = latents(CONFIG, 33, 40, 4)
    here, there = (torch_engine(CONFIG, tensors, device) for device in ("cpu", "cuda"))
    torch.set_float32_matmul_precision("medium")  # as a program around may have asked
    try:
        assert drawn_by(there, values) == drawn_by(here, values)
    finally:
        torch.set_float32_matmul_precision("highest")


def onnx_engine(config: TransformConfig, tensors: Tensors) -> Engine:
    return make_engine(exact.synthesis(config), tensors, "cpu")


@pytest.fixture(scope="module", params=[onnx_engine, torch_engine])
def engine(request: pytest.FixtureRequest) -> Engine:
    made: Engine = request.param(CONFIG, moderate(CONFIG, 7))
    return made


@given(st.data())
def test_windows_equal_the_whole(engine: Engine, data: st.DataObject) -> None:
    halo = CONFIG.decoder_halo
    inner, outer, size = [], [], []
    for _ in ("rows", "columns"):
        length = data.draw(st.integers(1, 2 * halo + 4))
        start = data.draw(st.integers(0, length - 1))
        stop = data.draw(st.integers(start + 1, length))
        around = slice(max(0, start - halo), min(length, stop + halo))
        size.append(length)
        outer.append(around)
        inner.append(slice(start, stop))
    values = latents(CONFIG, *size, 7).astype(np.float32)
    whole = engine.run(values)
    box = tuple(
        slice(i.start - o.start, i.stop - o.start) for i, o in zip(inner, outer, strict=True)
    )
    rows, columns = (slice(16 * s.start, 16 * s.stop) for s in inner)
    window = engine.run(values[:, outer[0], outer[1]], inner=box)
    assert np.array_equal(window, whole[:, rows, columns])


def test_rounding_is_half_to_even_in_all_engines() -> None:
    """Details alone, whose sums of one product fall on every half of a sample."""
    config = replace(CONFIG, depths=(0, 0, 0), latents=2, details=1)
    tensors = {name: np.zeros_like(t) for name, t in moderate(config, 0).items()}
    tensors["details.0.high"][:] = 1
    values = np.zeros((2, 16, 24), dtype=np.int64)
    values[1] = np.arange(-8, 376).reshape(16, 24) * 4 * 128  # 32 units, half a sample, each
    expected = np.rint(np.arange(-8, 376) / 2.0).clip(0, 255).reshape(16, 24)
    samples = reference_synthesis(config, tensors).samples(values.clip(-16384, 16383))
    seen = values[1] <= exact.LATENT_MAX
    assert np.array_equal(samples[0, ::16, ::16][seen], expected[seen])
    for make in (onnx_engine, torch_engine):
        found = to_samples(make(config, tensors).run(values.clip(-16384, 16383).astype("f4")))
        assert np.array_equal(found.transpose(2, 0, 1), samples)


def _add_to_bias(name: str) -> Callable[[Tensors], None]:
    def change(tensors: Tensors) -> None:
        bias = tensors[f"{name}.bias"]
        bias[-1] += 1 if bias[-1] >= 0 else -1

    return change


def _set(name: str, value: int) -> Callable[[Tensors], None]:
    def change(tensors: Tensors) -> None:
        tensors[name].flat[-1] = value

    return change


def _fill_pixels(tensors: Tensors) -> None:
    for name in ("layers.9", "details.0"):
        tensors[f"{name}.high"][:], tensors[f"{name}.low"][:] = 0, 0
        tensors[f"{name}.bias"][:] = LIMIT // 2
        tensors[f"{name}.shift"][:] = 0


FAULTS: dict[str, Callable[[Tensors], None]] = {
    "a wide sum": _add_to_bias("layers.0"),
    "a detail's sum": _add_to_bias("details.0"),
    "a first sum": _add_to_bias("layers.1.first"),
    "a second sum": _add_to_bias("layers.1.second"),
    "the smallest bias": _set("layers.0.bias", -(1 << 31)),
    "a weight": _set("layers.1.first.weight", 65),
    "the smallest weight": _set("layers.1.second.weight", -128),
    "a high digit": _set("layers.0.high", -65),
    "a low digit": _set("layers.0.low", 65),
    "a wide shift": _set("layers.0.shift", 21),
    "a wide input": _set("layers.0.input", 10),
    "a block's input": _set("layers.1.input", 17),
    "a block's output": _set("layers.1.output", 17),
    "a first shift": _set("layers.1.first.shift", 21),
    "a second shift": _set("layers.1.second.shift", 21),
    "the pixels": _fill_pixels,
}


@pytest.mark.parametrize("fault", FAULTS)
def test_what_could_leave_the_exact_range_is_refused(fault: str) -> None:
    tensors = fullest(CONFIG, 1)
    exact.check(exact.synthesis(CONFIG), tensors)
    reference_synthesis(CONFIG, tensors)
    FAULTS[fault](tensors)
    with pytest.raises(ModelCorruptError):
        exact.check(exact.synthesis(CONFIG), tensors)
    with pytest.raises(reference_exact.ModelError):
        reference_synthesis(CONFIG, tensors)


def test_a_stream_that_many_blocks_fill_is_refused() -> None:
    config = replace(CONFIG, depths=(0, 0, 3))
    tensors = {name: np.zeros_like(t) for name, t in moderate(config, 0).items()}
    for number in (1, 2):
        tensors[f"layers.{number}.output"][:] = 16  # two half of 2^24: all of it
    with pytest.raises(ModelCorruptError, match="stream"):
        exact.check(exact.synthesis(config), tensors)
    with pytest.raises(reference_exact.ModelError):
        reference_synthesis(config, tensors)
    tensors["layers.2.output"][:] = 15
    exact.check(exact.synthesis(config), tensors)
    reference_synthesis(config, tensors)


@pytest.mark.parametrize("change", ["missing", "type", "shape"])
def test_every_tensor_is_looked_at(change: str) -> None:
    network = exact.synthesis(CONFIG)
    for name in tensor_shapes(network):
        tensors = moderate(CONFIG, 0)
        tensor = tensors.pop(name)
        if change == "type":
            tensors[name] = tensor.astype(np.int16)
        elif change == "shape":
            tensors[name] = tensor[..., None]
        with pytest.raises(ModelCorruptError, match=name):
            exact.check(network, tensors)


def test_graphs_are_valid_onnx() -> None:
    onnx = pytest.importorskip("onnx")
    from vqcodec.engines.graph import onnx_model

    data = onnx_model(exact.synthesis(CONFIG), moderate(CONFIG, 0))
    model = onnx.load_from_string(data)
    onnx.checker.check_model(model, full_check=True)
    model.DiscardUnknownFields()
    assert model.ByteSize() == len(data)


def test_latents_are_products_rounded_and_cut() -> None:
    values = np.array([[-4.0, 0.03125, 36.0, -36.0, 0.5]], dtype=np.float32)
    scales = np.array([1 << 16, 3 << 15, 1 << 20, 1 << 20, (1 << 31) - 1], dtype=np.int32)
    found = exact.latents(values, scales)
    assert found.tolist() == [[-128.0, 2.0, 16383.0, -16384.0, 16383.0]]
