"""Weights of 6 bits."""

from __future__ import annotations

import re

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from random_networks import random_photo2

from vqcodec.entropy.coder import pack_fixed
from vqcodec.errors import ModelCorruptError
from vqcodec.models.file import read_metadata, read_tensors, write
from vqcodec.models.packed import LEVEL_MAX, pack, quantise, restore, unpack
from vqcodec.models.photo2 import parse_model
from vqcodec.networks.model_files import read_photo2, round_analysis, write_photo2

NAME = "analysis.layers.1.first.weight"


@given(st.lists(st.integers(-32, 31), min_size=1, max_size=30))
def test_levels_lie_as_indices_of_fixed_length_do(levels: list[int]) -> None:
    packed = pack(np.array(levels, np.int8))
    assert len(packed) == -(-len(levels) // 4) * 3
    assert unpack(packed, (len(levels),)).tolist() == levels
    expected = pack_fixed(np.array(levels, np.int32) + 32, 64)
    assert packed[: len(levels) * 6 // 8].tobytes() == expected[: len(levels) * 6 // 8]


def test_weights_are_rounded_to_their_scale() -> None:
    rng = np.random.default_rng(0)
    weights = rng.normal(size=(5, 7, 3, 3)).astype(np.float32)
    weights[2] = 0.0
    levels, scales = quantise(weights)
    assert np.abs(levels).max((1, 2, 3)).tolist() == [LEVEL_MAX, LEVEL_MAX, 0, LEVEL_MAX, LEVEL_MAX]
    rounded = restore(levels, scales)
    assert (np.abs(rounded - weights) <= 0.501 * scales[:, None, None, None]).all()
    again, _ = quantise(rounded)
    assert np.array_equal(again, levels)


@torch.no_grad()
def test_a_rounded_analysis_is_that_of_its_file() -> None:
    parts = random_photo2()
    pixels = torch.rand(1, 3, 64, 48)
    before = parts.analysis(pixels)
    round_analysis(parts.analysis)
    data = write_photo2(parts, name="x", licence="", description="")
    again = read_photo2(data).analysis(pixels)
    model = parse_model(data, sha256="")
    features = model.fine_features(pixels[0].numpy(), (slice(0, 64), slice(0, 48)))
    measured = model.measure(features, (slice(0, 4), slice(0, 3)))
    rounded = parts.analysis(pixels)
    assert not torch.equal(rounded, before)
    assert torch.allclose(again, rounded, atol=1e-4)
    assert np.allclose(measured.transpose(2, 0, 1), rounded[0], atol=1e-4)


@pytest.mark.parametrize(
    "wrong",
    [
        {NAME: None},
        {f"{NAME}.scale": None},
        {NAME: np.zeros(3, np.uint8)},
        {NAME: np.zeros((8, 8, 3, 3), np.float16)},
        {f"{NAME}.scale": np.ones(8, np.float16)},
        {f"{NAME}.scale": np.full(8, np.nan, np.float32)},
    ],
)
def test_wrong_weights_are_refused(photo2_data: bytes, wrong: dict[str, np.ndarray | None]) -> None:
    tensors = read_tensors(photo2_data) | wrong
    kept = {name: tensor for name, tensor in tensors.items() if tensor is not None}
    with pytest.raises(ModelCorruptError, match=re.escape(NAME)):
        parse_model(write(kept, read_metadata(photo2_data)), sha256="")
