"""Product codebooks in integers; format/SPEC.md, section "Product codebooks", defines them.

Codewords are multiples of 1/32, means of 1/256, precisions of 2^-16 bits, and

    logit_k = bias_k + floor(sum_d precision_d (vector_kd mean_d - 4 vector_kd^2) / 2^24)

in units of 1/16 bit. Every product and sum is below 2^53, so float64 holds them exactly in
any order.
"""

from __future__ import annotations

from collections.abc import Container
from dataclasses import dataclass
from itertools import accumulate, count, takewhile

import numpy as np
from numpy.typing import NDArray

from vqcodec.errors import CorruptError, ModelCorruptError
from vqcodec.prior import units
from vqcodec.prior.layer import Tensors, within

Latents = NDArray[np.float32]
"""Scaled latents, -LATENT_MAX..LATENT_MAX."""
LATENT_MAX = 32768.0
"""Codewords are within 128: larger latents have the same nearest ones, and costs stay finite."""


@dataclass(frozen=True, slots=True, eq=False)
class Block:
    """G groups of d channels with K codewords each, in one slice."""

    slice: int
    """The slice whose channels it has."""
    channels: NDArray[np.intp]
    """(G, d), counted within the slice."""
    places: NDArray[np.intp]
    """The same, (G d,), counted from the first slice on."""
    vectors: NDArray[np.int16]
    """(G, K, d), in units of 1/32."""
    bias: NDArray[np.int16]
    """(G, K), in units of 1/16 bit."""
    embedding: NDArray[np.int8]
    """(G, K, d): what the prior reads of a codeword."""
    factors: NDArray[np.intp]
    """(G, 2d + 1): columns of what `logits` takes."""
    terms: NDArray[np.float64]
    """(G, 2d + 1, K): [v, v^2] in units of 2^24, and the bias."""
    norms: NDArray[np.float32]
    """(G, 1, K): squared lengths of the codewords."""
    coordinates: NDArray[np.float32]
    """(d, G, 1, K): the codewords."""

    @property
    def shape(self) -> tuple[int, int]:
        """Groups G, each with K codewords."""
        return self.bias.shape

    def logits(self, predicted: NDArray[np.float64]) -> NDArray[np.float64]:
        """Map what `factors_of` makes of the slice, (P, 2W + 1), to logits (G, P, K)."""
        own = np.ascontiguousarray(predicted[:, self.factors].swapaxes(0, 1))  # (G, P, 2d + 1)
        sums: NDArray[np.float64] = own @ self.terms
        return np.floor(sums, out=sums)

    def distances(self, latents: Latents) -> NDArray[np.float32]:
        """Return squared distances (G, P, K) of latents (P, D), but for a shared summand.

        The order of their float32 operations is fixed, channel by channel, so that the kernel
        computes the same.
        """
        own = latents[:, self.places].reshape(len(latents), *self.channels.shape)
        found = np.repeat(self.norms, len(latents), axis=1)
        for twice, coordinate in zip(2.0 * own.T, self.coordinates, strict=True):
            found -= twice[:, :, None] * coordinate
        return found

    def read(self, table: NDArray, indices: NDArray[np.integer]) -> NDArray:
        """Take rows of a table (G, K, d) at indices (P, G), below K: (P, G d)."""
        rows: NDArray = table[np.arange(len(table)), indices]
        return rows.reshape(len(indices), -1)


def factors_of(means: NDArray[np.float64], precisions: NDArray[np.float64]) -> NDArray[np.float64]:
    """Map a slice's integer means and precisions (P, W) to the factors of its codewords'
    terms, (P, 2W + 1): [precision mean, -4 precision, 1].
    """
    ones = np.ones((len(means), 1))
    return np.concatenate([precisions * means, -4.0 * precisions, ones], axis=1)


