"""Weights of 8 bits, which models of sound have."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import nn

from vqcodec.engines.layers import Network, tensor_shapes
from vqcodec.errors import ModelCorruptError
from vqcodec.models import speech_transform
from vqcodec.models.config_sound import SpeechConfig
from vqcodec.models.file import network_weights
from vqcodec.networks.model_files.tensors import halves, levels, weights_under
from vqcodec.networks.speech import Synthesis

CONFIG = SpeechConfig(
    width=12, hidden=20, analysis_depth=1, synthesis_depth=2, latents=6, qualities=2
)
NETWORK: Network = speech_transform.synthesis(CONFIG)
NAME = "layers.2.first.weight"


def module() -> nn.Module:
    torch.manual_seed(0)
    made = Synthesis(CONFIG)
    for parameter in made.parameters():
        nn.init.normal_(parameter, std=0.1)
    return made


def arrays(given: nn.Module) -> dict[str, np.ndarray]:
    return {name: value.numpy() for name, value in levels(given, "x").items()}


def test_a_file_has_levels_of_all_matrices() -> None:
    tensors = levels(module(), "x")
    for name, shape in tensor_shapes(NETWORK).items():
        written = tensors[f"x.{name}"]
        assert written.shape == shape
        assert written.dtype == (torch.int8 if len(shape) > 1 else torch.float16)


def test_what_is_read_is_as_near_as_its_step() -> None:
    given = module()
    read = network_weights(NETWORK, "x", arrays(given), levels=True)
    assert read.keys() == tensor_shapes(NETWORK).keys()
    for name, value in given.state_dict().items():
        step = value.flatten(1).abs().amax(1).numpy() / 127.0 if value.dim() > 1 else 3e-4
        apart = np.abs(read[name].astype(np.float32) - value.numpy())
        assert (apart.reshape(len(apart), -1).max(1) <= 0.51 * step).all()


def test_training_goes_on_from_what_is_read() -> None:
    tensors = levels(module(), "x")
    read = network_weights(NETWORK, "x", arrays(module()), levels=True)
    again = module()
    again.load_state_dict(weights_under(tensors, "x"))
    for name, value in again.state_dict().items():
        assert np.array_equal(value.numpy(), read[name].astype(np.float32))


def test_a_row_of_zeros_stays_one() -> None:
    given = module()
    weight = given.get_parameter(NAME)
    with torch.no_grad():
        weight[3] = 0.0
    read = network_weights(NETWORK, "x", arrays(given), levels=True)
    assert not read[NAME][3].any()
    assert read[NAME][4].any()


def test_float16_is_read_too() -> None:
    tensors = {name: value.numpy() for name, value in halves(module(), "x").items()}
    read = network_weights(NETWORK, "x", tensors, levels=True)
    assert np.array_equal(read[NAME], tensors[f"x.{NAME}"])


@pytest.mark.parametrize(
    "change",
    [
        {f"x.{NAME}": None},
        {f"x.{NAME}.scale": None},
        {f"x.{NAME}": np.zeros((20, 12, 1), np.int8)},
        {f"x.{NAME}": np.zeros((20, 12, 1, 1), np.uint8)},
        {f"x.{NAME}.scale": np.ones(19, np.float32)},
        {f"x.{NAME}.scale": np.ones(20, np.float16)},
        {f"x.{NAME}.scale": np.full(20, np.nan, np.float32)},
        {f"x.{NAME}.scale": np.full(20, 3e38, np.float32)},
    ],
)
def test_what_is_wrong_is_refused(change: dict[str, np.ndarray | None]) -> None:
    changed = {k: v for k, v in (arrays(module()) | change).items() if v is not None}
    with pytest.raises(ModelCorruptError, match=NAME.replace(".", r"\.")):
        network_weights(NETWORK, "x", changed, levels=True)


def test_pictures_have_none() -> None:
    with pytest.raises(ModelCorruptError, match="float16"):
        network_weights(NETWORK, "x", arrays(module()))
