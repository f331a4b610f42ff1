"""Model files with something changed in them."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

from numpy.typing import NDArray
from safetensors.numpy import load, save

Tensors = dict[str, NDArray[Any]]
Change = Callable[[Tensors, dict[str, Any]], None]
"""Changes tensors and metadata where they are."""


def changed(data: bytes, change: Change) -> bytes:
    tensors = {name: values.copy() for name, values in load(data).items()}
    size = int.from_bytes(data[:8], "little")
    metadata = json.loads(json.loads(data[8 : 8 + size])["__metadata__"]["vqcodec"])
    change(tensors, metadata)
    return save(tensors, metadata={"vqcodec": json.dumps(metadata)})
