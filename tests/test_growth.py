"""photo-2 grown from photo-1."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from conftest import TRANSFORM, photo
from torch import Tensor

from vqcodec.models.config import DeepTransformConfig, LatentPriorConfig
from vqcodec.networks.latent_prior import raw_of, scale_of
from vqcodec.networks.model_files import PhotoParts, read_photo
from vqcodec.networks.transform import Gains
from vqcodec.registry.store import find, read_verified
from vqcodec.training.deep_start import limit_gains
from vqcodec.training.growth import grow

CONFIG = DeepTransformConfig(
    widths=TRANSFORM.widths,
    analysis_depths=(2, 2, 4),
    synthesis_depths=(1, 3, 2),
    latents=40,
    details=24,
    qualities=5,
)
PRIOR = LatentPriorConfig(channels=16, layers=2, slices=(8, 8, 8, 16), hidden=12)
LAMBDAS = torch.logspace(-3, -1, 5)
KEPT = TRANSFORM.latents


def crops(count: int, side: int = 128) -> Tensor:
    drawn = [np.asarray(photo(side, side, seed=k)) for k in range(count)]
    return torch.from_numpy(np.stack(drawn)).permute(0, 3, 1, 2).float() / 255.0


@pytest.fixture(scope="module")
def pixels() -> Tensor:
    return crops(16)


@pytest.fixture
def start(photo_data: bytes) -> PhotoParts:
    return read_photo(photo_data)


@torch.no_grad()
def test_the_analysis_is_photo_1s(start: PhotoParts, pixels: Tensor) -> None:
    grown = grow(CONFIG, PRIOR, start, pixels, LAMBDAS)
    latents, expected = grown.analysis(pixels), start.analysis(pixels)
    assert torch.allclose(latents[:, :KEPT], expected, atol=1e-5)
    assert torch.allclose(grown.gains.octaves[:3, :KEPT], start.gains.octaves)
    # Each further quality is finer by the square root of lambda's ratio.
    steps = grown.gains.octaves[3:, :KEPT] - grown.gains.octaves[2:-1, :KEPT]
    assert torch.allclose(steps, torch.full_like(steps, 0.5 * np.log2(10.0**0.5)), atol=1e-5)


@torch.no_grad()
def test_new_details_explain_what_was_left(start: PhotoParts, pixels: Tensor) -> None:
    grown = grow(CONFIG, PRIOR, start, pixels, LAMBDAS)
    latents = grown.analysis(pixels)
    before = (start.synthesis(start.analysis(pixels)) - pixels).square().mean()
    after = (grown.synthesis(latents) - pixels).square().mean()
    assert float(after) < 0.5 * float(before)
    patterns = grown.synthesis.details[0].weight[:, TRANSFORM.details :, 0, 0]
    assert torch.allclose(patterns.T @ patterns, torch.eye(16), atol=1e-4)


@torch.no_grad()
def test_known_slices_are_predicted_as_before_and_new_ones_by_their_spread(
    start: PhotoParts, pixels: Tensor
) -> None:
    grown = grow(CONFIG, PRIOR, start, pixels, LAMBDAS)
    at = torch.tensor([3])
    latents = (grown.analysis(pixels[:1]) * grown.gains(at.float())).round()
    found = grown.prior(torch.asinh(latents), at)
    expected = start.prior(torch.asinh(latents[:, :KEPT]), at)
    for ours, theirs in zip(found, expected, strict=True):
        assert torch.allclose(ours[:, :KEPT], theirs, atol=1e-5)
    means, scales = (part[:, KEPT:] for part in found)
    assert not bool(means.any())
    every = grown.analysis(pixels) * grown.gains(torch.tensor([3.0]))
    spread = every[:, KEPT:].std((0, 2, 3)).clamp(0.12, 60.0)
    assert torch.allclose(scales[0, :, 0, 0], spread, rtol=1e-2)
    # Further qualities begin as the last known one.
    last = grown.prior.quality.weight
    assert torch.equal(last[2], last[4])


@torch.no_grad()
def test_without_new_details_the_synthesis_is_photo_1s(start: PhotoParts, pixels: Tensor) -> None:
    grown = grow(CONFIG, PRIOR, start, pixels, LAMBDAS)
    latents = torch.randn(4, KEPT, 5, 6, generator=torch.Generator().manual_seed(0))
    more = torch.cat([latents, torch.zeros(4, 16, 5, 6)], dim=1)
    assert torch.allclose(grown.synthesis(more), start.synthesis(latents), atol=1e-5)


@torch.no_grad()
def test_the_shipped_model_grows_without_loss() -> None:
    start = read_photo(read_verified(find("photo")))
    pixels = crops(12)
    config = DeepTransformConfig()
    prior = LatentPriorConfig(slices=(*start.prior.config.slices, 64, 64, 64, 64, 64))
    lambdas = torch.logspace(np.log10(0.00012), np.log10(0.7), 12)
    grown = grow(config, prior, start, pixels, lambdas)
    some = pixels[:3]
    for quality in (3, 8):
        at = torch.tensor([float(quality)])
        before = _psnr(start.synthesis(_rounded(start.analysis(some), start.gains, at)), some)
        after = _psnr(grown.synthesis(_rounded(grown.analysis(some), grown.gains, at)), some)
        assert after > before - 0.3


def _rounded(latents: Tensor, gains: Gains, at: Tensor) -> Tensor:
    return (latents * gains(at)).round() / gains(at)


def _psnr(decoded: Tensor, pixels: Tensor) -> float:
    return float(-10.0 * (decoded.clamp(0.0, 1.0) - pixels).square().mean().log10())


def test_raw_of_undoes_scale_of() -> None:
    scales = torch.tensor([0.15, 0.5, 3.0, 50.0])
    assert torch.allclose(scale_of(raw_of(scales)), scales, rtol=1e-4)
    assert bool(raw_of(torch.tensor([0.0, 1e9])).isfinite().all())


@pytest.mark.parametrize(
    ("config", "prior"),
    [
        (replace(CONFIG, widths=(8, 12, 17)), PRIOR),
        (replace(CONFIG, analysis_depths=(0, 2, 4)), PRIOR),
        (replace(CONFIG, synthesis_depths=(1, 0, 2)), PRIOR),
        (replace(CONFIG, details=20), PRIOR),
        (replace(CONFIG, qualities=2), PRIOR),
        (CONFIG, replace(PRIOR, channels=20)),
        (CONFIG, replace(PRIOR, slices=(8, 16, 16))),
    ],
)
def test_other_networks_are_refused(
    start: PhotoParts, config: DeepTransformConfig, prior: LatentPriorConfig
) -> None:
    with pytest.raises(ValueError, match="no part of"):
        grow(config, prior, start, crops(1), LAMBDAS)


@torch.no_grad()
def test_latents_begin_within_the_reach_of_codewords(start: PhotoParts, pixels: Tensor) -> None:
    gains = Gains(start.config)
    gains.octaves.copy_(torch.linspace(-4.0, 12.0, gains.octaves.numel()).view_as(gains.octaves))
    before = gains.octaves.clone()
    levels = (255.0 * pixels).round().byte()
    limit_gains(gains, start.analysis, levels)
    black = torch.zeros_like(pixels[:1])
    several = (levels.float() / 255.0, black, 1.0 - black)
    largest = torch.stack([start.analysis(p).abs().amax((0, 2, 3)) for p in several]).amax(0)
    reached = largest * torch.exp2(gains.octaves)
    lowered = gains.octaves < before
    assert 0.0 < float(lowered.float().mean()) < 1.0
    assert torch.equal(gains.octaves[~lowered], before[~lowered])
    assert float(reached.max()) < 1.01 * 0.8 * 4095 / 32
