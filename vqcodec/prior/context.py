"""A prior, and what is known of a batch of tiles while they are coded."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from vqcodec.grid import Size
from vqcodec.prior.heads import Head, Parts, Positions
from vqcodec.prior.kernel import NUMPY, Kernel, Network, pack
from vqcodec.prior.kernel import level as kernel_level
from vqcodec.prior.layer import Floats
from vqcodec.prior.trunk import Features, Trunk
from vqcodec.prior.wavefront import Step, steps


@dataclass(frozen=True, eq=False)  # without slots, for the cached property
class Prior:
    """Integer logits of each index given those before it, of one model at one quality."""

    trunk: Trunk
    head: Head

    @property
    def parts(self) -> Parts:
        """What a position's indices are coded in."""
        return self.head.parts

    def context(self, sizes: Sequence[Size]) -> Context:
        """Begin a batch of tiles, with NumPy."""
        return Context(self, sizes)

    def kernel(self) -> Kernel | None:
        """Return what codes tiles in C, or None where NumPy serves.

        Raises ValueError if the environment asks for a level that is not there.
        """
        level = kernel_level()
        if level == NUMPY:
            return None
        return Kernel(self._network, level, sum(groups for groups, _ in self.parts))

    @cached_property
    def _network(self) -> Network:
        return pack(self.trunk, self.head)


@dataclass(frozen=True, eq=False)
class ToldPrior(Prior):
    """The prior of one grid, each position of which is told something of its own."""

    offsets: Floats
    """(positions, C), instead of the trunk's offset; row by row."""
    base: Prior
    """The same prior without them, whose network in the kernel serves."""

    @classmethod
    def of(cls, prior: Prior, offsets: Floats) -> ToldPrior:
        """Return a prior that is told something."""
        return cls(trunk=prior.trunk, head=prior.head, offsets=offsets, base=prior)

    def context(self, sizes: Sequence[Size]) -> Context:
        """Begin the grid, whose size is the only one of `sizes`, with NumPy."""
        return Context(self, sizes, self.offsets)

    def kernel(self) -> Kernel | None:
        """Return what codes the grid in C, or None where NumPy serves.

        Raises ValueError if the environment asks for a level that is not there.
        """
        kernel = self.base.kernel()
        return kernel and replace(kernel, offsets=self.offsets.astype(np.int32))


class Context:
    """Logits of a batch of tiles, in coding order."""

    def __init__(self, prior: Prior, sizes: Sequence[Size], offsets: Floats | None = None) -> None:
        """`offsets` are those of `trunk.Features`."""
        self._head = prior.head
        self._sizes = sizes
        self._features = Features(prior.trunk, sizes, offsets)
        self._positions: Positions | None = None

    def steps(self) -> Iterator[Step]:
        """Yield the steps in order; before the next one every part of a step has to be `put`."""
        for step in steps(self._sizes):
            self._positions = positions = self._head.begin(self._features.of(step))
            yield step
            self._features.put(step, positions.read)

    def logits(self, part: int, some: slice) -> Floats:
        """Return integer logits (g, n, K) in units of 1/16 bit for some of the step's positions.

        Of each step the parts come in order, of each all positions, then `put`.
        """
        assert self._positions is not None
        return self._positions.logits(part, some)

    def put(self, part: int, indices: NDArray[np.integer]) -> None:
        """Learn the part's indices (P, g) at all positions of the step."""
        assert self._positions is not None
        self._positions.put(part, indices)
