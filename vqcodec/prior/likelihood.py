"""What a grid of indices costs under a prior, and grids that are drawn from it.

Both go by the integer tables that a coder would code the grid with, so they are the same on every
machine. Priors are those of one index per position.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from vqcodec.entropy.sampler import UNKNOWN, Sampler
from vqcodec.entropy.tables import PRECISION, surpluses
from vqcodec.grid import Size
from vqcodec.prior.context import Prior


def bits_of(prior: Prior, indices: NDArray[np.integer]) -> float:
    """Return the cost in bits of a grid of indices (N, M): -log2 of its probability."""
    bits = 0.0
    context = prior.context([indices.shape])
    for step in context.steps():
        own = indices[step.position]
        tables = surpluses(context.logits(0, slice(None)))[:, 0]
        frequencies = tables[np.arange(len(own)), own] + 1.0
        bits += float((PRECISION - np.log2(frequencies)).sum())
        context.put(0, own[:, None])
    return bits


def draw(prior: Prior, size: Size, sampler: Sampler) -> NDArray[np.int32]:
    """Draw a grid of indices, (N, M): ancestral sampling, in wavefront order."""
    drawn = np.zeros(size, dtype=np.int32)
    context = prior.context([size])
    for step in context.steps():
        tables = surpluses(context.logits(0, slice(None)))[:, 0]
        own = sampler.code(tables, np.full(len(tables), UNKNOWN, dtype=np.int32))
        context.put(0, own[:, None])
        drawn[step.position] = own
    return drawn
