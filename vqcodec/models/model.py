"""What the codec asks of a model, whatever its networks are.

A grid has N x M positions, each with G indices. They are coded position by position
along the wavefront, and within a position in parts, each of some of its indices.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from vqcodec.prior.chooser import Chooser
from vqcodec.prior.context import Prior

Box = tuple[slice, slice]
"""Rows and columns of positions."""


class Model(Protocol):
    """Networks, codebooks and prior under a name."""

    @property
    def name(self) -> str:
        """Its name."""
        ...

    @property
    def sha256(self) -> str:
        """Full SHA-256 of the model file, hexadecimal."""
        ...

    @property
    def device(self) -> torch.device:
        """Where the networks are."""
        ...

    @property
    def qualities(self) -> int:
        """Qualities are 1..this; 0 if the model has none, its only quality then being 0."""
        ...

    @property
    def codebook_size(self) -> int:
        """Indices are below this."""
        ...

    @property
    def stride(self) -> int:
        """Pixels per position along each axis, a power of two."""
        ...

    @property
    def encoder_halo(self) -> int:
        """Positions around a window whose pixels can change what is measured in it."""
        ...

    @property
    def decoder_halo(self) -> int:
        """Positions around a window that can change its pixels."""
        ...

    @property
    def window(self) -> int:
        """Side, in positions, of a window whose networks take about 1 GiB."""
        ...

    def groups(self, quality: int) -> int:
        """Return the number G of indices per position."""
        ...

    def codewords(self, quality: int) -> tuple[int, ...]:
        """Return for each of the G groups how many indices have a codeword."""
        ...

    def measure(self, pixels: Tensor) -> Tensor:
        """Map pixels (3, H, W) in 0..1, whole strides, to all that encoding needs to know of
        them, at any quality: (N, M, C).
        """
        ...

    def prior_of(self, quality: int) -> Prior:
        """Return what gives the logits of indices."""
        ...

    def chooser(self, tiles: Sequence[NDArray], quality: int, weight: float) -> Chooser:
        """Return what chooses the indices of a batch of tiles (N, M, C) of what was measured.

        `weight` is that of bits against distance, where the model can weigh them.
        """
        ...

    def nearest(self, measured: NDArray, quality: int) -> NDArray[np.integer]:
        """Map what was measured, (..., C), to the indices (..., G) of the nearest codewords."""
        ...

    def pixels(self, indices: Tensor, quality: int, inner: Box) -> Tensor:
        """Map int64 indices (N, M, G) to the pixels of some of them, (3, h, w), about 0..1.

        Raises CorruptError if an index has no codeword.
        """
        ...
