"""Networks on ONNX Runtime: what the torch modules compute, from the same weights."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import nn

from vqcodec.engines import ort
from vqcodec.engines.engine import VARIABLE, Engine
from vqcodec.engines.graph import crop_inputs, onnx_model
from vqcodec.engines.layers import Network, crop_boxes, tensor_shapes
from vqcodec.engines.ort import OrtEngine
from vqcodec.engines.samples import to_samples
from vqcodec.models import autoencoder, transform
from vqcodec.models.config import AutoencoderConfig, TransformConfig
from vqcodec.networks.autoencoder import Decoder, Encoder
from vqcodec.networks.model_files import read_photo, read_vqvae
from vqcodec.networks.transform import Analysis, Synthesis
from vqcodec.registry.load import parse_model
from vqcodec.registry.store import find, read_verified

pytest.importorskip("onnxruntime")

TRANSFORM = TransformConfig(widths=(8, 12, 16), depths=(1, 1, 1), latents=24, details=8)
# Widths that fit no vector registers, and a resolution without blocks.
ODD_TRANSFORM = TransformConfig(widths=(5, 17, 3), depths=(2, 0, 1), latents=11, details=10)
AUTOENCODER = AutoencoderConfig(hidden=16, residual_blocks=2, code_dim=6)
ODD_AUTOENCODER = AutoencoderConfig(hidden=7, residual_blocks=0, code_dim=9)


@dataclass(frozen=True)
class Twin:
    """A network with random weights, as a torch module and as an engine."""

    module: nn.Module
    network: Network
    engine: OrtEngine
    stride: int
    halo: int
    """In strides."""
    shrinks: bool
    """From pixels to latents."""

    def picture(self, rows: int, columns: int, seed: int = 0) -> np.ndarray:
        """What the network reads, so many strides high and wide."""
        rng = np.random.default_rng(seed)
        scale = self.stride if self.shrinks else 1
        shape = (self.network.inputs, rows * scale, columns * scale)
        values = rng.uniform(size=shape) if self.shrinks else 2.0 * rng.normal(size=shape)
        return values.astype(np.float32)

    @torch.inference_mode()
    def expected(self, values: np.ndarray) -> np.ndarray:
        result: np.ndarray = self.module(torch.from_numpy(values)[None])[0].numpy()
        return result

    def box(self, rows: slice, columns: slice, *, of_result: bool) -> tuple[slice, slice]:
        """Strides as rows and columns of what the network makes, or of what it reads."""
        scale = 1 if of_result == self.shrinks else self.stride
        rows, columns = (slice(s.start * scale, s.stop * scale) for s in (rows, columns))
        return rows, columns


MAKERS: dict[tuple[str, type], tuple[Any, Any]] = {
    ("encoder", TransformConfig): (Analysis, transform.analysis),
    ("decoder", TransformConfig): (Synthesis, transform.synthesis),
    ("encoder", AutoencoderConfig): (Encoder, autoencoder.encoder),
    ("decoder", AutoencoderConfig): (Decoder, autoencoder.decoder),
}


def twin(name: str, config: TransformConfig | AutoencoderConfig) -> Twin:
    torch.manual_seed(4)
    kind, make = MAKERS[name, type(config)]
    module, network = kind(config), make(config)
    with torch.no_grad():
        for key, parameter in module.named_parameters():
            # Blocks begin as the identity: without this their arithmetic would not matter.
            parameter.normal_(0.0, 0.1) if "second" in key else parameter.mul_(2.0)
            parameter.copy_(parameter.half().float())
    halves = {key: tensor.half().numpy() for key, tensor in module.state_dict().items()}
    return Twin(
        module.eval(),
        network,
        OrtEngine(network, halves),
        config.stride,
        config.encoder_halo if name == "encoder" else config.decoder_halo,
        name == "encoder",
    )


@pytest.fixture(scope="module", params=["encoder", "decoder"])
def direction(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture(
    scope="module",
    params=[TRANSFORM, ODD_TRANSFORM, AUTOENCODER, ODD_AUTOENCODER],
    ids=["photo", "odd photo", "paper", "odd paper"],
)
def pair(request: pytest.FixtureRequest, direction: str) -> Twin:
    return twin(direction, request.param)


def close(result: np.ndarray, expected: np.ndarray) -> bool:
    """Whether only the order of sums differs."""
    same = result.shape == expected.shape and result.dtype == np.float32
    return same and float(abs(result - expected).max()) <= 1e-5 * float(abs(expected).max())


def cut(values: np.ndarray, box: tuple[slice, slice]) -> np.ndarray:
    return values[:, box[0], box[1]]


@pytest.mark.parametrize("threads", [1, 2, None])
@pytest.mark.parametrize("size", [(1, 1), (1, 9), (7, 2), (12, 13)])
def test_engine_computes_what_torch_does(
    pair: Twin, size: tuple[int, int], threads: int | None
) -> None:
    values = pair.picture(*size)
    assert close(pair.engine.run(values, threads=threads), pair.expected(values))


@given(st.data())
def test_windows_equal_the_whole(pair: Twin, data: st.DataObject) -> None:
    size, inner, outer = [], [], []
    for _ in ("rows", "columns"):
        length = data.draw(st.integers(1, 3 * pair.halo + 3))
        start = data.draw(st.integers(0, length - 1))
        stop = data.draw(st.integers(start + 1, length))
        around = slice(max(0, start - pair.halo), min(length, stop + pair.halo))
        size.append(length)
        inner.append(slice(start, stop))
        outer.append(around)
    values = pair.picture(*size)
    window = cut(values, pair.box(*outer, of_result=False))
    within = [slice(i.start - o.start, i.stop - o.start) for i, o in zip(inner, outer, strict=True)]
    result = pair.engine.run(window, inner=pair.box(*within, of_result=False), threads=1)
    whole = pair.engine.run(values, threads=1)
    assert close(result, cut(whole, pair.box(*inner, of_result=True)))


def test_windows_without_all_their_surroundings_differ(pair: Twin) -> None:
    """One row less than the halo changes what is made, so the test above can fail."""
    values = pair.picture(2 * pair.halo + 1, 1)
    inner = (slice(pair.halo - 1, pair.halo), slice(0, 1))
    less = values[:, pair.stride if pair.shrinks else 1 :]
    result = pair.engine.run(less, inner=pair.box(*inner, of_result=False), threads=1)
    middle = (slice(pair.halo, pair.halo + 1), slice(0, 1))
    whole = pair.engine.run(values, threads=1)
    assert not np.array_equal(result, cut(whole, pair.box(*middle, of_result=True)))


def test_views_of_other_layouts_are_read(pair: Twin) -> None:
    values = pair.picture(4, 6)
    turned = np.ascontiguousarray(values.transpose(1, 2, 0)).transpose(2, 0, 1)
    assert np.array_equal(pair.engine.run(turned, threads=1), pair.engine.run(values, threads=1))


def test_weights_that_overflow_still_make_samples() -> None:
    network = transform.synthesis(TRANSFORM)
    shapes = tensor_shapes(network)
    most = {key: np.full(shape, 65504.0, np.float16) for key, shape in shapes.items()}
    signs = np.random.default_rng(1).choice([-1.0, 1.0], size=(24, 3, 3))
    result = OrtEngine(network, most).run((1e30 * signs).astype(np.float32), threads=1)
    assert not np.isfinite(result).all()
    with np.errstate(all="raise", under="ignore"):
        assert to_samples(result).shape == (48, 48, 3)


def in_turn(engines: Sequence[Engine], values: np.ndarray) -> np.ndarray:
    for engine in engines:
        values = engine.run(values)
    return values


@pytest.mark.parametrize("engine", ["onnxruntime", "torch"])
@pytest.mark.parametrize("name", ["photo", "paper"])
def test_shipped_models_give_the_latents_and_pixels_of_their_torch_modules(
    name: str, engine: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(VARIABLE, engine)
    data = read_verified(find(name))
    model: Any = parse_model(data, sha256="")
    if name == "photo":
        photo = read_photo(data)
        modules, engines = (photo.analysis, photo.synthesis), (model.analysis, model.synthesis)
    else:
        paper = read_vqvae(data)
        modules, engines = (paper.encoder, paper.decoder), ([model.encoder], [model.decoder])
    y, x = np.mgrid[0:48, 0:64] / 64.0
    pixels = np.stack([y, x, 0.5 + 0.5 * np.sin(40 * x * y)]).astype(np.float32)
    with torch.inference_mode():
        latents = modules[0](torch.from_numpy(pixels)[None])
        decoded = modules[1](latents)[0].numpy()
    assert close(in_turn(engines[0], pixels), latents[0].numpy())
    levels = to_samples(in_turn(engines[1], latents[0].numpy())).astype(int)
    assert abs(levels - to_samples(decoded)).max() <= 1


def test_graphs_are_valid_onnx(pair: Twin) -> None:
    onnx = pytest.importorskip("onnx")
    shapes = tensor_shapes(pair.network)
    data = onnx_model(pair.network, {key: np.ones(shape) for key, shape in shapes.items()})
    model = onnx.load_from_string(data)
    onnx.checker.check_model(model, full_check=True)
    model.DiscardUnknownFields()
    assert model.ByteSize() == len(data)
    boxes = crop_boxes(pair.network, (16, 16), (slice(0, 16), slice(0, 16)))
    crops = [name for number in range(len(boxes)) for name in crop_inputs(number)]
    assert [value.name for value in model.graph.input] == ["input", *crops]
    stored = [onnx.numpy_helper.to_array(tensor) for tensor in model.graph.initializer]
    assert sum(array.size for array in stored if array.ndim) >= sum(map(np.prod, shapes.values()))


def test_sessions_are_made_once_for_each_number_of_threads(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    pair = twin("decoder", TRANSFORM)
    made = []

    def make(model: bytes, threads: int) -> object:
        made.append(threads)
        return make_session(model, threads)

    make_session = ort._make_session
    monkeypatch.setattr(ort, "_make_session", make)
    values = [pair.picture(5, 6, seed) for seed in range(8)]
    results: dict[int, np.ndarray] = {}

    def work(number: int) -> None:
        results[number] = pair.engine.run(values[number], threads=1 + number % 2)

    workers = [threading.Thread(target=work, args=(number,)) for number in range(8)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    assert sorted(made) == [1, 2]
    assert all(close(results[number], pair.expected(values[number])) for number in range(8))


def test_sessions_end_with_their_engine() -> None:
    pair = twin("decoder", TRANSFORM)
    pair.engine.run(pair.picture(1, 1), threads=1)
    before = len(ort._sessions)
    del pair
    assert len(ort._sessions) == before - 1


FORKING = """
import os, sys, threading
import numpy as np
from vqcodec.engines.layers import Conv, Network
from vqcodec.engines import ort
network = Network(2, 2, (Conv("c", 2, 2, 3, padding=1),))
weights = {"c.weight": np.ones((2, 2, 3, 3)), "c.bias": np.ones(2)}
engine = ort.OrtEngine(network, weights)
values = np.ones((2, 64, 64), np.float32)
expected = engine.run(values, threads=2)
for number in range(4):
    child = os.fork()
    if not child:
        if number % 2:  # another child only ends
            assert np.array_equal(engine.run(values, threads=2), expected)
        sys.exit(7)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 7
    assert np.array_equal(engine.run(values, threads=2), expected)
"""


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no processes to fork")
def test_forked_processes_run_networks_and_end() -> None:
    subprocess.run([sys.executable, "-c", FORKING], check=True, timeout=60)


@pytest.mark.parametrize("user", [None, "0", "1"])
def test_use_is_not_reported_unless_the_user_asks_for_it(
    user: str | None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The library reads the setting while it is loaded; nothing of it stays behind."""
    program = "import os; seen = os.environ.get('ORT_DISABLE_TELEMETRY')"
    (tmp_path / "onnxruntime.py").write_text(program)
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.delitem(sys.modules, "onnxruntime", raising=False)
    if user is None:
        monkeypatch.delenv("ORT_DISABLE_TELEMETRY", raising=False)
    else:
        monkeypatch.setenv("ORT_DISABLE_TELEMETRY", user)
    runtime = ort.load_runtime()
    assert isinstance(runtime, ModuleType)
    assert runtime.seen == (user or "1")
    assert os.environ.get("ORT_DISABLE_TELEMETRY") == user
