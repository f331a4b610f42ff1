"""A prior as a decoder: indices of a whole grid, drawn given a few latents.

The second stage's decoder of arXiv 1711.00937, section 4.2, is a PixelCNN that sees the latents at
every position. What is drawn is decided by the latents alone, as the random bits are always the
same, and as everything is computed in integers, it is the same on every machine; format/SPEC.md,
section "Two stages", defines it.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from vqcodec.entropy.sampler import Sampler
from vqcodec.prior.context import Prior, ToldPrior
from vqcodec.prior.layer import Float, Floats, Layer, Tensors, activate, limit, take
from vqcodec.prior.likelihood import draw

_SEED = 0
"""Of the random bits of every picture."""


@dataclass(frozen=True, slots=True, eq=False)
class Condition:
    """A network from latents and a position to what a prior's first layer is told there."""

    latents: NDArray[np.int16]
    """(G, K, H): what each index of each latent says."""
    places: NDArray[np.int16]
    """(positions, H): what tells positions apart."""
    hidden: Layer
    """(H, H)"""
    output: Layer
    """(C, H)"""

    @classmethod
    def read(
        cls,
        tensors: Tensors,
        *,
        shape: tuple[int, int, int],
        positions: int,
        channels: int,
        dtype: Float = np.float32,
    ) -> Condition:
        """Take the network out of a file's tensors, after checking them; `shape` is (G, K, H), and
        `channels` is C. Raises ModelCorruptError.
        """
        width = shape[2]
        return cls(
            latents=take(tensors, "latents", np.int16, shape),
            places=take(tensors, "places", np.int16, (positions, width)),
            hidden=Layer.read(tensors, "hidden", width, width, dtype),
            output=Layer.read(tensors, "output", width, channels, dtype),
        )

    def offsets(self, indices: NDArray[np.integer]) -> Floats:
        """Map the indices of latents, (G,) below K, to offsets of all positions, (positions, C)."""
        said = self.latents[np.arange(len(indices)), indices].sum(0, dtype=np.int64)
        stream = (self.places + said).astype(self.hidden.matrix.dtype)
        return limit(self.output(activate(self.hidden(activate(stream)))))


@dataclass(frozen=True, slots=True, eq=False)
class ConditionalPrior:
    """Indices of a square grid, one for each position, given latents."""

    side: int
    """Rows, and columns, of the grid."""
    condition: Condition
    prior: Prior

    def draw(self, latents: NDArray[np.integer]) -> NDArray[np.int32]:
        """Map the indices of latents, (G,), to those of the grid, (side, side)."""
        offsets = self.condition.offsets(latents)
        return draw(ToldPrior.of(self.prior, offsets), (self.side, self.side), Sampler(_SEED))
