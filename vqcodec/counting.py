"""Numbers and what they count, as people write them."""

from __future__ import annotations


def counted(number: float, noun: str) -> str:
    """Return a number and its noun, which is told of one: "1 frame", "2 frames", "0.5 seconds"."""
    told = f"{number:g}" if isinstance(number, float) else str(number)
    return f"{told} {noun}" if told == "1" else f"{told} {noun}s"
