"""A checkpoint small enough to travel: averaged weights in 16 bits, in files of limited size.

A checkpoint of the training loop holds weights, their moving average and the optimiser's
moments in float32, 340 MB for photo-2. Here only the average travels, 57 MB: float16, and float32
what must keep its digits (`weights.is_delicate`). Training that goes on from it takes it for
weights and average both, and begins with fresh moments.

In a folder that is `checkpoint.json`, which says what the rest must be, and the bytes of a
safetensors file in parts, `checkpoint.0`, `checkpoint.1` and so on.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path

from safetensors import SafetensorError
from safetensors.torch import load, save, save_file
from torch import Tensor

from vqcodec.errors import ModelCorruptError
from vqcodec.tables import from_table
from vqcodec.training.weights import is_delicate

PART = 15 << 20
"""Bytes of a part: machines for rent are given, and give back, small files only."""
_MANIFEST = "checkpoint.json"
_CODEBOOKS, _NETWORKS = "codebooks.", "networks."
"""What names begin with in checkpoints of the stages with codebooks, which hold both."""


@dataclass(frozen=True, slots=True)
class Manifest:
    """What a folder's checkpoint is."""

    stage: str
    """The stage of the recipe that it is of."""
    start: int
    """Step at which training took it over; a log's rows up to here stay as they are."""
    step: int
    """Steps of the recipe that are done."""
    parts: int
    """Number of files."""
    sha256: str
    """Of the parts, joined."""


def save_slim(
    weights: Mapping[str, Tensor],
    folder: Path,
    *,
    stage: str,
    start: int,
    step: int,
    part: int = PART,
) -> Manifest:
    """Write weights, named as by `read_average`, into a folder, over those that are there.

    The manifest comes last: a folder whose writing was cut off is known as broken.
    """
    data = save({name: _narrowed(name, value) for name, value in weights.items()})
    pieces = [data[begin : begin + part] for begin in range(0, len(data), part)]
    manifest = Manifest(stage, start, step, len(pieces), hashlib.sha256(data).hexdigest())
    folder.mkdir(parents=True, exist_ok=True)
    for number, piece in enumerate(pieces):
        (folder / f"checkpoint.{number}").write_bytes(piece)
    (folder / _MANIFEST).write_text(json.dumps(asdict(manifest)), encoding="utf-8")
    return manifest


def slim_files(folder: Path) -> list[Path]:
    """List the files that `save_slim` wrote. Raises ModelCorruptError if there are none."""
    return [folder / _MANIFEST, *_parts(folder, _manifest(folder))]


def load_slim(folder: Path) -> tuple[Manifest, dict[str, Tensor]]:
    """Read the weights, real ones float32. Raises ModelCorruptError if they are not whole."""
    manifest = _manifest(folder)
    try:
        data = b"".join(path.read_bytes() for path in _parts(folder, manifest))
        if hashlib.sha256(data).hexdigest() != manifest.sha256:
            raise ModelCorruptError(f"{folder}: parts of different checkpoints, or not all of one")
        return manifest, {name: _widened(value) for name, value in load(data).items()}
    except (OSError, SafetensorError) as error:
        raise ModelCorruptError(f"{folder}: no checkpoint: {error}") from error


def save_full(weights: Mapping[str, Tensor], step: int, target: Path) -> None:
    """Write a checkpoint of the training loop whose weights and average are these, without
    moments. The file appears whole or not at all.
    """
    coded = any(name.startswith(_CODEBOOKS) for name in weights)
    tensors = {
        f"{part}.{_NETWORKS if coded and not name.startswith(_CODEBOOKS) else ''}{name}": value
        for part in ("module", "average")
        for name, value in ((name, value.contiguous().clone()) for name, value in weights.items())
    }
    partial = target.with_suffix(".partial")
    save_file(tensors, partial, metadata={"step": str(step)})
    os.replace(partial, target)


def _narrowed(name: str, value: Tensor) -> Tensor:
    """Return a tensor as it travels. Layers far inside float16's range lose a part in 4000."""
    own = value.detach().cpu()
    return (own if is_delicate(name, own) else own.half()).contiguous()


def _widened(value: Tensor) -> Tensor:
    return value.float() if value.is_floating_point() else value


def _manifest(folder: Path) -> Manifest:
    path = folder / _MANIFEST
    try:
        table = json.loads(path.read_text(encoding="utf-8"))
        if not isinstance(table, dict):
            raise ValueError("expected a table")
        return from_table(Manifest, table)
    except (OSError, ValueError) as error:
        raise ModelCorruptError(f"{path}: no checkpoint: {error}") from error


def _parts(folder: Path, manifest: Manifest) -> Iterator[Path]:
    return (folder / f"checkpoint.{number}" for number in range(manifest.parts))
