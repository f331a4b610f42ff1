"""A coder that decodes random bits: what it reads are samples of what the tables say.

A range decoder fed with random bits draws each symbol with the probability that its table gives
it. The numbers drawn here are those bits, 24 for each symbol, without the coder's own arithmetic.
As tables are integers and the same everywhere, so are the samples of a seed.
"""

from __future__ import annotations

import numpy as np

from vqcodec.entropy.coder import Surpluses, Symbols
from vqcodec.entropy.tables import PRECISION

UNKNOWN = -1
"""A symbol that is to be drawn."""


class Sampler:
    """Draws symbols."""

    lost = False

    def __init__(self, seed: int, number: int = 0) -> None:
        """`seed` and `number`, below 2^64, give a sequence of their own to each sampler."""
        # NumPy keeps the bits of its generators, other than what it makes of them, for ever.
        self._bits = np.random.Philox(key=np.array([seed, number], dtype=np.uint64))

    def code(self, surpluses: Surpluses, symbols: Symbols) -> Symbols:
        """Draw a symbol, int32 (P,), for each that is UNKNOWN; the others are kept."""
        drawn = symbols.copy()
        unknown = np.flatnonzero(symbols == UNKNOWN)
        uniform = self._bits.random_raw(len(unknown)) >> np.uint64(64 - PRECISION)
        ends = (surpluses[unknown] + 1.0).cumsum(axis=1)  # integers up to 2^24, exact
        drawn[unknown] = (ends <= uniform[:, None]).sum(axis=1)
        return drawn
