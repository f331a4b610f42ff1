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

from typing import Any

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


def surpluses(logits: NDArray[np.floating[Any]]) -> NDArray[np.float64]:
    """Map integer logits (G, P, K) to f - 1, integers >= 0: (P, G, K), the order of coding.

    `logits` holds integers in a floating dtype. The sums over K are 2^24 - K: the guaranteed
    1 is left to the coder.
    """
    groups, positions, size = logits.shape
    free = TOTAL - size
    best = logits.argmax(2)[:, :, None]
    below = np.take_along_axis(logits, best, 2) - logits
    table = _POWERS[np.minimum(below, FLOOR, out=below).astype(np.intp)]
    reciprocal = (free << PRECISION) // table.sum(2, keepdims=True).astype(np.int64)
    table *= reciprocal * 2.0**-PRECISION
    made = np.empty((positions, groups, size))
    np.floor(table, out=made.swapaxes(0, 1))
    most = best.swapaxes(0, 1)
    left = free - made.sum(2, keepdims=True)
    np.put_along_axis(made, most, np.take_along_axis(made, most, 2) + left, 2)
    return made
