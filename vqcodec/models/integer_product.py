"""Product codebooks as they code: in integers, exact on every device.

Codewords are multiples of 1/32, means of 1/256, precisions of 2^-16 bits, and

    logit_k = bias_k + floor(sum_d precision_d (vector_kd mean_d - 4 vector_kd^2) / 2^24)

in units of 1/16 bit; format/SPEC.md, section "Product codebooks", defines it. Every
product and sum is below 2^53, so float64 holds them exactly in any order.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import torch
from torch import Tensor

from vqcodec.errors import CorruptError, ModelCorruptError
from vqcodec.models import fixedpoint as fx
from vqcodec.models.latent_prior import FRACTION_LATENT
from vqcodec.models.product import (
    FRACTION_VECTOR,
    SIZES,
    VECTOR_MAX,
    Block,
    Codebooks,
)

BIAS_MAX = (1 << 12) - 1
LOGITS_MAX = 1 << 17
"""Most logits of a slice at a position, those of missing codewords included: what a decoder
holds of a step at a time grows with them.
"""
_PAD = -(1 << 20)
"""Logit of indices that have no codeword."""


@dataclass(frozen=True, slots=True)
class _Block:
    """See `product.Block`; all tensors but the last on the CPU."""

    channels: Tensor
    """int64 (G, d), counted within the slice."""
    terms: Tensor
    """float64 (G, 2d, K): integers [v, v^2]."""
    bias: Tensor
    """float64 (G, 1, K), integers."""
    vectors: Tensor
    """float32 (G, K, d)."""
    embedding: Tensor
    """(G, K, d), integers, on the prior's device."""

    def of(self, values: Tensor) -> Tensor:
        """Take the block's channels out of (P, W): (G, P, d)."""
        return values[:, self.channels].transpose(0, 1)

    def distances(self, latents: Tensor) -> Tensor:
        """Squared distances (G, P, K) of latents (G, P, d), but for a shared summand."""
        norms = self.vectors.square().sum(2)[:, None]
        return torch.baddbmm(norms, latents, self.vectors.mT, alpha=-2.0)


