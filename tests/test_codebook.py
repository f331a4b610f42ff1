"""The codebook of the VQ-VAE as it trains."""

from __future__ import annotations

import pytest
import torch

from vqcodec.models.config import AutoencoderConfig
from vqcodec.networks.codebook import Codebook, nearest

CONFIG = AutoencoderConfig(hidden=8, residual_blocks=1, code_dim=3, codebook_size=16)


def test_nearest_is_the_nearest() -> None:
    generator = torch.Generator().manual_seed(0)
    vectors = torch.randn(16, 3, generator=generator)
    latents = torch.randn(200, 3, generator=generator)
    expected = torch.cdist(latents.double(), vectors.double()).argmin(1)
    assert torch.equal(nearest(vectors, latents), expected)


def test_straight_through_gradient_and_commitment() -> None:
    torch.manual_seed(0)
    codebook = Codebook(CONFIG, beta=0.25)
    codebook.eval()
    latents = torch.randn(2, 3, 4, 5, requires_grad=True)
    quantised = codebook(latents)
    assert torch.allclose(
        quantised.codewords,
        torch.nn.functional.embedding(quantised.indices, codebook.vectors).permute(0, 3, 1, 2),
    )
    quantised.codewords.sum().backward(retain_graph=True)
    assert torch.equal(latents.grad, torch.ones_like(latents))
    latents.grad = None
    quantised.loss.backward()
    difference = 2 * 0.25 * (latents - quantised.codewords).detach() / latents.numel()
    assert torch.allclose(latents.grad, difference)


def test_loss_update_trains_the_codewords() -> None:
    torch.manual_seed(0)
    codebook = Codebook(CONFIG, update="loss")
    codebook(torch.randn(2, 3, 4, 5)).loss.backward()
    assert codebook.vectors.grad is not None
    with pytest.raises(ValueError, match="codebook update"):
        Codebook(CONFIG, update="magic")


def test_ema_moves_codewords_to_their_latents() -> None:
    torch.manual_seed(0)
    codebook = Codebook(CONFIG, gamma=0.5).train()
    latents = torch.randn(1, 3, 40, 40)
    errors = []
    for _ in range(30):
        quantised = codebook(latents)
        errors.append(float((quantised.codewords - latents).square().mean()))
    assert errors[-1] < 0.7 * errors[0]


def test_kmeans_start_and_revival_use_every_codeword() -> None:
    torch.manual_seed(0)
    codebook = Codebook(CONFIG)
    latents = torch.randn(500, 3) + 20.0
    generator = torch.Generator().manual_seed(1)
    codebook.start_from(latents, generator)
    assert len(nearest(codebook.vectors, latents).unique()) == 16
    codebook.vectors[3:] = -1000.0
    codebook.ema_counts[3:] = 0.0
    assert codebook.revive(latents, 0.5, generator) == 13
    assert codebook.revive(latents, 0.5, generator) == 0
    assert len(nearest(codebook.vectors, latents).unique()) == 16
