"""How codebooks begin: grouping of channels, cells of the integer grid, biases.

The first stage ends with latents that are rounded, and with a synthesis and a
context that know nothing else. Codewords begin as these cells, so that coding goes on
where the first stage ended; training then moves them.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import accumulate

import torch
import torch.nn.functional as F
from torch import Tensor

from vqcodec.networks.product import Block, Codebooks
from vqcodec.prior.units import FRACTION_VECTOR as FRACTION
from vqcodec.prior.units import GROUP_SIZES, VECTOR_MAX

_NEVER = 40.0
"""Bits of a codeword that does not occur."""
_UNSEEN = 0.1
"""How often a codeword counts that was not seen."""
_QUIET = 5e-4
"""A channel of fewer bits per position, rounded, gets no group."""
_BLOCK = 300
"""Codewords of a position that take as long to decode as one more block."""


def start_codebooks(
    latents: Tensor, slices: tuple[int, ...], size: int, group_bits: float
) -> Codebooks:
    """Make the codebooks of one quality, of at most `size` codewords, from latents (P, D).

    Channels whose rounded values have together at most `group_bits` of entropy share a group.
    """
    entropies = channel_bits(latents)
    quiet = entropies < _QUIET
    reach = VECTOR_MAX * 2.0**-FRACTION
    made = []
    for start, width in zip(accumulate(slices, initial=0), slices, strict=False):
        blocks = []
        for channels in group(entropies, range(start, start + width), group_bits):
            cells = [start_cells(latents[:, own], size) for own in channels]
            for block in split([len(bits) for _, bits in cells]):
                vectors, bits = _pad([cells[number] for number in block])
                counts = torch.tensor([len(cells[number][1]) for number in block])
                vectors = vectors.clamp(-reach, reach)
                bias = torch.zeros(vectors.shape[:2])
                own = channels[block]
                blocks.append(Block(own, vectors, bias, torch.asinh(vectors), bits, counts))
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
            for d in GROUP_SIZES
            if d <= len(order) and (d == 1 or float(entropies[order[:d]].sum()) <= group_bits)
        ]
        found.setdefault(fits[-1], []).append(order[: fits[-1]])
        order = order[fits[-1] :]
    return [torch.tensor(found[d]) for d in sorted(found)]


def split(codewords: list[int]) -> list[list[int]]:
    """Split groups of one size, by their numbers of codewords, into blocks.

    All groups of a block are computed with as many codewords as its largest; a block of its own
    takes as long as `_BLOCK` codewords. Returns the groups' numbers, the most codewords first.
    """
    order = sorted(range(len(codewords)), key=lambda number: -codewords[number])
    # best[n]: cost of the last n groups of the order, and how many of them are one block.
    best = [(0, 0)]
    for first in reversed(range(len(order))):
        left = len(order) - first
        widest = codewords[order[first]]
        options = [(_BLOCK + n * widest + best[left - n][0], n) for n in range(1, left + 1)]
        best.append(min(options))
    blocks = []
    while order:
        _, n = best[len(order)]
        blocks.append(order[:n])
        order = order[n:]
    return blocks


def start_cells(points: Tensor, size: int) -> tuple[Tensor, Tensor]:
    """Return cells of the integer grid for P points of d channels, (P, d).

    These are at most `size` codewords (K, d), and the bits that each costs, (K,). A single
    channel has all cells of its range and beyond; more channels have the most frequent ones, and
    each channel's by itself: what no codeword is near would cost much distance in pictures with
    more contrast than those seen here.
    """
    found, counts = _range(points, size) if points.shape[1] == 1 else _frequent(points, size)
    return found, -torch.log2(counts.clamp_min(_UNSEEN) / len(points))


def _pad(cells: list[tuple[Tensor, Tensor]]) -> tuple[Tensor, Tensor]:
    """Stack codewords (G, K, d) and their bits (G, K). Groups with fewer repeat their first one,
    at a cost that is never paid.
    """
    size = max(len(bits) for _, bits in cells)
    costs = [F.pad(bits, (0, size - len(bits)), value=_NEVER) for _, bits in cells]
    return fill_up([codewords for codewords, _ in cells]), torch.stack(costs)


def fill_up(tables: Sequence[Tensor]) -> Tensor:
    """Stack tables (K, ...) of several K; smaller ones repeat their first row."""
    size = max(map(len, tables))
    full = [torch.cat([own, own[:1].expand(size - len(own), *own.shape[1:])]) for own in tables]
    return torch.stack(full)


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
