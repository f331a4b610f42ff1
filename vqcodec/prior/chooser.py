"""Which indices an encoder codes: those that it was given, or those of least cost."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from vqcodec.prior import units
from vqcodec.prior.codebooks import LATENT_MAX, Codebooks, Latents
from vqcodec.prior.heads import Parts
from vqcodec.prior.layer import Floats
from vqcodec.prior.wavefront import Integers


@dataclass(frozen=True, slots=True, eq=False)
class KnownIndices:
    """Indices that are all known."""

    parts: Parts
    indices: NDArray[np.int32]
    """(places, G): of all positions of a batch, tile after tile, row by row."""

    def choose(self, places: Integers, part: int, logits: Floats) -> NDArray[np.integer]:
        """Return a part's indices (n, g) at places (n,), whose logits are (g, n, K)."""
        start = sum(groups for groups, _ in self.parts[:part])
        return self.indices[places, start : start + self.parts[part][0]]


@dataclass(frozen=True, slots=True, eq=False)
class LeastCost:
    """Indices that cost least, bits and distance together."""

    codebooks: Codebooks
    latents: Latents
    """(places, D)"""
    distance_bits: float
    """Bits that a squared distance of 1 is worth, above 0."""

    def choose(self, places: Integers, part: int, logits: Floats) -> NDArray[np.integer]:
        """Return a part's indices (n, g) at places (n,), whose logits are (g, n, K).

        Of equal costs the first counts.
        """
        costs = self.codebooks.blocks[part].distances(self.latents[places])
        costs -= self.per_logit * logits.astype(np.float32)
        cheapest: NDArray[np.intp] = costs.argmin(2)
        return cheapest.T

    @property
    def per_logit(self) -> np.float32:
        """Squared distance that 1/16 bit is worth."""
        return np.float32(2.0**-units.FRACTION_LOGIT / self.distance_bits)


Chooser: TypeAlias = "KnownIndices | LeastCost"


def bounded(latents: NDArray[np.float32]) -> Latents:
    """Return latents without what is not finite: NaN becomes 0, the rest is clamped."""
    return np.clip(np.nan_to_num(latents), -LATENT_MAX, LATENT_MAX)
