"""The wedge: which neighbours the prior's layers read, and how steps find them.

Offsets are (rows, columns) from the position being predicted. No offset
reaches further right than up (dj <= -di), so in the coordinate

    t = j + 2 i

every offset points to a smaller t, except a position's own features. Positions
of equal t form a step, and the neighbours at offset (di, dj) of all of them are
in the step t + 2 di + dj: a layer's input is gathered from the last steps' features.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from vqcodec.models.wavefront import Integers, Size, Step, starts

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
    """Features of the last steps of a batch of tiles.

    A ring of steps, each with a place for every row of every tile; and one more place,
    which is 0 as is everything outside a tile.
    """

    def __init__(self, taps: Taps, sizes: Sequence[Size], like: Tensor) -> None:
        """Keep what `taps` reach; `like` has the features' channels, dtype and device."""
        rows, self._columns = np.array(sizes).T
        self._starts = starts(rows)
        self._down, self._right = np.array(taps).T
        self._back = 2 * self._down + self._right
        self._depth = 1 - int(self._back.min())
        self._rows = int(rows.sum())
        self._kept = like.new_zeros(self._depth * self._rows + 1, like.shape[-1])

    def put(self, step: Step, features: Tensor) -> None:
        """Store the features (P, C) of a step."""
        at = step.t % self._depth * self._rows + self._starts[step.tile] + step.row
        self._kept[self._tensor(at)] = features

    def neighbours(self, step: Step) -> Tensor:
        """Return the neighbours of the positions of a step: (P, taps * C)."""
        up = step.row[:, None] + self._down
        beside = step.column[:, None] + self._right
        inside = (up >= 0) & (beside >= 0) & (beside < self._columns[step.tile][:, None])
        slots = (step.t + self._back) % self._depth * self._rows
        at = np.where(inside, slots + up + self._starts[step.tile][:, None], len(self._kept) - 1)
        return F.embedding(self._tensor(at), self._kept).flatten(1)

    def _tensor(self, at: Integers) -> Tensor:
        return torch.from_numpy(at).to(self._kept.device)
