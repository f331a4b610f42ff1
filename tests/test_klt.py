"""The transform's start as a block transform."""

from __future__ import annotations

import numpy as np
import torch
from conftest import photo
from torch import Tensor

from vqcodec.models.config import TransformConfig
from vqcodec.networks.transform import Analysis, Gains, Synthesis
from vqcodec.training.klt import start_as_blocks

Parts = tuple[Analysis, Synthesis, Gains]


def started(widths: tuple[int, int, int], latents: int, details: int, pixels: Tensor) -> Parts:
    torch.manual_seed(0)
    config = TransformConfig(
        widths=widths, depths=(1, 1, 1), latents=latents, details=details, qualities=4
    )
    parts = Analysis(config), Synthesis(config), Gains(config)
    start_as_blocks(*parts, pixels, torch.tensor([0.0003, 0.002, 0.01, 0.08]))
    return parts


def pictures() -> Tensor:
    drawn = [np.asarray(photo(128, 128, seed=k)) for k in range(4)]
    return torch.from_numpy(np.stack(drawn)).permute(0, 3, 1, 2).float() / 255.0


@torch.no_grad()
def test_all_components_give_the_picture_back() -> None:
    pixels = pictures()
    analysis, synthesis, _ = started((56, 200, 180), 255, 95, pixels)
    again = synthesis(analysis(pixels))
    assert (again - pixels).abs().max() < 1e-3


@torch.no_grad()
def test_components_are_the_principal_ones() -> None:
    pixels = pictures()
    analysis, synthesis, _ = started((56, 200, 100), 60, 20, pixels)
    latents = analysis(pixels)
    spread = latents.permute(1, 0, 2, 3).flatten(1).var(1)
    assert bool((spread[:-1] >= spread[1:] * 0.97).all())
    rows = torch.nn.functional.pixel_unshuffle(2.0 * pixels - 1.0, 16).permute(0, 2, 3, 1)
    flat = rows.flatten(0, 2)
    lost = torch.linalg.svdvals(flat - flat.mean(0))[60:].square().sum() / flat.numel()
    error = (2.0 * (synthesis(latents) - pixels)).square().mean()
    assert abs(float(error / lost) - 1.0) < 0.01


@torch.no_grad()
def test_gains_are_best_at_high_rate() -> None:
    _, _, gains_of = started((56, 64, 64), 32, 8, pictures())
    gains = gains_of(torch.tensor([1.0, 4.0]))[:, 0, 0, 0]
    expected = (2.0 * np.log(2.0) * 127.5**2 * np.array([0.0003, 0.08]) / 36.0) ** 0.5
    assert np.allclose(gains.numpy(), expected, rtol=1e-3)
