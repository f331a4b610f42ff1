"""The coding of literal pixels in Python, where the C kernel was not built: the same bits.

What `literal.c` does, in the same order and under the same names; format/SPEC.md defines it.
"""

from __future__ import annotations

from array import array
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from vqcodec.entropy.coder import Decoder, Encoder
from vqcodec.literal.logistic import (
    COUNT_MAX,
    KNOWN_BITS,
    RATES,
    SQUASH_HALF,
    WEIGHT_FIRST,
    WEIGHT_MAX,
    squash,
    stretch,
)

Pixels = NDArray[np.uint8]
"""(H, W, 3), 0..255."""
CodeBit: TypeAlias = Callable[[int, int], int]
"""Takes the chance of a 1, in 1/65536, and the bit, which a decoder ignores; gives the bit."""

_WORD = 0xFFFFFFFF
_FACTOR, _FACTOR_2 = 0x9E3779B1, 0x85EBCA6B
_CHANNELS, _INPUTS, _FLAG_INPUTS, _CANDIDATES = 3, 5, 4, 4
_SEEN_MAX = 15
_ROW_PIXELS = _MARGIN = 16
_FACTOR_OF_ROW = pow(_FACTOR, _ROW_PIXELS, 1 << 32)
_UNKNOWN = 1 << 31
"""A slot that has seen nothing: a chance of 22 bits, 1/2, and a count of 10, 0."""
_WIDE, _ROW, _NEAR = range(3)


def encode(pixels: Pixels) -> bytes:
    """Return the stream of a tile."""
    chances: list[int] = []
    bits: list[int] = []

    def record(chance: int, bit: int) -> int:
        chances.append(chance)
        bits.append(bit)
        return bit

    tile = _Tile(pixels.shape[0] * pixels.shape[1], record)
    wide = pixels.astype(np.uint32)
    red, green, blue = wide[..., 0], wide[..., 1], wide[..., 2]
    colours = green | (red - green & 255) << 8 | (blue - green & 255) << 16
    rows = _rows(pixels.shape[1])
    for colours_of_row in colours.tolist():
        rows[0][_MARGIN:-_MARGIN] = colours_of_row
        tile.code_row(*rows)
        rows = [rows[2], rows[0], rows[1]]
    encoder = Encoder()
    encoder.code(_surpluses(chances), np.array(bits, dtype=np.int32))
    return encoder.finish()


def decode(stream: bytes, size: tuple[int, int]) -> Pixels:
    """Return the pixels of a tile of so many rows and columns.

    Raises CorruptError if the stream is not one that an encoder writes.
    """
    decoder = Decoder(stream)
    symbol = np.zeros(1, dtype=np.int32)

    def read(chance: int, bit: int) -> int:
        return int(decoder.code(_surpluses([chance]), symbol)[0])

    height, width = size
    tile = _Tile(height * width, read)
    pixels = np.empty((height, width, 3), dtype=np.uint8)
    rows = _rows(width)
    for samples in pixels:
        tile.code_row(*rows)
        colours = np.array(rows[0][_MARGIN:-_MARGIN], dtype=np.uint32)
        samples[:, 0] = colours + (colours >> 8) & 255
        samples[:, 1] = colours & 255
        samples[:, 2] = colours + (colours >> 16) & 255
        rows = [rows[2], rows[0], rows[1]]
    decoder.finish()
    return pixels


def _rows(width: int) -> list[list[int]]:
    """Return three rows of colours with margins of 0: the pixel's own and the two above."""
    return [[0] * (width + 2 * _MARGIN) for _ in range(3)]


def _surpluses(chances: Sequence[int]) -> NDArray[np.float64]:
    """Return the tables of bits as `entropy.coder` takes them: frequencies less 1."""
    ones = np.array(chances, dtype=np.float64)
    return np.stack([(65536 - ones) * 256 - 1, ones * 256 - 1], axis=1)


def _hash(a: int, b: int) -> int:
    a = a * _FACTOR & _WORD
    a = ((a ^ a >> 15) + b) * _FACTOR_2 & _WORD
    return a ^ a >> 13


