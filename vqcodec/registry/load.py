"""Model files to models, each loaded once per process and device."""

from __future__ import annotations

import hashlib
import os
import threading
from collections.abc import Callable

import numpy as np
import torch

from vqcodec.errors import ModelCorruptError
from vqcodec.models import file as model_file
from vqcodec.models import photo, vqvae
from vqcodec.models.model import Model
from vqcodec.prior.layer import Float
from vqcodec.registry.store import ModelFile, find, read_verified

_PARSERS: dict[str, Callable[..., Model]] = {
    vqvae.ARCHITECTURE: vqvae.parse_model,
    photo.ARCHITECTURE: photo.parse_model,
}
_loaded: dict[tuple[str, str], Model] = {}
_lock = threading.Lock()
if hasattr(os, "register_at_fork"):
    # A process that is forked while another thread loads a model would wait for it for ever.
    os.register_at_fork(
        before=_lock.acquire, after_in_parent=_lock.release, after_in_child=_lock.release
    )


def load_model(
    model: str | os.PathLike[str] | ModelFile | None = None, *, device: str = "auto"
) -> Model:
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


def read_model(file: ModelFile, device: torch.device) -> Model:
    """Read and check a model file, whether or not it is loaded already.

    Raises: ModelError.
    """
    try:
        return parse_model(read_verified(file), sha256=file.sha256, device=device)
    except ModelCorruptError as error:
        error.args = (f"{file.path}: {error}",)
        raise


def check_model(data: bytes) -> None:
    """Check a model file's bytes. Raises: ModelCorruptError."""
    sha256 = hashlib.sha256(data).hexdigest()
    parse_model(data, sha256=sha256, device=torch.device("cpu"))


def parse_model(
    data: bytes, *, sha256: str, device: torch.device, dtype: Float = np.float32
) -> Model:
    """Read a model file of any known architecture, its hash checked. `dtype` is that of the
    prior's arithmetic.

    Raises: ModelCorruptError.
    """
    architecture = model_file.read_metadata(data).get("architecture", "")
    parse = _PARSERS.get(architecture)
    if parse is None:
        raise ModelCorruptError(
            f"the model's architecture is {architecture!r}, "
            f"this program knows {', '.join(_PARSERS)}",
            hint="a newer vqcodec may know it: pip install --upgrade vqcodec",
        )
    return parse(data, sha256=sha256, device=device, dtype=dtype)


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
