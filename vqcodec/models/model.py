"""What the codec asks of a model, whatever its networks are.

A grid has N x M positions, each with G indices. They are coded position by position
along the wavefront, and within a position in parts, each of some of its indices.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

import torch
from torch import Tensor

from vqcodec.models.wavefront import Size, Step

Box = tuple[slice, slice]
"""Rows and columns of positions."""


class Source(Protocol):
    """Integer logits of a batch of tiles, in coding order.

    To be used in `torch.inference_mode()` and `full_precision()`.
    """

    @property
    def parts(self) -> tuple[tuple[int, int], ...]:
        """Of each part, its number g of a position's indices, G in all, and codewords K."""
        ...

    def logits(self, step: Step, part: int, some: slice) -> Tensor:
        """Return logits (g, n, K) in units of 1/16 bit for some of a step's positions.

        Steps come in order, in each the parts in order, of each all positions, then `put`.
        """
        ...

    def choose(self, logits: Tensor, part: int, some: slice) -> Tensor:
        """Return the indices (n, g) that an encoder codes where `logits` has just been called.

        What a decoder's source returns is not looked at.
        """
        ...

    def put(self, step: Step, part: int, indices: Tensor) -> None:
        """Learn the part's indices (P, g) at all positions of the step."""
        ...


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

    def encoding(self, tiles: Sequence[Tensor], quality: int, weight: float) -> Source:
        """Begin to encode a batch of tiles (N, M, C) of what was measured.

        `weight` is that of bits against distance, where the model can weigh them.
        """
        ...

    def decoding(self, sizes: Sequence[Size], quality: int) -> Source:
        """Begin to decode a batch of tiles."""
        ...

    def nearest(self, measured: Tensor, quality: int) -> Tensor:
        """Map (..., C) to the indices (..., G) of the nearest codewords, int64."""
        ...

    def pixels(self, indices: Tensor, quality: int, inner: Box) -> Tensor:
        """Map int64 indices (N, M, G) to the pixels of some of them, (3, h, w), about 0..1.

        Raises CorruptError if an index has no codeword.
        """
        ...
