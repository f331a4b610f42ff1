"""The parts of `photo` that train first: transform, gains and the context of the latents."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from conftest import SMALL_PHOTO, photo

from vqcodec.models.config import LatentPriorConfig, TransformConfig
from vqcodec.networks.latent_prior import LatentPrior, bits
from vqcodec.networks.transform import Analysis, Gains, Synthesis
from vqcodec.tables import from_table
from vqcodec.training.config import PhotoRecipe
from vqcodec.training.data import Pictures, find_pictures
from vqcodec.training.transform import TransformStage

SMALL = TransformConfig(widths=(8, 12, 16), depths=(1, 1, 1), latents=12, details=4, qualities=4)
PRIOR = LatentPriorConfig(channels=16, layers=2, slices=(4, 4, 4), hidden=10)


@pytest.fixture
def prior() -> LatentPrior:
    torch.manual_seed(1)
    prior = LatentPrior(PRIOR, SMALL)
    with torch.no_grad():
        prior.quality.weight.normal_()
    return prior


def test_transform_goes_there_and_back() -> None:
    pixels = torch.rand(2, 3, 48, 32)
    latents = Analysis(SMALL)(pixels)
    assert latents.shape == (2, 12, 3, 2)
    assert Synthesis(SMALL)(latents).shape == pixels.shape


@torch.no_grad()
def test_gains_rise_with_quality_and_interpolate() -> None:
    gains = Gains(SMALL)(torch.tensor([1.0, 2.0, 2.5, 3.0, 4.0, 9.0]))[:, 0, 0, 0]
    assert gains[0] < gains[1] < gains[2] < gains[3] < gains[4]
    assert gains[2] == pytest.approx(float((gains[1] * gains[3]).sqrt()))
    assert gains[4] == gains[5] == pytest.approx(8.0 * float(gains[0]))


@torch.no_grad()
def test_context_sees_only_what_is_decoded_before(prior: LatentPrior) -> None:
    torch.manual_seed(2)
    rows, columns, size = 5, 6, 4
    latents = 3.0 * torch.randn(1, SMALL.latents, rows, columns)
    at = torch.tensor([2])
    before = torch.stack(prior(latents, at))
    for i, j, s in ((2, 2, 0), (2, 3, 1), (2, 3, 2)):
        changed = latents.clone()
        changed[0, s * size : (s + 1) * size, i, j] += 1.0
        moved = (torch.stack(prior(changed, at)) != before).any(0)[0]  # (D, N, M)
        for d, r, c in moved.nonzero().tolist():
            later_position = c + 2 * r > j + 2 * i
            later_slice = (r, c) == (i, j) and d // size > s
            assert later_position or later_slice
        assert bool(moved[:, i, j].any()) == (s < 2)
        # Details, the last slice, are not looked at from elsewhere.
        assert bool(moved[:, i, j + 1].any()) == (s < 2)


def test_slices_are_the_latents() -> None:
    with pytest.raises(ValueError, match="slices must be"):
        LatentPrior(LatentPriorConfig(slices=(4, 4)), SMALL)


def test_quality_matters_to_the_context(prior: LatentPrior) -> None:
    latents = torch.zeros(2, SMALL.latents, 3, 3)
    means, scales = prior(latents, torch.tensor([1, 4]))
    assert not torch.equal(means[0], means[1])
    assert bool((scales > 0.1).all())


@pytest.mark.parametrize(("mean", "scale"), [(0.0, 0.11), (0.3, 0.5), (-2.7, 3.0), (4.0, 20.0)])
def test_probabilities_of_all_integers_sum_to_one(mean: float, scale: float) -> None:
    values = torch.arange(-200.0, 201.0)
    cost = bits(values, torch.tensor(mean), torch.tensor(scale))
    assert float(torch.exp2(-cost.double()).sum()) == pytest.approx(1.0, abs=1e-4)
    assert float(cost.min()) >= 0.0
    assert bool(cost.isfinite().all())


def test_training_lowers_rate_and_distortion(tmp_path: Path) -> None:
    for k in range(4):
        photo(96, 80, seed=k).save(tmp_path / f"a-{k}.png")
    training = {
        "precision": "float32",
        "transform": {"steps": 40, "batch": 4, "crop": 64, "blocks": False},
        "product": {"steps": 1},
    }
    recipe = from_table(PhotoRecipe, SMALL_PHOTO | {"train": training})
    paths = find_pictures(tmp_path)
    pictures = Pictures(paths, recipe.data)
    stage = TransformStage(recipe, pictures, paths[:2], torch.device("cpu"))
    stage.module.eval()
    before = stage.validate()
    optimiser = torch.optim.Adam(stage.module.parameters(), lr=3e-3)
    for step in range(40):
        loss, _ = stage.loss(stage.batch(step), step)
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
    after = stage.validate()
    assert after["loss"] < 0.5 * before["loss"]
    assert after["psnr4"] > before["psnr4"] + 3.0
    again, _ = stage.loss(stage.batch(3), 3)
    assert torch.equal(again, stage.loss(stage.batch(3), 3)[0])