class IntegerCodebooks:
    """The codebooks of one quality."""

    def __init__(
        self,
        tensors: Mapping[str, Tensor],
        *,
        slices: int,
        latents: int,
        size: int,
        device: torch.device,
        dtype: torch.dtype,
    ) -> None:
        """Take the tensors that `export` made, after checking them.

        Raises ModelCorruptError.
        """
        self._width = latents // slices
        self._slices = [
            _blocks(tensors, s, self._width, size, device, dtype) for s in range(slices)
        ]
        rest = tensors.get("rest")
        if rest is None or rest.dtype != torch.int16 or tuple(rest.shape) != (latents,):
            raise ModelCorruptError(f"codebooks: rest is not int16 ({latents},)")
        self._rest = rest.float() * 2.0**-FRACTION_VECTOR
        self.parts = tuple(sum(len(b.channels) for b in blocks) for blocks in self._slices)
        """Indices in each slice."""
        self.codewords = tuple(
            block.bias.shape[2]
            for blocks in self._slices
            for block in blocks
            for _ in block.channels
        )
        """Codewords of each group."""

    def logits(self, part: int, means: Tensor, precisions: Tensor) -> Tensor:
        """Map integer means and precisions (P, W) of a slice to logits float64 (P, g, K)."""
        means, precisions = means.double(), precisions.double()
        linear, square = means * precisions, -4.0 * precisions
        rows = []
        for block in self._slices[part]:
            both = torch.cat([block.of(linear), block.of(square)], dim=2)  # (G, P, 2d)
            rows.append(torch.bmm(both, block.terms).mul_(2.0**-24).floor_().add_(block.bias))
        return _side_by_side(rows, _PAD)

    def choose(self, part: int, latents: Tensor, logits: Tensor, distance_bits: float) -> Tensor:
        """Return the indices (P, g) of least cost for scaled latents (P, W).

        `distance_bits` are the bits that a squared distance of 1 is worth.
        """
        picked, done = [], 0
        per_unit = -(2.0**-fx.FRACTION_LOGIT) / distance_bits
        for block in self._slices[part]:
            count, _, size = block.bias.shape
            costs = block.distances(block.of(latents))
            said = logits[:, done : done + count, :size].transpose(0, 1)
            picked.append(torch.add(costs, said.float(), alpha=per_unit).argmin(2))
            done += count
        return torch.cat(picked).T

    def nearest(self, latents: Tensor) -> Tensor:
        """Map scaled latents (P, D) to indices (P, G)."""
        parts = torch.split(latents, self._width, dim=1)
        picked = [
            block.distances(block.of(part)).argmin(2)
            for part, blocks in zip(parts, self._slices, strict=True)
            for block in blocks
        ]
        return torch.cat(picked).T

    def embed(self, part: int, indices: Tensor) -> Tensor:
        """Map indices (P, g) of a slice to what the prior reads of it, integers (P, W).

        Raises CorruptError if an index has no codeword.
        """
        tables = [block.embedding for block in self._slices[part]]
        return self._spread(part, tables, indices.to(tables[0].device))

    def values(self, indices: Tensor) -> Tensor:
        """Map indices (P, G) to scaled latents float32 (P, D).

        Raises CorruptError if an index has no codeword.
        """
        parts = []
        for part, picked in enumerate(torch.split(indices, list(self.parts), dim=1)):
            tables = [block.vectors for block in self._slices[part]]
            parts.append(self._spread(part, tables, picked))
        return torch.cat(parts, dim=1) + self._rest

    def _spread(self, part: int, tables: list[Tensor], indices: Tensor) -> Tensor:
        """Look each index up in its group's table and put the values on their channels."""
        like = tables[0] if tables else self._rest
        out = like.new_zeros(len(indices), self._width)
        done = 0
        for block, table in zip(self._slices[part], tables, strict=True):
            count, size, _ = table.shape
            picked = indices[:, done : done + count].T  # (G, P)
            if int(picked.max()) >= size:
                raise CorruptError(f"index {int(picked.max())} in a codebook of {size}")
            found = torch.take_along_dim(table, picked[:, :, None].long(), dim=1)  # (G, P, d)
            channels = block.channels.flatten().to(out.device)
            out[:, channels] = found.transpose(0, 1).flatten(1)
            done += count
        return out


@torch.no_grad()
def export(codebooks: Codebooks, slices: int) -> dict[str, Tensor]:
    """Return the tensors of one quality's codebooks by the names that SPEC.md gives them."""
    width = len(codebooks.rest) // slices
    out = {"rest": _integers(codebooks.rest, FRACTION_VECTOR, VECTOR_MAX).short()}
    for s, blocks in enumerate(codebooks.slices):
        for block in blocks:  # type: ignore[attr-defined]
            name = f"{s}.{block.channels.shape[1]}"
            bias = block.bias - block.bias.amax(1, keepdim=True)
            out |= {
                f"{name}.channels": (block.channels - s * width).short(),
                f"{name}.vectors": _integers(block.vectors, FRACTION_VECTOR, VECTOR_MAX).short(),
                f"{name}.bias": _integers(bias, fx.FRACTION_LOGIT, BIAS_MAX).short(),
                f"{name}.embedding": _integers(
                    block.embedding, FRACTION_LATENT, fx.ACTIVATION_MAX
                ).to(torch.int8),
            }
    return out


