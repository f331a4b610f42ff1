"""Weights out of model files, without torch."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray
from safetensors import SafetensorError
from safetensors.numpy import load

from vqcodec.engines.layers import Network, tensor_shapes
from vqcodec.errors import ModelCorruptError


def read_tensors(data: bytes) -> dict[str, NDArray]:
    """Return all tensors of a model file, read-only. Raises ModelCorruptError."""
    try:
        return load(data)
    except (SafetensorError, ValueError, KeyError, TypeError) as error:
        # The last three are of tensors that NumPy has no type or no shape for.
        raise ModelCorruptError(f"not a safetensors file: {error}") from error


def network_tensors(
    network: Network, prefix: str, tensors: Mapping[str, NDArray]
) -> dict[str, NDArray[np.float16]]:
    """Return a network's weights, which are under `prefix` and a dot, by the network's own names.

    Raises ModelCorruptError if one is missing, has another shape, is not float16 or not finite.
    """
    weights = {}
    for key, shape in tensor_shapes(network).items():
        name = f"{prefix}.{key}"
        tensor = tensors.get(name)
        if tensor is None or tensor.shape != shape or tensor.dtype != np.float16:
            raise ModelCorruptError(f"tensor {name} is not float16 {shape}")
        if not np.isfinite(tensor).all():
            raise ModelCorruptError(f"tensor {name} is not finite")
        weights[key] = tensor
    return weights
