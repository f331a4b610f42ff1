"""Integer logits to integer frequencies: the only rule, stated in SPEC.md.

For a position with logits l[0..K-1] in units of 1/16 bit:

    d[k] = min(max(l) - l[k], 400)
    T[k] = POWERS[d[k]]              POWERS[d] = floor(2^24 * 2^(-d/16) + 1/2)
    R    = floor((2^24 - K) * 2^24 / sum(T))
    f[k] = 1 + floor(T[k] * R / 2^24)

and what is left of 2^24 goes to the smallest k whose logit is largest. Every
f[k] is at least 1 and they sum to 2^24 exactly. All values are integers below
2^53, so float64 holds them exactly; the one division is made in integers.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

PRECISION = 24
"""Frequencies of a position sum to 2^24."""
TOTAL = 1 << PRECISION
FLOOR = 400
"""25 bits below the largest logit, POWERS is 0 and only the guaranteed 1 is left."""


def _powers() -> tuple[int, ...]:
    """Return POWERS in integers alone: 2^(-r/16) for r < 16 as a rounded 64-bit fraction.

    root[r] = floor(2^64 * 2^(-r/16)) is the integer 16th root of 2^(1024 - r), so no
    library's pow decides a bit; the halves below are far from any tie.
    """
    powers = []
    for d in range(FLOOR):
        octave, r = divmod(d, 16)
        root = _integer_root16(1 << (1024 - r))
        shift = 64 - PRECISION + octave
        powers.append((root + (1 << (shift - 1))) >> shift)
    return (*powers, 0)


def _integer_root16(n: int) -> int:
    low, high = 0, 1 << 65
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (middle, high) if middle**16 <= n else (low, middle)
    return low


POWERS = _powers()
_POWERS = np.array(POWERS, dtype=np.float64)


_ENTRIES = 1 << 15
"""Entries that are worked on at a time: what fits into a processor's cache takes half the time."""


def surpluses(logits: NDArray[np.floating]) -> NDArray[np.float64]:
    """Map integer logits (P, K) to f - 1 (P, K), integers >= 0 with row sums 2^24 - K.

    Both arrays hold integers in a floating dtype. The guaranteed 1 is left to the coder.
    """
    table = np.empty(logits.shape, dtype=np.float64)
    rows = max(1, _ENTRIES // logits.shape[1])
    for start in range(0, len(logits), rows):
        _fill(logits[start : start + rows], table[start : start + rows])
    return table


def _fill(logits: NDArray[np.floating], table: NDArray[np.float64]) -> None:
    rows, ones = np.arange(len(logits)), np.ones(logits.shape[1])
    free = TOTAL - logits.shape[1]
    best = logits.argmax(axis=1)
    distance = (logits[rows, best][:, None] - logits).astype(np.intp)
    np.take(_POWERS, distance, out=table, mode="clip")
    total = (table @ ones).astype(np.int64)
    reciprocal = (free << PRECISION) // total
    table *= (reciprocal.astype(np.float64) * 2.0**-PRECISION)[:, None]
    np.floor(table, out=table)
    table[rows, best] += free - table @ ones
