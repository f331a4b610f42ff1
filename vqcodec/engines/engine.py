"""Which engine runs a network on which device.

On CPUs that is ONNX Runtime where it is installed, else torch. The environment variable
VQCODEC_ENGINE forces one of them: "onnxruntime" or "torch".
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from importlib.util import find_spec
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from vqcodec import processors
from vqcodec.engines.devices import TORCH_HINT
from vqcodec.engines.layers import Network
from vqcodec.errors import ModelError
from vqcodec.grid import Box

VARIABLE = "VQCODEC_ENGINE"


class Engine(Protocol):
    """A network that runs; several threads may use it at once, and processes forked later."""

    @property
    def is_concurrent(self) -> bool:
        """Whether it takes less time for several inputs at once, each with a part of the threads,
        than for one after the other.
        """
        ...

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

    Raises ModelError where no engine is installed; ValueError for a wrong VQCODEC_ENGINE.
    """
    forced = os.environ.get(VARIABLE, "")
    if forced not in ("", "onnxruntime", "torch"):
        raise ValueError(f"{VARIABLE} is {forced!r}, not 'onnxruntime' or 'torch'")
    if forced != "torch" and device == "cpu" and find_spec("onnxruntime"):
        from vqcodec.engines.ort import OrtEngine

        return OrtEngine(network, weights)
    if not find_spec("torch"):
        raise ModelError(
            "neither onnxruntime nor torch is installed to run networks",
            hint=f"pip install onnxruntime, or where it has no wheel: {TORCH_HINT}",
        )
    processors.load_torch()
    from vqcodec.engines.torch_engine import TorchEngine

    return TorchEngine(network, weights, device)
