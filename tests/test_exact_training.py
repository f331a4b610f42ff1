"""The second stage of photo-2: what trains is, to the bit, what a model file computes."""

from __future__ import annotations

import hashlib
from pathlib import Path

import numpy as np
import pytest
import torch
from conftest import photo
from random_networks import DEEP_TRANSFORM, random_exact, random_photo2
from safetensors.torch import load_file
from test_deep import RECIPE, place, recipe, run  # noqa: F401
from test_training import Silent
from test_training import one_thread as one_thread

import vqcodec
from vqcodec.engines.engine import make_engine
from vqcodec.engines.samples import to_samples
from vqcodec.errors import ModelCorruptError
from vqcodec.models import exact
from vqcodec.models.file import read_metadata, read_tensors, write
from vqcodec.models.photo2 import parse_model
from vqcodec.networks.calibration import calibrate
from vqcodec.networks.deep import deep_synthesis, set_slope
from vqcodec.networks.exact import ExactSynthesis, WideConv, nearest
from vqcodec.networks.model_files import read_photo2, write_photo2
from vqcodec.networks.transform import Block
from vqcodec.training.architectures import load_recipe
from vqcodec.training.loop import InterruptedRunError
from vqcodec.training.weights import read_average

SETTINGS = RECIPE.partition("[train.transform]")[2].partition("\n[")[0]
BOTH_STAGES = f"{RECIPE}\n[train.exact]{SETTINGS}"


def synthesis() -> ExactSynthesis:
    torch.manual_seed(8)
    return random_exact(DEEP_TRANSFORM, 2.0 * torch.randn(3, 24, 6, 6))


def exported(network: ExactSynthesis) -> dict[str, np.ndarray]:
    return {name: tensor.numpy() for name, tensor in network.export().items()}


@torch.no_grad()
def test_the_grid_is_the_exported_network_to_the_bit() -> None:
    network, layers = synthesis(), exact.synthesis(DEEP_TRANSFORM.synthesis)
    tensors = exported(network)
    exact.check(layers, tensors)
    latents = 3.0 * torch.randn(1, 24, 7, 5)
    integers = (latents / network.unit[:, None, None]).round().clamp(-16384, 16383)
    samples = to_samples(make_engine(layers, tensors, "cpu").run(integers[0].numpy()))
    sums = network(latents)[0] * (255.0 * 2.0**exact.FRACTION)
    found = (sums.round() * 2.0**-exact.FRACTION).round().clamp(0.0, 255.0)
    assert len(np.unique(samples)) > 64
    assert np.array_equal(found.permute(1, 2, 0).numpy(), samples)


@torch.no_grad()
def test_integers_are_near_the_real_numbers() -> None:
    network = synthesis()
    latents = 2.0 * torch.randn(1, 24, 7, 5)
    real, integer = network(latents, integer=False), network(latents)
    assert 0.0 < float((integer - real).square().mean().sqrt()) < 0.06 * float(real.std())


@torch.no_grad()
def test_weights_of_the_first_stage_are_taken_as_they_are() -> None:
    torch.manual_seed(2)
    first = deep_synthesis(DEEP_TRANSFORM)
    set_slope(first, 0.0)
    for layer in first.modules():
        if isinstance(layer, Block):
            layer.second.weight.normal_(0.0, 0.1)
    network = ExactSynthesis(DEEP_TRANSFORM.synthesis)
    network.take(first)
    assert {name for name, _ in network.named_parameters()} == {
        name for name, _ in first.named_parameters()
    } | {"details.0.bias"}
    latents = torch.randn(1, 24, 5, 6)
    assert torch.allclose(network(latents, integer=False), first(latents), atol=1e-4)


