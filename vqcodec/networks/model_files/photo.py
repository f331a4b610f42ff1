"""Model files of architecture photo-1."""

from __future__ import annotations

from dataclasses import dataclass

from vqcodec.models import file, photo
from vqcodec.models.config import TransformConfig
from vqcodec.networks.latent_prior import LatentPrior
from vqcodec.networks.model_files.product import ProductParts, metadata_of, read_fields, tensors_of
from vqcodec.networks.model_files.tensors import halves, read, write
from vqcodec.networks.transform import Analysis, Synthesis


@dataclass(frozen=True, slots=True, kw_only=True)
class PhotoParts(ProductParts):
    """What a model is made of while it trains."""

    config: TransformConfig
    analysis: Analysis
    synthesis: Synthesis
    prior: LatentPrior


def write_photo(parts: PhotoParts, *, name: str, licence: str, description: str) -> bytes:
    """Write a model file. Raises ModelCorruptError if the prior leaves the exact range."""
    tensors = tensors_of(parts)
    tensors |= halves(parts.analysis, "analysis") | halves(parts.synthesis, "synthesis")
    texts = {"name": name, "licence": licence, "description": description}
    return write(tensors, metadata_of(photo.ARCHITECTURE, texts, parts))


def read_photo(data: bytes) -> PhotoParts:
    """Undo `write_photo`. Raises: ModelError."""
    photo.parse_model(data, sha256="")  # every check there is
    metadata, tensors = file.read_metadata(data), read(data)
    config = file.read_config(TransformConfig, metadata["transform"])
    parts = PhotoParts(
        config=config,
        analysis=Analysis(config),
        synthesis=Synthesis(config),
        **read_fields(metadata, tensors, config),
    )
    parts.analysis.load_state_dict(file.under(tensors, "analysis."))
    parts.synthesis.load_state_dict(file.under(tensors, "synthesis."))
    return parts
