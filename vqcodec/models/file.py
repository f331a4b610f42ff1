"""Model files: safetensors with one JSON text in the metadata.

Networks are stored in float16, everything that must be exact in integers.
"""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Mapping
from typing import Any, TypeVar

import torch
from numpy.typing import NDArray
from safetensors import SafetensorError
from safetensors.torch import load, save
from torch import Tensor, nn

from vqcodec.errors import ModelCorruptError
from vqcodec.models import header

_C = TypeVar("_C")
_INTEGERS = (torch.int8, torch.uint8, torch.int16, torch.int32)


def write(tensors: Mapping[str, Tensor], metadata: Mapping[str, Any]) -> bytes:
    """Write a model file."""
    contiguous = {key: value.detach().cpu().contiguous() for key, value in tensors.items()}
    return save(contiguous, metadata={header.METADATA_KEY: json.dumps(metadata)})


def read_metadata(data: bytes) -> dict[str, Any]:
    """Read the JSON text alone. Raises ModelCorruptError."""
    return header.read_metadata(data, len(data))


def read_tensors(data: bytes) -> dict[str, Tensor]:
    """Read the tensors. Raises ModelCorruptError."""
    try:
        return load(data)
    except (SafetensorError, ValueError, KeyError, TypeError, RuntimeError) as error:
        # The last three are of tensors that torch has no type or no shape for.
        raise ModelCorruptError(f"not a safetensors file: {error}") from error


def read_config(kind: type[_C], table: object) -> _C:
    """Build a configuration of a metadata table, all its fields given. Raises ModelCorruptError."""
    fields = {field.name: field.type for field in dataclasses.fields(kind)}  # type: ignore[arg-type]
    if not isinstance(table, dict) or set(table) != set(fields):
        raise ModelCorruptError(f"the model's {kind.__name__} has not the fields {sorted(fields)}")
    values = {}
    for name, value in table.items():
        right = (int, float) if fields[name] == "float" else (int,)
        parts = value if isinstance(value, list) else [value]
        if not all(type(part) in right for part in parts):
            raise ModelCorruptError(f"the model's {kind.__name__} has a field that is no number")
        values[name] = tuple(value) if isinstance(value, list) else value
    try:
        return kind(**values)
    except (ValueError, TypeError) as error:
        raise ModelCorruptError(str(error)) from error


def under(tensors: Mapping[str, Tensor], prefix: str) -> dict[str, Tensor]:
    """Return the tensors whose names begin with `prefix`, without it."""
    return {k[len(prefix) :]: v for k, v in tensors.items() if k.startswith(prefix)}


def integers(tensors: Mapping[str, Tensor], prefix: str) -> dict[str, NDArray[Any]]:
    """Return those of the tensors that `under` returns whose type is one that priors have."""
    found = under(tensors, prefix).items()
    return {name: tensor.numpy() for name, tensor in found if tensor.dtype in _INTEGERS}


def halves(module: nn.Module, prefix: str) -> dict[str, Tensor]:
    """Return a network's weights in float16."""
    return {f"{prefix}.{key}": value.detach().half() for key, value in module.state_dict().items()}


def fill(
    module: nn.Module, prefix: str, tensors: Mapping[str, Tensor], device: torch.device
) -> None:
    """Put float16 tensors into a module on the meta device, as float32, ready to run.

    Raises ModelCorruptError.
    """
    state = {}
    for key, meta in module.state_dict().items():
        tensor = tensors.get(f"{prefix}.{key}")
        if tensor is None or tensor.shape != meta.shape or tensor.dtype != torch.float16:
            raise ModelCorruptError(f"tensor {prefix}.{key} is not float16 {tuple(meta.shape)}")
        if not bool(tensor.isfinite().all()):
            raise ModelCorruptError(f"tensor {prefix}.{key} is not finite")
        value = tensor.to(device=device, dtype=torch.float32)
        four = value.dim() == 4
        state[key] = value.contiguous(memory_format=torch.channels_last) if four else value
    module.load_state_dict(state, assign=True)
    module.requires_grad_(False).eval()
