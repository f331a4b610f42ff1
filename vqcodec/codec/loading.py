"""From what a caller gives as a model to the model that serves a file."""

from __future__ import annotations

import os
from typing import TypeAlias

from vqcodec.codec.coding import Indices, decode_whole_grid
from vqcodec.container import Container, Header, Medium, Mode
from vqcodec.errors import CorruptError, ModelError
from vqcodec.models.model import Model, header_qualities, takes
from vqcodec.registry.load import load_model
from vqcodec.registry.store import default_model, find_by_prefix

ModelLike: TypeAlias = "Model | str | os.PathLike[str] | None"
"""What `load_model` returned, a name, a path ending in `.safetensors`, or None for the default."""


def model_for(medium: Medium, model: ModelLike, device: str) -> Model:
    """Return the model that codes a medium.

    Raises: ModelError, also for a model of another medium; ValueError for a device that is not
    there.
    """
    if model is None:
        model = load_model(default_model(medium), device=device)
    elif isinstance(model, (str, os.PathLike)):
        model = load_model(model, device=device)
    if model.medium is not medium:
        raise ModelError(
            f"{model.name} is a model of {model.medium.plural}, not of {medium.plural}"
        )
    return model


def model_of(header: Header, model: ModelLike, device: str) -> Model | None:
    """Return the model that made a file: the one given, or where it is None the one
    found by its hash. A literal file has none, whatever is given.

    Raises: ModelError, also if the model given is another one; CorruptError if no encoder
    with that model writes such a header.
    """
    if header.mode is Mode.LITERAL:
        return None
    if model is None:
        model = load_model(find_by_prefix(header.model), device=device)
    elif isinstance(model, (str, os.PathLike)):
        model = load_model(model, device=device)
    if not bytes.fromhex(model.sha256).startswith(header.model):
        raise ModelError(
            f"the file was made with model {header.model.hex()}…, "
            f"not with {model.name} ({model.sha256[:16]}…)"
        )
    loaded = model_for(header.medium, model, device)
    known = header_qualities(loaded)
    if header.quality not in known:
        raise CorruptError(f"quality is {header.quality}, the model has {known[0]} to {known[-1]}")
    if 1 << header.stride_log2 != loaded.stride:
        raise CorruptError(f"stride_log2 is {header.stride_log2}, the model's stride differs")
    if not takes(loaded, header.shape):
        raise CorruptError(f"shape is {header.shape}, the model's are at most {loaded.largest}")
    return loaded


def indices_of(container: Container, model: ModelLike, device: str) -> Indices:
    """Return the indices of a file that has been parsed; G is 0 without a model.

    Raises: as `model_of`, CorruptError.
    """
    loaded = model_of(container.header, model, device)
    return decode_whole_grid(container.header, container.tiles, loaded)
