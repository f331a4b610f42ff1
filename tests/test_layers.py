"""Networks as lists of layers: how far they reach, what crops keep, and weights from files."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from safetensors.numpy import save
from torch import nn

from vqcodec.engines.layers import (
    Affine,
    Conv,
    Crop,
    Network,
    Shuffle,
    TransposedConv,
    crop_boxes,
    reach,
    residual,
    tensor_shapes,
)
from vqcodec.engines.samples import to_samples, to_unit
from vqcodec.errors import ModelCorruptError
from vqcodec.models import autoencoder, transform
from vqcodec.models.config import AutoencoderConfig, TransformConfig
from vqcodec.models.file import network_weights, read_tensors
from vqcodec.networks.autoencoder import Decoder, Encoder
from vqcodec.networks.transform import Analysis, Synthesis

DEPTHS = [(0, 0, 0), (1, 2, 3), (3, 1, 0), (2, 0, 1)]


def photo_config(depths: tuple[int, int, int]) -> TransformConfig:
    return TransformConfig(widths=(5, 6, 7), depths=depths, latents=9, details=4)


def paper_config(blocks: int) -> AutoencoderConfig:
    return AutoencoderConfig(hidden=6, residual_blocks=blocks, code_dim=5)


def shapes(module: nn.Module) -> dict[str, tuple[int, ...]]:
    return {name: tuple(tensor.shape) for name, tensor in module.state_dict().items()}


@pytest.mark.parametrize("depths", DEPTHS)
def test_photo_has_the_tensors_of_its_torch_modules(depths: tuple[int, int, int]) -> None:
    config = photo_config(depths)
    assert tensor_shapes(transform.analysis(config)) == shapes(Analysis(config))
    assert tensor_shapes(transform.synthesis(config)) == shapes(Synthesis(config))


@pytest.mark.parametrize("blocks", [0, 2])
def test_paper_has_the_tensors_of_its_torch_modules(blocks: int) -> None:
    config = paper_config(blocks)
    assert tensor_shapes(autoencoder.encoder(config)) == shapes(Encoder(config))
    assert tensor_shapes(autoencoder.decoder(config)) == shapes(Decoder(config))


@pytest.mark.parametrize("depths", [*DEPTHS, (16, 16, 16)])
def test_reach_of_photo_is_its_halo(depths: tuple[int, int, int]) -> None:
    config = photo_config(depths)
    pixels = reach(transform.analysis(config).layers)
    assert -(-pixels // config.stride) == config.encoder_halo
    assert reach(transform.synthesis(config).layers) == config.decoder_halo


@pytest.mark.parametrize("blocks", [0, 1, 2, 16])
def test_reach_of_paper_is_its_halo(blocks: int) -> None:
    config = paper_config(blocks)
    pixels = reach(autoencoder.encoder(config).layers)
    assert -(-pixels // config.stride) == config.encoder_halo
    assert reach(autoencoder.decoder(config).layers) == config.decoder_halo


@pytest.mark.parametrize(
    ("layers", "rows"),
    [
        ((), 0),
        ((Conv("", 1, 1, 1),), 0),
        ((Conv("", 1, 1, 3, padding=1), Affine(2.0, 1.0), Conv("", 1, 1, 5, padding=2)), 3),
        ((residual(Conv("", 1, 1, 3, padding=1)), Conv("", 1, 1, 3, padding=1)), 2),
        ((Conv("", 1, 1, 4, stride=2, padding=1), Conv("", 1, 1, 3, padding=1)), 3),
        ((Conv("", 1, 1, 16, stride=16),), 0),
        ((Shuffle(4), Conv("", 1, 1, 3, padding=1)), 1),
        ((Shuffle(2), Conv("", 1, 1, 7, padding=3)), 2),
        ((TransposedConv("", 1, 1),), 1),
        ((TransposedConv("", 1, 1), Conv("", 1, 1, 5, padding=2)), 2),
    ],
)
def test_reach(layers: tuple, rows: int) -> None:
    assert reach(layers) == rows


def test_crops_keep_what_is_looked_at_and_no_more() -> None:
    network = Network(1, 1, (Crop(), Conv("", 1, 1, 3, padding=1), Shuffle(2), Crop()))
    boxes = crop_boxes(network, (9, 20), (slice(4, 6), slice(0, 20)))
    assert boxes == [(slice(3, 7), slice(0, 20)), (slice(2, 6), slice(0, 40))]


def test_crops_leave_strides_in_step() -> None:
    network = Network(1, 1, (Crop(), Conv("", 1, 1, 3, padding=1), Conv("", 1, 1, 8, stride=8)))
    assert crop_boxes(network, (64, 64), (slice(16, 24), slice(56, 64))) == [
        (slice(8, 32), slice(48, 64))
    ]


@given(st.integers(1, 30), st.data())
def test_a_whole_picture_is_not_cropped(length: int, data: st.DataObject) -> None:
    depths = data.draw(st.tuples(*[st.integers(0, 3)] * 3))
    size = (length, 31 - length)
    whole = (slice(0, size[0]), slice(0, size[1]))
    boxes = crop_boxes(transform.synthesis(photo_config(depths)), size, whole)
    _, middle, coarse = depths
    assert [box[0].stop // length for box in boxes] == [1] * coarse + [1] + [2] * middle + [4, 1]
    assert all((box[0].start, box[1].start) == (0, 0) for box in boxes)


NETWORK = transform.synthesis(photo_config((1, 0, 1)))


def halves() -> dict[str, np.ndarray]:
    rng = np.random.default_rng(0)
    shapes = tensor_shapes(NETWORK).items()
    return {f"synthesis.{key}": rng.normal(size=s).astype(np.float16) for key, s in shapes}


def test_weights_are_read() -> None:
    tensors = halves()
    read = network_weights(NETWORK, "synthesis", read_tensors(save(tensors)))
    assert read.keys() == tensor_shapes(NETWORK).keys()
    assert all(np.array_equal(read[key], tensors[f"synthesis.{key}"]) for key in read)


def not_finite(value: float) -> Callable[[np.ndarray], np.ndarray]:
    def change(tensor: np.ndarray) -> np.ndarray:
        changed = tensor.copy()
        changed.flat[-1] = value
        return changed

    return change


def missing(tensor: np.ndarray) -> None:
    return None


@pytest.mark.parametrize("name", sorted(halves()))
@pytest.mark.parametrize(
    "change",
    [
        missing,
        lambda tensor: tensor[:-1],
        lambda tensor: tensor[None],
        lambda tensor: tensor.ravel() if tensor.ndim > 1 else tensor[:, None],
        lambda tensor: tensor.astype(np.float32),
        lambda tensor: tensor.view(np.int16),
        not_finite(np.nan),
        not_finite(np.inf),
        not_finite(-np.inf),
    ],
)
def test_weights_that_do_not_fit_are_refused(name: str, change: Callable[..., Any]) -> None:
    tensors = halves()
    changed = change(tensors.pop(name))
    if changed is not None:
        tensors[name] = np.ascontiguousarray(changed)
    data = save(tensors)
    with pytest.raises(ModelCorruptError, match=f"tensor {name} is not"):
        network_weights(NETWORK, "synthesis", read_tensors(data))


@given(st.integers(0, 200), st.binary(min_size=1, max_size=4))
def test_damaged_files_are_refused_or_read(place: int, replacement: bytes) -> None:
    data = save({"a": np.zeros((2, 3), np.float16), "b": np.ones(4, np.int8)})
    damaged = data[:place] + replacement + data[place + len(replacement) :]
    for hostile in (damaged, data[:place]):
        try:
            tensors = read_tensors(hostile)
        except ModelCorruptError:
            continue
        assert all(isinstance(tensor, np.ndarray) for tensor in tensors.values())


@pytest.mark.parametrize("dtype", [b"BF16", b"F8_E4M3", b"F128", b"    "])
def test_types_that_numpy_lacks_are_refused(dtype: bytes) -> None:
    header = b'{"a":{"dtype":"%s","shape":[8],"data_offsets":[0,16]}}' % dtype
    with pytest.raises(ModelCorruptError):
        read_tensors(len(header).to_bytes(8, "little") + header + bytes(16))


def test_samples_go_there_and_back() -> None:
    samples = np.arange(256, dtype=np.uint8).repeat(3).reshape(16, 16, 3)
    samples[..., 1] = samples[::-1, :, 1]
    pixels = to_unit(samples)
    expected = torch.from_numpy(samples).permute(2, 0, 1).float().div_(255.0)
    assert np.array_equal(pixels, expected.numpy())
    assert np.array_equal(to_samples(pixels), samples)


def test_every_float_becomes_the_nearest_sample() -> None:
    finite = np.linspace(-0.1, 1.1, 5001, dtype=np.float32)
    rare = np.array([np.nan, np.inf, -np.inf, 3e38, -3e38, 0.5 / 255, -0.0], dtype=np.float32)
    values = np.concatenate([finite, rare])
    levels = torch.from_numpy(values).mul(255.0).nan_to_num_(0.0)
    expected = levels.round_().clamp_(0.0, 255.0).to(torch.uint8).numpy()
    with np.errstate(all="raise", under="ignore"):
        samples = to_samples(np.broadcast_to(values, (3, 1, len(values))))
    assert np.array_equal(samples, np.repeat(expected[None, :, None], 3, axis=2))


@pytest.mark.parametrize(
    ("module", "absent"),
    [
        ("models.transform", ("numpy", "onnxruntime", "torch", "onnx")),
        ("models.autoencoder", ("numpy", "onnxruntime", "torch", "onnx")),
        ("models.photo", ("onnxruntime", "torch", "onnx")),
        ("engines.ort", ("onnxruntime", "torch", "onnx")),
    ],
)
def test_nothing_is_imported_before_it_is_needed(module: str, absent: tuple[str, ...]) -> None:
    program = f"""
import sys, vqcodec.{module}
print(*({set(absent)!r} & set(sys.modules)))
"""
    arguments = [sys.executable, "-c", program]
    done = subprocess.run(arguments, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == ""
