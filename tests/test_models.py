from __future__ import annotations

import json

import numpy as np
import pytest
import torch
from safetensors.torch import load, save
from torch import Tensor

from vqcodec.errors import ModelCorruptError
from vqcodec.models import vqvae
from vqcodec.models.config import AutoencoderConfig, PriorConfig
from vqcodec.models.vqvae import VqVae
from vqcodec.networks.codebook import Codebook, nearest
from vqcodec.registry.load import parse_model

CONFIG = AutoencoderConfig(hidden=8, residual_blocks=1, code_dim=3, codebook_size=16)


def test_shapes(model: VqVae) -> None:
    pixels = np.zeros((3, 32, 48), np.float32)
    latents = model.encoder.run(pixels)
    assert latents.shape == (6, 8, 12)
    assert model.decoder.run(latents).shape == pixels.shape


def test_paper_has_the_papers_numbers() -> None:
    config = AutoencoderConfig()
    assert (config.hidden, config.residual_blocks, config.codebook_size) == (256, 2, 512)
    fixed_bits_per_pixel = np.log2(config.codebook_size) / config.stride**2
    assert 24 / fixed_bits_per_pixel == pytest.approx(42.67, abs=0.01)


def test_nearest_is_the_nearest() -> None:
    generator = torch.Generator().manual_seed(0)
    vectors = torch.randn(16, 3, generator=generator)
    latents = torch.randn(200, 3, generator=generator)
    expected = torch.cdist(latents.double(), vectors.double()).argmin(1)
    assert torch.equal(nearest(vectors, latents), expected)
    assert np.array_equal(vqvae.nearest(vectors.numpy(), latents.numpy()), expected)


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


def damaged(data: bytes, change: object) -> bytes:
    tensors = load(data)
    size = int.from_bytes(data[:8], "little")
    metadata = json.loads(json.loads(data[8 : 8 + size])["__metadata__"]["vqcodec"])
    change(tensors, metadata)  # type: ignore[operator]
    return save(tensors, metadata={"vqcodec": json.dumps(metadata)})


def _drop(tensors: dict[str, Tensor], metadata: dict) -> None:
    del tensors["decoder.up1.weight"]


def _widen(tensors: dict[str, Tensor], metadata: dict) -> None:
    tensors["decoder.up1.weight"] = tensors["decoder.up1.weight"].float()


def _overflow(tensors: dict[str, Tensor], metadata: dict) -> None:
    tensors["prior.hidden.bias"] += 1 << 24


def _resize(tensors: dict[str, Tensor], metadata: dict) -> None:
    metadata["autoencoder"]["hidden"] = 1 << 20


def _rename(tensors: dict[str, Tensor], metadata: dict) -> None:
    metadata["architecture"] = "transformer-9"


def _disagree(tensors: dict[str, Tensor], metadata: dict) -> None:
    metadata["prior"]["codebook_size"] = 12


def _fraction(tensors: dict[str, Tensor], metadata: dict) -> None:
    metadata["prior"]["channels"] = 12.0


def _extend(tensors: dict[str, Tensor], metadata: dict) -> None:
    metadata["prior"]["colour"] = 1


@pytest.mark.parametrize(
    "change", [_drop, _widen, _overflow, _resize, _rename, _disagree, _fraction, _extend]
)
def test_wrong_models_are_refused(model_data: bytes, change: object) -> None:
    with pytest.raises(ModelCorruptError):
        parse_model(damaged(model_data, change), sha256="")


def test_truncated_models_are_refused(model_data: bytes) -> None:
    for end in (0, 7, 8, 100, 2000, len(model_data) - 1):
        with pytest.raises(ModelCorruptError):
            parse_model(model_data[:end], sha256="")


@pytest.mark.parametrize("size", [1, 5000])
def test_configurations_have_bounds(size: int) -> None:
    with pytest.raises(ValueError, match="codebook_size"):
        AutoencoderConfig(codebook_size=size)
    with pytest.raises(ValueError, match="codebook_size"):
        PriorConfig(codebook_size=size)
