"""Product codebooks as they code: in integers, exact on every device.

Codewords are multiples of 1/32, means of 1/256, precisions of 2^-16 bits, and

    logit_k = bias_k + floor(sum_d precision_d (vector_kd mean_d - 4 vector_kd^2) / 2^24)

in units of 1/16 bit; format/SPEC.md, section "Product codebooks", defines it. Every
product and sum is below 2^53, so float64 holds them exactly in any order.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from itertools import accumulate, count, takewhile

import torch
import torch.nn.functional as F
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
"""Most logits of a block at a position: what a decoder holds of a step at a time grows with
them.
"""


@dataclass(frozen=True, slots=True)
class IntegerBlock:
    """See `product.Block`; all tensors but the last on the CPU."""

    slice: int
    """The slice whose channels it has."""
    channels: Tensor
    """int64 (G, d), counted within the slice."""
    places: Tensor
    """The same, int64 (G d,), counted from the first slice on."""
    factors: Tensor
    """int64 (G, 2d + 1): columns of what `logits` takes."""
    terms: Tensor
    """float64 (G, 2d + 1, K): [v, v^2] in units of 2^24, and the bias."""
    vectors: Tensor
    """float32 (G, K, d)."""
    firsts: Tensor
    """int32 (G,): each group's first row in a table of G K rows."""
    embedding: Tensor
    """(G K, d), integers, on the prior's device."""

    @property
    def shape(self) -> tuple[int, int]:
        """Groups G, each with K codewords."""
        count, _, size = self.terms.shape
        return count, size

    def logits(self, said: Tensor) -> Tensor:
        """Map what `factors_of` makes of the slice, (P, 2W + 1), to logits float64 (G, P, K)."""
        own = said[:, self.factors].transpose(0, 1)  # (G, P, 2d + 1)
        return torch.bmm(own, self.terms).floor_()

    def choose(self, latents: Tensor, logits: Tensor, distance_bits: float) -> Tensor:
        """Return the indices (P, G) of least cost for scaled latents (P, W) of the slice, whose
        logits are (G, P, K).

        `distance_bits` are the bits that a squared distance of 1 is worth.
        """
        per_unit = -(2.0**-fx.FRACTION_LOGIT) / distance_bits
        costs = self._distances(latents[:, self.channels].transpose(0, 1))
        return costs.add_(logits.float(), alpha=per_unit).argmin(2).T

    def nearest(self, latents: Tensor) -> Tensor:
        """Map scaled latents (P, D) to indices (P, G)."""
        own = latents[:, self.places].view(len(latents), *self.channels.shape)
        return self._distances(own.transpose(0, 1)).argmin(2).T

    def look_up(self, table: Tensor, indices: Tensor) -> Tensor:
        """Take rows of a table (G K, d) at indices (P, G), below K: (P, G d)."""
        return F.embedding((indices + self.firsts).to(table.device), table).flatten(1)

    def _distances(self, latents: Tensor) -> Tensor:
        """Squared distances (G, P, K) of latents (G, P, d), but for a shared summand."""
        norms = self.vectors.square().sum(2)[:, None]
        return torch.baddbmm(norms, latents, self.vectors.mT, alpha=-2.0)


def factors_of(means: Tensor, precisions: Tensor) -> Tensor:
    """Map a slice's integer means and precisions float64 (P, W) to the factors of its codewords'
    terms, (P, 2W + 1): [precision mean, -4 precision, 1].
    """
    return torch.cat([precisions * means, -4.0 * precisions, torch.ones_like(means[:, :1])], dim=1)


class IntegerCodebooks:
    """The codebooks of one quality."""

    def __init__(
        self,
        tensors: Mapping[str, Tensor],
        *,
        slices: tuple[int, ...],
        size: int,
        device: torch.device,
        dtype: torch.dtype,
    ) -> None:
        """Take the tensors that `export` made, after checking them. Raises ModelCorruptError."""
        starts = accumulate(slices, initial=0)
        self.blocks = [
            block
            for s, (start, width) in enumerate(zip(starts, slices, strict=False))
            for block in _blocks(tensors, s, start, width, size, device, dtype)
        ]
        """In coding order."""
        rest = tensors.get("rest")
        if rest is None or rest.dtype != torch.int16 or tuple(rest.shape) != (sum(slices),):
            raise ModelCorruptError(f"codebooks: rest is not int16 ({sum(slices)},)")
        self._rest = rest.float() * 2.0**-FRACTION_VECTOR
        self.parts = tuple(block.shape for block in self.blocks)
        """Indices in each block, and codewords of each."""
        self.codewords = tuple(size for count, size in self.parts for _ in range(count))
        """Codewords of each group."""

    def nearest(self, latents: Tensor) -> Tensor:
        """Map scaled latents (P, D) to indices (P, G)."""
        picked = [block.nearest(latents) for block in self.blocks]
        return torch.cat(picked, dim=1) if picked else torch.empty(len(latents), 0).long()

    def values(self, indices: Tensor) -> Tensor:
        """Map indices (P, G) to scaled latents float32 (P, D).

        Raises CorruptError if an index has no codeword.
        """
        out = self._rest.repeat(len(indices), 1)
        each = torch.split(indices, [count for count, _ in self.parts], dim=1)
        for block, picked in zip(self.blocks, each, strict=True):
            if int(picked.max()) >= block.shape[1]:
                raise CorruptError(f"index {int(picked.max())} in a codebook of {block.shape[1]}")
            out[:, block.places] += block.look_up(block.vectors.flatten(0, 1), picked)
        return out


