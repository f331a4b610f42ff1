"""What files of models with product codebooks share: all but analysis and synthesis."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, TypedDict

import torch
from torch import Tensor, nn

from vqcodec.models import file
from vqcodec.models.config import (
    DeepTransformConfig,
    LatentPriorConfig,
    ProductConfig,
    TransformConfig,
)
from vqcodec.models.config_sound import SpeechConfig
from vqcodec.networks.latent_prior import GaussianPrior, LatentPrior
from vqcodec.networks.product import Codebooks, export, reals
from vqcodec.networks.transform import Gains


@dataclass(frozen=True, slots=True, kw_only=True)
class ProductParts:
    """What a model with product codebooks is made of while it trains."""

    config: TransformConfig | DeepTransformConfig | SpeechConfig
    product: ProductConfig
    analysis: nn.Module
    synthesis: nn.Module
    gains: Gains
    prior: GaussianPrior
    codebooks: list[Codebooks]
    """Of qualities 1..Q."""

    @property
    def quality_scale(self) -> int:
        """How many times the quality the header of the model's files has."""
        return 1


def tensors_of(parts: ProductParts) -> dict[str, Tensor]:
    """Return the tensors of all but analysis and synthesis by their names in a model file.

    Raises ModelCorruptError if the prior leaves the exact range.
    """
    octaves = parts.gains.octaves
    qualities = torch.arange(1, len(octaves) + 1, device=octaves.device)
    tensors = {"gains": parts.gains(qualities.float())[:, :, 0, 0].float()}
    tensors |= {f"prior.{key}": value for key, value in parts.prior.export().items()}
    for quality, books in enumerate(parts.codebooks, 1):
        exported = export(books, parts.prior.config.slices)
        tensors |= {f"codebooks.{quality}.{key}": value for key, value in exported.items()}
    return tensors


def metadata_of(architecture: str, texts: Mapping[str, str], parts: ProductParts) -> dict[str, Any]:
    """Return a model file's metadata; `texts` are name, licence and description."""
    return {
        "architecture": architecture,
        **texts,
        "transform": dataclasses.asdict(parts.config),
        "latent_prior": dataclasses.asdict(parts.prior.config),
        "product": dataclasses.asdict(parts.product),
    }


class PictureFields(TypedDict):
    """What `read_fields` reads, by the names of `ProductParts`."""

    product: ProductConfig
    gains: Gains
    prior: LatentPrior
    codebooks: list[Codebooks]


def read_fields(
    metadata: Mapping[str, Any], tensors: Mapping[str, Tensor], config: TransformConfig
) -> PictureFields:
    """Undo `tensors_of` for a model of pictures, whose file has been checked."""
    prior_config = file.read_config(LatentPriorConfig, metadata["latent_prior"])
    gains, prior = Gains(config), LatentPrior(prior_config, config)
    prior.load_integers(file.under(tensors, "prior."))
    with torch.no_grad():
        gains.octaves.copy_(torch.log2(tensors["gains"]))
    return PictureFields(
        product=file.read_config(ProductConfig, metadata["product"]),
        gains=gains,
        prior=prior,
        codebooks=[
            reals(file.under(tensors, f"codebooks.{quality}."), prior_config.slices)
            for quality in range(1, config.qualities + 1)
        ],
    )
