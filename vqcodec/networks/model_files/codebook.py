"""What files of models with one codebook share: all but the speakers of sound."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from torch import Tensor, nn

from vqcodec.models import file
from vqcodec.models.config import AutoencoderConfig
from vqcodec.models.config_sound import SoundAutoencoderConfig
from vqcodec.networks.model_files.tensors import weights_under
from vqcodec.networks.pixelcnn import IndexPrior


@dataclass(frozen=True, slots=True, kw_only=True)
class CodebookParts:
    """What a model with one codebook is made of while it trains."""

    config: AutoencoderConfig | SoundAutoencoderConfig
    encoder: nn.Module
    codebook: Tensor
    """(K, D) codewords."""
    decoder: nn.Module
    prior: IndexPrior


def tensors_of(
    parts: CodebookParts, weights: Callable[[nn.Module, str], dict[str, Tensor]]
) -> dict[str, Tensor]:
    """Return the parts' tensors by their names in a model file; `weights` are `halves` or
    `levels`.

    Raises ModelCorruptError if the prior leaves the exact range.
    """
    tensors: dict[str, Tensor] = {"codebook": parts.codebook.float()}
    tensors |= weights(parts.encoder, "encoder") | weights(parts.decoder, "decoder")
    return tensors | {f"prior.{key}": value for key, value in parts.prior.export().items()}


def metadata_of(
    architecture: str, texts: Mapping[str, str], parts: CodebookParts
) -> dict[str, Any]:
    """Return a model file's metadata; `texts` are name, licence and description."""
    return {
        "architecture": architecture,
        **texts,
        "autoencoder": dataclasses.asdict(parts.config),
        "prior": dataclasses.asdict(parts.prior.config),
    }


def load(parts: CodebookParts, tensors: Mapping[str, Tensor]) -> None:
    """Undo `tensors_of`: give the networks their weights in a model file that was checked."""
    parts.encoder.load_state_dict(weights_under(tensors, "encoder"))
    parts.decoder.load_state_dict(weights_under(tensors, "decoder"))
    parts.prior.load_integers(file.under(tensors, "prior."))