def reals(tensors: Mapping[str, Tensor], slices: int) -> Codebooks:
    """Undo `export`, for training that goes on from there. No codeword costs more than
    another without context: the file does not know.
    """
    rest = tensors["rest"] * 2.0**-FRACTION_VECTOR
    width = len(rest) // slices
    made: list[list[Block]] = []
    for s in range(slices):
        blocks = []
        for d in SIZES:
            name = f"{s}.{d}"
            if f"{name}.channels" not in tensors:
                continue
            bias = tensors[f"{name}.bias"] * 2.0**-fx.FRACTION_LOGIT
            blocks.append(
                Block(
                    tensors[f"{name}.channels"].long() + s * width,
                    tensors[f"{name}.vectors"] * 2.0**-FRACTION_VECTOR,
                    bias,
                    tensors[f"{name}.embedding"] * 2.0**-FRACTION_LATENT,
                    torch.zeros_like(bias),
                )
            )
        made.append(blocks)
    return Codebooks(made, rest)


def _integers(values: Tensor, fraction: int, largest: int) -> Tensor:
    return (values * 2.0**fraction).round().clamp(-largest, largest)


def _blocks(
    tensors: Mapping[str, Tensor],
    s: int,
    width: int,
    size: int,
    device: torch.device,
    dtype: torch.dtype,
) -> list[_Block]:
    """Read a slice's blocks. Raises ModelCorruptError."""
    blocks: list[_Block] = []
    for d in SIZES:
        channels = tensors.get(f"{s}.{d}.channels")
        if channels is None:
            continue
        parts = [tensors.get(f"{s}.{d}.{p}") for p in ("vectors", "bias", "embedding")]
        vectors, bias, embedding = (torch.empty(0) if p is None else p for p in parts)
        count = channels.shape[0] if channels.dim() == 2 else 0
        codewords = vectors.shape[1] if vectors.dim() == 3 else 0
        shape = (count, codewords, d)
        right = (
            1 <= count <= width
            and 2 <= codewords <= size
            and (tuple(channels.shape), channels.dtype) == ((count, d), torch.int16)
            and (tuple(vectors.shape), vectors.dtype) == (shape, torch.int16)
            and (tuple(bias.shape), bias.dtype) == (shape[:2], torch.int16)
            and (tuple(embedding.shape), embedding.dtype) == (shape, torch.int8)
            and _within(vectors, VECTOR_MAX)
            and _within(bias, BIAS_MAX)
            and _within(embedding, fx.ACTIVATION_MAX)
        )
        if not right:
            raise ModelCorruptError(f"codebooks: block {s}.{d} has wrong shapes, types or values")
        real = vectors.double()
        blocks.append(
            _Block(
                channels.long(),
                torch.cat([real, real.square()], dim=2).mT.contiguous(),
                bias.double()[:, None],
                (real * 2.0**-FRACTION_VECTOR).float(),
                embedding.to(device=device, dtype=dtype),
            )
        )
    logits = sum(len(b.channels) for b in blocks) * max(
        (b.bias.shape[2] for b in blocks), default=0
    )
    if logits > LOGITS_MAX:
        raise ModelCorruptError(
            f"codebooks: slice {s} has {logits} logits per position, the limit is {LOGITS_MAX}"
        )
    used = torch.cat([b.channels.flatten() for b in blocks]) if blocks else torch.empty(0).long()
    unique = len(torch.unique(used)) == len(used)
    if not unique or (len(used) and not 0 <= int(used.min()) <= int(used.max()) < width):
        raise ModelCorruptError(f"codebooks: slice {s} has a channel twice or out of range")
    return blocks


def _within(values: Tensor, largest: int) -> bool:
    # Not by abs(): that of an integer type's least value is negative.
    return -largest <= int(values.min()) and int(values.max()) <= largest


def _side_by_side(rows: list[Tensor], pad: float) -> Tensor:
    """Join blocks (G, P, K) to (P, sum of G, largest K)."""
    if len(rows) == 1:
        return rows[0].transpose(0, 1)
    groups, size = sum(len(r) for r in rows), max(r.shape[2] for r in rows)
    out = rows[0].new_full((rows[0].shape[1], groups, size), pad)
    done = 0
    for row in rows:
        out[:, done : done + len(row), : row.shape[2]] = row.transpose(0, 1)
        done += len(row)
    return out
