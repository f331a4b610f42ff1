"""Product codebooks: several indices per position, each for a few latent channels.

Every quality has codebooks of its own. A slice of the latent prior is cut into
groups of 1, 2, 4 or 8 channels, busy channels into small groups and quiet ones into
large, so that K codewords suffice for each; groups of equal size with about as many
codewords form a block and are computed together. Channels without a group are constant.

A codeword serves three: the decoder as the value of its channels (`vectors`), the
prior as what it reads of them (`embedding`), and the logits, which fall with the
squared distance of `vectors` from the prior's mean, as under a Gaussian, plus a
term of the codeword's own (`bias`):

    logit_k = bias_k - sum_d precision_d (vectors_kd - mean_d)^2          in bits.

This is linear in [mean precision, precision], so one product with [2 v, -v^2] gives
all K of them. Shapes: P positions, G groups of d channels, K codewords each.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from itertools import accumulate, chain

import torch
from torch import Tensor, nn

from vqcodec.prior import units
from vqcodec.prior.codebooks import block_names

_PADDED = -1e6
"""Logit of what only fills a codebook up, in bits: no rate knows of it."""


class Block(nn.Module):
    """Groups of one size with equally many codewords, in one slice at one quality."""

    channels: Tensor
    unigram: Tensor
    counts: Tensor

    def __init__(
        self,
        channels: Tensor,
        vectors: Tensor,
        bias: Tensor,
        embedding: Tensor,
        unigram: Tensor,
        counts: Tensor | None = None,
    ) -> None:
        """Take channels int64 (G, d) within 0..D-1, vectors (G, K, d), in the unit of scaled
        latents, bias (G, K) in bits, embedding (G, K, d), and the bits (G, K) that each
        codeword costs without context.

        `counts` int64 (G,) are the codewords that a group has; further ones up to K only fill
        its codebook up, and have no part in any rate. None: every group has K.
        """
        super().__init__()
        self.register_buffer("channels", channels)
        self.register_buffer("unigram", unigram)
        every = torch.full_like(channels[:, 0], bias.shape[1])
        self.register_buffer("counts", every if counts is None else counts)
        self.vectors = nn.Parameter(vectors)
        self.bias = nn.Parameter(bias)
        self.embedding = nn.Parameter(embedding)

    @property
    def groups(self) -> int:
        """Number of groups G."""
        return int(self.channels.shape[0])

    @property
    def padding(self) -> Tensor:
        """Tell which codewords only fill a codebook up: bool (G, K)."""
        places = torch.arange(self.bias.shape[1], device=self.counts.device)
        return places >= self.counts[:, None]

    def of(self, latents: Tensor) -> Tensor:
        """Take the block's channels out of (P, D): (G, P, d)."""
        return latents[:, self.channels].transpose(0, 1)

    def logits(self, means: Tensor, precisions: Tensor, unit: float = 1.0) -> Tensor:
        """Map means and precisions (G, P, d) to logits (G, P, K) in bits, but for a
        summand that all K share, times `unit`. No gradient reaches the codewords: it would
        draw those that are picked to where they are cheap, not to what they stand for.
        """
        terms, bias = self.terms(unit)
        return torch.baddbmm(bias[:, None], linear(means, unit * precisions), terms.mT)

    def terms(self, unit: float = 1.0) -> tuple[Tensor, Tensor]:
        """Return what logits are products with, (G, K, 2d), and what is added to these times
        `unit`, (G, K).
        """
        vectors = self.vectors.detach()
        bias = self.bias.masked_fill(self.padding, _PADDED)
        return torch.cat([vectors, vectors.square()], dim=2), unit * bias

    def distances(self, latents: Tensor, unit: float = 1.0) -> Tensor:
        """Squared distances (G, P, K) of latents (G, P, d) to the codewords, but for a
        summand that all K share, times `unit`. Gradients reach the latents alone.
        """
        vectors = self.vectors.detach()
        norms = unit * vectors.square().sum(2)  # (G, K)
        return torch.baddbmm(norms[:, None], latents, vectors.mT, alpha=-2.0 * unit)