@torch.no_grad()
def test_real_numbers_are_given_back() -> None:
    """All but what a bias of the details says of places within 16x16 pixels."""
    network = synthesis()
    network.detail_layer.bias.copy_(0.1 * torch.randn(768))
    second = deep_synthesis(DEEP_TRANSFORM)
    set_slope(second, 0.0)
    network.give(second)
    latents = torch.randn(1, 24, 5, 6)
    lost = second(latents) - network(latents, integer=False)
    assert 0.0 < float(lost.abs().max()) < 0.5
    squares = lost.unfold(2, 16, 16).unfold(3, 16, 16)  # (1, 3, 5, 6, 16, 16)
    assert torch.allclose(squares, squares[:, :, :1, :1].expand_as(squares), atol=1e-4)
    places = squares.reshape(1, 3, 5, 6, 4, 4, 4, 4)
    assert torch.allclose(places.mean((4, 6)), torch.zeros(()), atol=1e-4)
    network.detail_layer.bias.zero_()
    network.give(second)
    assert torch.allclose(second(latents), network(latents, integer=False), atol=1e-4)


@torch.no_grad()
def test_model_files_give_the_network_back(photo2_data: bytes) -> None:
    parts, trained = read_photo2(photo2_data), random_photo2()
    latents = 2.0 * torch.randn(1, 24, 5, 6)
    for integer in (True, False):
        found, expected = (p.synthesis(latents, integer=integer) for p in (parts, trained))
        assert torch.allclose(found, expected, atol=0.02 if integer else 0.1)
    again = read_tensors(write_photo2(parts, name="x", licence="", description=""))
    for name, tensor in read_tensors(photo2_data).items():
        if name.startswith("units."):
            continue  # what follows from others is left out
        if tensor.dtype.kind == "f":
            assert np.allclose(again[name], tensor, rtol=1e-6), name
        else:
            assert np.array_equal(again[name], tensor), name


@pytest.mark.parametrize("value", [0.0, -1.0, np.nan, np.inf, None])
@pytest.mark.parametrize("name", ["unit", "layers.0.read", "layers.1.inner"])
def test_units_are_checked_where_they_are_needed(
    photo2_data: bytes, name: str, value: float | None
) -> None:
    tensors = dict(read_tensors(photo2_data))
    if value is None:
        tensors.pop(f"units.{name}")
    else:
        tensors[f"units.{name}"] = np.full_like(tensors[f"units.{name}"], value)
    data = write(tensors, read_metadata(photo2_data))
    parse_model(data, sha256="")
    with pytest.raises(ModelCorruptError, match=f"units.{name}"):
        read_photo2(data)


def test_units_that_go_on_along_the_stream_are_stored_once(photo2_data: bytes) -> None:
    parts = read_photo2(photo2_data)
    expected = {name: unit.clone() for name, unit in parts.synthesis.units().items()}
    data = write_photo2(parts, name="x", licence="", description="")
    stored = {name for name in read_tensors(data) if name.startswith("units.")}
    assert len(stored) < len(expected)
    for name, unit in read_photo2(data).synthesis.units().items():
        assert torch.equal(unit, expected[name]), name


def test_gradients_pass_through_the_grid() -> None:
    network = synthesis()
    latents = torch.randn(1, 24, 4, 4, requires_grad=True)
    grads = {}
    for integer in (False, True):
        network.zero_grad(set_to_none=True)
        latents.grad = None
        network(latents, integer=integer).square().sum().backward()
        grads[integer] = [latents.grad, *(p.grad for p in network.parameters())]
    for real, rounded in zip(grads[False], grads[True], strict=True):
        assert float(torch.cosine_similarity(real.flatten(), rounded.flatten(), 0)) > 0.9


def test_halves_go_to_the_even_neighbour() -> None:
    values = torch.tensor([-1.5, -0.5, 0.5, 1.5, 2.5], requires_grad=True)
    rounded = nearest(values)
    assert rounded.tolist() == [-2.0, 0.0, 0.0, 2.0, 2.0]
    rounded.sum().backward()
    assert values.grad.tolist() == [1.0] * 5


