"""A .vqc decoder written from format/SPEC.md alone: file + model -> grid of indices.

Plain Python and numpy integer arrays; slow and literal. Section numbers are SPEC.md's.
"""

import hashlib
import json
import struct
import zlib

import numpy as np

M64 = 2**64 - 1


class VqcError(Exception):
    """A file that must be rejected; the classes are section 1's."""


class NotVqc(VqcError): ...


class Version(VqcError): ...


class Truncated(VqcError): ...


class Corrupt(VqcError): ...


class Checksum(VqcError): ...


class Limit(VqcError): ...


class ModelError(Exception): ...  # not the file's model, or no valid model


# ---- container: sections 1 to 5 ------------------------------------------------------

SIGNATURE = bytes.fromhex("8B5651430D0A1A0A")
MAX_PIXELS = 2**28
MAX_CHUNK = 2**28
KNOWN_CHUNKS = {b"ALPH", b"exif", b"iccp", b"xmp0"}


class Reader:
    def __init__(self, data):
        self.data, self.at = data, 0

    def left(self):
        return len(self.data) - self.at

    def take(self, size):
        if size > self.left():
            raise Truncated(f"{size} bytes wanted at {self.at}, {self.left()} left")
        self.at += size
        return self.data[self.at - size : self.at]

    def u8(self):
        return self.take(1)[0]

    def u32(self):
        return int.from_bytes(self.take(4), "little")

    def varint(self):
        value = 0
        for group in range(5):
            byte = self.u8()
            value |= (byte & 127) << (7 * group)
            if byte < 128:
                if group and byte == 0 or value > 2**32 - 1:
                    raise Corrupt("varint too long or too large")
                return value
        raise Corrupt("varint of more than 5 bytes")


