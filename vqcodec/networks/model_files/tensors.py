"""torch's tensors to model files, and back."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from vqcodec.models import file


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


def halves(module: nn.Module, prefix: str) -> dict[str, Tensor]:
    """Return a network's weights in float16, their names behind `prefix` and a dot."""
    return {f"{prefix}.{key}": value.half() for key, value in module.state_dict().items()}
