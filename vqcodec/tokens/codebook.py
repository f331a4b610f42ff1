"""What indices stand for: the codewords of a model."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from vqcodec.errors import ModelError
from vqcodec.models.model import Model
from vqcodec.models.product import ProductModel
from vqcodec.models.vqvae import VqVae

Codebook: TypeAlias = "tuple[NDArray[np.float32], ...]"
"""For each group of indices its codewords, float32 (K, d)."""
Codebooks: TypeAlias = "Mapping[tuple[str, int], Codebook]"
"""Codebooks by the SHA-256 of their model's file and the header's quality."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class NamedCodebook:
    """A codebook, and whose it is."""

    model: str
    """SHA-256 of the model's file, hexadecimal."""
    quality: int
    """As a .vqc file's header has it."""
    codebook: Codebook


def codebook_of(model: Model, quality: int) -> Codebook:
    """Return the codewords of a model at a header's quality.

    `paper` has one group, whose codewords are what its decoder network reads. `photo`'s groups
    each have codewords of some channels of the latents, times the quality's gains; the channels
    differ, so that codewords of two groups cannot be compared. Between whole qualities of `photo-2`
    they are those of the nearest one. Raises ModelError for a model
    that keeps its codewords in another way.
    """
    if isinstance(model, VqVae):
        return (model.codebook,)
    if isinstance(model, ProductModel):
        blocks = model.codebooks_of(quality).blocks
        # (d, G, 1, K) to G codebooks (K, d)
        return tuple(
            book for block in blocks for book in block.coordinates[:, :, 0].transpose(1, 2, 0)
        )
    raise ModelError(f"{model.name} has codewords of a kind that is not known here")
