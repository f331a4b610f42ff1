"""Model files of architecture photo-2."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
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

_READ = ("read", "stream")
"""Last parts of the names of units of what a layer reads of the stream."""


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
    tensors |= {f"units.{key}": value for key, value in _own_units(parts.synthesis.units()).items()}
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
    units = _all_units(parts.synthesis.units(), arrays)
    parts.synthesis.load_integers(file.under(tensors, "synthesis."), units)
    return parts


def _own_units(units: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Leave out what `_all_units` finds."""
    own, stream = {}, dict[int, Tensor]()
    for name, unit in units.items():
        part = name.rpartition(".")[2]
        before = stream.get(len(unit))
        if part not in _READ or before is None or not torch.equal(unit, before):
            own[name] = unit
        if part in (*_READ, "written"):
            stream[len(unit)] = unit
    return own


def _all_units(expected: Mapping[str, Tensor], arrays: Mapping[str, NDArray]) -> dict[str, Tensor]:
    """Read `units.*`. What a layer reads of the stream, if it is missing, is as the last layer
    before with as many channels has it. Raises ModelCorruptError.
    """
    units, stream = {}, dict[int, Tensor]()
    for name, like in expected.items():
        key, part = f"units.{name}", name.rpartition(".")[2]
        if part in _READ and key not in arrays and len(like) in stream:
            unit = stream[len(like)]
        else:
            found = file.floats(arrays, key, np.float32, tuple(like.shape))
            if not (found > 0.0).all():
                raise ModelCorruptError(f"tensor {key} is not above 0")
            unit = torch.from_numpy(np.array(found))
        units[name] = unit
        if part in (*_READ, "written"):
            stream[len(like)] = unit
    return units


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
            tensors[f"{prefix}.{key}{file.SCALE}"] = torch.from_numpy(scales)
    return tensors
