"""How codebooks begin: grouping of channels, cells of the integer grid, biases.

The first stage ends with latents that are rounded, and with a synthesis and a
context that know nothing else. Codewords begin as these cells, so that coding goes on
where the first stage ended; training then moves them.
"""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from torch import Tensor

from vqcodec.models.product import FRACTION_VECTOR as FRACTION
from vqcodec.models.product import SIZES, VECTOR_MAX, Block, Codebooks

_NEVER = 40.0
"""Bits of a codeword that does not occur."""
_UNSEEN = 0.1
"""How often a codeword counts that was not seen."""
_QUIET = 5e-4
"""A channel of fewer bits per position, rounded, gets no group."""


def start_codebooks(latents: Tensor, slices: int, size: int, group_bits: float) -> Codebooks:
    """Make the codebooks of one quality, of at most `size` codewords, from latents (P, D).

    Channels whose rounded values have together at most `group_bits` of entropy share a group.
    """
    entropies = channel_bits(latents)
    width = latents.shape[1] // slices
    quiet = entropies < _QUIET
    reach = VECTOR_MAX * 2.0**-FRACTION
    made = []
    for s in range(slices):
        blocks = []
        for channels in group(entropies, range(s * width, (s + 1) * width), group_bits):
            data = latents[:, channels].transpose(0, 1).contiguous()  # (G, P, d)
            vectors, bits = start_cells(data, size)
            vectors = vectors.clamp(-reach, reach)
            bias = torch.zeros(vectors.shape[:2])
            blocks.append(Block(channels, vectors, bias, torch.asinh(vectors), bits))
        made.append(blocks)
    return Codebooks(made, torch.where(quiet, latents.mean(0), 0.0).clamp(-reach, reach))


def channel_bits(latents: Tensor) -> Tensor:
    """Entropy in bits of each channel's rounded values: (P, D) to (D,)."""
    out = []
    for column in latents.round().long().unbind(1):
        counts = torch.bincount(column - column.min()).float()
        shares = counts[counts > 0] / len(column)
        out.append(-(shares * shares.log2()).sum())
    return torch.stack(out)


def group(entropies: Tensor, channels: range, group_bits: float) -> list[Tensor]:
    """Group channels: for each size that occurs, ascending, int64 (G, size)."""
    order = sorted(channels, key=lambda c: -float(entropies[c]))
    order = [c for c in order if float(entropies[c]) >= _QUIET]
    found: dict[int, list[list[int]]] = {}
    while order:
        fits = [
            d
            for d in SIZES
            if d <= len(order) and (d == 1 or float(entropies[order[:d]].sum()) <= group_bits)
        ]
        found.setdefault(fits[-1], []).append(order[: fits[-1]])
        order = order[fits[-1] :]
    return [torch.tensor(found[d]) for d in sorted(found)]


def start_cells(data: Tensor, size: int) -> tuple[Tensor, Tensor]:
    """Return cells of the integer grid for each of G sets of P points, (G, P, d).

    These are at most `size` codewords (G, K, d), and the bits that each costs, (G, K). A single
    channel has all cells of its range and beyond; more channels have the most frequent ones, and
    each channel's by itself: what no codeword is near would cost much distance in pictures with
    more contrast than those seen here. Sets with fewer cells repeat their first one, at a
    cost that is never paid.
    """
    cells, bits = [], []
    for points in data:
        found, counts = _range(points, size) if points.shape[1] == 1 else _frequent(points, size)
        cells.append(found)
        bits.append(-torch.log2(counts.clamp_min(_UNSEEN) / len(points)))
    size = max(len(found) for found in cells)
    vectors = [torch.cat([c, c[:1].expand(size - len(c), -1)]) for c in cells]
    costs = [F.pad(b, (0, size - len(b)), value=_NEVER) for b in bits]
    return torch.stack(vectors), torch.stack(costs)


def _range(points: Tensor, size: int) -> tuple[Tensor, Tensor]:
    """All cells (K, 1) around a channel's middle, to twice its reach, and how often each occurs."""
    rounded = points[:, 0].round()
    middle = float(rounded.median())
    reach = min(2 * int((rounded - middle).abs().max()) + 1, (size - 1) // 2)
    places = (rounded - middle).clamp(-reach, reach) + reach
    counts = torch.bincount(places.long(), minlength=2 * reach + 1).float()
    return torch.arange(-reach, reach + 1.0)[:, None] + middle, counts


def _frequent(points: Tensor, size: int) -> tuple[Tensor, Tensor]:
    """The most frequent cells (K, d), those of a channel by itself among them, and how often."""
    width = points.shape[1]
    reach = size // (8 * width)
    steps = torch.tensor([v for v in range(-reach, reach + 1) if v], dtype=points.dtype)
    alone = (torch.eye(width)[:, None] * steps[:, None]).flatten(0, 1)  # (2 reach d, d)
    found, counts = torch.unique(points.round(), dim=0, return_counts=True)
    best = counts.argsort(descending=True, stable=True)[: size - len(alone)]
    more = alone[~(alone[:, None] == found[best]).all(2).any(1)]
    # Cells beyond the most frequent ones count as if they did not occur.
    return torch.cat([found[best], more]), torch.cat([counts[best].float(), torch.zeros(len(more))])


def prices(counts: Tensor) -> Tensor:
    """Map how often codewords occur, (G, K), to the bits that each costs without context."""
    shares = counts / counts.sum(1, keepdim=True)
    return torch.where(counts > 0, -torch.log2(shares), _NEVER)


@torch.no_grad()
def match_marginals(block: Block, indices: Tensor, means: Tensor, precisions: Tensor) -> None:
    """Set the biases so that each codeword is expected as often as it occurs.

    Takes the indices (G, P) and what the prior says of their channels, (G, P, d).
    """
    counts = torch.zeros_like(block.bias).scatter_add_(1, indices, torch.ones_like(means[:, :, 0]))
    for _ in range(8):
        expected = torch.softmax(block.logits(means, precisions) * math.log(2.0), dim=2).sum(1)
        ratio = (counts + _UNSEEN) / (expected + _UNSEEN)
        block.bias.add_(torch.log2(ratio).clamp(-4.0, 4.0))
    block.bias.sub_(block.bias.amax(1, keepdim=True))
