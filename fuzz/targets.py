"""What is fuzzed: functions of bytes that return, whatever the bytes are.

Each ends in a result that is checked, or in a VqcError, which is caught. Anything else that it
raises is a fault of vqcodec.
"""

from __future__ import annotations

import hashlib
from functools import cache
from pathlib import Path

import numpy as np
import torch

from vqcodec.container import Limits, parse, recover, serialise, spans
from vqcodec.errors import FormatError, VqcError
from vqcodec.image.pipeline import compress, decompress
from vqcodec.image.salvage import salvage as salvaged
from vqcodec.models.model import Model
from vqcodec.registry.load import parse_model

CORPUS = Path(__file__).parent / "corpus"
PIXELS = 1 << 10
"""Larger pictures are refused, so that an execution is short."""
_CPU = torch.device("cpu")
_PICTURE = np.arange(20 * 18 * 3, dtype=np.uint8).reshape(18, 20, 3)


def container(data: bytes) -> None:
    """Parse: there is one way to write what was read, and every byte is accounted for."""
    try:
        parsed = parse(data)
    except FormatError:
        return
    assert serialise(parsed) == data
    assert sum(span.size for span in spans(parsed)) == len(data)


def decode(data: bytes) -> None:
    """Decompress with the model that the file names, or else with the first one."""
    limits = Limits(pixels=PIXELS)
    try:
        header = parse(data, limits).header
        model = _models().get(header.model, next(iter(_models().values())))
        image = decompress(data, model=model, max_pixels=PIXELS)
        assert image.size == (header.width, header.height)
    except VqcError:
        return


def salvage(data: bytes) -> None:
    """Salvage with the model that the file names, or else with the first one: what is lost is
    told, and a file that decompresses loses nothing.
    """
    limits = Limits(pixels=PIXELS)
    try:
        header = recover(data, limits).container.header
        model = _models().get(header.model, next(iter(_models().values())))
        found = salvaged(data, model=model, max_pixels=PIXELS)
        assert found.image.size == (header.width, header.height)
        assert all(0 <= tile.number < header.tile_count for tile in found.lost)
        whole = decompress(data, model=model, max_pixels=PIXELS)
        assert not found.losses
        assert found.image == whole
    except VqcError:
        return


def model(data: bytes) -> None:
    """Load a model, its hash being right; what it then writes, it must be able to read."""
    try:
        loaded = parse_model(data, sha256=hashlib.sha256(data).hexdigest(), device=_CPU)
    except VqcError:
        return
    for prior in (True, False):
        decompress(compress(_PICTURE, model=loaded, prior=prior), model=loaded)


@cache
def _models() -> dict[bytes, Model]:
    """Read the models of the corpus, by the beginning of their hash."""
    found = {}
    for path in sorted((CORPUS / "model").glob("*.safetensors")):
        data = path.read_bytes()
        digest = hashlib.sha256(data)
        found[digest.digest()[:8]] = parse_model(data, sha256=digest.hexdigest(), device=_CPU)
    return found


TARGETS = {"container": container, "decode": decode, "salvage": salvage, "model": model}
