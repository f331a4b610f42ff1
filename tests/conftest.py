"""Small models with fixed random weights: quick, no downloads, no training."""

from __future__ import annotations

import hashlib
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import settings
from PIL import Image

from vqcodec.models.autoencoder import Decoder, Encoder
from vqcodec.models.config import AutoencoderConfig, PriorConfig
from vqcodec.models.pixelcnn import PixelCNN
from vqcodec.models.vqvae import VqVae, model_bytes, parse_model

CODEBOOK = 24

# The same examples in every run, and no judgement on the speed of the machine.
settings.register_profile("vqcodec", deadline=None, derandomize=True, max_examples=60)
settings.load_profile("vqcodec")


def random_prior(config: PriorConfig, seed: int = 0) -> PixelCNN:
    """A prior with opinions: its logits spread over several bits."""
    torch.manual_seed(seed)
    prior = PixelCNN(config)
    with torch.no_grad():
        prior.embedding.mul_(3.0)
        prior.output.weight.mul_(4.0)
        for layer in (prior.first, *prior.layers, prior.hidden, prior.output):
            layer.bias.uniform_(-0.3, 0.6)
    return prior


def random_model_bytes() -> bytes:
    torch.manual_seed(7)
    config = AutoencoderConfig(hidden=16, residual_blocks=2, code_dim=6, codebook_size=CODEBOOK)
    encoder, decoder = Encoder(config), Decoder(config)
    with torch.no_grad():
        for module in (encoder, decoder):
            for parameter in module.parameters():
                parameter.mul_(2.0)
    return model_bytes(
        name="random",
        licence="CC0-1.0",
        description="fixed random weights",
        config=config,
        encoder=encoder,
        codebook=torch.randn(CODEBOOK, 6),
        decoder=decoder,
        prior=random_prior(PriorConfig(codebook_size=CODEBOOK, embedding=5, channels=12, layers=2)),
    )


@pytest.fixture(scope="session")
def model_data() -> bytes:
    return random_model_bytes()


@pytest.fixture(scope="session")
def model(model_data: bytes) -> VqVae:
    digest = hashlib.sha256(model_data).hexdigest()
    return parse_model(model_data, sha256=digest, device=torch.device("cpu"))


@pytest.fixture
def model_file(model_data: bytes, tmp_path: Path) -> Path:
    path = tmp_path / "random.safetensors"
    path.write_bytes(model_data)
    return path


@pytest.fixture(autouse=True)
def no_installed_models(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """Keep the user's own models out of the tests, and theirs out of the user's folder."""
    folder = tmp_path / "installed"
    monkeypatch.setenv("VQCODEC_MODELS", str(folder))
    return folder


def photo(width: int = 83, height: int = 61, seed: int = 0) -> Image.Image:
    """A smooth coloured picture with some noise and edges."""
    rng = np.random.default_rng(seed)
    y, x = np.mgrid[0:height, 0:width]
    waves = [np.sin(x / 9.0 + k) + np.cos(y / 7.0 - 2 * k) + (x > y) for k in range(3)]
    noise = rng.normal(scale=0.1, size=(height, width, 3))
    pixels = 110 + 45 * (np.stack(waves, axis=-1) + noise)
    return Image.fromarray(pixels.clip(0, 255).astype(np.uint8))
