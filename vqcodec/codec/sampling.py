"""Indices that nobody coded: samples of a prior (ancestral sampling, arXiv 1711.00937, section 4).

The coding loop draws each index from the table that a decoder would read it by, given all that
were drawn before. It computes as NumPy's decoder does, so a seed gives the same indices everywhere.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from vqcodec.codec.coding import Indices, Progress, code_tiles
from vqcodec.counting import counted
from vqcodec.entropy.sampler import UNKNOWN, Sampler
from vqcodec.grid import Size, whole
from vqcodec.prior.chooser import KnownIndices
from vqcodec.prior.context import Context, Prior

SEED_MAX = (1 << 64) - 1
TEMPERATURES = 0.01, 100.0
"""The least and the most that a temperature may be."""


def sample_grids(
    prior: Prior,
    size: Size,
    *,
    count: int,
    seed: int,
    temperature: float = 1.0,
    known: Indices | None = None,
    progress: Progress | None = None,
) -> list[Indices]:
    """Draw `count` grids of indices, int32 (*size, G) each.

    Sample number n is the same whatever `count` is. Logits are divided by `temperature`, above 0:
    below 1 what is likely becomes likelier. `known` are indices of a whole grid (*size, G) that
    the samples keep, UNKNOWN where they are to be drawn.

    Raises ValueError for a count, a seed or a temperature that cannot be.
    """
    if count < 1:
        raise ValueError(f"{counted(count, 'sample')} cannot be drawn")
    if not 0 <= seed <= SEED_MAX:
        raise ValueError(f"seed is {seed}, not 0 to {SEED_MAX}")
    if not TEMPERATURES[0] <= temperature <= TEMPERATURES[1]:
        raise ValueError("temperature is {}, not {} to {}".format(temperature, *TEMPERATURES))
    groups = sum(number for number, _ in prior.parts)
    grids = np.zeros((count * size[0], *size[1:], groups), dtype=np.int32)
    first, *others = whole(size)
    boxes = [
        (slice(number * size[0], number * size[0] + first.stop), *others) for number in range(count)
    ]
    if known is None:
        known = np.full((*size, groups), UNKNOWN, dtype=np.int32)
    chooser = KnownIndices(prior.parts, np.tile(known.reshape(-1, groups), (count, 1)))
    samplers = [Sampler(seed, number) for number in range(count)]
    code_tiles(_Tempered.of(prior, temperature), samplers, boxes, grids, chooser, progress)
    return [grids[box] for box in boxes]


@dataclass(frozen=True, eq=False)
class _Tempered(Prior):
    """A prior whose logits are divided by a temperature."""

    temperature: float

    @classmethod
    def of(cls, prior: Prior, temperature: float) -> _Tempered:
        return cls(trunk=prior.trunk, head=prior.head, temperature=temperature)

    def context(self, sizes: Sequence[Size]) -> Context:
        return _TemperedContext(self, sizes, self.temperature)


class _TemperedContext(Context):
    def __init__(self, prior: Prior, sizes: Sequence[Size], temperature: float) -> None:
        super().__init__(prior, sizes)
        self._temperature = temperature

    def logits(self, part: int, some: slice) -> NDArray[np.float64]:
        # Division and rounding are exact operations: their results are the same everywhere.
        return np.rint(super().logits(part, some).astype(np.float64) / self._temperature)
