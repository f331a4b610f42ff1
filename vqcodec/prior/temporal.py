"""What the prior of a frame is told of the frame before, and of the action between the two.

A prior over space and time (arXiv 1711.00937, section 4.4) is the PixelCNN of one frame whose first
layer is told at each position what the network here makes of the frame before. That frame is known
as a whole, so the network looks around in all directions, and computes all positions at once.
Everything is computed in integers; format/SPEC.md, section "Priors of clips", defines them.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import NDArray

from vqcodec.errors import ModelCorruptError
from vqcodec.prior import units
from vqcodec.prior.layer import Float, Floats, Layer, Tensors, activate, limit, take, within
from vqcodec.prior.taps import TrunkTaps
from vqcodec.prior.trunk import Trunk

NOTHING = -1
"""An index of which nothing is known, such as all of the frame before a clip's first one."""


@dataclass(frozen=True, slots=True, eq=False)
class Temporal:
    """A network from a frame's indices and an action to what the next frame's prior is told."""

    embedding: NDArray[np.int8]
    """(K, E): what is read of an index."""
    actions: NDArray[np.int16]
    """(A + 1, H): what each action says; the first row is of an unknown one."""
    trunk: Trunk
    """H channels over positions that are read as E integers, all around."""
    output: Layer
    """(C, H)"""

    @classmethod
    def read(
        cls,
        tensors: Tensors,
        *,
        codebook_size: int,
        embedding: int,
        actions: int,
        channels: int,
        taps: TrunkTaps,
        outputs: int,
        dtype: Float = np.float32,
    ) -> Temporal:
        """Take the network out of a file's tensors, after checking them; `actions` is A,
        `channels` is H, and `outputs` is C. Raises ModelCorruptError.
        """
        table = take(tensors, "embedding", np.int8, (codebook_size, embedding))
        if not within(table, units.ACTIVATION_MAX):
            raise ModelCorruptError("prior tensor embedding is out of range")
        return cls(
            embedding=table,
            actions=take(tensors, "actions", np.int16, (actions + 1, channels)),
            trunk=Trunk.read(tensors, reads=embedding, channels=channels, taps=taps, dtype=dtype),
            output=Layer.read(tensors, "output", channels, outputs, dtype),
        )

    def offsets(self, before: NDArray[np.integer], action: int) -> Floats:
        """Map the frame before, indices (N, M) or NOTHING, and an action 0..A to offsets of all
        positions, (N M, C).
        """
        known = (before != NOTHING)[:, :, None]
        read = (self.embedding[before] * known).astype(self.trunk.dtype)
        stream = limit(_around(self.trunk.first, read) + self.actions[action])
        for layer in self.trunk.layers:
            stream = limit(stream + _around(layer, activate(stream)))
        return limit(self.output(activate(stream).reshape(before.size, -1)))


def _around(layer: Layer, field: Floats) -> Floats:
    """Map vectors (N, M, inputs) to (N, M, outputs), a layer reading the square around each
    position; outside the grid is 0.
    """
    side = math.isqrt(layer.matrix.shape[0] // field.shape[2])
    margin = (side // 2, side // 2)
    padded = np.pad(field, (margin, margin, (0, 0)))
    squares = sliding_window_view(padded, (side, side), axis=(0, 1)).transpose(0, 1, 3, 4, 2)
    # Row by row, as all squares together take side^2 times the memory of the field.
    return np.stack([layer(row.reshape(len(row), -1)) for row in squares])
