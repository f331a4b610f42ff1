"""Model files of architecture vqvae-clip-1."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass

from torch import Tensor

from vqcodec.models import clip
from vqcodec.models.config import AutoencoderConfig, PriorConfig
from vqcodec.models.config_clip import ClipConfig, TemporalConfig
from vqcodec.networks.autoencoder import Decoder, Encoder
from vqcodec.networks.clip_prior import ClipPrior
from vqcodec.networks.model_files.tensors import halves, write


@dataclass(frozen=True, slots=True, kw_only=True)
class ClipParts:
    """What a model is made of while it trains."""

    autoencoder: AutoencoderConfig
    encoder: Encoder
    codebook: Tensor
    """(K, D) codewords."""
    decoder: Decoder
    prior: PriorConfig
    temporal: TemporalConfig
    clip: ClipConfig
    network: ClipPrior
    """Of `prior` and `temporal`."""


def write_clip(parts: ClipParts, *, name: str, licence: str, description: str) -> bytes:
    """Write a model file. Raises ModelCorruptError if the prior leaves the exact range."""
    tensors = {"codebook": parts.codebook.float()}
    tensors |= halves(parts.encoder, "encoder") | halves(parts.decoder, "decoder")
    for prefix, integers in (
        ("prior", parts.network.prior.export()),
        ("temporal", parts.network.temporal.export()),
    ):
        tensors |= {f"{prefix}.{key}": value for key, value in integers.items()}
    metadata = {
        "architecture": clip.ARCHITECTURE,
        "name": name,
        "licence": licence,
        "description": description,
        "autoencoder": dataclasses.asdict(parts.autoencoder),
        "prior": dataclasses.asdict(parts.prior),
        "temporal": dataclasses.asdict(parts.temporal),
        "clip": dataclasses.asdict(parts.clip),
    }
    return write(tensors, metadata)
