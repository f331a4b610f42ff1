"""The wedge: which neighbours the prior's layers read, and how steps find them.

Offsets are (rows, columns) from the position being predicted. No offset
reaches further right than up (dj <= -di), so in the coordinate

    t = j + 2 i

every offset points to a smaller t, except a position's own features. Positions
of equal t form a step. In a step the rows are a contiguous range, and the
neighbours at offset (di, dj) of all of them are the contiguous range of rows
shifted by di in the step t + 2 di + dj: a layer's input is a concatenation of
slices of the last steps' features.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

Taps = tuple[tuple[int, int], ...]

FIRST_TAPS: Taps = (
    *((-2, dj) for dj in (-2, -1, 0, 1, 2)),
    *((-1, dj) for dj in (-2, -1, 0, 1)),
    *((0, dj) for dj in (-2, -1)),
)
"""What the first layer reads: 11 indices."""
INNER_TAPS: Taps = ((-1, -1), (-1, 0), (-1, 1), (0, -1), (0, 0))
"""What every further layer reads; its own position holds only the past."""


def gather(features: Tensor, taps: Taps) -> Tensor:
    """Lay the neighbours of every position side by side.

    (B, N, M, C) gives (B, N, M, taps * C); outside the grid is 0.
    """
    up = max(-di for di, _ in taps)
    left = max(-dj for _, dj in taps)
    right = max(dj for _, dj in taps)
    _, rows, columns, _ = features.shape
    padded = F.pad(features, (0, 0, left, max(right, 0), up, 0))
    slices = [
        padded[:, up + di : up + di + rows, left + dj : left + dj + columns] for di, dj in taps
    ]
    return torch.cat(slices, dim=-1)


class StepCache:
    """Features of the last steps of a batch of tiles of equal size.

    A ring of steps, each (tiles, up + rows, channels); rows that a step does not
    have are 0, as is everything outside the grid.
    """

    def __init__(self, taps: Taps, tiles: int, rows: int, like: Tensor) -> None:
        self._taps = taps
        self._up = max(-di for di, _ in taps)
        depth = 1 + max(-(2 * di + dj) for di, dj in taps)
        channels = like.shape[-1]
        self._ring = like.new_zeros(depth, tiles, self._up + rows, channels)
        self._first = [0] * depth
        self._stop = [0] * depth

    def put(self, t: int, first: int, features: Tensor) -> None:
        """Store the features (tiles, n, C) of rows first..first+n-1 of step t."""
        slot = t % len(self._ring)
        step = self._ring[slot]
        stop = first + features.shape[1]
        # The slot still holds step t - depth; its rows that t lacks become 0 again.
        step[:, self._up + self._first[slot] : self._up + first] = 0
        step[:, self._up + first : self._up + stop] = features
        self._first[slot], self._stop[slot] = first, stop

    def neighbours(self, t: int, first: int, stop: int) -> Tensor:
        """Return the neighbours of rows first..stop-1 of step t: (tiles, n, taps * C)."""
        depth, up = len(self._ring), self._up
        slices = [
            self._ring[(t + 2 * di + dj) % depth][:, up + first + di : up + stop + di]
            for di, dj in self._taps
        ]
        return torch.cat(slices, dim=-1)
