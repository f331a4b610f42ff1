"""The indices of clips, what a frame costs, and frames that are drawn, from format/SPEC.md alone.

The rest of reference.py for clips: sections 4, 5 ("Tiles of clips") and 6 ("Priors of clips").
Frames are n x m integer arrays, of the frame before -1 where nothing is known.
"""

import itertools
import math
import struct

import numpy as np
import reference
from reference import Corrupt, Limit, activate, clamp
from reference_picture import MAX_METADATA, inflate

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

    def walk(self, tile, actions, code):
        """Put code(logits, index) in the place of every index of a tile, frames x n x m."""
        before = np.full(tile.shape[1:], -1)
        for number, frame in enumerate(tile):
            self.tell(before, actions[number] if number else 0)
            reference.walk(frame[:, :, None], self, 0, code)
            before = frame


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
    return reference.read_model(data, {**reference.ARCHITECTURES, "vqvae-clip-1": Clip})


# ---- files: sections 4 and 5 -----------------------------------------------------------


def read_timing(file):
    """The chunk CLIP: scale, loops, and the ticks of each frame."""
    data, frames = file["chunks"].get(b"CLIP"), file["groups"][-1][1]
    if data is None or len(data) not in (12, 8 + 4 * frames):
        raise Corrupt("chunk CLIP")
    scale, loops, *ticks = struct.unpack(f"<{len(data) // 4}I", data)
    if not all((scale, *ticks)) or math.gcd(scale, *ticks) > 1:
        raise Corrupt("ticks")
    if len(ticks) > 1 and len(set(ticks)) == 1:
        raise Corrupt("ticks that are the same")
    return dict(scale=scale, loops=loops, ticks=ticks * (frames if len(ticks) == 1 else 1))


def read_actions(file, known):
    """The chunk ACTS: of each frame a number of at most `known`."""
    frames = file["groups"][-1][1]
    if b"ACTS" not in file["chunks"]:
        return bytes(frames)
    actions = inflate(file["chunks"][b"ACTS"], MAX_METADATA, Limit)
    if len(actions) != frames:
        raise Corrupt("chunk ACTS")
    if not 1 <= max(actions) <= known:
        raise Corrupt("actions")
    return actions


def decode(file, model_file_bytes):
    """The indices of a file that reference.parse has read, frames x rows x columns x 1."""
    model = load(model_file_bytes)
    if model.media_type != file["medium"]:
        raise reference.ModelError("a model of another medium")
    if file["quality"] or file["stride_log2"] != model.stride_log2:
        raise Corrupt("quality or stride_log2")
    read_timing(file)
    actions = read_actions(file, len(model.actions) - 1)
    sides = [file[name][-1][1] for name in ("groups", "rows", "columns")]
    grid = np.zeros((*sides, 1), np.int64)
    boxes = itertools.product(file["groups"], file["rows"], file["columns"])
    for ((first, last), (top, bottom), (left, right)), stream in zip(boxes, file["streams"]):
        shape = last - first, bottom - top, right - left
        if file["mode"]:
            tile = decode_prior(stream, shape, model, actions[first:last])
        else:
            tile = reference.decode_fixed(stream, shape[0] * shape[1], shape[2], model, 0)
        grid[first:last, top:bottom, left:right] = tile.reshape(*shape, 1)
    return grid


def decode_prior(stream, shape, model, actions):
    decoder, encoder = reference.Decoder(stream), reference.Encoder()

    def code(logits, _):
        f = reference.frequencies(logits)
        index = decoder.symbol(f)
        encoder.symbol(f, index)
        return index

    tile = np.zeros(shape, np.int64)
    model.walk(tile, actions, code)
    if encoder.finish() != stream:
        raise Corrupt("not the canonical stream")
    return tile


def encode_prior(tile, model, actions):
    """The stream of a tile, frames x n x m."""
    encoder = reference.Encoder()

    def code(logits, index):
        encoder.symbol(reference.frequencies(logits), index)
        return index

    model.walk(tile.copy(), actions, code)
    return encoder.finish()
