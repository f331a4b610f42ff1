from __future__ import annotations

import math

import numpy as np
import pytest

from vqcodec import metrics


def noisy(seed: int, strength: float, side: int = 192) -> tuple[np.ndarray, np.ndarray]:
    """A smooth picture and the same with noise."""
    rng = np.random.default_rng(seed)
    rows, columns = np.mgrid[:side, :side] / side
    smooth = np.stack([rows, columns, (rows + columns) / 2], -1) * 180 + 30
    picture = smooth.astype(np.uint8)
    noise = rng.normal(0, strength, picture.shape)
    return picture, np.clip(picture + noise, 0, 255).astype(np.uint8)


def test_psnr_is_that_of_its_definition() -> None:
    a = np.zeros((4, 5, 3), np.uint8)
    b = a.copy()
    b[0, 0] = (0, 0, 60)
    mse = 60**2 / 60
    assert metrics.psnr(a, b) == pytest.approx(10 * math.log10(255**2 / mse))
    assert metrics.psnr(a, a) == pytest.approx(100.0)
    assert metrics.psnr(np.full_like(a, 255), a) == pytest.approx(0.0)


def test_bits_per_pixel_counts_the_whole_file() -> None:
    assert metrics.bits_per_pixel(100, np.zeros((10, 20, 3), np.uint8)) == 4.0


def test_decibels() -> None:
    assert metrics.decibels(0.99) == pytest.approx(20.0)
    assert math.isfinite(metrics.decibels(1.0))


@pytest.mark.parametrize("name", ["ms_ssim", "ssimulacra2"])
def test_perceptual_metrics_fall_with_noise(name: str) -> None:
    pytest.importorskip("pytorch_msssim" if name == "ms_ssim" else name)
    metric = getattr(metrics, name)
    best = 1.0 if name == "ms_ssim" else 100.0
    picture, _ = noisy(0, 0.0)
    assert metric(picture, picture) == pytest.approx(best, abs=1e-6)
    weak, strong = (metric(picture, noisy(0, strength)[1]) for strength in (4.0, 20.0))
    assert best > weak > strong


def test_ms_ssim_refuses_pictures_that_five_scales_do_not_fit() -> None:
    pytest.importorskip("pytorch_msssim")
    small = np.zeros((160, 300, 3), np.uint8)
    with pytest.raises(metrics.TooSmallError, match="160"):
        metrics.ms_ssim(small, small)


def test_ssimulacra2_refuses_pictures_below_its_least_scale() -> None:
    pytest.importorskip("ssimulacra2")
    small = np.zeros((7, 300, 3), np.uint8)
    with pytest.raises(metrics.TooSmallError, match="8 pixels"):
        metrics.ssimulacra2(small, small)
