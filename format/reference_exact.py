"""The synthesis of architecture photo-2, written from format/SPEC.md alone (section 9, "Exact
synthesis"): plain numpy integer arrays, so that every machine gives the same pixels.

Arrays are channels x rows x columns.
"""

import numpy as np
from reference import ModelError

SUMS = 2**24


def nearest(v, bits):
    """The integer nearest to v / 2^bits, ties to even; `bits` is a number, or one per channel."""
    bits = np.reshape(bits, (-1, 1, 1))
    low = v >> bits
    rest, half = v - (low << bits), (1 << bits) >> 1
    return low + np.where(bits > 0, (rest > half) | (rest == half) & (low & 1 == 1), 0)


def correlate(weight, x):
    """The sums of weight (outputs, inputs, size, size) and x, zeros around it."""
    size = weight.shape[2]
    x = np.pad(x, ((0, 0), (size // 2,) * 2, (size // 2,) * 2))
    places = np.lib.stride_tricks.sliding_window_view(x, (size, size), axis=(1, 2))
    # Products and sums are below 2^53, so float64 holds them.
    sums = np.tensordot(weight.astype(float), places.astype(float), ([1, 2, 3], [0, 3, 4]))
    return sums.astype(np.int64)


def column(v):
    return v[:, None, None]


class Network:
    """Reads the layers, checks them, and keeps how large numbers can become."""

    def __init__(self, file):
        self.file = file

    def digits(self, name, *shape):
        return self.file.tensor(name, "I8", shape, -64, 64)

    def bits(self, name, most, n=1):
        return self.file.tensor(name, "U8", (n,), 0, most)

    def convolution(self, name, n, largest):
        """Of activations up to `largest`."""
        weight = self.digits(name + ".weight", n, n, 3, 3)
        bias = self.file.tensor(name + ".bias", "I32", (n,))
        shift = self.bits(name + ".shift", 20, n)
        check(name, largest * size_of(weight) + np.abs(bias))
        return lambda x: nearest(correlate(weight, x) + column(bias), shift)

    def block(self, name, n):
        """The layer, and by how much it changes the stream at most."""
        read, write = self.bits(name + ".input", 16), self.bits(name + ".output", 16, n)
        first = self.convolution(name + ".first", n, 128)
        second = self.convolution(name + ".second", n, 255)

        def run(x):
            a = np.clip(nearest(x, read), -128, 127)
            h = np.clip(first(a), 0, 255)
            u = np.clip(second(h), -128, 127)
            return x + (u << column(write))

        return run, 128 << write

    def wide(self, name, inputs, outputs, size):
        """The layer, and its results at most."""
        read = self.bits(name + ".input", 9)
        high, low = (
            self.digits(f"{name}.{digit}", outputs, inputs, size, size) for digit in ("high", "low")
        )
        bias = self.file.tensor(name + ".bias", "I32", (outputs,))
        shift = self.bits(name + ".shift", 20, outputs)
        crossed = 128 * (size_of(high) + size_of(low))
        check(name, crossed)
        total = 8 * 128 * size_of(high) + (crossed >> 4) + 1 + np.abs(bias)
        check(name, total)

        def run(x):
            a = np.clip(nearest(x, read + 7), -128, 127)
            b = np.clip(nearest(x - (a << column(read + 7)), read), -128, 127)
            rest = nearest(correlate(low, a) + correlate(high, b), 4)
            return nearest(8 * correlate(high, a) + rest + column(bias), shift)

        return run, (total >> shift) + 1


def size_of(weight):
    return np.abs(weight).reshape(len(weight), -1).sum(1)


def check(name, sums):
    if (sums >= SUMS).any():
        raise ModelError(f"{name} has sums of 2^24 or more")


class Synthesis:
    def __init__(self, file, widths, depths, latents, details):
        """The tensors are under `synthesis.`."""
        network = Network(file)
        (fine, middle, coarse), (few, some, many) = widths, depths
        self.coarse = latents - details
        self.steps = []

        def name():
            return f"synthesis.layers.{len(self.steps)}"

        def stage(inputs, outputs, size, factor, blocks):
            """A wide layer, shuffle, blocks; the check that their stream keeps below 2^24."""
            run, largest = network.wide(name(), inputs, outputs, size)
            self.steps.append(run)
            if factor > 1:
                self.steps.append(shuffle(factor))
            largest = largest.reshape(-1, factor**2).max(1)
            for _ in range(blocks):
                run, change = network.block(name(), len(largest))
                self.steps.append(run)
                largest = largest + change
            check("a stream", largest)
            return largest

        stage(self.coarse, coarse, 3, 1, many)
        stage(coarse, 4 * middle, 1, 2, some)
        stage(middle, 4 * fine, 1, 2, few)
        last = stage(fine, 48, 3, 4, 0)
        self.details, beside = network.wide("synthesis.details.0", details, 768, 1)
        check("the pixels", last + beside.reshape(3, 256).max(1))

    def samples(self, latents):
        """Latents, integers, to 8-bit samples 3 x rows x columns."""
        x = latents[: self.coarse]
        for step in self.steps:
            x = step(x)
        x = x + shuffle(16)(self.details(latents[self.coarse :]))
        return np.clip(nearest(x, 6), 0, 255)


def shuffle(r):
    def run(x):
        channels, n, m = x.shape
        x = x.reshape(channels // r**2, r, r, n, m)
        return x.transpose(0, 3, 1, 4, 2).reshape(-1, n * r, m * r)

    return run
