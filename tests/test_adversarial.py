"""The last stage of speech: the synthesis against discriminators."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from test_speech import CPU, RECIPE, place, recipe, voice
from torch import Tensor

from vqcodec.networks.discriminator import Discriminators
from vqcodec.training.adversarial import AdversarialStage, deceived, likeness, told_apart
from vqcodec.training.cells import start_codebooks
from vqcodec.training.sounds import Recordings, find_recordings
from vqcodec.training.speech_medium import SpeechMedium

__all__ = ["place"]  # a fixture

pytest.importorskip("soundfile")
pytest.importorskip("soxr")


def stage(place: Path, **overrides: str) -> AdversarialStage:
    given = recipe(place, **overrides)
    paths = find_recordings(place / "data")
    recordings = Recordings(paths, given.data, [place / "data"], place)
    medium = SpeechMedium(given, recordings, paths[:1], CPU)
    latents = torch.randn(200, given.transform.latents, generator=torch.Generator().manual_seed(0))
    made = [
        start_codebooks(3.0 * latents, given.latent_prior.slices, 16, 1.0)
        for _ in range(given.transform.qualities)
    ]
    assert given.train.adversarial is not None
    return AdversarialStage(given, given.train.adversarial, medium, made, CPU)


def gradients(tried: AdversarialStage, step: int) -> dict[str, Tensor | None]:
    tried.module.zero_grad(set_to_none=True)
    tried.loss(tried.batch(step), step)[0].backward()
    return {name: parameter.grad for name, parameter in tried.module.named_parameters()}


def test_only_the_synthesis_and_the_discriminators_learn(place: Path) -> None:
    for name, gradient in gradients(stage(place), 3).items():
        learns = "synthesis" in name or name.startswith("discriminators.")
        assert (gradient is not None) == learns, name


def test_each_side_follows_its_own_loss(place: Path) -> None:
    """Discriminators do not help to deceive themselves, nor the synthesis to be told apart."""
    strong, weak, none = (
        gradients(stage(place, **weights), 3)
        for weights in (
            {"train__adversarial__deceived": "5.0", "train__adversarial__alike": "9.0"},
            {"train__adversarial__deceived": "0.1", "train__adversarial__alike": "0.2"},
            {"train__adversarial__deceived": "0.0", "train__adversarial__alike": "0.0"},
        )
    )
    judges = {name: g for name, g in strong.items() if name.startswith("discriminators.")}
    for name, gradient in judges.items():
        torch.testing.assert_close(gradient, weak[name])
    assert any(gradient is not None and bool(gradient.any()) for gradient in judges.values())
    assert any(
        gradient is not None and not torch.allclose(gradient, none[name])  # type: ignore[arg-type]
        for name, gradient in strong.items()
        if "synthesis" in name
    )


def test_discriminators_are_alone_at_first(place: Path) -> None:
    weights = {"train__adversarial__deceived": "5.0", "train__adversarial__alike": "9.0"}
    none = {"train__adversarial__deceived": "0.0", "train__adversarial__alike": "0.0"}
    with_weights, without = (gradients(stage(place, **each), 0) for each in (weights, none))
    for name, gradient in with_weights.items():
        if gradient is not None:
            torch.testing.assert_close(gradient, without[name])


def test_losses_are_those_of_the_paper() -> None:
    def says(verdict: float) -> list[list[Tensor]]:
        return [[torch.full((2, 3, 4, 5), verdict), torch.full((2, 1, 4, 5), verdict)]]

    assert float(told_apart(says(0.0), says(0.0))) == 2.0
    assert float(told_apart(says(1.0), says(-1.0))) == 0.0
    assert float(deceived(says(1.5))) == 0.0
    assert float(deceived(says(-1.0))) == 2.0
    assert float(likeness(says(3.0), says(2.0))) == pytest.approx(0.5)
    assert float(likeness(says(2.0), says(2.0))) == 0.0


def test_discriminators_learn_to_tell_dull_sound(place: Path) -> None:
    torch.manual_seed(0)
    judges = Discriminators((64, 128), 8)
    optimiser = torch.optim.Adam(judges.parameters(), lr=3e-3)
    bright = torch.from_numpy(np.stack([voice(seed, 0.2) for seed in range(4)]))
    dull = torch.nn.functional.avg_pool1d(bright[:, None], 9, 1, 4)[:, 0]
    losses = []
    for _ in range(60):
        loss = told_apart(judges(bright), judges(dull))
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        losses.append(float(loss.detach()))
    assert losses[0] == pytest.approx(2.0, abs=0.3)
    assert losses[-1] < 1.0


@pytest.mark.parametrize(
    ("key", "value", "problem"),
    [("sizes", "[30]", "sizes"), ("channels", "0", "channels"), ("deceived", "-1.0", "deceived")],
)
def test_impossible_settings_are_refused(place: Path, key: str, value: str, problem: str) -> None:
    assert f"{key} = " in RECIPE or key == "deceived"
    with pytest.raises(ValueError, match=problem):
        recipe(place, **{f"train__adversarial__{key}": value})


@pytest.mark.parametrize("mix", [0.0, 0.25, 1.0])
def test_in_the_end_the_synthesis_goes_a_part_of_the_way_back(place: Path, mix: float) -> None:
    tried = stage(place, train__adversarial__mix=str(mix))
    before = {name: value.clone() for name, value in tried.module.state_dict().items()}
    with torch.no_grad():
        for parameter in tried.module.parameters():
            parameter += 1.0
    tried.settle()
    for name, value in tried.module.state_dict().items():
        moved = mix if "synthesis" in name else 1.0
        if before[name].is_floating_point() and name in dict(tried.module.named_parameters()):
            torch.testing.assert_close(value, before[name] + moved, msg=name)
