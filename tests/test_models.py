from __future__ import annotations

import numpy as np
import pytest
from changed_models import Change, Tensors, changed

from vqcodec.errors import ModelCorruptError
from vqcodec.models.codebook import nearest
from vqcodec.models.config import AutoencoderConfig, PriorConfig
from vqcodec.models.vqvae import VqVae
from vqcodec.registry.load import parse_model


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
    rng = np.random.default_rng(0)
    vectors = rng.normal(size=(16, 3)).astype(np.float32)
    latents = rng.normal(size=(200, 3)).astype(np.float32)
    distances = np.square(latents[:, None].astype(float) - vectors).sum(2)
    assert np.array_equal(nearest(vectors, latents), distances.argmin(1))
    assert nearest(vectors[[3, 3]], latents).max() == 0


def _drop(tensors: Tensors, metadata: dict) -> None:
    del tensors["decoder.up1.weight"]


def _widen(tensors: Tensors, metadata: dict) -> None:
    tensors["decoder.up1.weight"] = tensors["decoder.up1.weight"].astype(np.float32)


def _overflow(tensors: Tensors, metadata: dict) -> None:
    tensors["prior.hidden.bias"] += 1 << 24


def _resize(tensors: Tensors, metadata: dict) -> None:
    metadata["autoencoder"]["hidden"] = 1 << 20


def _rename(tensors: Tensors, metadata: dict) -> None:
    metadata["architecture"] = "transformer-9"


def _disagree(tensors: Tensors, metadata: dict) -> None:
    metadata["prior"]["codebook_size"] = 12


def _fraction(tensors: Tensors, metadata: dict) -> None:
    metadata["prior"]["channels"] = 12.0


def _extend(tensors: Tensors, metadata: dict) -> None:
    metadata["prior"]["colour"] = 1


@pytest.mark.parametrize(
    "change", [_drop, _widen, _overflow, _resize, _rename, _disagree, _fraction, _extend]
)
def test_wrong_models_are_refused(model_data: bytes, change: Change) -> None:
    with pytest.raises(ModelCorruptError):
        parse_model(changed(model_data, change), sha256="")


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
