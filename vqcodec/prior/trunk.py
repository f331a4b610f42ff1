"""The trunk of a prior: features of each position from the positions before it.

The first layer reads what the model makes of decoded positions, every further one adds to
the residual stream what it reads of the stream's activations. The positions of a step are
computed at once; what later steps read is kept in rings of the last steps, so that nothing
is computed twice.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from vqcodec.grid import Size
from vqcodec.prior.layer import Float, Floats, Layer, Tensors, activate, limit
from vqcodec.prior.taps import Taps, TrunkTaps
from vqcodec.prior.wavefront import Integers, Step, rows_and_columns, starts


@dataclass(frozen=True, slots=True, eq=False)
class Trunk:
    """Layers of C channels over positions that are read as E integers each."""

    first: Layer
    """(C, taps E)"""
    layers: tuple[Layer, ...]
    """(C, taps C) each"""
    taps: TrunkTaps
    offset: Floats
    """(C,), added to what the first layer gives; its dtype is that of the arithmetic."""

    @classmethod
    def read(
        cls,
        tensors: Tensors,
        *,
        reads: int,
        channels: int,
        taps: TrunkTaps,
        dtype: Float = np.float32,
    ) -> Trunk:
        """Take a trunk without an offset out of a file's tensors, after checking them.

        Raises ModelCorruptError.
        """
        return cls(
            first=Layer.read(tensors, "first", len(taps.first) * reads, channels, dtype),
            layers=tuple(
                Layer.read(tensors, f"layers.{number}", len(own) * channels, channels, dtype)
                for number, own in enumerate(taps.layers)
            ),
            taps=taps,
            offset=np.zeros(channels, dtype),
        )

    @property
    def channels(self) -> int:
        """Number C of features."""
        return len(self.offset)

    @property
    def reads(self) -> int:
        """Integers E that are read of a position."""
        return int(self.first.weight.shape[1]) // len(self.taps.first)

    @property
    def dtype(self) -> Float:
        """That of the arithmetic."""
        kind: Float = self.offset.dtype.type
        return kind

    def kept(self, size: Size) -> int:
        """Return how many numbers are kept of the last steps of a tile while it is coded."""
        rows, columns = rows_and_columns(size)
        steps = columns + 2 * rows - 2
        depths = sum(min(_depth(own), steps) for own in self.taps.layers) * self.channels
        return rows * (depths + min(_depth(self.taps.first), steps) * self.reads)


class Features:
    """Features of a batch of tiles, step by step."""

    def __init__(self, trunk: Trunk, sizes: Sequence[Size], offsets: Floats | None = None) -> None:
        """`offsets`, (places, C), replace the trunk's: each position of all tiles has its own."""
        self._trunk = trunk
        self._offsets = offsets
        self._read = StepCache(trunk.taps.first, sizes, trunk.reads, trunk.dtype)
        self._activations = [
            StepCache(taps, sizes, trunk.channels, trunk.dtype) for taps in trunk.taps.layers
        ]

    def of(self, step: Step) -> Floats:
        """Return the features (P, C) of a step's positions, 0..127. Steps come in order, each
        followed by `put`.
        """
        trunk = self._trunk
        offset = trunk.offset if self._offsets is None else self._offsets[step.place]
        stream = limit(trunk.first(self._read.neighbours(step)) + offset)
        for layer, cache in zip(trunk.layers, self._activations, strict=True):
            cache.put(step, activate(stream))
            stream = limit(stream + layer(cache.neighbours(step)))
        return activate(stream)

    def put(self, step: Step, read: Floats) -> None:
        """Store what is read of a step's positions, (P, E)."""
        self._read.put(step, read)


class StepCache:
    """Vectors of the last steps of a batch of tiles.

    A ring of steps, each with a place for every row of every tile; and one more place,
    which is 0 as is everything outside a tile.
    """

    def __init__(self, taps: Taps, sizes: Sequence[Size], width: int, dtype: Float) -> None:
        """Keep what `taps` reach of vectors of `width` numbers."""
        rows, self._columns = np.array([rows_and_columns(size) for size in sizes]).T
        self._starts = starts(rows)
        self._down, self._right = np.array(taps).T
        self._back = 2 * self._down + self._right
        # Small tiles have fewer steps than taps of wide dilation reach back.
        self._depth = min(_depth(taps), int((self._columns + 2 * rows).max()) - 2)
        self._rows = int(rows.sum())
        self._kept = np.zeros((self._depth * self._rows + 1, width), dtype=dtype)

    def put(self, step: Step, vectors: Floats) -> None:
        """Store the vectors (P, width) of a step."""
        at = step.t % self._depth * self._rows + self._starts[step.tile] + step.row
        self._kept[at] = vectors

    def neighbours(self, step: Step) -> Floats:
        """Return the neighbours of a step's positions side by side: (P, taps * width)."""
        up = step.row[:, None] + self._down
        beside = step.column[:, None] + self._right
        inside = (up >= 0) & (beside >= 0) & (beside < self._columns[step.tile][:, None])
        slots = (step.t + self._back) % self._depth * self._rows
        places = slots + up + self._starts[step.tile][:, None]
        at: Integers = np.where(inside, places, len(self._kept) - 1)
        return self._kept[at].reshape(len(at), -1)


def _depth(taps: Taps) -> int:
    """Return how many steps back the farthest tap is, and 1 for the step itself."""
    return 1 + max(-2 * down - right for down, right in taps)
