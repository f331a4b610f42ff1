"""Chances and their logits as integers, and what is learned of chances (format/SPEC.md).

Predictions of one bit are mixed as in the PAQ compressors (Mahoney, "Adaptive weighing of
context models for lossless data compression", 2005): a weighted sum of logits, whose weights
learn from each bit.
"""

from __future__ import annotations

import math
from functools import cache

import numpy as np
from numpy.typing import NDArray

STRETCHES = 1 << 12
SQUASH_HALF = 3 << 10
COUNT_MAX = 127
RATES = tuple(655360 // (10 * count + 16) for count in range(COUNT_MAX + 1))
"""The part of its error, in 1/65536, by which a chance that was met so often before moves."""
KNOWN_BITS = 22
WEIGHT_FIRST = 20000
WEIGHT_MAX = 1 << 20
"""Weights are in units of 1/65536."""


@cache
def stretch() -> NDArray[np.int32]:
    """Return the logits, in 1/256, of the chances (i + 1/2) / 4096: int32 (4096,).

    No entry of this table and the next is nearer than 1e-5 to where it would be rounded the
    other way, so the last bits of a platform's logarithm do not matter.
    """
    odds = [(2 * i + 1) / (2 * STRETCHES - 2 * i - 1) for i in range(STRETCHES)]
    return np.array([math.floor(256 * math.log(each) + 0.5) for each in odds], dtype=np.int32)


@cache
def squash() -> NDArray[np.int32]:
    """Return the chances, in 1/65536, of the logits -3072/256 to 3071/256: int32 (6144,)."""
    logits = [place / 256 for place in range(-SQUASH_HALF, SQUASH_HALF)]
    chances = [math.floor(65536 / (1 + math.exp(-logit)) + 0.5) for logit in logits]
    return np.array(chances, dtype=np.int32).clip(1, 65535)
