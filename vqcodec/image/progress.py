"""Positions that are done, as the part of all that is done."""

from __future__ import annotations

from collections.abc import Callable

Progress = Callable[[float], None]
"""Is called with the part that is done, 0 to 1."""


def counter(progress: Progress | None, total: int) -> Callable[[int], None] | None:
    """Turn counts of positions, `total` in all, into parts done."""
    if progress is None:
        return None
    done = 0

    def count(more: int) -> None:
        nonlocal done
        done += more
        progress(min(1.0, done / total))

    return count