@torch.no_grad()
def export(codebooks: Codebooks, slices: tuple[int, ...]) -> dict[str, Tensor]:
    """Return the tensors of one quality's codebooks by the names that SPEC.md gives them."""
    out = {"rest": _integers(codebooks.rest, FRACTION_VECTOR, VECTOR_MAX).short()}
    starts = accumulate(slices, initial=0)
    for s, (start, blocks) in enumerate(zip(starts, codebooks.by_slice(), strict=False)):
        for number, block in enumerate(blocks):
            name = f"{s}.{number}"
            bias = block.bias - block.bias.amax(1, keepdim=True)
            out |= {
                f"{name}.channels": (block.channels - start).short(),
                f"{name}.vectors": _integers(block.vectors, FRACTION_VECTOR, VECTOR_MAX).short(),
                f"{name}.bias": _integers(bias, fx.FRACTION_LOGIT, BIAS_MAX).short(),
                f"{name}.embedding": _integers(
                    block.embedding, FRACTION_LATENT, fx.ACTIVATION_MAX
                ).to(torch.int8),
            }
    return out


def reals(tensors: Mapping[str, Tensor], slices: tuple[int, ...]) -> Codebooks:
    """Undo `export`, for training that goes on from there. No codeword costs more than
    another without context: the file does not know.
    """
    rest = tensors["rest"] * 2.0**-FRACTION_VECTOR
    made: list[list[Block]] = []
    for s, start in zip(range(len(slices)), accumulate(slices, initial=0), strict=False):
        blocks = []
        for name in _names(tensors, s):
            bias = tensors[f"{name}.bias"] * 2.0**-fx.FRACTION_LOGIT
            blocks.append(
                Block(
                    tensors[f"{name}.channels"].long() + start,
                    tensors[f"{name}.vectors"] * 2.0**-FRACTION_VECTOR,
                    bias,
                    tensors[f"{name}.embedding"] * 2.0**-FRACTION_LATENT,
                    torch.zeros_like(bias),
                )
            )
        made.append(blocks)
    return Codebooks(made, rest)


def _names(tensors: Mapping[str, Tensor], s: int) -> list[str]:
    """Return the beginnings of the names of a slice's blocks."""
    names = (f"{s}.{number}" for number in count())
    return list(takewhile(lambda name: f"{name}.channels" in tensors, names))


def _integers(values: Tensor, fraction: int, largest: int) -> Tensor:
    return (values * 2.0**fraction).round().clamp(-largest, largest)


def _blocks(
    tensors: Mapping[str, Tensor],
    s: int,
    start: int,
    width: int,
    size: int,
    device: torch.device,
    dtype: torch.dtype,
) -> list[IntegerBlock]:
    """Read a slice's blocks. Raises ModelCorruptError."""
    blocks: list[IntegerBlock] = []
    used = torch.empty(0).long()
    for name in _names(tensors, s):
        channels = tensors[f"{name}.channels"]
        parts = [tensors.get(f"{name}.{p}") for p in ("vectors", "bias", "embedding")]
        vectors, bias, embedding = (torch.empty(0) if p is None else p for p in parts)
        groups, channels_each = channels.shape if channels.dim() == 2 else (0, 0)
        codewords = vectors.shape[1] if vectors.dim() == 3 else 0
        shape = (groups, codewords, channels_each)
        right = (
            1 <= groups <= width
            and channels_each in SIZES
            and 2 <= codewords <= size
            and channels.dtype == torch.int16
            and (tuple(vectors.shape), vectors.dtype) == (shape, torch.int16)
            and (tuple(bias.shape), bias.dtype) == (shape[:2], torch.int16)
            and (tuple(embedding.shape), embedding.dtype) == (shape, torch.int8)
            and _within(vectors, VECTOR_MAX)
            and _within(bias, BIAS_MAX)
            and _within(embedding, fx.ACTIVATION_MAX)
        )
        if not right:
            raise ModelCorruptError(f"codebooks: block {name} has wrong shapes, types or values")
        if groups * codewords > LOGITS_MAX:
            raise ModelCorruptError(
                f"codebooks: block {name} has {groups * codewords} logits per position, "
                f"the limit is {LOGITS_MAX}"
            )
        used = torch.cat([used, channels.flatten().long()])
        real = vectors.double()
        # The last factor is 1, for the bias.
        factors = F.pad(torch.cat([channels, channels + width], dim=1), (0, 1), value=2 * width)
        terms = torch.stack([*real.unbind(2), *real.square().unbind(2)], dim=1) * 2.0**-24
        blocks.append(
            IntegerBlock(
                s,
                channels.long(),
                channels.flatten().long() + start,
                factors.long(),
                torch.cat([terms, bias.double()[:, None]], dim=1),
                (real * 2.0**-FRACTION_VECTOR).float(),
                torch.arange(0, groups * codewords, codewords, dtype=torch.int32),
                embedding.flatten(0, 1).to(device=device, dtype=dtype),
            )
        )
    unique = len(torch.unique(used)) == len(used)
    if not unique or (len(used) and not 0 <= int(used.min()) <= int(used.max()) < width):
        raise ModelCorruptError(f"codebooks: slice {s} has a channel twice or out of range")
    return blocks


def _within(values: Tensor, largest: int) -> bool:
    # Not by abs(): that of an integer type's least value is negative.
    return -largest <= int(values.min()) and int(values.max()) <= largest
