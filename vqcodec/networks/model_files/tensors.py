"""torch's tensors to model files, and back."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from vqcodec.models import file

_LEVEL_MAX = 127


def write(tensors: Mapping[str, Tensor], metadata: Mapping[str, Any]) -> bytes:
    """Write a model file."""
    return file.write({key: array(value) for key, value in tensors.items()}, metadata)


def read(data: bytes) -> dict[str, Tensor]:
    """Read a model file's tensors, as copies that may be changed. Raises ModelCorruptError."""
    return {
        key: torch.from_numpy(np.array(value)) for key, value in file.read_tensors(data).items()
    }


def array(tensor: Tensor) -> NDArray:
    """Return a tensor as NumPy's, on the CPU and without its gradient."""
    values: NDArray = tensor.detach().cpu().numpy()
    return values


def levels(module: nn.Module, prefix: str) -> dict[str, Tensor]:
    """Return a network's weights, their names behind `prefix` and a dot: those of more than one
    axis as levels -127..127 and a scale for each element of the first axis, others in float16.
    """
    tensors: dict[str, Tensor] = {}
    for key, value in module.state_dict().items():
        name = f"{prefix}.{key}"
        if value.dim() < 2:
            tensors[name] = value.half()
            continue
        largest = value.float().flatten(1).abs().amax(1) / _LEVEL_MAX
        scales = largest.clamp_min(torch.finfo(torch.float32).tiny)
        rounded = (value / scales.view(-1, *[1] * (value.dim() - 1))).round()
        tensors |= {name: rounded.to(torch.int8), name + file.SCALE: scales}
    return tensors


def weights_under(tensors: Mapping[str, Tensor], prefix: str) -> dict[str, Tensor]:
    """Undo `levels` and `halves`: weights by the network's own names, out of a file that has been
    checked.
    """
    arrays = {key: array(value) for key, value in tensors.items()}
    return {
        key: torch.from_numpy(file.restore(arrays, f"{prefix}.{key}", tuple(value.shape)))
        if f"{prefix}.{key}{file.SCALE}" in tensors
        else value
        for key, value in file.under(tensors, f"{prefix}.").items()
        if not key.endswith(file.SCALE)
    }


def halves(module: nn.Module, prefix: str) -> dict[str, Tensor]:
    """Return a network's weights in float16, their names behind `prefix` and a dot."""
    return {f"{prefix}.{key}": value.half() for key, value in module.state_dict().items()}
