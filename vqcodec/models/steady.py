"""Indices that do not flicker from one frame to the next.

Codewords lie close together, and the least change of a picture, such as noise, makes another one
the nearest: where it is hardly nearer, the index of the frame before does as well, and costs less.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from vqcodec.models.codebook import nearest

_POSITIONS = 1 << 13
"""That are compared with all codewords at once."""


def spacing(codebook: NDArray[np.float32]) -> float:
    """Return the squared distance from a codeword, (K, D), to its nearest neighbour: the median."""
    found = []
    with np.errstate(over="ignore", invalid="ignore"):  # hostile weights may overflow
        squares = np.square(codebook).sum(1)
        for start in range(0, len(codebook), _POSITIONS):
            part = slice(start, start + _POSITIONS)
            distances = squares[part, None] - 2.0 * codebook[part] @ codebook.T + squares
            rows = np.arange(len(distances))
            distances[rows, rows + start] = np.inf
            found.append(distances.min(1))
        return float(np.median(np.concatenate(found)))


def steady(
    codebook: NDArray[np.float32],
    latents: NDArray[np.float32],
    before: NDArray[np.integer] | None,
    margin: float,
) -> NDArray[np.int32]:
    """Map latents (..., D) to indices (...): those of the frame before, of the same shape, where
    their codewords are farther by no more than the squared distance `margin`, else the nearest.
    """
    flat = latents.reshape(-1, latents.shape[-1])
    indices = np.empty(len(flat), np.int32)
    for start in range(0, len(flat), _POSITIONS):
        part = slice(start, start + _POSITIONS)
        vectors = flat[part]
        indices[part] = found = nearest(codebook, vectors)
        if before is not None:
            kept = before.reshape(-1)[part]
            with np.errstate(over="ignore", invalid="ignore"):
                farther = np.square(vectors - codebook[kept]).sum(1)
                farther -= np.square(vectors - codebook[found]).sum(1)
            indices[part] = np.where(farther <= margin, kept, found)
    return indices.reshape(latents.shape[:-1])