def bands(length, tile_log2):
    """(start, end) of each band of rows or columns."""
    n = -(-length // 2**tile_log2)
    return [(k * length // n, (k + 1) * length // n) for k in range(n)]


def parse(data):
    """The header's fields, the chunks and the tiles' streams."""
    r = Reader(data)
    if not data or not SIGNATURE.startswith(data[:8]):
        raise NotVqc("signature")
    r.take(8)  # Truncated where only a part of the signature is there
    if r.u8() != 1:
        raise Version("version")
    if r.u8() != 1:
        raise Version("media type")
    mode = r.u8()
    if mode > 1:
        raise Version("mode")
    quality = r.u8()
    width = r.varint()
    if not 1 <= width < 2**24:
        raise Corrupt("width")
    height = r.varint()
    if not 1 <= height < 2**24:
        raise Corrupt("height")
    if width * height > MAX_PIXELS:
        raise Limit("pixels")
    model = r.take(8)
    stride_log2 = r.u8()
    if stride_log2 > 6:
        raise Corrupt("stride_log2")
    tile_log2 = r.u8()
    if not 4 <= tile_log2 <= 10:
        raise Corrupt("tile_log2")
    chunk_count = r.u8()
    if chunk_count > 64:
        raise Corrupt("chunk count")
    rows = bands(-(-height // 2**stride_log2), tile_log2)
    columns = bands(-(-width // 2**stride_log2), tile_log2)
    tile_count = len(rows) * len(columns)
    if tile_count * 5 > r.left():
        raise Truncated("tile table")
    table, total = [], 0
    for _ in range(tile_count):
        table.append((r.varint(), r.u32()))
        total += table[-1][0]
        if total > len(data):
            raise Truncated("tiles do not fit the file")
    crc = zlib.crc32(data[: r.at])
    if r.u32() != crc:
        raise Checksum("header")
    chunks = parse_chunks(r, chunk_count)
    streams = []
    for size, crc in table:
        stream = r.take(size)
        if zlib.crc32(stream) != crc:
            raise Checksum("tile")
        streams.append(stream)
    if r.left():
        raise Corrupt("bytes after the last tile")
    return dict(
        mode=mode,
        quality=quality,
        width=width,
        height=height,
        model=model,
        stride_log2=stride_log2,
        rows=rows,
        columns=columns,
        chunks=chunks,
        streams=streams,
    )


def parse_chunks(r, count):
    chunks, last = {}, b""
    for _ in range(count):
        start = r.at
        kind = r.take(4)
        if not (kind.isalnum() and kind[:1].isalpha()):  # bytes: ASCII only
            raise Corrupt("chunk type")
        if kind <= last:
            raise Corrupt("order of chunks")
        last = kind
        size = r.varint()
        if size > MAX_CHUNK:
            raise Limit("chunk size")
        chunks[kind] = r.take(size)
        crc = zlib.crc32(r.data[start : r.at])
        if r.u32() != crc:
            raise Checksum("chunk")
        if kind not in KNOWN_CHUNKS and kind[:1].isupper():
            raise Version("unknown critical chunk")
    return chunks


# ---- model file: sections 6 and 10 ---------------------------------------------------

DTYPES = {"I8": "<i1", "U8": "<u1", "I32": "<i4", "F16": "<f2", "F32": "<f4"}


class Model:
    def __init__(self, data):
        self.id = hashlib.sha256(data).digest()[:8]
        size = int.from_bytes(data[:8], "little")
        self.header = json.loads(data[8 : 8 + size])
        self.body = memoryview(data)[8 + size :]
        config = json.loads(self.header["__metadata__"]["vqcodec"])
        if config["architecture"] != "vqvae-pixelcnn-1":
            raise ModelError("architecture")
        self.stride_log2 = 2  # section 9: two transposed convolutions of stride 2
        self.k = config["autoencoder"]["codebook_size"]
        prior = config["prior"]
        if not 2 <= self.k <= 4096 or prior["codebook_size"] != self.k:
            raise ModelError("codebook size")
        k, e, c = self.k, prior["embedding"], prior["channels"]
        self.channels, self.embedding_size = c, e
        self.embedding = self.tensor("prior.embedding", "I8", (k, e))
        if np.abs(self.embedding).max() > 127:
            raise ModelError("embedding")
        self.first = self.linear("prior.first", c, 11 * e)
        self.layers = [self.linear(f"prior.layers.{n}", c, 5 * c) for n in range(prior["layers"])]
        self.hidden = self.linear("prior.hidden", c, c)
        self.output = self.linear("prior.output", k, c)

    def tensor(self, name, dtype, shape):
        entry = self.header[name]
        if entry["dtype"] != dtype or tuple(entry["shape"]) != shape:
            raise ModelError(name)
        start, end = entry["data_offsets"]
        flat = np.frombuffer(self.body[start:end], DTYPES[dtype])
        return flat.reshape(shape).astype(np.int64)

    def linear(self, name, outputs, inputs):
        weight = self.tensor(name + ".weight", "I8", (outputs, inputs))
        bias = self.tensor(name + ".bias", "I32", (outputs,))
        shift = self.tensor(name + ".shift", "U8", (outputs,))
        bound = 127 * np.abs(weight).sum(1) + np.abs(bias)
        if np.abs(weight).max() > 127 or shift.max() > 20 or bound.max() >= 2**24:
            raise ModelError(name)
        return lambda x: (x @ weight.T + bias) >> shift


# ---- prior and frequencies: sections 6 and 7 -----------------------------------------

FIRST = [
    (-2, -2),
    (-2, -1),
    (-2, 0),
    (-2, 1),
    (-2, 2),
    (-1, -2),
    (-1, -1),
    (-1, 0),
    (-1, 1),
    (0, -2),
    (0, -1),
]
INNER = [(-1, -1), (-1, 0), (-1, 1), (0, -1), (0, 0)]


def clamp(v):
    return np.clip(v, -32767, 32767)


def activate(v):
    return np.clip(v >> 4, 0, 127)


class Field:
    """Vectors over a tile, with a border of 2 of zeros around it."""

    def __init__(self, n, m, size):
        self.v = np.zeros((n + 4, m + 4, size), np.int64)

    def put(self, i, j, vectors):
        self.v[i + 2, j + 2] = vectors

    def gather(self, i, j, offsets):
        return np.concatenate([self.v[i + 2 + di, j + 2 + dj] for di, dj in offsets], 1)


def wavefronts(n, m):
    for t in range(m + 2 * (n - 1)):
        i = np.array([i for i in range(n) if 0 <= t - 2 * i < m])
        if len(i):
            yield i, t - 2 * i


def make_power(d):
    """The largest x with (2x - 1)^16 * 2^d <= 2^400."""
    x = 0
    for bit in range(24, -1, -1):
        if (2 * (x + 2**bit) - 1) ** 16 << d <= 1 << 400:
            x += 2**bit
    return x


POWERS = np.array([make_power(d) for d in range(400)] + [0], np.int64)


def frequencies(logits):
    best = int(np.argmax(logits))  # the first of equal ones
    t = POWERS[np.minimum(logits[best] - logits, 400)]
    r = (2**24 - len(t)) * 2**24 // int(t.sum())
    f = 1 + (t * r >> 24)
    f[best] += 2**24 - int(f.sum())
    return f


# ---- range coder: section 8 ----------------------------------------------------------


class Decoder:
    def __init__(self, stream):
        if len(stream) % 4:
            raise Corrupt("length of a stream")
        self.words = iter(struct.unpack(f"<{len(stream) // 4}I", stream))
        self.low, self.range = 0, M64
        self.point = self.word() << 32 | self.word()

    def word(self):
        return next(self.words, 0)

    def symbol(self, ends):
        """ends: the cumulative sums of the frequencies, ends[k] = F(k + 1)."""
        scale = self.range >> 24
        quantile = ((self.point - self.low) & M64) // scale
        if quantile >= 2**24:
            raise Corrupt("quantile")
        s = int(np.searchsorted(ends, quantile, side="right"))
        start = int(ends[s - 1]) if s else 0
        self.low = (self.low + scale * start) & M64
        self.range = scale * (int(ends[s]) - start)
        if self.range < 2**32:
            self.low = (self.low << 32) & M64
            self.range <<= 32
            self.point = (self.point << 32 | self.word()) & M64
        return s, start, int(ends[s]) - start


class Encoder:
    def __init__(self):
        self.low, self.range, self.held, self.words, self.empty = 0, M64, [], [], True

    def release(self, carry):
        self.words.append(self.held[0] + carry)
        self.words += [0 if carry else 2**32 - 1] * (len(self.held) - 1)
        self.held = []

    def symbol(self, start, frequency):
        self.empty = False
        scale = self.range >> 24
        self.range = scale * frequency
        total = self.low + scale * start
        carry, self.low = total >> 64, total & M64
        if self.held and (carry or self.low + self.range <= 2**64):
            self.release(carry)
        if self.range < 2**32:
            word = self.low >> 32
            self.low = (self.low << 32) & M64
            self.range <<= 32
            if self.held or self.low + self.range > 2**64:
                self.held.append(word)
            else:
                self.words.append(word)

    def finish(self):
        if self.empty:
            return b""
        total = self.low + 2**32 - 1
        carry, point = total >> 64, total & M64
        if self.held:
            self.release(carry)
        self.words.append(point >> 32)
        if ((self.low + self.range) & M64) >> 32 == point >> 32:
            self.words.append(0)
        return struct.pack(f"<{len(self.words)}I", *self.words)


# ---- tiles ---------------------------------------------------------------------------


def decode_fixed(stream, n, m, k):
    bits = (k - 1).bit_length()
    if len(stream) != (n * m * bits + 7) // 8:
        raise Corrupt("length of a stream")
    padding = len(stream) * 8 - n * m * bits
    if int.from_bytes(stream, "big") & ((1 << padding) - 1):
        raise Corrupt("padding")
    text = "".join(f"{byte:08b}" for byte in stream)
    flat = [int(text[p * bits : (p + 1) * bits], 2) for p in range(n * m)]
    if max(flat) >= k:
        raise Corrupt("index")
    return np.array(flat).reshape(n, m)


def decode_prior(stream, n, m, model):
    decoder, encoder = Decoder(stream), Encoder()
    grid = np.zeros((n, m), np.int64)
    e = Field(n, m, model.embedding_size)
    fields = [Field(n, m, model.channels) for _ in model.layers]
    for i, j in wavefronts(n, m):
        h = clamp(model.first(e.gather(i, j, FIRST)))
        for field, layer in zip(fields, model.layers):
            field.put(i, j, activate(h))
            h = clamp(h + layer(field.gather(i, j, INNER)))
        logits = model.output(activate(model.hidden(activate(h))))
        for place, row in zip(zip(i, j), logits):
            grid[place], *interval = decoder.symbol(np.cumsum(frequencies(row)))
            encoder.symbol(*interval)
        e.put(i, j, model.embedding[grid[i, j]])
    if encoder.finish() != stream:
        raise Corrupt("not the canonical stream")
    return grid


def decode(file_bytes, model_file_bytes):
    file = parse(bytes(file_bytes))
    # The model, section 10: its hash is checked before anything else of it is read.
    if hashlib.sha256(model_file_bytes).digest()[:8] != file["model"]:
        raise ModelError("another model")
    try:
        model = Model(bytes(model_file_bytes))
    except (KeyError, TypeError, ValueError) as error:
        raise ModelError(f"not a model file: {error!r}") from error
    if file["quality"]:
        raise Corrupt("quality of a model without qualities")
    if file["stride_log2"] != model.stride_log2:
        raise Corrupt("stride_log2 is not the model's")
    grid = np.zeros((file["rows"][-1][1], file["columns"][-1][1]), np.int64)
    streams = iter(file["streams"])
    for top, bottom in file["rows"]:
        for left, right in file["columns"]:
            n, m = bottom - top, right - left
            if file["mode"] == 0:
                tile = decode_fixed(next(streams), n, m, model.k)
            else:
                tile = decode_prior(next(streams), n, m, model)
            grid[top:bottom, left:right] = tile
    return grid.tolist()


def indices_sha256(grid):
    return hashlib.sha256(np.array(grid, "<u2").tobytes()).hexdigest()


if __name__ == "__main__":
    import sys

    print(indices_sha256(decode(*(open(path, "rb").read() for path in sys.argv[1:3]))))
