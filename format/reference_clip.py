"""What a frame of a clip costs, and frames that are drawn, written from format/SPEC.md alone.

The rest of reference.py for models of clips: there are no files of these yet. Section 6, "Priors of
clips"; frames are n x m integer arrays, of the frame before -1 where nothing is known.
"""

import itertools

import numpy as np
import reference
from reference import activate, clamp

AROUND2 = list(itertools.product(range(-2, 3), repeat=2))
AROUND1 = list(itertools.product(range(-1, 2), repeat=2))


class Clip(reference.VqVae):
    """Architecture vqvae-clip-1."""

    media_type = 3

    def __init__(self, file):
        super().__init__(file)
        table = file.table("temporal", embedding=(1, 41), channels=(1, 115), layers=(0, 8))
        e, h = table["embedding"], table["channels"]
        clip = file.config["clip"]
        if clip.keys() != {"actions", "frames_per_second"}:
            raise reference.ModelError("table clip")
        names, rate = clip["actions"], clip["frames_per_second"]
        if not isinstance(names, list) or len(names) > 255 or len(set(names)) < len(names):
            raise reference.ModelError("actions")
        if not all(reference.is_name(name) for name in names):
            raise reference.ModelError("names of actions")
        if type(rate) not in (int, float) or not 0.01 <= rate <= 1000:
            raise reference.ModelError("frames_per_second")
        self.before = file.tensor("temporal.embedding", "I8", (self.k, e), -127, 127)
        self.actions = file.tensor("temporal.actions", "I16", (len(names) + 1, h))
        self.temporal = [file.linear("temporal.first", h, 25 * e)]
        for number in range(table["layers"]):
            self.temporal.append(file.linear(f"temporal.layers.{number}", h, 9 * h))
        self.told_output = file.linear("temporal.output", self.channels, h)

    def tell(self, before, action):
        """Let o(i, j) be those after a frame and an action."""
        v = self.before[before]
        v[before == -1] = 0
        first, *layers = self.temporal
        g = clamp(first(gather(v, AROUND2)) + self.actions[action])
        for layer in layers:
            g = clamp(g + layer(gather(activate(g), AROUND1)))
        self.told = clamp(self.told_output(activate(g)))

    def offset(self, quality, i, j):
        return self.told[i, j]

    def bits(self, frame, before, action):
        """What a frame costs in bits."""
        self.tell(before, action)
        total = 0.0

        def code(logits, index):
            nonlocal total
            total += 24 - np.log2(reference.frequencies(logits)[index])
            return index

        reference.walk(frame[:, :, None].astype(np.int64), self, 0, code)
        return total

    def draw(self, before, action, quantiles):
        """A frame that follows: each index the one whose frequencies cover the next of the
        quantiles, numbers below 2^24.
        """
        self.tell(before, action)

        def code(logits, _):
            ends = np.cumsum(reference.frequencies(logits))
            return int(np.searchsorted(ends, next(quantiles), side="right"))

        tile = np.zeros((*before.shape, 1), np.int64)
        reference.walk(tile, self, 0, code)
        return tile[:, :, 0]


def gather(field, offsets):
    """The vectors at offsets from each position one after the other, n x m x all of them."""
    n, m, size = field.shape
    out = np.zeros((n, m, len(offsets), size), np.int64)
    for i, j in np.ndindex(n, m):
        for number, (di, dj) in enumerate(offsets):
            if 0 <= i + di < n and 0 <= j + dj < m:
                out[i, j, number] = field[i + di, j + dj]
    return out.reshape(n, m, -1)


def load(data):
    """Raises reference.ModelError."""
    return reference.read_model(data, {"vqvae-clip-1": Clip})
