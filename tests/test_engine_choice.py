"""Which engine runs networks, and that torch's computes what ONNX Runtime does."""

from __future__ import annotations

import importlib.util
from collections.abc import Callable
from importlib.machinery import ModuleSpec
from pathlib import Path

import numpy as np
import pytest
from conftest import Run, one_line_error, photo

from vqcodec.codec.transform import decode_indices, measure_pixels
from vqcodec.engines import devices, engine
from vqcodec.engines.devices import pick_device
from vqcodec.engines.engine import VARIABLE, make_engine
from vqcodec.engines.layers import Conv, Network
from vqcodec.engines.ort import OrtEngine
from vqcodec.errors import ModelError
from vqcodec.models import photo as photo_model
from vqcodec.models import vqvae
from vqcodec.registry import load

NETWORK = Network(1, 1, (Conv("only", 1, 1, 1),))
WEIGHTS = {"only.weight": np.ones((1, 1, 1, 1), np.float16), "only.bias": np.ones(1, np.float16)}


def without(*absent: str) -> Callable[[str], ModuleSpec | None]:
    """`find_spec` where packages are not installed."""
    return lambda name: None if name in absent else importlib.util.find_spec(name)


def test_onnx_runtime_runs_networks_on_cpus(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(VARIABLE, raising=False)
    assert isinstance(make_engine(NETWORK, WEIGHTS, "cpu"), OrtEngine)


def test_torch_runs_them_where_there_is_no_onnx_runtime(monkeypatch: pytest.MonkeyPatch) -> None:
    torch_engine = pytest.importorskip("vqcodec.engines.torch_engine", exc_type=ImportError)
    monkeypatch.setattr(engine, "find_spec", without("onnxruntime"))
    made = make_engine(NETWORK, WEIGHTS, "cpu")
    assert isinstance(made, torch_engine.TorchEngine)
    assert np.array_equal(made.run(np.zeros((1, 2, 3), np.float32)), np.ones((1, 2, 3)))


def test_without_any_engine_one_line_says_what_to_install(
    monkeypatch: pytest.MonkeyPatch, run: Run
) -> None:
    monkeypatch.setattr(engine, "find_spec", without("onnxruntime", "torch"))
    with pytest.raises(ModelError, match="neither onnxruntime nor torch"):
        make_engine(NETWORK, WEIGHTS, "cpu")
    monkeypatch.setattr(load, "_loaded", {})
    photo(20, 20).save("a.png")
    assert "pip install onnxruntime" in one_line_error(run("compress", "a.png"), 1)


@pytest.mark.parametrize("device", ["cuda", "mps"])
def test_without_torch_there_is_only_the_cpu(
    monkeypatch: pytest.MonkeyPatch, run: Run, device: str
) -> None:
    monkeypatch.setattr(devices, "find_spec", without("torch"))
    assert pick_device("auto") == pick_device("cpu") == "cpu"
    with pytest.raises(ValueError, match=r"needs torch: pip install 'vqcodec\[torch\]'"):
        pick_device(device)
    photo(20, 20).save("a.png")
    error = one_line_error(run("compress", "a.png", "--device", device), 2)
    assert "needs torch" in error


def test_a_wrong_variable_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(VARIABLE, "abacus")
    with pytest.raises(ValueError, match=VARIABLE):
        make_engine(NETWORK, WEIGHTS, "cpu")


@pytest.mark.parametrize("kind", ["photo", "paper"])
def test_engines_agree_over_windows(
    kind: str, photo_data: bytes, model_data: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("torch")
    pixels = np.asarray(photo(200, 130))
    measured, decoded = [], []
    for name in ("onnxruntime", "torch"):
        monkeypatch.setenv(VARIABLE, name)
        if kind == "photo":
            photo_like = photo_model.parse_model(photo_data, sha256="")
            measured.append(measure_pixels(photo_like, pixels, window=5))
            grid = photo_like.nearest(measured[0], 2).astype(np.int32)
            decoded.append(decode_indices(photo_like, grid, 2, window=4).astype(int))
        else:
            model = vqvae.parse_model(model_data, sha256="")
            measured.append(measure_pixels(model, pixels, window=20))
            decoded.append(decode_indices(model, measured[0], 0, window=15).astype(int))
    if kind == "photo":
        assert np.abs(measured[0] - measured[1]).max() < 1e-4 * np.abs(measured[0]).max()
    else:
        assert (measured[0] != measured[1]).mean() < 0.01
    assert np.abs(decoded[0] - decoded[1]).max() <= 1


def test_training_without_torch_says_what_to_install(
    monkeypatch: pytest.MonkeyPatch, run: Run
) -> None:
    from vqcodec.cli import train

    monkeypatch.setattr(train, "find_spec", without("torch"))
    Path("recipe.toml").touch()
    line = ["train", "recipe.toml", "--data", ".", "--out", "a.safetensors"]
    assert "pip install 'vqcodec[train]'" in one_line_error(run(*line), 2)
