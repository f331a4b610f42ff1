"""Which engine runs a network on which device."""

from __future__ import annotations

from collections.abc import Mapping
from importlib.util import find_spec
from types import ModuleType
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from vqcodec import processors
from vqcodec.engines.layers import Box, Network
from vqcodec.errors import ModelError

TORCH_HINT = "pip install 'vqcodec[torch]'"


class Engine(Protocol):
    """A network that runs; several threads may use it at once, and processes forked later."""

    def run(self, values: NDArray[np.float32], *, inner: Box | None = None) -> NDArray[np.float32]:
        """Map (channels, rows, columns) to what the network makes of it, (channels, r, c).

        With `inner`, some of the rows and columns of `values`, only to what belongs to these; the
        rest are their surroundings.
        """
        ...


def make_engine(network: Network, weights: Mapping[str, NDArray], device: str) -> Engine:
    """Make what runs a network on 'cpu', 'cuda' or 'mps'.

    `weights` are the tensors of `layers.tensor_shapes`: those of integer layers of the types that
    `layers` gives, all others of any floating-point type.

    Raises ModelError where neither ONNX Runtime nor torch is installed.
    """
    if device == "cpu" and find_spec("onnxruntime"):
        from vqcodec.engines.ort import OrtEngine

        return OrtEngine(network, weights)
    if not find_spec("torch"):
        raise ModelError(
            "neither onnxruntime nor torch is installed to run networks",
            hint=f"pip install onnxruntime, or {TORCH_HINT} where that has no wheel",
        )
    processors.load_torch()
    from vqcodec.engines.torch_engine import TorchEngine

    return TorchEngine(network, weights, device)


def pick_device(device: str) -> str:
    """Resolve the name of a device: 'cpu', 'cuda', 'mps', or 'auto' for the best there is.

    All but the first are torch's; 'auto' without torch is 'cpu'. Raises ValueError for one that
    is not there.
    """
    if device == "cpu":
        return device
    if not find_spec("torch"):
        if device == "auto":
            return "cpu"
        raise ValueError(f"device {device!r} needs torch: {TORCH_HINT}")
    torch = _torch()
    there = {
        "cuda": torch.cuda.is_available(),
        "mps": torch.backends.mps.is_available(),
        "cpu": True,
    }
    present = [name for name, is_there in there.items() if is_there]
    if device == "auto":
        return present[0]
    if device not in present:
        raise ValueError(
            f"device {device!r} is not available; this machine has: {', '.join(present)}"
        )
    return device


def _torch() -> ModuleType:
    processors.load_torch()
    import torch

    return torch
