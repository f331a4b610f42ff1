"""Finer cells for channels in which errors are seen from afar.

Codebooks begin with cells as wide as the steps that latents are rounded in. For the few channels
of light and colour over large areas that is too wide:

- where gains were lowered, as latents would have left the codewords' reach
  (`deep_start.limit_gains`), steps are wider than the quality's others;
- errors of low frequency count little in the mean squared error, and much in MS-SSIM and
  SSIMULACRA2, and few bits remove them.

Codewords of channels that have a group to themselves lie closer here, in the same range, so that
latents, gains and what the prior expects stay as they are. train/README.md has what it gains.
"""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from vqcodec.networks.product import Block, Codebooks
from vqcodec.prior.units import FRACTION_VECTOR
from vqcodec.training.cells import fill_up, split
from vqcodec.training.config import FineCells

_UNIT = 2.0**-FRACTION_VECTOR
"""Codewords are multiples of this."""


def spacings(settings: FineCells, gains: Tensor, deviations: Tensor) -> Tensor:
    """Return how far apart codewords are to lie, (Q, D), at most 1: multiples of 1/32.

    `gains` (Q, D) are those of qualities 1..Q, `deviations` (D,) how much each latent varies
    before them. The channels that vary most at the highest quality are finer by
    `settings.spacing`, and by how much less their gains grew than is usual since the lowest
    quality that has any.
    """
    first = settings.lowest - 1
    widest = (deviations * gains[-1]).topk(settings.channels).indices
    growth = gains[first:] / gains[first]
    usual = growth.median(1, keepdim=True).values
    own = (growth[:, widest] / usual).clamp_max(1.0) * settings.spacing
    wanted = torch.ones_like(gains)
    wanted[first:, widest] = (own.clamp_min(settings.least) / _UNIT).round() * _UNIT
    return wanted


@torch.no_grad()
def finer(codebooks: Codebooks, spacing: Tensor) -> Codebooks:
    """Return codebooks whose single channels have codewords as far apart as `spacing`, (D,), says
    where it is below 1. Biases and embeddings lie between those that there were.

    What codewords cost without context is not known of them.
    """
    made = []
    for blocks in codebooks.by_slice():
        groups: dict[int, list[tuple[Tensor, ...]]] = {}
        for block in blocks:
            for number, count in enumerate(block.counts.tolist()):
                channels = block.channels[number]
                tables = (block.vectors, block.bias, block.embedding)
                own = tuple(table[number, :count] for table in tables)
                if len(channels) == 1 and spacing[channels[0]] < 1.0:
                    own = _finer(*own, unit=float(spacing[channels[0]]))
                groups.setdefault(len(channels), []).append((channels, *own))
        made.append([block for same in groups.values() for block in _blocks(same)])
    return Codebooks(made, codebooks.rest)


def _finer(
    vectors: Tensor, bias: Tensor, embedding: Tensor, *, unit: float
) -> tuple[Tensor, Tensor, Tensor]:
    """Lay a grid of `unit` over the range of one channel's codewords."""
    values, places = np.unique(vectors[:, 0].cpu().numpy(), return_index=True)
    low, high = np.ceil(values[0] / unit), np.floor(values[-1] / unit)
    grid = np.arange(low, high + 1) * unit
    found = (
        np.interp(grid, values, table.cpu().numpy()[places]) for table in (bias, embedding[:, 0])
    )
    between = [torch.from_numpy(table).to(vectors) for table in found]
    return torch.from_numpy(grid).to(vectors)[:, None], between[0], between[1][:, None]


def _blocks(groups: list[tuple[Tensor, ...]]) -> list[Block]:
    """Make the blocks of groups of one size, each channels (d,), vectors (K, d), bias (K,) and
    embedding (K, d).
    """
    made = []
    for numbers in split([len(bias) for _, _, bias, _ in groups]):
        channels, vectors, bias, embedding = zip(
            *(groups[number] for number in numbers), strict=True
        )
        counts = torch.tensor([len(own) for own in bias], device=bias[0].device)
        biases = fill_up(bias)
        made.append(
            Block(
                torch.stack(channels),
                fill_up(vectors),
                biases,
                fill_up(embedding),
                torch.zeros_like(biases),
                counts,
            )
        )
    return made
