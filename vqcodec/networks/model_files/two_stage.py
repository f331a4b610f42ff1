"""Model files of architecture vqvae-two-stage-1."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass

from torch import Tensor

from vqcodec.models import two_stage
from vqcodec.models.config import AutoencoderConfig, PriorConfig
from vqcodec.models.config_two_stage import SecondStageConfig
from vqcodec.networks.autoencoder import Decoder, Encoder
from vqcodec.networks.model_files.tensors import halves, write
from vqcodec.networks.second_stage import SecondDecoder, SecondEncoder


@dataclass(frozen=True, slots=True, kw_only=True)
class TwoStageParts:
    """What a model is made of while it trains."""

    first: AutoencoderConfig
    encoder: Encoder
    codebook: Tensor
    """(K, D): codewords of the first stage."""
    decoder: Decoder
    second: SecondStageConfig
    second_encoder: SecondEncoder
    codebooks: Tensor
    """(G, K, D): codewords of each latent."""
    prior: PriorConfig
    second_decoder: SecondDecoder


def write_two_stage(parts: TwoStageParts, *, name: str, licence: str, description: str) -> bytes:
    """Write a model file. Raises ModelCorruptError if the prior leaves the exact range."""
    decoder = parts.second_decoder
    tensors = {"codebook": parts.codebook.float(), "second.codebooks": parts.codebooks.float()}
    tensors |= halves(parts.encoder, "encoder") | halves(parts.decoder, "decoder")
    tensors |= halves(parts.second_encoder, "second.encoder")
    for prefix, integers in (
        ("prior", decoder.prior.export()),
        ("condition", decoder.condition.export(parts.codebooks)),
    ):
        tensors |= {f"{prefix}.{key}": value for key, value in integers.items()}
    metadata = {
        "architecture": two_stage.ARCHITECTURE,
        "name": name,
        "licence": licence,
        "description": description,
        "autoencoder": dataclasses.asdict(parts.first),
        "second": dataclasses.asdict(parts.second),
        "prior": dataclasses.asdict(parts.prior),
    }
    return write(tensors, metadata)
