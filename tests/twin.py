"""The prior, the frequency rule and the range coder in plain Python integers.

Slow and readable; written from format/SPEC.md. The tests hold the codec's fast
forms against it: logits, tables, words and the coder's inner state.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

Grid = Sequence[Sequence[int]]

FIRST = [(-2, d) for d in range(-2, 3)] + [(-1, d) for d in range(-2, 2)] + [(0, -2), (0, -1)]
INNER = [(-1, -1), (-1, 0), (-1, 1), (0, -1), (0, 0)]


class Prior:
    """SPEC.md, section "Prior". Tensors are nested lists of integers."""

    def __init__(self, tensors: Mapping[str, Any]) -> None:
        self.t = {name: tensor.tolist() for name, tensor in tensors.items()}
        self.layers = sum(name.startswith("layers.") for name in self.t) // 3

    def logits(self, grid: Grid) -> dict[tuple[int, int], list[int]]:
        """Logits of every position of a grid of indices."""
        positions = [(i, j) for i in range(len(grid)) for j in range(len(grid[0]))]
        features = {(i, j): self.t["embedding"][grid[i][j]] for i, j in positions}
        stream = {
            p: [clamp(y) for y in self.linear("first", gather(features, FIRST, p))]
            for p in positions
        }
        for k in range(self.layers):
            features = {p: activate(stream[p]) for p in positions}
            stream = {
                p: [
                    clamp(h + y)
                    for h, y in zip(
                        stream[p],
                        self.linear(f"layers.{k}", gather(features, INNER, p)),
                        strict=True,
                    )
                ]
                for p in positions
            }
        hidden = {p: activate(self.linear("hidden", activate(stream[p]))) for p in positions}
        return {p: self.linear("output", hidden[p]) for p in positions}

    def linear(self, name: str, inputs: Sequence[int]) -> list[int]:
        rows = zip(
            self.t[f"{name}.weight"], self.t[f"{name}.bias"], self.t[f"{name}.shift"], strict=True
        )
        return [
            (sum(w * a for w, a in zip(row, inputs, strict=True)) + bias) >> shift
            for row, bias, shift in rows
        ]


def gather(
    features: Mapping[tuple[int, int], Sequence[int]],
    taps: Sequence[tuple[int, int]],
    at: tuple[int, int],
) -> list[int]:
    zeros = [0] * len(next(iter(features.values())))
    out: list[int] = []
    for di, dj in taps:
        out += features.get((at[0] + di, at[1] + dj), zeros)
    return out


def activate(stream: Sequence[int]) -> list[int]:
    return [min(127, max(0, h >> 4)) for h in stream]


def clamp(h: int) -> int:
    return min(32767, max(-32767, h))


def power(d: int) -> int:
    """floor(2^24 * 2^(-d/16) + 1/2), found without fractions: x counts if (2x - 1)^16 is small."""
    if d >= 400:
        return 0
    low, high = 0, 1 << 25
    while low < high:
        middle = (low + high + 1) // 2
        # x - 1/2 <= 2^(24 - d/16)  <=>  (2x - 1)^16 * 2^d <= 2^(25 * 16)
        if (2 * middle - 1) ** 16 << d <= 1 << 400:
            low = middle
        else:
            high = middle - 1
    return low


POWERS = [power(d) for d in range(401)]


def frequencies(logits: Sequence[int]) -> list[int]:
    """SPEC.md, section "Frequencies"."""
    best = max(logits)
    powers = [POWERS[min(best - logit, 400)] for logit in logits]
    reciprocal = (((1 << 24) - len(logits)) << 24) // sum(powers)
    table = [1 + (p * reciprocal >> 24) for p in powers]
    table[logits.index(best)] += (1 << 24) - sum(table)
    return table


class RangeEncoder:
    """SPEC.md, section "Range coder"."""

    def __init__(self) -> None:
        self.words: list[int] = []
        self.low = 0
        self.range = (1 << 64) - 1
        self.held: list[int] = []

    def encode(self, table: Sequence[int], symbol: int) -> None:
        scale = self.range >> 24
        self.range = scale * table[symbol]
        low = self.low + scale * sum(table[:symbol])
        carry, self.low = low >> 64, low & ((1 << 64) - 1)
        if self.held and (carry or self.low + self.range <= 1 << 64):
            self._release(carry)
        if self.range < 1 << 32:
            word = self.low >> 32
            self.low = (self.low << 32) & ((1 << 64) - 1)
            self.range <<= 32
            if self.held or self.low + self.range > 1 << 64:
                self.held.append(word)
            else:
                self.words.append(word)

    def _release(self, carry: int) -> None:
        first, *rest = self.held
        fill = 0 if carry else (1 << 32) - 1
        self.words += [first + carry, *[fill] * len(rest)]
        self.held = []

    def finish(self) -> list[int]:
        if self.range == (1 << 64) - 1 and not self.words:
            return []
        point = self.low + (1 << 32) - 1
        carry, point = point >> 64, point & ((1 << 64) - 1)
        if self.held:
            self._release(carry)
        words = [*self.words, point >> 32]
        if ((self.low + self.range) & ((1 << 64) - 1)) >> 32 == point >> 32:
            words.append(0)
        return words


class RangeDecoder:
    """SPEC.md, section "Range coder"."""

    def __init__(self, words: Sequence[int]) -> None:
        self.words = list(words)
        self.at = 0
        self.low = 0
        self.range = (1 << 64) - 1
        self.point = self._next() << 32 | self._next()

    def _next(self) -> int:
        self.at += 1
        return self.words[self.at - 1] if self.at <= len(self.words) else 0

    def decode(self, table: Sequence[int]) -> int:
        scale = self.range >> 24
        quantile = ((self.point - self.low) & ((1 << 64) - 1)) // scale
        if quantile >= 1 << 24:
            raise ValueError("the stream does not decode")
        symbol, below = 0, 0
        while below + table[symbol] <= quantile:
            below += table[symbol]
            symbol += 1
        self.low = (self.low + scale * below) & ((1 << 64) - 1)
        self.range = scale * table[symbol]
        if self.range < 1 << 32:
            self.low = (self.low << 32) & ((1 << 64) - 1)
            self.range <<= 32
            self.point = (self.point << 32 | self._next()) & ((1 << 64) - 1)
        return symbol
