"""The file that keeps the indices of all training pictures, or recordings, of a run.

It says where its indices come from, so that those of other pictures or of another autoencoder
are not taken for them.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray
from safetensors import safe_open
from safetensors.numpy import load_file, save
from torch import nn

from vqcodec.storage import write_whole
from vqcodec.training.distributed import rank, wait

Indices: TypeAlias = "NDArray[np.uint16]"
"""Of one picture, (N, M), or of one recording, (N,)."""


def cached_indices(
    cache: Path, origin: str, make: Callable[[], dict[str, Indices]], what: str
) -> tuple[dict[str, Indices], bool]:
    """Return the indices, by names, that the file `cache` keeps, or else those that `make` makes,
    which it then keeps.

    Also returns whether they were there. Process 0 alone makes them, and the others take its
    file. `origin` is what `origin_of` returns in this process, and `what` names in an error what
    is indexed.

    Raises: ValueError in a process whose origin is not that of process 0.
    """
    stored = _stored(cache, origin)
    wait()  # until all have looked for what only then may change
    if stored is not None:
        return stored, True
    if rank() == 0:
        stored = make()
        write_whole(cache, save(stored, metadata={"origin": origin}), overwrite=True)
    wait()
    if stored is None:
        stored = _stored(cache, origin)
    if stored is None:
        raise ValueError(
            f"{cache}: process {rank()} finds no indices by process 0 of its own {what}: on every "
            f"machine processes need the same {what}, and one folder for the run"
        )
    return stored, False


def origin_of(paths: Iterable[Path], networks: Iterable[nn.Module], how: str = "") -> str:
    """Return a digest of what is indexed, by its files' names, of the encoder and the codebook
    that index it, and of how they do.
    """
    digest = hashlib.sha256(how.encode())
    for path in paths:
        digest.update(path.name.encode())
    for network in networks:
        for value in network.state_dict().values():
            digest.update(value.detach().cpu().contiguous().numpy().tobytes())
    return digest.hexdigest()


def _stored(cache: Path, origin: str) -> dict[str, Indices] | None:
    """Read the indices, if the file is there and of that origin."""
    if not cache.exists():
        return None
    with safe_open(cache, framework="numpy") as file:
        if file.metadata() != {"origin": origin}:
            return None
    return load_file(cache)
