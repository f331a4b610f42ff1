"""Model files of architecture vqvae-pixelcnn-1."""

from __future__ import annotations

from dataclasses import dataclass

from vqcodec.models import file, vqvae
from vqcodec.models.config import AutoencoderConfig, PriorConfig
from vqcodec.networks.autoencoder import Decoder, Encoder
from vqcodec.networks.model_files.codebook import CodebookParts, load, metadata_of, tensors_of
from vqcodec.networks.model_files.tensors import halves, read, write
from vqcodec.networks.pixelcnn import PixelCNN


@dataclass(frozen=True, slots=True, kw_only=True)
class VqVaeParts(CodebookParts):
    """What a model is made of while it trains."""

    config: AutoencoderConfig
    encoder: Encoder
    decoder: Decoder
    prior: PixelCNN
    labels: tuple[str, ...] = ()
    """Names of the classes that the prior, a `LabelledPixelCNN` then, can be told."""


def write_vqvae(parts: VqVaeParts, *, name: str, licence: str, description: str) -> bytes:
    """Write a model file. Raises ModelCorruptError if the prior leaves the exact range."""
    texts = {"name": name, "licence": licence, "description": description}
    metadata = metadata_of(vqvae.ARCHITECTURE, texts, parts)
    if parts.labels:
        metadata["labels"] = list(parts.labels)
    return write(tensors_of(parts, halves), metadata)


def read_vqvae(data: bytes) -> VqVaeParts:
    """Undo `write_vqvae`. Raises: ModelError."""
    vqvae.parse_model(data, sha256="")  # every check there is
    metadata, tensors = file.read_metadata(data), read(data)
    config = file.read_config(AutoencoderConfig, metadata["autoencoder"])
    parts = VqVaeParts(
        config=config,
        encoder=Encoder(config),
        codebook=tensors["codebook"],
        decoder=Decoder(config),
        prior=PixelCNN(file.read_config(PriorConfig, metadata["prior"])),
    )
    load(parts, tensors)
    return parts
