"""What training asks of a medium, pictures or sound: crops, networks, rate and distortion.

Shapes: crops of B pictures or sounds; latents (B, D, ...), "..." being the grid: N rows and M
columns of positions, or M frames. The networks learn and compute in the medium's own precision.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from torch import Tensor, nn

from vqcodec.networks.latent_prior import GaussianPrior


class Found(Protocol):
    """How far decoded crops are from their originals."""

    @property
    def total(self) -> Tensor:
        """As the loss weighs it, (B,)."""
        ...

    def figures(self) -> dict[str, float]:
        """Return figures to log, means over the crops."""
        ...


@dataclass(frozen=True, slots=True)
class Cost:
    """What crops cost at a step of training. Nothing here has yet been waited for."""

    loss: Tensor
    """To be minimised, ()."""
    means: Mapping[str, Tensor]
    """Figures of the step, by their names in the log: (), without gradients."""
    distortion: Found

    def figures(self) -> dict[str, float]:
        """Return the figures as numbers, those of the distortion too."""
        means = {name: float(value.detach()) for name, value in self.means.items()}
        return means | self.distortion.figures()


class Medium(Protocol):
    """See the module's docstring."""

    rate: str
    """Name of its unit of rate: 'bpp' or 'kbps'."""

    @property
    def networks(self) -> nn.Module:
        """All that is trained, as one module."""
        ...

    @property
    def fixed(self) -> Sequence[nn.Module]:
        """Parts of it that stay as the first stage made them: analysis and gains."""
        ...

    @property
    def prior(self) -> GaussianPrior:
        """The context, in float32 where it is called by itself."""
        ...

    @property
    def lambdas(self) -> Tensor:
        """Weight of distortion against rate at each quality, (Q,)."""
        ...

    @property
    def validation(self) -> Sequence[Tensor]:
        """Crops to validate on, as `batch` draws them, one in each tensor."""
        ...

    def batch(self, count: int, length: int, rng: np.random.Generator) -> Tensor:
        """Draw so many crops of that side or length."""
        ...

    def originals(self, batch: Tensor) -> Tensor:
        """Return crops as the networks read them, on their device."""
        ...

    def latents(self, originals: Tensor) -> Tensor:
        """Return their latents, float32, before gains."""
        ...

    def gains(self, qualities: Tensor) -> Tensor:
        """Return the gains of qualities int64 (B,), to multiply latents with: (B, D, 1, ..)."""
        ...

    def context(
        self, seen: Tensor, qualities: Tensor, *, integer: bool = False
    ) -> tuple[Tensor, Tensor]:
        """Return the prior's means and scales of what it reads of latents (see `prior`)."""
        ...

    def decoded(self, latents: Tensor) -> Tensor:
        """Return what the synthesis makes of latents without their gains."""
        ...

    def rates(self, costs: Tensor, originals: Tensor) -> Tensor:
        """Return the rates of crops that cost so many bits, (B,) both."""
        ...

    def distortion(self, decoded: Tensor, originals: Tensor) -> Found:
        """Compare crops."""
        ...

    def written(self, decoded: Tensor) -> Tensor:
        """Return decoded crops as files have them."""
        ...

    def judged(self, decoded: Tensor, originals: Tensor) -> dict[str, float]:
        """Return figures of one crop that are too slow for training, or have no gradient."""
        ...