class Codebooks(nn.Module):
    """The codebooks of one quality."""

    rest: Tensor

    def __init__(self, slices: list[list[Block]], rest: Tensor) -> None:
        """Take each slice's blocks in coding order, and the values (D,) of
        channels without a group, 0 elsewhere.
        """
        super().__init__()
        self.slices = nn.ModuleList(nn.ModuleList(blocks) for blocks in slices)
        self.register_buffer("rest", rest)

    def by_slice(self) -> Iterator[list[Block]]:
        """Yield each slice's blocks."""
        for blocks in self.slices:
            yield list(blocks)  # type: ignore[call-overload]

    def blocks(self) -> Iterator[Block]:
        """Yield the blocks in coding order."""
        return chain.from_iterable(self.by_slice())

    @property
    def groups(self) -> int:
        """Indices per position."""
        return sum(block.groups for block in self.blocks())

    def place(self, parts: list[Tensor], base: Tensor) -> Tensor:
        """Put each block's values (G, P, d) over a copy of `base` (P, D)."""
        blocks = list(self.blocks())
        if not blocks:
            return base
        channels = torch.cat([block.channels.flatten() for block in blocks])
        flat = [part.transpose(0, 1).flatten(1) for part in parts]  # (P, G d)
        return base.index_copy(1, channels, torch.cat(flat, dim=1))


def linear(means: Tensor, precisions: Tensor) -> Tensor:
    """Map means and precisions (G, P, d) to what logits are linear in, (G, P, 2d)."""
    return torch.cat([2.0 * means * precisions, -precisions], dim=2)


def take(table: Tensor, indices: Tensor) -> Tensor:
    """Look up (G, K, d) at indices (G, P): (G, P, d)."""
    return torch.take_along_dim(table, indices[:, :, None], dim=1)


@torch.no_grad()
def export(codebooks: Codebooks, slices: tuple[int, ...]) -> dict[str, Tensor]:
    """Return the tensors of one quality's codebooks by the names that SPEC.md gives them.

    What fills a codebook up repeats its first codeword at the highest price.
    """
    out = {"rest": _vectors(codebooks.rest)}
    starts = accumulate(slices, initial=0)
    for s, (start, blocks) in enumerate(zip(starts, codebooks.by_slice(), strict=False)):
        for number, block in enumerate(blocks):
            name, padding = f"{s}.{number}", block.padding
            bias = block.bias.masked_fill(padding, -math.inf)
            bias = bias - bias.amax(1, keepdim=True)
            vectors, embedding = (
                torch.where(padding[:, :, None], table[:, :1], table)
                for table in (block.vectors, block.embedding)
            )
            out |= {
                f"{name}.channels": (block.channels - start).short(),
                f"{name}.vectors": _vectors(vectors),
                f"{name}.bias": _integers(bias, units.FRACTION_LOGIT, units.BIAS_MAX).short(),
                f"{name}.embedding": _integers(
                    embedding, units.FRACTION_LATENT, units.ACTIVATION_MAX
                ).to(torch.int8),
            }
    return out


def reals(tensors: Mapping[str, Tensor], slices: tuple[int, ...]) -> Codebooks:
    """Undo `export`, for training that goes on from there. No codeword costs more than
    another without context: the file does not know.
    """
    rest = tensors["rest"] * 2.0**-units.FRACTION_VECTOR
    made: list[list[Block]] = []
    for s, start in zip(range(len(slices)), accumulate(slices, initial=0), strict=False):
        blocks = []
        for name in block_names(tensors, s):
            bias = tensors[f"{name}.bias"] * 2.0**-units.FRACTION_LOGIT
            blocks.append(
                Block(
                    tensors[f"{name}.channels"].long() + start,
                    tensors[f"{name}.vectors"] * 2.0**-units.FRACTION_VECTOR,
                    bias,
                    tensors[f"{name}.embedding"] * 2.0**-units.FRACTION_LATENT,
                    torch.zeros_like(bias),
                    _counts(
                        *(tensors[f"{name}.{key}"] for key in ("vectors", "bias", "embedding"))
                    ),
                )
            )
        made.append(blocks)
    return Codebooks(made, rest)


def _counts(vectors: Tensor, bias: Tensor, embedding: Tensor) -> Tensor:
    """Return how many codewords each group of a file's block has, as `export` fills it up."""
    same = [(table == table[:, :1]).all(2) for table in (vectors, embedding)]
    padding = (bias == -units.BIAS_MAX) & same[0] & same[1]
    return bias.shape[1] - padding.flip(1).long().cumprod(1).sum(1)


def _vectors(values: Tensor) -> Tensor:
    return _integers(values, units.FRACTION_VECTOR, units.VECTOR_MAX).short()


def _integers(values: Tensor, fraction: int, largest: int) -> Tensor:
    return (values * 2.0**fraction).round().clamp(-largest, largest)
