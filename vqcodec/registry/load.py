"""Model files to models, each loaded once per process and device."""

from __future__ import annotations

import copyreg
import hashlib
import os
import threading
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from importlib import import_module

import numpy as np

from vqcodec.engines.devices import pick_device
from vqcodec.errors import ModelCorruptError, ModelNotFoundError
from vqcodec.models import file as model_file
from vqcodec.models.model import Model
from vqcodec.prior.layer import Float
from vqcodec.registry.architectures import ARCHITECTURES
from vqcodec.registry.store import ModelFile, find, read_verified

_loaded: dict[tuple[str, str], Model] = {}
_files: dict[str, ModelFile] = {}
"""Where each loaded model was read, by its SHA-256."""
_lock = threading.Lock()
if hasattr(os, "register_at_fork"):
    # A process that is forked while another thread loads a model would wait for it for ever.
    os.register_at_fork(
        before=_lock.acquire, after_in_parent=_lock.release, after_in_child=_lock.release
    )


def load_model(
    model: str | os.PathLike[str] | ModelFile | None = None, *, device: str = "cpu"
) -> Model:
    """Load a model: a name, a path that ends in `.safetensors`, or None for the
    default one of pictures.

    `device` is 'cpu', or with torch installed 'cuda', 'mps', or 'auto' for the best that is
    there. A model can be sent to another process of this machine: what is sent is where its file
    is, which is loaded there.

    Raises: ModelError; ValueError for a device that is not there.
    """
    file = model if isinstance(model, ModelFile) else find(model)
    place = pick_device(device)
    key = (file.sha256, place)
    with _lock:
        if key not in _loaded:
            loaded = read_model(file, place)
            copyreg.dispatch_table[type(loaded)] = _reduced
            _loaded[key], _files[file.sha256] = loaded, file
        return _loaded[key]


def file_of(model: Model) -> ModelFile:
    """Return the file that a model was loaded from.

    Raises ModelNotFoundError for one that `load_model` did not load.
    """
    file = _files.get(model.sha256)
    if file is None:
        raise ModelNotFoundError(
            f"no file is known of the model {model.name} ({model.sha256[:16]}…)"
        )
    return file


def _reduced(model: Model) -> tuple[Callable[[], Model], tuple[()]]:
    """Return what makes a model in another process: networks of C or ONNX Runtime are no data.

    Raises ModelNotFoundError for one that `load_model` did not load.
    """
    file = file_of(model)
    there = replace(file, path=file.path.absolute())
    place = next((place for (_, place), known in list(_loaded.items()) if known is model), "cpu")
    return partial(load_model, there, device=place), ()


def read_model(file: ModelFile, device: str) -> Model:
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
    parse_model(data, sha256=sha256)


def parse_model(
    data: bytes, *, sha256: str, device: str = "cpu", dtype: Float = np.float32
) -> Model:
    """Read a model file of any known architecture, its hash checked.

    Networks will run on `device`, 'cpu', 'cuda' or 'mps'; `dtype` is that of the prior's
    arithmetic.

    Raises: ModelError.
    """
    architecture = model_file.read_metadata(data).get("architecture", "")
    known = ARCHITECTURES.get(architecture)
    if known is None:
        raise ModelCorruptError(
            f"the model's architecture is {architecture!r}, "
            f"this program knows {', '.join(ARCHITECTURES)}",
            hint="a newer vqcodec may know it",
        )
    model: Model = import_module(known.reader).parse_model(
        data, sha256=sha256, device=device, dtype=dtype
    )
    return model
