"""Model files: safetensors with one JSON text in the metadata.

Networks are stored in float16, those of sound mostly in 8 bits, everything that must be exact in
integers.
"""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Mapping
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray
from safetensors import SafetensorError
from safetensors.numpy import load, save

from vqcodec.engines.engine import Engine, make_engine
from vqcodec.engines.layers import Network, tensor_shapes
from vqcodec.errors import ModelCorruptError
from vqcodec.models import header
from vqcodec.tables import from_table

SCALE = ".scale"
"""Ends the name of a tensor's scales, after its own name."""

_C = TypeVar("_C")
_T = TypeVar("_T")


def write(tensors: Mapping[str, NDArray], metadata: Mapping[str, Any]) -> bytes:
    """Write a model file."""
    contiguous = {key: np.ascontiguousarray(value) for key, value in tensors.items()}
    return save(contiguous, metadata={header.METADATA_KEY: json.dumps(metadata)})


def read_metadata(data: bytes) -> dict[str, Any]:
    """Read the JSON text alone. Raises ModelCorruptError."""
    return header.read_metadata(data, len(data))


def read_tensors(data: bytes) -> dict[str, NDArray]:
    """Read the tensors, which are read-only. Raises ModelCorruptError."""
    try:
        return load(data)
    except (SafetensorError, ValueError, KeyError, TypeError) as error:
        # The last three are of tensors that NumPy has no type or no shape for.
        raise ModelCorruptError(f"not a safetensors file: {error}") from error


def read_config(kind: type[_C], table: object) -> _C:
    """Build a configuration of a metadata table, all its fields given. Raises ModelCorruptError."""
    fields = {field.name for field in dataclasses.fields(kind)}  # type: ignore[arg-type]
    if not isinstance(table, dict) or table.keys() != fields:
        raise ModelCorruptError(f"the model's {kind.__name__} has not the fields {sorted(fields)}")
    try:
        return from_table(kind, table)
    except (ValueError, OverflowError) as error:  # an integer may be no float
        raise ModelCorruptError(f"the model's {kind.__name__}: {error}") from error


def under(tensors: Mapping[str, _T], prefix: str) -> dict[str, _T]:
    """Return the tensors whose names begin with `prefix`, without it."""
    return {k[len(prefix) :]: v for k, v in tensors.items() if k.startswith(prefix)}


def floats(
    tensors: Mapping[str, NDArray],
    name: str,
    dtype: type[np.floating],
    shape: tuple[int, ...],
) -> NDArray:
    """Return a tensor of finite numbers of this type and shape.

    Raises ModelCorruptError if it is missing or something else.
    """
    tensor = tensors.get(name)
    if tensor is None or tensor.shape != shape or tensor.dtype != dtype:
        raise ModelCorruptError(f"tensor {name} is not {np.dtype(dtype).name} {shape}")
    if not np.isfinite(tensor).all():
        raise ModelCorruptError(f"tensor {name} is not finite")
    return tensor


def network_weights(
    network: Network, prefix: str, tensors: Mapping[str, NDArray], *, levels: bool = False
) -> dict[str, NDArray]:
    """Return a network's weights, which are under `prefix` and a dot, by the network's own names:
    float16, or float32 of `restore` where the file has levels and may have them.

    Raises ModelCorruptError if one is missing, has another shape or type, or is not finite.
    """
    return {
        key: restore(tensors, f"{prefix}.{key}", shape)
        if levels and f"{prefix}.{key}{SCALE}" in tensors
        else floats(tensors, f"{prefix}.{key}", np.float16, shape)
        for key, shape in tensor_shapes(network).items()
    }


def restore(tensors: Mapping[str, NDArray], name: str, shape: tuple[int, ...]) -> NDArray:
    """Return weights float32 of this shape, which are int8 levels times a scale for each element
    of the first axis (format/SPEC.md, section 10, "Weights of 8 bits").

    Raises ModelCorruptError as `floats` does.
    """
    levels = tensors.get(name)
    if levels is None or levels.shape != shape or levels.dtype != np.int8:
        raise ModelCorruptError(f"tensor {name} is not int8 {shape}")
    scales = floats(tensors, name + SCALE, np.float32, shape[:1])
    with np.errstate(over="ignore"):
        weights: NDArray = levels * scales.reshape(-1, *[1] * (len(shape) - 1))
    if not np.isfinite(weights).all():
        raise ModelCorruptError(f"tensor {name} is not finite")
    return weights


def read_engine(
    network: Network,
    prefix: str,
    tensors: Mapping[str, NDArray],
    device: str,
    *,
    levels: bool = False,
) -> Engine:
    """Return what runs a network, whose weights are under `prefix` and a dot, on a device; see
    `network_weights`.

    Raises ModelCorruptError as that does.
    """
    weights = network_weights(network, prefix, tensors, levels=levels)
    return make_engine(network, weights, device)
