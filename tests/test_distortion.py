"""What training weighs against bits."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from conftest import photo
from torch import Tensor

from vqcodec import metrics
from vqcodec.networks.distortion import distortion


def tensor(pixels: np.ndarray) -> Tensor:
    return torch.from_numpy(pixels.copy()).permute(2, 0, 1)[None].float() / 255.0


@pytest.fixture
def pair() -> tuple[np.ndarray, np.ndarray]:
    original = np.asarray(photo(203, 190, seed=1))
    noise = np.random.default_rng(0).normal(scale=12.0, size=original.shape)
    return original, np.clip(original + noise, 0, 255).astype(np.uint8)


def test_ms_ssim_is_the_one_of_the_benchmark(pair: tuple[np.ndarray, np.ndarray]) -> None:
    pytest.importorskip("pytorch_msssim")
    ours = 1.0 - float(distortion(tensor(pair[1]), tensor(pair[0]), 1.0).unlike)
    assert ours == pytest.approx(metrics.ms_ssim(*pair), abs=1e-5)
    assert ours < 0.99


def test_distortion_is_both_together(pair: tuple[np.ndarray, np.ndarray]) -> None:
    original, noisy = (tensor(pixels) for pixels in pair)
    found = distortion(noisy, original, 600.0)
    mse = float(np.square(pair[0].astype(float) - pair[1]).mean())
    assert float(found.mse) == pytest.approx(mse, rel=1e-4)
    assert float(found.total) == pytest.approx(mse + 600.0 * float(found.unlike), rel=1e-5)
    assert found.figures()["psnr"] == pytest.approx(metrics.psnr(*pair), abs=1e-3)
    similarity = metrics.decibels(1.0 - float(found.unlike))
    assert found.figures()["ms_ssim"] == pytest.approx(similarity, abs=1e-3)
    plain = distortion(noisy, original, 0.0)
    assert float(plain.total) == float(plain.mse)
    assert "ms_ssim" not in plain.figures()


def test_gradients_exist_where_pictures_have_nothing_in_common() -> None:
    original = tensor(np.asarray(photo(192, 192, seed=2)))
    decoded = (1.0 - original).requires_grad_()
    distortion(decoded, original, 600.0).total.sum().backward()  # type: ignore[no-untyped-call]
    assert decoded.grad is not None
    assert bool(decoded.grad.isfinite().all())


def test_one_scale_that_is_unlike_leaves_the_gradients_of_the_others() -> None:
    generator = torch.Generator().manual_seed(0)
    coarse = torch.rand(1, 3, 6, 6, generator=generator)
    coarse = torch.nn.functional.interpolate(coarse, size=192, mode="bilinear")
    fine = 0.1 * torch.rand(1, 3, 192, 192, generator=generator)
    decoded = (1.0 - coarse + fine).requires_grad_()
    distortion(decoded, coarse + fine, 1.0).unlike.sum().backward()  # type: ignore[no-untyped-call]
    assert decoded.grad is not None
    assert bool(decoded.grad.any())
