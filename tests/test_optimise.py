"""Muon, the moving average, and runs that use them."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from conftest import photo
from safetensors.torch import load_file
from test_training import RECIPE, Silent
from torch import Tensor, nn

from vqcodec.training.architectures import load_recipe
from vqcodec.training.config import ScheduleConfig
from vqcodec.training.loop import InterruptedRunError
from vqcodec.training.muon import Muon, is_hidden, orthogonal
from vqcodec.training.optimise import Average, Optimisers
from vqcodec.training.run import train

MUON = ScheduleConfig(steps=10, optimiser="muon")


def network() -> nn.Sequential:
    torch.manual_seed(0)
    layers = [nn.Conv2d(3, 16, 3), nn.ReLU(), nn.Conv2d(16, 20, 3), nn.ReLU(), nn.Conv2d(20, 1, 1)]
    return nn.Sequential(*layers).to(memory_format=torch.channels_last)


def error(module: nn.Module, seed: int) -> Tensor:
    pixels = torch.rand(4, 3, 8, 8, generator=torch.Generator().manual_seed(seed))
    wanted = pixels.mean((1, 2, 3)) + pixels.square().mean((1, 2, 3))
    found: Tensor = module(pixels).mean((1, 2, 3))
    return (found - wanted).square().mean()


@pytest.mark.parametrize("shape", [(3, 24, 40), (2, 40, 24), (1, 16, 16 * 9)])
def test_orthogonal_brings_singular_values_near_one(shape: tuple[int, int, int]) -> None:
    torch.manual_seed(0)
    found = orthogonal(torch.randn(shape) * torch.tensor([1e-4, 1.0, 1e3])[: shape[0], None, None])
    assert found.dtype == torch.bfloat16
    assert found.shape == shape
    values = torch.linalg.svdvals(found.float())
    assert 0.6 < float(values.min()) < float(values.max()) < 1.3


def test_orthogonal_of_nothing_is_nothing() -> None:
    assert float(orthogonal(torch.zeros(1, 16, 16)).abs().max()) == 0.0


def test_muon_trains_layers_and_adam_the_rest() -> None:
    module = network()
    hidden = {name for name, parameter in module.named_parameters() if is_hidden(name, parameter)}
    assert hidden == {"0.weight", "2.weight"}
    assert not is_hidden("prior.embedding", nn.Parameter(torch.zeros(32, 32)))
    optimisers = Optimisers(module, MUON)
    optimisers.step(error(module, 0), 1e-3)
    kept = optimisers.tensors()
    assert {name.partition(".")[2] for name in kept if name.startswith("momentum.")} == hidden
    assert "exp_avg.4.weight" in kept
    assert "exp_avg.0.weight" not in kept


def test_muon_lowers_the_loss() -> None:
    module = network()
    optimiser = Muon([p for p in module.parameters() if p.dim() > 1], lr=2e-2)
    losses = []
    for _ in range(40):
        loss = error(module, 0)
        losses.append(float(loss.detach()))
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
    assert losses[-1] < 0.2 * losses[0]


@pytest.mark.parametrize("optimiser", ["adam", "muon"])
def test_parts_learn_at_rates_of_their_own(optimiser: str) -> None:
    moved = []
    for rates in ({}, {"2.": 0.0, "2.bias": 3.0, "4": 0.5}):
        schedule = ScheduleConfig(steps=10, optimiser=optimiser, rates=rates)
        module = network()
        before = {name: value.clone() for name, value in module.state_dict().items()}
        Optimisers(module, schedule).step(error(module, 0), 1e-3)
        after = module.state_dict()
        moved.append({name: (after[name] - value).flatten() for name, value in before.items()})
    factors = {"0.weight": 1.0, "0.bias": 1.0, "2.weight": 0.0, "2.bias": 3.0}
    for name, factor in (factors | {"4.weight": 0.5, "4.bias": 0.5}).items():
        assert float(moved[0][name].abs().max()) > 0.0
        assert torch.allclose(moved[1][name], factor * moved[0][name], rtol=1e-2, atol=1e-7), name


def test_a_rate_of_no_parameter_is_refused() -> None:
    schedule = ScheduleConfig(steps=10, rates={"0": 2.0, "codebook": 2.0})
    with pytest.raises(ValueError, match=r"rates\.codebook: no parameter"):
        Optimisers(network(), schedule)


def test_parameters_without_gradient_stay() -> None:
    module = network()
    before = module[2].weight.detach().clone()
    optimisers = Optimisers(module, MUON)
    optimisers.step(module[0](torch.rand(1, 3, 8, 8)).square().mean(), 1e-3)
    assert torch.equal(module[2].weight, before)


@pytest.mark.parametrize("optimiser", ["adam", "muon"])
def test_state_survives_a_checkpoint(optimiser: str) -> None:
    schedule = ScheduleConfig(steps=10, optimiser=optimiser)
    modules = [network(), network()]
    first, second = (Optimisers(module, schedule) for module in modules)
    for step in range(3):
        first.step(error(modules[0], step), 1e-2)
    modules[1].load_state_dict(modules[0].state_dict())
    # As from a file, which keeps no order in memory.
    second.load({name: value.contiguous() for name, value in first.tensors().items()})
    for step in range(3, 6):
        norms = [
            optimisers.step(error(module, step), 1e-2)
            for optimisers, module in zip((first, second), modules, strict=True)
        ]
        assert norms[0] == norms[1]
    for one, other in zip(*(module.parameters() for module in modules), strict=True):
        assert torch.equal(one, other)


def test_average_is_exponential_and_follows_closely_at_first() -> None:
    module = nn.Linear(1, 1, bias=False)
    with torch.no_grad():
        module.weight.fill_(1.0)
    average = Average(module, 0.5)
    expected = 1.0
    for step, value in enumerate((2.0, 4.0, 8.0, 16.0, 32.0, 64.0, 128.0, 256.0, 512.0, 1024.0)):
        with torch.no_grad():
            module.weight.fill_(value)
        average.update(step)
        decay = min(0.5, (1.0 + step) / (10.0 + step))
        expected = decay * expected + (1.0 - decay) * value
        assert float(average.tensors["weight"]) == pytest.approx(expected)
    with average.swapped():
        assert module.weight.item() == pytest.approx(expected)
        assert float(average.tensors["weight"]) == 1024.0
    assert module.weight.item() == 1024.0
    with pytest.raises(KeyError), average.swapped():
        raise KeyError
    assert module.weight.item() == 1024.0
    assert float(average.tensors["weight"]) == pytest.approx(expected)
    other = Average(module, 0.5)
    other.load(average.tensors)
    assert torch.equal(other.tensors["weight"], average.tensors["weight"])


def test_average_without_decay_does_nothing() -> None:
    module = nn.Linear(2, 2)
    before = module.weight.detach().clone()
    average = Average(module, 0.0)
    average.update(0)
    assert not average.tensors
    with average.swapped():
        assert torch.equal(module.weight, before)


@pytest.mark.parametrize("stop_at", [("autoencoder", 5), ("prior", 3)])
def test_resumed_run_equals_the_uninterrupted_one(tmp_path: Path, stop_at: tuple[str, int]) -> None:
    data = tmp_path / "data"
    data.mkdir()
    for k in range(4):
        photo(70, 60, seed=k).save(data / f"{'ab'[k % 2]}-{k}.png")
    path = tmp_path / "tiny.toml"
    path.write_text(RECIPE)
    settings = {"autoencoder.hidden": "16", "prior.channels": "16"}
    for stage in ("autoencoder", "prior"):
        settings |= {f"train.{stage}.optimiser": "'muon'", f"train.{stage}.average": "0.7"}
    recipe = load_recipe(path, settings)

    def run(name: str, reporter: Silent, *, resume: bool = False) -> None:
        train(
            recipe,
            data=data,
            out=tmp_path / f"{name}.safetensors",
            run=tmp_path / f"{name}.run",
            resume=resume,
            device=torch.device("cpu"),
            reporter=reporter,
        )

    run("whole", Silent())
    with pytest.raises(InterruptedRunError):
        run("parts", Silent(stop_at))
    run("parts", Silent(), resume=True)
    expected, found = (load_file(tmp_path / f"{name}.safetensors") for name in ("whole", "parts"))
    assert all(torch.equal(expected[name], found[name]) for name in expected)
    logs = [(tmp_path / f"{name}.run/log.jsonl").read_text() for name in ("whole", "parts")]
    assert logs[0] == logs[1]
    kept = load_file(tmp_path / f"whole.run/{stop_at[0]}.safetensors")
    for part in ("optimiser.momentum.", "optimiser.exp_avg.", "average."):
        assert any(name.startswith(part) for name in kept)
