"""A .vqc decoder written from format/SPEC.md alone: file + model -> grid of indices.

Plain Python and numpy integer arrays; slow and literal. Section numbers are SPEC.md's.
Of a model it reads, and checks, only what gives the indices; reference_picture.py has the
other half: indices -> pixels, and what the chunks hold.

    python format/reference.py FILE.vqc MODEL.safetensors
"""

import hashlib
import itertools
import json
import math
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
PICTURE, SOUND, CLIP = 1, 2, 3
MAX_PIXELS = 2**28
MAX_FRAMES = 2**24
MAX_SAMPLES = 2**30
MAX_CHUNK = 2**28
CRITICAL_CHUNKS = {PICTURE: {b"ALPH"}, SOUND: {b"WAVE"}, CLIP: {b"ACTS", b"CLIP"}}
GROUP = 32  # most frames of a tile of a clip


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


def bands(length, most):
    """(start, end) of each band of rows or columns, or of each group of frames."""
    n = -(-length // most)
    return [(k * length // n, (k + 1) * length // n) for k in range(n)]


def parse(data):
    """The header's fields, the chunks and the tiles' streams."""
    r = Reader(data)
    if not data or not SIGNATURE.startswith(data[:8]):
        raise NotVqc("signature")
    r.take(8)  # Truncated where only a part of the signature is there
    if r.u8() != 1:
        raise Version("version")
    medium = r.u8()
    if medium not in (PICTURE, SOUND, CLIP):
        raise Version("media type")
    mode = r.u8()
    if mode > (3 if medium == PICTURE else 1):
        raise Version("mode")
    quality = r.u8()
    if mode == 2 and quality:
        raise Corrupt("quality of a literal file")
    width = r.varint()  # of sound: frames
    if not 1 <= width < 2**24:
        raise Corrupt("width")
    height = r.varint()  # of sound: channels
    if not 1 <= height < (256 if medium == SOUND else 2**24):
        raise Corrupt("height")
    frames = r.varint() if medium == CLIP else 1
    if not 1 <= frames < 2**24:
        raise Corrupt("frames")
    if width * height * frames > (MAX_FRAMES if medium == SOUND else MAX_PIXELS):
        raise Limit("pixels")
    model = r.take(8)
    if mode == 2 and model != bytes(8):
        raise Corrupt("model of a literal file")
    stride_log2 = r.u8()
    if stride_log2 > 7:
        raise Corrupt("stride_log2")
    tile_log2 = r.u8()
    if not 4 <= tile_log2 <= (7 if medium == CLIP else 10):
        raise Corrupt("tile_log2")
    chunk_count = r.u8()
    if chunk_count > 64:
        raise Corrupt("chunk count")
    rows = bands(-(-height // 2**stride_log2), 2**tile_log2)
    if medium == SOUND:
        rows = [(row, row + 1) for row in range(rows[-1][1])]
    columns = bands(-(-width // 2**stride_log2), 2**tile_log2)
    groups = bands(frames, GROUP)
    tile_count = len(groups) * len(rows) * len(columns)
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
    chunks = parse_chunks(r, chunk_count, CRITICAL_CHUNKS[medium])
    streams = []
    for size, crc in table:
        stream = r.take(size)
        if zlib.crc32(stream) != crc:
            raise Checksum("tile")
        streams.append(stream)
    if r.left():
        raise Corrupt("bytes after the last tile")
    return dict(
        medium=medium,
        mode=mode,
        quality=quality,
        width=width,
        height=height,
        model=model,
        stride_log2=stride_log2,
        groups=groups,
        rows=rows,
        columns=columns,
        chunks=chunks,
        streams=streams,
    )


def parse_chunks(r, count, critical):
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
        if kind not in critical and kind[:1].isupper():
            raise Version("unknown critical chunk")
    return chunks


# ---- models: sections 6 and 10 -------------------------------------------------------

DTYPES = {"I8": "<i1", "U8": "<u1", "I16": "<i2", "I32": "<i4", "F16": "<f2", "F32": "<f4"}
MAX_MODEL_HEADER = 2**20
LARGEST = np.finfo(np.float64).max  # below infinity


class ModelFile:
    """A safetensors file and the JSON object in its metadata."""

    def __init__(self, data):
        size = int.from_bytes(data[:8], "little")
        if len(data) < 8 or size > min(MAX_MODEL_HEADER, len(data) - 8):
            raise ModelError("no header")
        self.entries = json.loads(data[8 : 8 + size])
        self.config = json.loads(self.entries.pop("__metadata__")["vqcodec"])
        self.body = memoryview(data)[8 + size :]
        end = 0
        for start, stop in sorted(entry["data_offsets"] for entry in self.entries.values()):
            if not end == start <= stop:
                raise ModelError("tensors overlap or leave a hole")
            end = stop
        if end != len(self.body):
            raise ModelError("bytes that belong to no tensor")

    def table(self, name, **allowed):
        """A table of the configuration, which has the keys of `allowed` and no others."""
        table = self.config[name]
        if table.keys() != allowed.keys() or not all(fits(table[k], allowed[k]) for k in allowed):
            raise ModelError(f"table {name}")
        return table

    def tensor(self, name, dtype, shape, low=-LARGEST, high=LARGEST):
        """As int64 or float64; all elements are low..high."""
        entry = self.entries[name]
        if entry["dtype"] != dtype or tuple(entry["shape"]) != shape:
            raise ModelError(f"{name} is not {dtype} {shape}")
        stored = np.frombuffer(self.body[slice(*entry["data_offsets"])], DTYPES[dtype])
        flat = stored.astype(np.float64 if dtype[0] == "F" else np.int64)
        if not ((low <= flat) & (flat <= high)).all():
            raise ModelError(f"{name} out of range")
        return flat.reshape(shape)

    def linear(self, name, outputs, inputs):
        weight = self.tensor(name + ".weight", "I8", (outputs, inputs), -127, 127)
        bias = self.tensor(name + ".bias", "I32", (outputs,))
        shift = self.tensor(name + ".shift", "U8", (outputs,), 0, 20)
        if (127 * np.abs(weight).sum(1) + np.abs(bias) >= 2**24).any():
            raise ModelError(f"{name} has sums of 2^24 or more")
        return lambda x: (x @ weight.T + bias) >> shift


def fits(value, allowed):
    """allowed: (low, high) of an integer, a list of such pairs, float for any number, or list
    for any number of integers from 1 on, at least 0.
    """
    if allowed is float:
        return type(value) in (int, float)
    if allowed is list:
        return isinstance(value, list) and all(type(v) is int and v >= 1 for v in value)
    if isinstance(allowed, list):
        same = isinstance(value, list) and len(value) == len(allowed)
        return same and all(fits(*pair) for pair in zip(value, allowed))
    return type(value) is int and allowed[0] <= value <= allowed[1]


FIRST = [(-2, d) for d in range(-2, 3)] + [(-1, d) for d in range(-2, 2)] + [(0, -2), (0, -1)]
INNER = [(-1, -1), (-1, 0), (-1, 1), (0, -1), (0, 0)]
SOUND_AUTOENCODER = dict(
    strides=list,
    widths=list,
    encoder_depth=(0, 32),
    encoder_hidden=(1, 4096),
    code_dim=(1, 1024),
    speaker_dim=(1, 1024),
    spectrum_hop=(32, 1024),
    decoder_width=(1, 1024),
    decoder_hidden=(1, 4096),
    decoder_depth=(0, 32),
)
DILATED = dict(first_kernel_size=(1, 16), kernel_size=(2, 4), dilations=list)


class Model:
    """What models have in common: offsets, and the layers that read them."""

    media_type = 1
    speakers = 1
    largest = 2**24  # pixels along an axis

    def wedge(self, prior):
        """The offsets of each layer in two dimensions."""
        self.offsets = [FIRST] + [INNER] * prior["layers"]

    def dilated(self, prior):
        """The same in one dimension."""
        f, t, r = prior["first_kernel_size"], prior["kernel_size"], prior["dilations"]
        if len(r) > 32 or f + (t - 1) * sum(r) > 1023:
            raise ModelError("dilations")
        self.offsets = [[(0, -k) for k in range(f, 0, -1)]]
        self.offsets += [[(0, -k * d) for k in range(t - 1, -1, -1)] for d in r]

    def offset(self, quality, i, j):
        """What is added to the sums of first at positions (i, j)."""
        return self.quality[quality]

    def read_layers(self, file):
        first, *others = self.offsets
        c = self.channels
        self.first = file.linear("prior.first", c, len(first) * self.seen)
        self.layers = [
            file.linear(f"prior.layers.{n}", c, len(own) * c) for n, own in enumerate(others)
        ]


class VqVae(Model):
    """Architecture vqvae-pixelcnn-1: one block of one group, whose input is e(i, j)."""

    stride_log2 = 2

    def __init__(self, file):
        prior = file.table(
            "prior", codebook_size=(2, 4096), embedding=(1, 90), channels=(1, 192), layers=(0, 32)
        )
        k = prior["codebook_size"]
        file.table(
            "autoencoder",
            hidden=(1, 1024),
            residual_blocks=(0, 16),
            code_dim=(1, 1024),
            codebook_size=(k, k),
        )
        self.wedge(prior)
        self.read_prior(file, prior)

    def read_prior(self, file, prior):
        k, e, c = prior["codebook_size"], prior["embedding"], prior["channels"]
        self.k, self.inputs, self.seen, self.channels = k, e, e, c
        self.quality = {0: 0}  # what each quality adds to the sums of first
        self.embedding = file.tensor("prior.embedding", "I8", (k, e), -127, 127)
        self.read_layers(file)
        self.hidden = file.linear("prior.hidden", c, c)
        self.output = file.linear("prior.output", k, c)

    def blocks(self, quality):
        """Of each block its number of groups and of codewords."""
        return [(1, self.k)]

    def logits(self, quality, b, x, y):
        """Of positions, groups of block b and codewords."""
        return self.output(activate(self.hidden(x)))[:, None]

    def read(self, quality, b, indices, y):
        """Put what the indices of block b mean into y."""
        y[:] = self.embedding[indices[:, 0]]


class TwoStage(Model):
    """Architecture vqvae-two-stage-1: one block, of which nothing is known."""

    stride_log2 = 7
    inputs = seen = channels = 0

    def __init__(self, file):
        self.offsets, self.layers, self.quality = [FIRST], [], {0: 0}
        second = file.table(
            "second",
            side=(4, 32),
            latents=(1, 16),
            codebook_size=(2, 4096),
            code_dim=(1, 1024),
            hidden=(1, 1024),
            residual_blocks=(0, 16),
            condition=(1, 192),
        )
        self.side, self.k, self.g = second["side"], second["codebook_size"], second["latents"]
        self.largest = 4 * self.side
        self.grid = Grid(file, second)

    def first(self, e):
        return e

    def blocks(self, quality):
        return [(self.g, self.k)]

    def logits(self, quality, b, x, y):
        return np.zeros((len(x), self.g, self.k), np.int64)

    def read(self, quality, b, indices, y):
        pass

    def draw(self, latents):
        """The indices of the grid, section 9: side x side."""
        self.grid.tell(latents)
        quantiles = draws()

        def code(logits, _):
            ends = np.cumsum(frequencies(logits))
            return int(np.searchsorted(ends, next(quantiles), side="right"))

        tile = np.zeros((self.side, self.side, 1), np.int64)
        walk(tile, self.grid, 0, code)
        return tile[:, :, 0]


class Grid(VqVae):
    """The prior of the grid of indices that is drawn given latents."""

    def __init__(self, file, second):
        super().__init__(file)
        self.side, k, h = second["side"], second["codebook_size"], second["condition"]
        self.latents = file.tensor("condition.latents", "I16", (second["latents"], k, h))
        self.places = file.tensor("condition.places", "I16", (self.side**2, h))
        self.told_hidden = file.linear("condition.hidden", h, h)
        self.told_output = file.linear("condition.output", self.channels, h)

    def tell(self, latents):
        a = activate(self.latents[np.arange(len(latents)), latents].sum(0) + self.places)
        self.told = clamp(self.told_output(activate(self.told_hidden(a))))

    def offset(self, quality, i, j):
        return self.told[self.side * i + j]


def draws():
    """Numbers below 2^24 that look random: Philox 4x64-10, section 9."""
    for block in itertools.count(1):
        w, k, m = (block, 0, 0, 0), 0, 0
        for _ in range(10):
            x, y = w[0] * 0xD2E7470EE14C6C93, w[2] * 0xCA5A826395121157
            w = (y >> 64 ^ w[1] ^ k, y % 2**64, x >> 64 ^ w[3] ^ m, x % 2**64)
            k, m = (k + 0x9E3779B97F4A7C15) % 2**64, (m + 0xBB67AE8584CAA73B) % 2**64
        yield from (word >> 40 for word in w)


DEPTHS = [(0, 16)] * 3
LATENTS = dict(widths=[(1, 1024)] * 3, latents=(2, 1024), details=(1, 1023), qualities=(1, 64))


class WaveNet(VqVae):
    """Architecture vqvae-wavenet-1."""

    media_type = 2
    stride_log2 = 0
    rate = 16000

    def __init__(self, file):
        prior = file.table(
            "prior", codebook_size=(2, 4096), embedding=(1, 512), channels=(1, 512), **DILATED
        )
        k = prior["codebook_size"]
        table = file.table("autoencoder", codebook_size=(k, k), **SOUND_AUTOENCODER)
        strides, widths = table["strides"], table["widths"]
        h, self.hop = table["spectrum_hop"], math.prod(strides)
        if not 1 <= len(strides) <= 16 or min(strides) < 2 or max(strides) > 8 or self.hop > 2048:
            raise ModelError("strides")
        if len(widths) != len(strides) or max(widths) > 1024:
            raise ModelError("widths")
        if h % 2 or self.hop % h or table["code_dim"] % (self.hop // h):
            raise ModelError("spectrum_hop")
        names = file.config["speakers"]
        if not isinstance(names, list) or not 1 <= len(names) <= 4096:
            raise ModelError("speakers")
        if len(set(names)) < len(names) or not all(is_name(name) for name in names):
            raise ModelError("names of speakers")
        self.speakers = len(names)
        self.dilated(prior)
        self.read_prior(file, prior)


def is_name(name):
    return isinstance(name, str) and 1 <= len(name) <= 64 and name.isprintable()


class Photo(Model):
    """Architecture photo-1."""

    stride_log2 = 4

    def levels(self, q):
        """For each quality of a header, which of 1..q has its codebooks and its prior."""
        return {quality: quality for quality in range(1, q + 1)}

    def transform(self, file):
        return file.table("transform", **LATENTS, depths=DEPTHS, gain_octaves=float)

    def __init__(self, file):
        transform = self.transform(file)
        prior = file.table(
            "latent_prior", channels=(1, 512), layers=(0, 32), slices=list, hidden=(1, 1024)
        )
        d = transform["latents"]
        if sum(prior["slices"]) != d:
            raise ModelError("slices")
        if transform["details"] >= d:
            raise ModelError("details")
        self.wedge(prior)
        self.read_latents(file, prior, d - transform["details"], transform["qualities"])

    def read_latents(self, file, prior, seen, q):
        """Prior and codebooks of q qualities."""
        product = file.table("product", codebook_size=(2, 4096), distance_bits=float)
        if not 1e-6 <= product["distance_bits"] < 10**6:
            raise ModelError("distance_bits")
        c, h, widths = prior["channels"], prior["hidden"], prior["slices"]
        d = sum(widths)
        if not 1 <= len(widths) <= 64 or d > 1024:
            raise ModelError("slices")
        self.k, self.inputs, self.seen, self.channels = product["codebook_size"], d, seen, c
        self.starts = [sum(widths[:s]) for s in range(len(widths))]  # A[s]
        self.read_layers(file)
        self.hidden = [
            file.linear(f"prior.hidden.{s}", h, c + start) for s, start in enumerate(self.starts)
        ]
        self.output = [file.linear(f"prior.output.{s}", 2 * w, h) for s, w in enumerate(widths)]
        offsets = file.tensor("prior.quality", "I16", (q, c))
        self.precisions = file.tensor("prior.precisions", "I32", (1024,), 0, 2**21 - 1)
        books = {}  # level -> (slice, channels, vectors, bias, embedding) of each block
        for level in range(1, q + 1):
            file.tensor(f"codebooks.{level}.rest", "I16", (d,))
            books[level] = []
            for s, w in enumerate(widths):
                used = []
                for name in block_names(file, level, s):
                    block = self.block(file, name, w)
                    books[level].append((s, *block))
                    used += block[0].flatten().tolist()
                if len(used) != len(set(used)):
                    raise ModelError(f"slice {s} of quality {level} has a channel twice")
        levels = self.levels(q).items()
        self.quality = {quality: offsets[level - 1] for quality, level in levels}
        self.books = {quality: books[level] for quality, level in levels}

    def block(self, file, name, w):
        n, k, d = file.entries[name + ".vectors"]["shape"]
        if not (n >= 1 and 2 <= k <= self.k and d in (1, 2, 4, 8) and n * k <= 2**17):
            raise ModelError(f"{name} has {n} groups of {d} latents with {k} codewords")
        return (
            file.tensor(name + ".channels", "I16", (n, d), 0, w - 1),
            file.tensor(name + ".vectors", "I16", (n, k, d), -4095, 4095),
            file.tensor(name + ".bias", "I16", (n, k), -4095, 4095),
            file.tensor(name + ".embedding", "I8", (n, k, d), -127, 127),
        )

    def blocks(self, quality):
        return [bias.shape for _, _, _, bias, _ in self.books[quality]]

    def logits(self, quality, b, x, y):
        s, channels, v, bias, _ = self.books[quality][b]
        u = activate(self.hidden[s](np.concatenate([x, y[:, : self.starts[s]]], 1)))
        mean, raw = np.split(self.output[s](u), 2, axis=1)
        precision = self.precisions[np.clip((raw + 8 >> 4) + 64, 0, 1023)]
        m, p = clamp(mean)[:, channels][:, :, None], precision[:, channels][:, :, None]
        return bias + ((p * (v * m - 4 * v**2)).sum(3) >> 24)

    def read(self, quality, b, indices, y):
        s, channels, _, _, embedding = self.books[quality][b]
        for g, places in enumerate(channels):
            y[:, self.starts[s] + places] = embedding[g, indices[:, g]]


class Sixteenths(Photo):
    """What photo-2 and speech-1 have in common: headers count sixteenths of a quality."""

    def levels(self, q):
        return {quality: level_of(quality) for quality in range(16, 16 * q + 1)}


def level_of(quality):
    """The nearest of 1..Q."""
    return (quality + 7) // 16


class Photo2(Sixteenths):
    """Architecture photo-2: the same prior and codebooks."""

    def transform(self, file):
        table = LATENTS | {"qualities": (1, 15)}
        return file.table("transform", **table, analysis_depths=DEPTHS, synthesis_depths=DEPTHS)


class Speech(Sixteenths):
    """Architecture speech-1."""

    media_type = 2
    stride_log2 = 0
    rate, hop = 16000, 320

    def __init__(self, file):
        prior = file.table(
            "latent_prior", channels=(1, 512), slices=list, hidden=(1, 1024), **DILATED
        )
        q, _ = file.entries["prior.quality"]["shape"]
        if not 1 <= q <= 15:
            raise ModelError("qualities")
        self.dilated(prior)
        self.read_latents(file, prior, sum(prior["slices"]), q)


def block_names(file, q, s):
    """What the names of the tensors of each block begin with."""
    names = (f"codebooks.{q}.{s}.{b}" for b in itertools.count())
    return itertools.takewhile(lambda name: name + ".channels" in file.entries, names)


ARCHITECTURES = {
    "vqvae-pixelcnn-1": VqVae,
    "vqvae-two-stage-1": TwoStage,
    "photo-1": Photo,
    "photo-2": Photo2,
    "vqvae-wavenet-1": WaveNet,
    "speech-1": Speech,
}


def load(data):
    """The half of a model that indices need. Raises ModelError."""
    return read_model(data, ARCHITECTURES)


def read_model(data, kinds):
    """kinds: what to make of a ModelFile, for each architecture."""
    try:
        file = ModelFile(bytes(data))
        return kinds[file.config["architecture"]](file)
    except (AttributeError, KeyError, RecursionError, TypeError, ValueError) as error:
        raise ModelError(f"not a model file: {error!r}") from error


# ---- prior and frequencies: sections 6 and 7 -----------------------------------------


def clamp(v):
    return np.clip(v, -32767, 32767)


def activate(v):
    return np.clip(v >> 4, 0, 127)


class Field:
    """Vectors over a tile, with a border of zeros around it as far as the offsets reach."""

    def __init__(self, n, m, size, offsets):
        self.offsets = offsets
        self.up = max(abs(di) for di, _ in offsets)
        self.side = max(abs(dj) for _, dj in offsets)
        self.v = np.zeros((n + self.up, m + 2 * self.side, size), np.int64)

    def put(self, i, j, vectors):
        self.v[i + self.up, j + self.side] = vectors

    def gather(self, i, j):
        i, j = i + self.up, j + self.side
        return np.concatenate([self.v[i + di, j + dj] for di, dj in self.offsets], 1)


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

    def symbol(self, f):
        scale = self.range >> 24
        quantile = ((self.point - self.low) & M64) // scale
        if quantile >= 2**24:
            raise Corrupt("quantile")
        s = int(np.searchsorted(np.cumsum(f), quantile, side="right"))
        self.low = (self.low + scale * int(f[:s].sum())) & M64
        self.range = scale * int(f[s])
        if self.range < 2**32:
            self.low = (self.low << 32) & M64
            self.range <<= 32
            self.point = (self.point << 32 | self.word()) & M64
        return s


class Encoder:
    def __init__(self):
        self.low, self.range, self.held, self.words, self.empty = 0, M64, [], [], True

    def release(self, carry):
        self.words.append(self.held[0] + carry)
        self.words += [0 if carry else 2**32 - 1] * (len(self.held) - 1)
        self.held = []

    def symbol(self, f, s):
        self.empty = False
        scale = self.range >> 24
        self.range = scale * int(f[s])
        total = self.low + scale * int(f[:s].sum())
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


def decode_fixed(stream, n, m, model, quality):
    sizes = group_sizes(model, quality)
    bits = (model.k - 1).bit_length()
    count = n * m * len(sizes)
    if len(stream) != (count * bits + 7) // 8:
        raise Corrupt("length of a stream")
    text = "".join(f"{byte:08b}" for byte in stream)
    if "1" in text[count * bits :]:
        raise Corrupt("padding")
    flat = [int(text[p * bits : (p + 1) * bits], 2) for p in range(count)]
    tile = np.array(flat, np.int64).reshape(n, m, len(sizes))
    if (tile >= sizes).any():
        raise Corrupt("index without a codeword")
    return tile


def group_sizes(model, quality):
    """Of each group its number of codewords."""
    return [k for n, k in model.blocks(quality) for _ in range(n)]


def walk(tile, model, quality, code):
    """Put code(logits, index) in the place of every index of a tile, in wavefront order.

    A decoder's `code` ignores the index that is there, an encoder's gives it back.
    """
    n, m, _ = tile.shape
    first, *others = model.offsets
    read = Field(n, m, model.seen, first)
    fields = [Field(n, m, model.channels, own) for own in others]
    for i, j in wavefronts(n, m):
        h = clamp(model.first(read.gather(i, j)) + model.offset(quality, i, j))
        for field, layer in zip(fields, model.layers):
            field.put(i, j, activate(h))
            h = clamp(h + layer(field.gather(i, j)))
        x = activate(h)
        y = np.zeros((len(i), model.inputs), np.int64)
        start = 0  # the first group of the block
        for b, (groups, _) in enumerate(model.blocks(quality)):
            logits = model.logits(quality, b, x, y)
            indices = tile[i, j, start : start + groups]
            for p, g in np.ndindex(indices.shape):
                indices[p, g] = code(logits[p, g], indices[p, g])
            model.read(quality, b, indices, y)
            tile[i, j, start : start + groups] = indices
            start += groups
        read.put(i, j, y[:, : model.seen])


def decode_prior(stream, n, m, model, quality):
    decoder, encoder = Decoder(stream), Encoder()

    def code(logits, _):
        f = frequencies(logits)
        index = decoder.symbol(f)
        encoder.symbol(f, index)
        return index

    tile = np.zeros((n, m, len(group_sizes(model, quality))), np.int64)
    walk(tile, model, quality, code)
    if encoder.finish() != stream:
        raise Corrupt("not the canonical stream")
    return tile


def encode_prior(tile, model, quality):
    """The stream of a tile, which is n x m x groups."""
    encoder = Encoder()

    def code(logits, index):
        encoder.symbol(frequencies(logits), index)
        return index

    walk(tile.copy(), model, quality, code)
    return encoder.finish()


def read_wave(file):
    """The chunk WAVE, section 4."""
    data, coded = file["chunks"].get(b"WAVE"), file["height"]
    if data is None or len(data) < 8 + coded:
        raise Corrupt("chunk WAVE")
    rate, samples = struct.unpack_from("<II", data)
    plain = list(range(coded))
    channels = list(data[8 + coded :]) or plain
    if not 1 <= rate < 2**20 or samples < 1:
        raise Corrupt("rate or samples")
    if len(data) > 8 + coded and channels == plain or len(channels) > 255:
        raise Corrupt("channels")
    if list(dict.fromkeys(channels)) != plain:
        raise Corrupt("order of channels")
    if samples * len(channels) > MAX_SAMPLES:
        raise Limit("samples")
    return dict(rate=rate, samples=samples, levels=list(data[8 : 8 + coded]), channels=channels)


def read_speakers(file, model):
    """The chunk spkr, section 4: of each coded channel the number of a speaker."""
    coded = file["height"]
    data = file["chunks"].get(b"spkr", bytes(2 * coded))
    if len(data) != 2 * coded or b"spkr" in file["chunks"] and not any(data):
        raise Corrupt("chunk spkr")
    numbers = list(struct.unpack(f"<{coded}H", data))
    if max(numbers) >= model.speakers:
        raise Corrupt("speaker")
    return numbers


def decode(file_bytes, model_file_bytes):
    """The indices, rows x columns x groups; of a clip, frames before these."""
    file = parse(bytes(file_bytes))
    if file["mode"] == 2:
        return np.zeros((file["rows"][-1][1], file["columns"][-1][1], 0), np.int64)
    # The model, section 10: its hash is checked before anything else of it is read.
    if hashlib.sha256(model_file_bytes).digest()[:8] != file["model"]:
        raise ModelError("another model")
    if file["medium"] == CLIP:
        import reference_clip  # which imports this module

        return reference_clip.decode(file, model_file_bytes)
    model = load(model_file_bytes)
    if model.media_type != file["medium"]:
        raise ModelError("a model of another medium")
    quality = file["quality"]
    if quality not in model.quality:
        raise Corrupt("quality is not one of the model's")
    if file["stride_log2"] != model.stride_log2:
        raise Corrupt("stride_log2 is not the model's")
    if max(file["width"], file["height"]) > model.largest:
        raise Corrupt("a picture larger than the model's")
    if file["medium"] == SOUND:
        wave = read_wave(file)
        at_model_rate = -(-wave["samples"] * model.rate // wave["rate"])
        if -(-at_model_rate // model.hop) != file["width"]:
            raise Corrupt("samples and frames do not fit")
        read_speakers(file, model)
    decode_tile = decode_prior if file["mode"] else decode_fixed
    groups = len(group_sizes(model, quality))
    grid = np.zeros((file["rows"][-1][1], file["columns"][-1][1], groups), np.int64)
    held = np.zeros(grid.shape[:2], bool)  # the positions of tiles with indices
    for top, bottom, left, right, is_literal, stream in tiles(file):
        if not is_literal:
            box = slice(top, bottom), slice(left, right)
            grid[box] = decode_tile(stream, bottom - top, right - left, model, quality)
            held[box] = True
    for top, bottom, left, right, is_literal, _ in tiles(file):
        for i, j in itertools.product(range(top, bottom), range(left, right)):
            ways = ((i - top + 1, top - 1, j), (bottom - i, bottom, j))
            ways += ((j - left + 1, i, left - 1), (right - j, i, right))
            near = [(far, k, at) for k, (far, *at) in enumerate(ways) if holds(held, *at)]
            if is_literal and near:
                grid[i, j] = grid[tuple(min(near)[2])]
    return grid


def tiles(file):
    """Of each tile its edges, whether it is literal, and the stream of what it holds."""
    streams = iter(file["streams"])
    for (top, bottom), (left, right) in itertools.product(file["rows"], file["columns"]):
        stream, is_literal = next(streams), file["mode"] == 2
        if file["mode"] == 3:
            if stream[:1] not in (b"\0", b"\1"):
                raise Corrupt("kind of a tile")
            stream, is_literal = stream[1:], stream[0] == 1
        yield top, bottom, left, right, is_literal, stream


def holds(held, i, j):
    return 0 <= i < held.shape[0] and 0 <= j < held.shape[1] and bool(held[i, j])


def indices_sha256(grid):
    """Of the indices row by row, group by group, each a 16-bit integer, lowest byte first."""
    return hashlib.sha256(grid.astype("<u2").tobytes()).hexdigest()


if __name__ == "__main__":
    import sys

    print(indices_sha256(decode(*(open(path, "rb").read() for path in sys.argv[1:3]))))
