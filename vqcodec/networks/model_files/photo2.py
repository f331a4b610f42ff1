"""Model files of architecture photo-2."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from vqcodec.errors import ModelCorruptError
from vqcodec.models import exact, file, packed, photo2, transform
from vqcodec.models.config import DeepTransformConfig
from vqcodec.models.packed import AnalysisWeights
from vqcodec.models.quality import scale_of
from vqcodec.networks.deep import deep_analysis
from vqcodec.networks.exact import ExactSynthesis
from vqcodec.networks.latent_prior import LatentPrior
from vqcodec.networks.model_files.product import ProductParts, metadata_of, read_fields, tensors_of
from vqcodec.networks.model_files.tensors import array, halves, read, write
from vqcodec.networks.transform import Analysis
from vqcodec.prior.units import FRACTION_VECTOR


@dataclass(frozen=True, slots=True, kw_only=True)
class Photo2Parts(ProductParts):
    """What a model is made of while it trains."""

    config: DeepTransformConfig
    analysis: Analysis
    synthesis: ExactSynthesis
    prior: LatentPrior

    @property
    def quality_scale(self) -> int:
        """How many times the quality the header of the model's files has."""
        return scale_of(photo2.ARCHITECTURE)


def write_photo2(parts: Photo2Parts, *, name: str, licence: str, description: str) -> bytes:
    """Write a model file. Raises ModelCorruptError if integers leave their exact ranges."""
    integers = parts.synthesis.export()
    exact.check(
        exact.synthesis(parts.config.synthesis),
        {key: array(value) for key, value in integers.items()},
    )
    tensors = tensors_of(parts) | _packed(parts.analysis, "analysis")
    tensors |= {f"synthesis.{key}": value for key, value in integers.items()}
    tensors |= {f"units.{key}": value for key, value in parts.synthesis.units().items()}
    units = tensors["gains"].double() * parts.synthesis.unit
    scales = 2.0 ** (exact.SCALE_FRACTION - FRACTION_VECTOR) / units
    tensors["scales"] = scales.round().clamp_max(2.0**31 - 1.0).to(torch.int32)
    texts = {"name": name, "licence": licence, "description": description}
    return write(tensors, metadata_of(photo2.ARCHITECTURE, texts, parts))


def read_photo2(data: bytes) -> Photo2Parts:
    """Undo `write_photo2`. Raises: ModelError."""
    photo2.parse_model(data, sha256="")  # every check that decoding needs
    metadata, arrays = file.read_metadata(data), file.read_tensors(data)
    tensors = read(data)
    config = file.read_config(DeepTransformConfig, metadata["transform"])
    parts = Photo2Parts(
        config=config,
        analysis=deep_analysis(config),
        synthesis=ExactSynthesis(config.synthesis),
        **read_fields(metadata, tensors, config.analysis),
    )
    weights = AnalysisWeights(transform.analysis(config.analysis), arrays)
    parts.analysis.load_state_dict(
        {key: torch.from_numpy(np.array(weights[key])) for key in weights}
    )
    for key, unit in parts.synthesis.units().items():
        found = file.floats(arrays, f"units.{key}", np.float32, tuple(unit.shape))
        if not (found > 0.0).all():
            raise ModelCorruptError(f"tensor units.{key} is not above 0")
    parts.synthesis.load_integers(file.under(tensors, "synthesis."), file.under(tensors, "units."))
    return parts


@torch.no_grad()
def round_analysis(analysis: Analysis) -> None:
    """Give an analysis the weights that it will have in a model file."""
    for key, value in analysis.state_dict().items():
        value.copy_(rounded_weight(key, value))


@torch.no_grad()
def rounded_weight(name: str, weight: Tensor) -> Tensor:
    """Return a weight of an analysis, float32, by its name, as it will be in a model file, on the
    weight's device. The arithmetic is that of `packed.quantise` and `packed.restore`.
    """
    if not packed.is_packed(name):
        return weight.half().float()
    largest = weight.abs().amax((1, 2, 3), keepdim=True) / packed.LEVEL_MAX
    scales = largest.clamp_min(torch.finfo(torch.float32).tiny)
    return (weight / scales).round() * scales


def _packed(analysis: Analysis, prefix: str) -> dict[str, Tensor]:
    """Return the weights of an analysis in float16, those inside its blocks in 6 bits."""
    tensors = halves(analysis, prefix)
    for key, value in analysis.state_dict().items():
        if packed.is_packed(key):
            levels, scales = packed.quantise(array(value.float()))
            tensors[f"{prefix}.{key}"] = torch.from_numpy(packed.pack(levels))
            tensors[f"{prefix}.{key}{packed.SCALE}"] = torch.from_numpy(scales)
    return tensors
