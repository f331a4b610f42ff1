"""Model files to models, each loaded once per process and device."""

from __future__ import annotations

import os
import threading

import torch

from vqcodec.errors import ModelCorruptError
from vqcodec.models.vqvae import VqVae, parse_model
from vqcodec.registry.store import ModelFile, find, read_verified

_loaded: dict[tuple[str, str], VqVae] = {}
_lock = threading.Lock()


def load_model(
    model: str | os.PathLike[str] | ModelFile | None = None, *, device: str = "auto"
) -> VqVae:
    """Load a model: a name, a path that ends in `.safetensors`, or None for the default.

    `device` is 'auto' (CUDA, then Apple's MPS, then the CPU), 'cpu', 'cuda' or 'mps'.

    Raises: ModelError; ValueError for a device that is not there.
    """
    file = model if isinstance(model, ModelFile) else find(model)
    place = pick_device(device)
    key = (file.sha256, str(place))
    with _lock:
        if key not in _loaded:
            _loaded[key] = read_model(file, place)
        return _loaded[key]


def read_model(file: ModelFile, device: torch.device) -> VqVae:
    """Read and check a model file, whether or not it is loaded already.

    Raises: ModelError.
    """
    try:
        return parse_model(read_verified(file), sha256=file.sha256, device=device)
    except ModelCorruptError as error:
        error.args = (f"{file.path}: {error}",)
        raise


def pick_device(device: str) -> torch.device:
    """Resolve a device's name. Raises ValueError if it is not there."""
    present = {
        "cuda": torch.cuda.is_available(),
        "mps": torch.backends.mps.is_available(),
        "cpu": True,
    }
    if device == "auto":
        return torch.device(next(name for name, there in present.items() if there))
    if not present.get(device, False):
        there = ", ".join(name for name, is_there in present.items() if is_there)
        raise ValueError(f"device {device!r} is not available; this machine has: {there}")
    return torch.device(device)