class Codebooks:
    """The codebooks of one quality."""

    def __init__(self, tensors: Tensors, *, slices: tuple[int, ...], size: int) -> None:
        """Take a file's tensors after checking them; codebooks have at most `size` codewords.

        Raises ModelCorruptError.
        """
        starts = accumulate(slices, initial=0)
        self.blocks = [
            block
            for s, (start, width) in enumerate(zip(starts, slices, strict=False))
            for block in _blocks(tensors, s, start, width, size)
        ]
        """In coding order."""
        rest = tensors.get("rest")
        if rest is None or rest.dtype != np.int16 or rest.shape != (sum(slices),):
            raise ModelCorruptError(f"codebooks: rest is not int16 ({sum(slices)},)")
        self._rest = _vectors(rest)
        self.parts = tuple(block.shape for block in self.blocks)
        """Indices in each block, and codewords of each."""
        self.codewords = tuple(size for groups, size in self.parts for _ in range(groups))
        """Codewords of each group."""

    def nearest(self, latents: Latents) -> NDArray[np.intp]:
        """Map scaled latents (P, D) to indices (P, G)."""
        picked = [block.distances(latents).argmin(2).T for block in self.blocks]
        return np.concatenate([np.empty((len(latents), 0), np.intp), *picked], axis=1)

    def values(self, indices: NDArray[np.integer]) -> NDArray[np.float32]:
        """Map indices (P, G) to scaled latents (P, D), channel by channel in memory.

        Raises CorruptError if an index has no codeword.
        """
        out = np.repeat(self._rest[:, None], len(indices), axis=1)
        stops = list(accumulate(groups for groups, _ in self.parts))
        for block, stop in zip(self.blocks, stops, strict=True):
            groups, size = block.shape
            picked = np.ascontiguousarray(indices[:, stop - groups : stop].T)
            if picked.max() >= size:
                raise CorruptError(f"index {picked.max()} in a codebook of {size}")
            places = block.places.reshape(groups, -1)
            for group, own in enumerate(picked):
                for place, table in zip(places[group], block.coordinates[:, group, 0], strict=True):
                    out[place] += table[own]
        return out.T


def block_names(tensors: Container[str], s: int) -> list[str]:
    """Return what the names of the tensors of a slice's blocks begin with."""
    names = (f"{s}.{number}" for number in count())
    return list(takewhile(lambda name: f"{name}.channels" in tensors, names))


def _vectors(integers: NDArray[np.int16]) -> NDArray[np.float32]:
    return integers.astype(np.float32) * np.float32(2.0**-units.FRACTION_VECTOR)


def _blocks(tensors: Tensors, s: int, start: int, width: int, size: int) -> list[Block]:
    """Read a slice's blocks. Raises ModelCorruptError."""
    blocks = [_block(tensors, name, s, start, width, size) for name in block_names(tensors, s)]
    used = np.concatenate([np.empty(0, np.intp), *(block.channels.ravel() for block in blocks)])
    inside = used.min(initial=0) >= 0 and used.max(initial=0) < width
    if not inside or len(np.unique(used)) < len(used):
        raise ModelCorruptError(f"codebooks: slice {s} has a channel twice or out of range")
    return blocks


def _block(tensors: Tensors, name: str, s: int, start: int, width: int, size: int) -> Block:
    """Read a block, but for what its slice checks. Raises ModelCorruptError."""
    none = np.empty(0)
    channels, vectors, bias, embedding = (
        tensors.get(f"{name}.{key}", none) for key in ("channels", "vectors", "bias", "embedding")
    )
    groups, channels_each = channels.shape if channels.ndim == 2 else (0, 0)
    codewords = vectors.shape[1] if vectors.ndim == 3 else 0
    shape = (groups, codewords, channels_each)
    right = (
        1 <= groups <= width
        and channels_each in units.GROUP_SIZES
        and 2 <= codewords <= size
        and channels.dtype == vectors.dtype == bias.dtype == np.int16
        and embedding.dtype == np.int8
        and vectors.shape == embedding.shape == shape
        and bias.shape == shape[:2]
        and within(vectors, units.VECTOR_MAX)
        and within(bias, units.BIAS_MAX)
        and within(embedding, units.ACTIVATION_MAX)
    )
    if not right:
        raise ModelCorruptError(f"codebooks: block {name} has wrong shapes, types or values")
    if groups * codewords > units.LOGITS_MAX:
        raise ModelCorruptError(
            f"codebooks: block {name} has {groups * codewords} logits per position, "
            f"the limit is {units.LOGITS_MAX}"
        )
    real = vectors.astype(np.float64).transpose(0, 2, 1)  # (G, d, K)
    columns = channels.astype(np.intp)
    coordinates = _vectors(vectors)
    return Block(
        slice=s,
        channels=columns,
        places=columns.ravel() + start,
        vectors=vectors,
        bias=bias,
        embedding=embedding,
        # The last factor is 1, for the bias.
        factors=np.concatenate([columns, columns + width, np.full((groups, 1), 2 * width)], axis=1),
        terms=np.concatenate([real * 2.0**-24, real**2 * 2.0**-24, bias[:, None]], axis=1),
        norms=np.square(coordinates).sum(2)[:, None],
        coordinates=coordinates.transpose(2, 0, 1)[:, :, None],
    )