def _clamp(value: int, least: int, most: int) -> int:
    return min(max(value, least), most)


def _channel(colour: int, number: int) -> int:
    """Return a channel of a colour: the first is 0..255, the others are signed."""
    value = colour >> 8 * number & 255
    return value - 256 if number and value > 127 else value


@dataclass(slots=True)
class _Memory:
    """What followed a neighbourhood when it was last met."""

    colour: int = 0
    seen: int = 0
    """How often in succession; 0: the neighbourhood was not met."""

    def remember(self, colour: int) -> None:
        if self.seen and self.colour == colour:
            self.seen = min(self.seen + 1, _SEEN_MAX)
        elif self.seen > 1:
            self.seen >>= 1
        else:
            self.colour, self.seen = colour, 1


@dataclass(frozen=True, slots=True)
class _Around:
    """Colours around a pixel: letters are steps to the west, north and east."""

    w: int
    ww: int
    www: int
    n: int
    nw: int
    ne: int
    nww: int
    nee: int
    nn: int
    nnw: int
    nne: int


_Slot: TypeAlias = "tuple[array[int], int]"
"""A table and a place in it."""


class _Tile:
    """All that is learned of a tile while it is coded."""

    def __init__(self, places: int, code_bit: CodeBit) -> None:
        self._code_bit = code_bit
        self._bits = _clamp((places - 1).bit_length(), 6, 18)
        self._stretch, self._squash = stretch().tolist(), squash().tolist()
        self._memories: list[dict[int, _Memory]] = [{}, {}, {}]
        self._tables = [_slots(4 << self._bits) for _ in range(_INPUTS)]
        self._flags = [_slots(1 << self._bits) for _ in range(2)]
        self._counts, self._surfaces = _slots(1 << 17), _slots(1 << 15)
        self._flag_weights = [[WEIGHT_FIRST] * _FLAG_INPUTS for _ in range(1 << 13)]
        self._bit_weights = [[WEIGHT_FIRST] * _INPUTS for _ in range(_CHANNELS << 6)]

    def code_row(self, own: list[int], above: list[int], higher: list[int]) -> None:
        """Code the pixels of `own`, a row with margins, which a decoder fills."""
        last, shift = 0, 32 - self._bits
        for x in range(_MARGIN, len(own) - _MARGIN):
            around = _Around(
                w=own[x - 1], ww=own[x - 2], www=own[x - 3],
                n=above[x], nw=above[x - 1], ne=above[x + 1], nww=above[x - 2], nee=above[x + 2],
                nn=higher[x], nnw=higher[x - 1], nne=higher[x + 1],
            )  # fmt: skip
            near = _hash(_hash(_hash(around.w, around.n), around.nw), around.ne)
            middle = _hash(_hash(near, around.ww), around.nn)
            wide = _hash(_hash(middle, around.nne), around.nnw)
            wide = _hash(_hash(_hash(wide, around.nee), around.nww), around.www)
            row = _hash(_hash(_hash(last, around.n), around.nw), around.ne)
            memories = [
                known.setdefault(place >> shift, _Memory())
                for known, place in zip(self._memories, (wide, row, near), strict=True)
            ]
            colour = self._code_flags(around, memories, middle, own[x])
            if colour is None:
                colour = self._code_channels(around, own[x])
            own[x] = colour
            for memory in memories:
                memory.remember(colour)
            last = last * _FACTOR + colour - own[x - _ROW_PIXELS] * _FACTOR_OF_ROW & _WORD

    def _code_flags(
        self, around: _Around, memories: list[_Memory], middle: int, colour: int
    ) -> int | None:
        """Code whether the pixel is one of the candidates; return which, if it is."""
        offered = [memory.colour for memory in memories if memory.seen]
        offered += [around.w, around.n, around.ne]
        candidates = list(dict.fromkeys(offered))[:_CANDIDATES]
        wide, near = min(memories[_WIDE].seen, 3), min(memories[_NEAR].seen, 7)
        seen = wide << 6 | min(memories[_ROW].seen, 7) << 3 | near
        surface = _mask(
            around.w == around.n,
            around.w == around.nw,
            around.n == around.ne,
            around.w == around.ww,
            around.n == around.nn,
            around.n == around.nw,
        )
        for count, candidate in enumerate(candidates):
            agreement = count << 7 | _mask(
                around.w == candidate,
                around.n == candidate,
                around.nw == candidate,
                around.ne == candidate,
                *(memory.seen > 0 and memory.colour == candidate for memory in memories),
            )
            beside = _hash(_hash(around.w, around.n), candidate + count)
            slots = [
                (self._counts, agreement << 8 | seen),
                (self._surfaces, agreement << 6 | surface),
                (self._flags[0], _hash(middle, candidate) >> 32 - self._bits),
                (self._flags[1], beside >> 32 - self._bits),
            ]
            weights = self._flag_weights[agreement << 4 | wide << 2 | min(near, 3)]
            if self._code(int(colour == candidate), slots, weights):
                return candidate
        return None

    def _code_channels(self, around: _Around, colour: int) -> int:
        """Code a pixel's channels, bit by bit."""
        coded = earlier = errors = 0
        for number in range(_CHANNELS):
            w, n, nw, ne, nne, ww = (
                _channel(each, number)
                for each in (around.w, around.n, around.nw, around.ne, around.nne, around.ww)
            )
            guess = _clamp(w + n - nw, min(w, n), max(w, n))
            activity = _activity(abs(w - nw) + abs(n - nw) + abs(n - ne))
            smooth = (2 * w + 2 * n + ne - nw >> 2) & _WORD
            up, left = n + ne - nne & _WORD, 2 * w - ww & _WORD
            contexts = [
                _hash(earlier, number),
                _hash(_hash(around.w, earlier), number),
                _hash(_hash(guess & _WORD, activity), errors + number),
                _hash(smooth, errors + number),
                _hash(_hash(up, left), number),
            ]
            wanted, node = colour >> 8 * number & 255, 1
            for bit in range(7, -1, -1):
                if bit == 3:
                    contexts = [_hash(context, node) for context in contexts]
                half = node if bit > 3 else 1 << 3 - bit | node & (1 << 3 - bit) - 1
                slots = [
                    (table, context >> 34 - self._bits << 4 | half)
                    for table, context in zip(self._tables, contexts, strict=True)
                ]
                weights = self._bit_weights[number << 6 | bit << 3 | activity]
                node = node << 1 | self._code(wanted >> bit & 1, slots, weights)
            value = node & 255
            coded |= value << 8 * number
            earlier = _hash(earlier, value + 1)
            error = _channel(value << 8 * number, number) - guess
            errors = _hash(errors, error >> 1 & _WORD)
        return coded

    def _code(self, bit: int, slots: list[_Slot], weights: list[int]) -> int:
        stretched = [self._stretch[table[place] >> 20] for table, place in slots]
        total = sum(weight * each for weight, each in zip(weights, stretched, strict=True))
        chance = self._squash[_clamp(total >> 16, -SQUASH_HALF, SQUASH_HALF - 1) + SQUASH_HALF]
        bit = self._code_bit(chance, bit)
        error, target = (bit << 16) - chance, (1 << KNOWN_BITS) - 1 if bit else 0
        for number, (table, place) in enumerate(slots):
            change = stretched[number] * error + (1 << 13) >> 14
            weights[number] = _clamp(weights[number] + change, -WEIGHT_MAX, WEIGHT_MAX)
            known, count = divmod(table[place], 1 << 10)
            known += (target - known) * RATES[count] >> 16
            table[place] = known << 10 | min(count + 1, COUNT_MAX)
        return bit


_ACTIVITIES = (0, 1, 2, 3, 6, 12, 24, 48)
"""Least changes of the activities 0..7."""


def _activity(change: int) -> int:
    edges = enumerate(pairwise((*_ACTIVITIES, 1 << 10)))
    return next(number for number, (least, most) in edges if least <= change < most)


def _mask(*facts: bool) -> int:
    """Make an integer of bits, the lowest first."""
    return sum(fact << place for place, fact in enumerate(facts))


def _slots(count: int) -> array[int]:
    return array("I", [_UNKNOWN]) * count
