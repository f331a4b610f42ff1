"""Heads: from the features of positions to the logits of their indices.

A position's indices are coded in parts, each of some of them; a head learns a part's indices
before it is asked for the next part's logits, and says what later positions read of a position.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import accumulate
from typing import Protocol, TypeAlias

import numpy as np
from numpy.typing import NDArray

from vqcodec.errors import ModelCorruptError
from vqcodec.prior import units
from vqcodec.prior.codebooks import Codebooks, factors_of
from vqcodec.prior.layer import Float, Floats, Layer, Tensors, activate, take, within

Parts: TypeAlias = tuple[tuple[int, int], ...]
"""Of each part, its number g of a position's indices, G in all, and codewords K of each."""


class Positions(Protocol):
    """The P positions of a step while they are coded."""

    @property
    def read(self) -> Floats:
        """What later positions read of these, (P, E), once all parts are known."""
        ...

    def logits(self, part: int, some: slice) -> Floats:
        """Return integer logits (g, n, K) in units of 1/16 bit for some of the positions.

        Parts come in order, of each all positions, then `put`.
        """
        ...

    def put(self, part: int, indices: NDArray[np.integer]) -> None:
        """Learn a part's indices (P, g)."""
        ...


@dataclass(frozen=True, slots=True, eq=False)
class Categorical:
    """One index per position, whose logits are the outputs of a network."""

    embedding: NDArray[np.int8]
    """(K, E): what later positions read of an index."""
    hidden: Layer
    """(C, C)"""
    output: Layer
    """(K, C)"""

    @classmethod
    def read(
        cls,
        tensors: Tensors,
        *,
        codebook_size: int,
        embedding: int,
        channels: int,
        dtype: Float = np.float32,
    ) -> Categorical:
        """Take the head out of a file's tensors, after checking them. Raises ModelCorruptError."""
        table = take(tensors, "embedding", np.int8, (codebook_size, embedding))
        if not within(table, units.ACTIVATION_MAX):
            raise ModelCorruptError("prior tensor embedding is out of range")
        return cls(
            embedding=table,
            hidden=Layer.read(tensors, "hidden", channels, channels, dtype),
            output=Layer.read(tensors, "output", channels, codebook_size, dtype),
        )

    @property
    def parts(self) -> Parts:
        """One part of one index."""
        return ((1, len(self.embedding)),)

    def begin(self, features: Floats) -> CategoricalPositions:
        """Begin a step whose positions have the features (P, C)."""
        return CategoricalPositions(self, features)


class CategoricalPositions:
    """See `Positions`."""

    def __init__(self, head: Categorical, features: Floats) -> None:
        self._head = head
        self._logits = head.output(activate(head.hidden(features)))
        self.read: Floats = self._logits[:, :0]

    def logits(self, part: int, some: slice) -> Floats:
        """Return logits (1, n, K)."""
        return self._logits[None, some]

    def put(self, part: int, indices: NDArray[np.integer]) -> None:
        """Learn the indices (P, 1)."""
        self.read = self._head.embedding[indices[:, 0]].astype(self._logits.dtype)


@dataclass(frozen=True, slots=True, eq=False)
class Slices:
    """Networks that predict a mean and a precision of D latents, slice after slice.

    Slice s of width W[s] begins at latent A[s]; its network also reads the slices before it.
    """

    widths: tuple[int, ...]
    coarse: int
    """How many of the D numbers later positions read, Z."""
    hidden: tuple[Layer, ...]
    """(H, C + A[s])"""
    output: tuple[Layer, ...]
    """(2 W[s], H)"""
    precisions: NDArray[np.int32]
    """(1024,)"""

    @classmethod
    def read(
        cls,
        tensors: Tensors,
        *,
        channels: int,
        hidden: int,
        widths: tuple[int, ...],
        coarse: int,
        dtype: Float = np.float32,
    ) -> Slices:
        """Take the networks out of a file's tensors, after checking them.

        Raises ModelCorruptError.
        """
        precisions = take(tensors, "precisions", np.int32, (units.SCALE_COUNT,))
        if not 0 <= precisions.min() <= precisions.max() <= units.PRECISION_MAX:
            raise ModelCorruptError("prior tensor precisions is out of range")
        starts = accumulate(widths, initial=0)
        return cls(
            widths=widths,
            coarse=coarse,
            hidden=tuple(
                Layer.read(tensors, f"hidden.{s}", channels + start, hidden, dtype)
                for s, start in zip(range(len(widths)), starts, strict=False)
            ),
            output=tuple(
                Layer.read(tensors, f"output.{s}", hidden, 2 * width, dtype)
                for s, width in enumerate(widths)
            ),
            precisions=precisions,
        )

    def factors(self, s: int, read: Floats) -> NDArray[np.float64]:
        """Predict a slice of positions from their features and the latents read before it,
        (P, C + A[s]): what `codebooks.factors_of` makes of means and precisions.
        """
        outputs = self.output[s](activate(self.hidden[s](read))).astype(np.float64)
        means, raw = np.split(outputs, 2, axis=1)
        np.clip(means, -units.MEAN_MAX, units.MEAN_MAX, out=means)
        half = 1 << (units.FRACTION_STREAM - units.FRACTION_SCALE - 1)
        level = np.floor((raw + half) * 2.0 ** (units.FRACTION_SCALE - units.FRACTION_STREAM))
        at = np.clip(level - units.SCALE_FIRST, 0, units.SCALE_COUNT - 1).astype(np.intp)
        return factors_of(means, self.precisions[at].astype(np.float64))


@dataclass(frozen=True, slots=True, eq=False)
class Gaussian:
    """Indices of product codebooks, whose logits are those of Gaussians at their codewords."""

    slices: Slices
    codebooks: Codebooks

    @property
    def parts(self) -> Parts:
        """The blocks of the codebooks."""
        return self.codebooks.parts

    def begin(self, features: Floats) -> GaussianPositions:
        """Begin a step whose positions have the features (P, C)."""
        return GaussianPositions(self, features)


class GaussianPositions:
    """See `Positions`."""

    def __init__(self, head: Gaussian, features: Floats) -> None:
        self._head = head
        self._channels = features.shape[1]
        latents = np.zeros((len(features), sum(head.slices.widths)), features.dtype)
        self._read = np.concatenate([features, latents], axis=1)
        self._latents = self._read[:, self._channels :]
        self._slice = -1
        self._factors = np.empty((0, 0))

    @property
    def read(self) -> Floats:
        """The first Z of what is read of the positions' latents."""
        return self._latents[:, : self._head.slices.coarse]

    def logits(self, part: int, some: slice) -> NDArray[np.float64]:
        """Return logits (g, n, K)."""
        block = self._head.codebooks.blocks[part]
        if block.slice != self._slice:
            slices, self._slice = self._head.slices, block.slice
            start = sum(slices.widths[: block.slice])
            before = self._read[:, : self._channels + start]
            self._factors = slices.factors(block.slice, before)
        return block.logits(self._factors[some])

    def put(self, part: int, indices: NDArray[np.integer]) -> None:
        """Learn the indices (P, g)."""
        block = self._head.codebooks.blocks[part]
        self._latents[:, block.places] = block.read(block.embedding, indices)


Head: TypeAlias = "Categorical | Gaussian"