@torch.no_grad()
def test_calibration_keeps_all_sums_whatever_the_weights() -> None:
    """Quiet and dead channels, huge and constant weights."""
    latents = [torch.randn(2, 24, 4, 4)]
    latents[0][:, 3] = 0.0
    for scale in (1e-6, 1.0, 100.0):
        network = synthesis()
        for name, parameter in list(network.layers[:-2].named_parameters()):
            parameter[: len(parameter) // 2] *= scale
            if name.endswith("weight"):
                parameter[0] = 0.0
                parameter[1] = parameter.abs().max()
        calibrate(network, latents)
        exact.check(exact.synthesis(DEEP_TRANSFORM.synthesis), exported(network))


@torch.no_grad()
def test_digits_are_the_weights() -> None:
    layer = next(layer for _, layer in synthesis().integer_layers() if isinstance(layer, WideConv))
    high, low = layer.digits()
    assert float(high.abs().max()) <= 64.0
    assert float(low.abs().max()) <= 64.0
    assert float((high + low / 128.0 - layer.grid()).abs().max()) <= 1.0 / 256.0


def test_models_decode_to_what_training_saw(photo2_data: bytes) -> None:
    """From indices on, with the scales of the file instead of gains and units."""
    parts = random_photo2()
    model = parse_model(photo2_data, sha256=hashlib.sha256(photo2_data).hexdigest())
    picture = photo(120, 90)
    for number in (16, 24, 37, 48):
        data = vqcodec.compress(picture, model=model, quality=number / 16)
        grid = vqcodec.indices(data, model=model)
        rows, columns, groups = grid.shape
        scaled = model.codebooks_of(number).values(grid.reshape(-1, groups))
        latents = torch.from_numpy(scaled / model.gains_of(number)).view(1, rows, columns, -1)
        with torch.no_grad():
            seen = parts.synthesis(latents.permute(0, 3, 1, 2)).clamp(0.0, 1.0)[0] * 255.0
        found = np.asarray(vqcodec.decompress(data, model=model))
        expected = seen.permute(1, 2, 0).numpy()[:90, :120]
        assert np.abs(found - expected).max() < 3.0


def test_sums_that_training_let_grow_are_not_written() -> None:
    parts = random_photo2()
    with torch.no_grad():
        parts.synthesis.detail_layer.bias[:] = 1e6
    with pytest.raises(ModelCorruptError, match="2\\^24"):
        write_photo2(parts, name="x", licence="", description="")


def test_both_stages_run_and_resume(place: Path) -> None:  # noqa: F811
    (place / "tiny.toml").write_text(BOTH_STAGES)
    whole = run(recipe(place), place, "whole", Silent())
    assert whole == place / "whole.run/exact.safetensors"
    for stage, stop_at in (("transform", 3), ("exact", 1), ("exact", 5)):
        name = f"{stage}-{stop_at}"
        with pytest.raises(InterruptedRunError):
            run(recipe(place), place, name, Silent((stage, stop_at)))
        parts = run(recipe(place), place, name, Silent(), resume=True)
        expected, found = load_file(whole), load_file(parts)
        assert expected.keys() == found.keys()
        assert all(torch.equal(expected[key], found[key]) for key in expected)
    tensors = load_file(whole)
    config = recipe(place).transform
    network = ExactSynthesis(config.synthesis)
    network.load_state_dict(
        {
            key.removeprefix("module.synthesis."): value
            for key, value in tensors.items()
            if key.startswith("module.synthesis.")
        }
        | {
            key.removeprefix("synthesis."): value
            for key, value in read_average(whole).items()
            if key.startswith("synthesis.")
        }
    )
    exact.check(exact.synthesis(config.synthesis), exported(network))


def test_the_second_stage_has_settings_of_its_own(place: Path) -> None:  # noqa: F811
    (place / "tiny.toml").write_text(BOTH_STAGES)
    assert recipe(place).train.exact.steps == recipe(place).train.transform.steps
    with pytest.raises(ValueError, match=r"train\.exact\.crop"):
        load_recipe(place / "tiny.toml", {"train.exact.crop": "50"})
    with pytest.raises(ValueError, match=r"train\.exact\.steps"):
        load_recipe(place / "tiny.toml", {"train.exact.steps": "'8'"})
