"""Literal tiles of a .vqc file, written from format/SPEC.md alone (section 9, "Literal pixels").

Plain Python, slow and literal. A `code` takes frequencies and a symbol: a decoder's gives the
symbol that it reads, an encoder's the one that it is given.
"""

import math

import numpy as np
from reference import Corrupt, Decoder, Encoder

STRETCH = [math.floor(256 * math.log((2 * i + 1) / (8191 - 2 * i)) + 1 / 2) for i in range(4096)]
SQUASH = {
    x: min(65535, max(1, math.floor(2**16 / (1 + math.exp(-x / 256)) + 1 / 2)))
    for x in range(-3072, 3072)
}
RATE = [655360 // (10 * n + 16) for n in range(128)]
M32 = 2**32 - 1
FACTOR = 0x9E3779B1
STEPS = {"W": (0, -1), "N": (-1, 0), "E": (0, 1)}
NAMES = ("W", "N", "NW", "NE", "WW", "NN", "NNE", "NNW", "NEE", "NWW", "WWW")
OFFSETS = {name: tuple(sum(STEPS[s][k] for s in name) for k in (0, 1)) for name in NAMES}


def hashed(a, *more):
    for b in more:
        a = a * FACTOR & M32
        a = ((a ^ a >> 15) + b) * 0x85EBCA6B & M32
        a ^= a >> 13
    return a


def channel(colour, i):
    byte = colour >> 8 * i & 255
    return byte - 256 if i and byte > 127 else byte


class Tile:
    """The state of a tile: slots [k, n] by table and place, weights by set."""

    def __init__(self, n, m, code):
        self.code = code
        self.b = next(b for b in range(6, 19) if 2**b >= n * m or b == 18)
        self.colours = {}
        self.slots, self.weights = {}, {}
        self.memories = [{}, {}, {}]  # place -> (colour, seen)

    def top(self, h):
        return h >> 32 - self.b

    def bit(self, value, places, weights_of):
        slots = [self.slots.setdefault(place, [2**21, 0]) for place in places]
        weights = self.weights.setdefault(weights_of, [20000] * len(slots))
        s = [STRETCH[k >> 10] for k, _ in slots]
        x = min(3071, max(-3072, sum(a * b for a, b in zip(weights, s)) >> 16))
        p = SQUASH[x]
        value = self.code(np.array([256 * (65536 - p), 256 * p]), value)
        target = 2**22 - 1 if value else 0
        for j, slot in enumerate(slots):
            weight = weights[j] + (s[j] * (65536 * value - p) + 2**13 >> 14)
            weights[j] = min(2**20, max(-(2**20), weight))
            slot[0] += (target - slot[0]) * RATE[slot[1]] >> 16
            slot[1] = min(127, slot[1] + 1)
        return value

    def pixel(self, y, x, colour):
        """Code a pixel; `colour` is not looked at by a decoder."""
        at = {name: self.colours.get((y + i, x + j), 0) for name, (i, j) in OFFSETS.items()}
        close = hashed(at["W"], at["N"], at["NW"], at["NE"])
        middle = hashed(close, at["WW"], at["NN"])
        r = sum(self.colours.get((y, x - d), 0) * FACTOR ** (d - 1) for d in range(1, 17)) & M32
        wide = hashed(middle, *(at[name] for name in ("NNE", "NNW", "NEE", "NWW", "WWW")))
        row = hashed(r, at["N"], at["NW"], at["NE"])
        places = [self.top(h) for h in (wide, row, close)]
        entries = [memory.get(place, (0, 0)) for memory, place in zip(self.memories, places)]
        colour = self.flags(at, entries, middle, colour)
        self.colours[y, x] = colour
        for memory, place, (old, seen) in zip(self.memories, places, entries):
            if seen and old == colour:
                memory[place] = old, min(15, seen + 1)
            elif seen > 1:
                memory[place] = old, seen >> 1
            else:
                memory[place] = colour, 1

    def flags(self, at, entries, middle, colour):
        offered = [c for c, seen in entries if seen] + [at["W"], at["N"], at["NE"]]
        candidates = [c for m, c in enumerate(offered) if c not in offered[:m]][:4]
        s0, s1, s2 = (seen for _, seen in entries)
        t = 64 * min(3, s0) + 8 * min(7, s1) + min(7, s2)
        pairs = [("W", "N"), ("W", "NW"), ("N", "NE"), ("W", "WW"), ("N", "NN"), ("N", "NW")]
        u = sum((at[one] == at[other]) << k for k, (one, other) in enumerate(pairs))
        for m, c in enumerate(candidates):
            says = [at[name] == c for name in ("W", "N", "NW", "NE")]
            says += [seen > 0 and old == c for old, seen in entries]
            a = 128 * m + sum(agrees << k for k, agrees in enumerate(says))
            places = [
                ("counts", 256 * a + t),
                ("surfaces", 64 * a + u),
                ("middle", self.top(hashed(middle, c))),
                ("beside", self.top(hashed(at["W"], at["N"], c + m))),
            ]
            if self.bit(int(colour == c), places, 16 * a + 4 * min(3, s0) + min(3, s2)):
                return c
        return self.channels(at, colour)

    def channels(self, at, colour):
        coded = e = d_ = 0
        for i in range(3):
            w, n, nw, ne, ww, nne = (
                channel(at[name], i) for name in ("W", "N", "NW", "NE", "WW", "NNE")
            )
            g = min(max(w, n), max(min(w, n), w + n - nw))
            d = abs(w - nw) + abs(n - nw) + abs(n - ne)
            q = sum(edge <= d for edge in (1, 2, 3, 6, 12, 24, 48))
            contexts = [
                hashed(e, i),
                hashed(at["W"], e, i),
                hashed(g & M32, q, d_ + i),
                hashed((2 * w + 2 * n + ne - nw >> 2) & M32, d_ + i),
                hashed(n + ne - nne & M32, 2 * w - ww & M32, i),
            ]
            v, o = 0, 1
            for number in range(7, -1, -1):
                if number == 3:
                    contexts, o = [hashed(h, o) for h in contexts], 1
                places = [(k, 16 * (h >> 34 - self.b) + o) for k, h in enumerate(contexts)]
                one = self.bit(colour >> 8 * i + number & 1, places, (i, number, q))
                v, o = 2 * v + one, 2 * o + one
            coded |= v << 8 * i
            e = hashed(e, v + 1)
            d_ = hashed(d_, (channel(v << 8 * i, i) - g >> 1) & M32)
        return coded


def decode_literal(stream, n, m):
    """The pixels of a tile, n x m x 3."""
    decoder, encoder = Decoder(stream), Encoder()

    def code(f, _):
        symbol = decoder.symbol(f)
        encoder.symbol(f, symbol)
        return symbol

    tile = Tile(n, m, code)
    pixels = np.zeros((n, m, 3), np.uint8)
    for y, x in np.ndindex(n, m):
        tile.pixel(y, x, 0)
        green, red, blue = (tile.colours[y, x] >> 8 * i & 255 for i in range(3))
        pixels[y, x] = red + green & 255, green, blue + green & 255
    if encoder.finish() != stream:
        raise Corrupt("not the canonical stream")
    return pixels


def encode_literal(pixels):
    """The stream of a tile, which is n x m x 3."""
    encoder = Encoder()

    def code(f, symbol):
        encoder.symbol(f, symbol)
        return symbol

    tile = Tile(*pixels.shape[:2], code)
    for y, x in np.ndindex(*pixels.shape[:2]):
        red, green, blue = (int(v) for v in pixels[y, x])
        tile.pixel(y, x, green | (red - green & 255) << 8 | (blue - green & 255) << 16)
    return encoder.finish()
