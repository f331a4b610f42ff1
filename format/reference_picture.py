"""The other half of a .vqc decoder, written from format/SPEC.md alone: indices + model ->
pixels (section 9; literal ones are read by reference_literal.py), and what the chunks hold
(section 4).

Networks of real numbers run in float64, so what they give is as near as can be to what SPEC.md
means; those of integers (reference_exact.py) give what it says.
Arrays of samples are channels x rows x columns.
"""

import struct
import zlib

import numpy as np
import reference
from reference import CLIP, SOUND, Corrupt, Limit, block_names, level_of, read_model, tiles
from reference_exact import Synthesis, shuffle
from reference_literal import decode_literal

# ---- chunks: section 4 ---------------------------------------------------------------

MAX_METADATA = 2**24
MAX_PNG_CHUNKS = 1024
PNG_TYPES = {
    *(b"tEXt", b"iTXt", b"tIME", b"bKGD", b"sBIT", b"oFFs", b"pCAL", b"sCAL", b"sTER", b"sPLT"),
    *(b"mDCV", b"cLLI", b"caNv", b"vpAg"),
}
SIZES = {b"cicp": 4, b"dens": 17, b"time": 8}
PACKED = {*(b"exif", b"iccp", b"irb0", b"pngc", b"xmp0", b"xmpe")}
MAX_TAGS = 1024
PNG = bytes.fromhex("89504E470D0A1A0A")


def unpack(file):
    """What the known chunks of a parsed file hold: metadata, and alpha as height x width bytes."""
    if file["medium"] == SOUND:
        return unpack_sound(file["chunks"])
    if file["medium"] == CLIP:
        return unpack_clip(file["chunks"])
    out = {}
    for kind, data in file["chunks"].items():
        if kind == b"ALPH":
            out[kind] = read_png(data, file["width"], file["height"])
        elif kind in SIZES:
            out[kind] = read_numbers(kind, data)
        elif kind in PACKED:
            out[kind] = inflate(data, MAX_METADATA, Limit)
            if kind == b"pngc":
                check_png_chunks(out[kind])
    return out


def unpack_sound(chunks):
    """The same of sound: its tags, its speakers, and its date."""
    out = {}
    if b"tags" in chunks:
        out[b"tags"] = inflate(chunks[b"tags"], MAX_METADATA, Limit)
        check_tags(out[b"tags"])
    if b"spkr" in chunks:
        out[b"spkr"] = chunks[b"spkr"]
    if b"time" in chunks:
        out[b"time"] = read_numbers(b"time", chunks[b"time"])
    return out


def unpack_clip(chunks):
    """The same of a clip: its actions, when its frames are shown, and its date."""
    out = {kind: chunks[kind] for kind in (b"CLIP",) if kind in chunks}
    if b"ACTS" in chunks:
        out[b"ACTS"] = inflate(chunks[b"ACTS"], MAX_METADATA, Limit)
    if b"time" in chunks:
        out[b"time"] = read_numbers(b"time", chunks[b"time"])
    return out


def check_tags(data):
    """Raise an error unless this is a Vorbis comment header without a vendor."""
    vendor, count = struct.unpack_from("<II", data.ljust(8, b"\xff"))
    if vendor or count > MAX_TAGS:
        raise Corrupt("tags")
    at = 8
    for _ in range(count):
        size = int.from_bytes(data[at : at + 4], "little")
        name, sign, text = data[at + 4 : at + 4 + size].partition(b"=")
        at += 4 + size
        if at > len(data) or not name or not sign or not all(0x20 <= c <= 0x7D for c in name):
            raise Corrupt("a field of tags")
        try:
            text.decode()
        except UnicodeDecodeError as cause:
            raise Corrupt("text of tags") from cause
    if at != len(data):
        raise Corrupt("bytes after tags")


def read_numbers(kind, data):
    """The data of a chunk that is not packed."""
    if len(data) != SIZES[kind]:
        raise Corrupt(f"size of chunk {kind}")
    if kind == b"cicp" and data[2:] != b"\0\1":
        raise Corrupt("chunk cicp of other pixels than full-range RGB")
    if kind == b"dens" and data[0] > 3:
        raise Corrupt("unit of a density")
    return data


def check_png_chunks(data):
    """Raise an error unless these are whole PNG chunks."""
    at = count = 0
    while at < len(data):
        if count == MAX_PNG_CHUNKS:
            raise Limit("number of PNG chunks")
        size, kind = int.from_bytes(data[at : at + 4], "big"), data[at + 4 : at + 8]
        body = data[at + 4 : at + 8 + size]
        crc = data[at + 8 + size : at + 12 + size]
        if len(crc) < 4 or kind not in PNG_TYPES:
            raise Corrupt("a PNG chunk")
        if int.from_bytes(crc, "big") != zlib.crc32(body):
            raise Corrupt("checksum of a PNG chunk")
        at, count = at + 12 + size, count + 1


def inflate(data, most, error):
    """Unpack a zlib stream that ends where `data` ends; `error` if it holds over `most` bytes."""
    unpacker = zlib.decompressobj()
    try:
        out = unpacker.decompress(data, most + 1)
    except zlib.error as cause:
        raise Corrupt("zlib stream") from cause
    if len(out) > most:
        raise error("zlib stream")
    if not unpacker.eof or unpacker.unused_data:
        raise Corrupt("end of a zlib stream")
    return out


def read_png(data, width, height):
    """The samples of a PNG picture, 8-bit greyscale and not interlaced."""
    header = struct.pack(">I4sIIBBBBB", 13, b"IHDR", width, height, 8, 0, 0, 0, 0)
    if data[:29] != PNG + header:
        raise Corrupt("not such a PNG picture")
    at, packed = 8, b""
    while data[at + 4 : at + 8] != b"IEND":
        size = int.from_bytes(data[at : at + 4], "big")
        if at + 12 + size > len(data):
            raise Corrupt("end of a PNG picture")
        if data[at + 4 : at + 8] == b"IDAT":
            packed += data[at + 8 : at + 8 + size]
        at += 12 + size
    lines = inflate(packed, height * (1 + width), Corrupt)
    if len(lines) != height * (1 + width):
        raise Corrupt("a PNG picture that is not whole")
    rows, above = [], bytes(1 + width)  # a row begins with the sample left of it, 0
    for start in range(0, len(lines), 1 + width):
        kind, row = lines[start], bytearray(1)
        if kind > 4:
            raise Corrupt("filter of a PNG picture")
        for x, value in enumerate(lines[start + 1 : start + 1 + width], start=1):
            a, b, c = row[x - 1], above[x], above[x - 1]
            paeth = min(a, b, c, key=lambda v: abs(a + b - c - v))
            row.append((value + (0, a, b, (a + b) // 2, paeth)[kind]) & 255)
        rows.append(bytes(row[1:]))
        above = row
    return b"".join(rows)


# ---- layers --------------------------------------------------------------------------


class Layers:
    """A model file's layers by their names; weights and biases are float16."""

    def __init__(self, file):
        self.file = file

    def convolution(self, name, inputs, outputs, size):
        """Size x size, padded so that rows and columns stay as many."""
        weight = self.file.tensor(name + ".weight", "F16", (outputs, inputs, size, size))
        bias = self.file.tensor(name + ".bias", "F16", (outputs,))

        def run(x):
            p = size // 2
            x = np.pad(x, ((0, 0), (p, p), (p, p)))
            places = np.lib.stride_tricks.sliding_window_view(x, (size, size), axis=(1, 2))
            return np.einsum("oiyx,inmyx->onm", weight, places) + bias[:, None, None]

        return run

    def transposed(self, name, inputs, outputs):
        """4x4, stride 2, pad 1: twice as many rows and columns."""
        weight = self.file.tensor(name + ".weight", "F16", (inputs, outputs, 4, 4))
        bias = self.file.tensor(name + ".bias", "F16", (outputs,))

        def run(x):
            _, n, m = x.shape
            out = np.zeros((outputs, 2 * n + 2, 2 * m + 2))
            for dy, dx in np.ndindex(4, 4):
                added = np.einsum("inm,io->onm", x, weight[:, :, dy, dx])
                out[:, dy : dy + 2 * n : 2, dx : dx + 2 * m : 2] += added
            return out[:, 1:-1, 1:-1] + bias[:, None, None]

        return run


def relu(x):
    return np.maximum(x, 0)


def leaky(x):
    return np.where(x < 0, 0.1 * x, x)


# ---- networks: section 9 -------------------------------------------------------------


class VqVae:
    def __init__(self, file):
        config = file.config["autoencoder"]
        h, d = config["hidden"], config["code_dim"]
        layers = Layers(file)
        self.codebook = file.tensor("codebook", "F32", (config["codebook_size"], d))
        self.project = layers.convolution("decoder.project", d, h, 3)
        self.blocks = [
            (
                layers.convolution(f"decoder.blocks.{b}.spatial", h, h, 3),
                layers.convolution(f"decoder.blocks.{b}.pointwise", h, h, 1),
            )
            for b in range(config["residual_blocks"])
        ]
        self.up1 = layers.transposed("decoder.up1", h, h)
        self.up2 = layers.transposed("decoder.up2", h, 3)

    def samples(self, indices, quality):
        x = self.project(self.codebook[indices[:, :, 0]].transpose(2, 0, 1))
        for spatial, pointwise in self.blocks:
            x = x + pointwise(relu(spatial(relu(x))))
        return rounded(self.up2(relu(self.up1(relu(x)))))


class TwoStage:
    def __init__(self, file):
        self.second = reference.TwoStage(file)
        self.first = VqVae(file)

    def samples(self, indices, quality):
        drawn = self.second.draw(indices[0, 0])
        return self.first.samples(drawn[:, :, None], quality)


class Photo:
    def __init__(self, file):
        config = file.config["transform"]
        (fine, middle, coarse), (few, some, many) = config["widths"], config["depths"]
        d, qualities = config["latents"], config["qualities"]
        self.coarse = d - config["details"]
        smallest = np.nextafter(0.0, 1.0)  # gains are above 0
        self.gains = file.tensor("gains", "F32", (qualities, d), smallest)
        self.file = file
        layers = Layers(file)
        self.steps = []

        def convolution(inputs, outputs, size):
            name = f"synthesis.layers.{len(self.steps)}"
            self.steps.append(layers.convolution(name, inputs, outputs, size))

        def block(n):
            name = f"synthesis.layers.{len(self.steps)}"
            first = layers.convolution(name + ".first", n, n, 3)
            second = layers.convolution(name + ".second", n, n, 3)
            self.steps.append(lambda x: x + second(leaky(first(x))))

        convolution(self.coarse, coarse, 3)
        for _ in range(many):
            block(coarse)
        convolution(coarse, 4 * middle, 1)
        self.steps.append(shuffle(2))
        for _ in range(some):
            block(middle)
        convolution(middle, 4 * fine, 1)
        self.steps.append(shuffle(2))
        for _ in range(few):
            block(fine)
        convolution(fine, 48, 3)
        self.steps.append(shuffle(4))
        shape = (768, config["details"], 1, 1)
        self.details = file.tensor("synthesis.details.0.weight", "F16", shape)[:, :, 0, 0]

    def samples(self, indices, quality):
        latent = (
            codewords(self.file, indices, quality) / 32 / self.gains[quality - 1][:, None, None]
        )
        x = latent[: self.coarse]
        for step in self.steps:
            x = step(x)
        details = np.einsum("oi,inm->onm", self.details, latent[self.coarse :])
        return rounded(x + shuffle(16)(details))


class Photo2:
    def __init__(self, file):
        config = file.config["transform"]
        latents, details = config["latents"], config["details"]
        shape = (config["qualities"], latents)
        file.tensor("gains", "F32", shape, np.nextafter(0.0, 1.0))  # above 0
        self.scales = file.tensor("scales", "I32", shape, 0)
        self.file = file
        self.synthesis = Synthesis(
            file, config["widths"], config["synthesis_depths"], latents, details
        )

    def samples(self, indices, quality):
        v = codewords(self.file, indices, level_of(quality))
        latent = v * self.scale(quality)[:, None, None] + 2**15 >> 16
        return self.synthesis.samples(np.clip(latent, -16384, 16383))

    def scale(self, quality):
        """Between those of two qualities, section 9."""
        below, part = divmod(quality, 16)
        if part == 0:
            return self.scales[below - 1]
        return (self.scales[below - 1] * (16 - part) + self.scales[below] * part + 8) >> 4


def codewords(file, indices, quality):
    """Of `rest` and the vectors that the indices name: D x rows x columns."""
    rest = file.tensor(f"codebooks.{quality}.rest", "I16", (file.config["transform"]["latents"],))
    out = np.broadcast_to(rest[:, None, None], (*rest.shape, *indices.shape[:2])).copy()
    group = start = 0
    for s, width in enumerate(file.config["latent_prior"]["slices"]):
        for block in block_names(file, quality, s):
            n, k, d = file.entries[block + ".vectors"]["shape"]
            vectors = file.tensor(block + ".vectors", "I16", (n, k, d))
            channels = file.tensor(block + ".channels", "I16", (n, d))
            for table, places in zip(vectors, channels):
                out[start + places] += table[indices[:, :, group]].transpose(2, 0, 1)
                group += 1
        start += width
    return out


def rounded(x):
    """Samples 0..255 of -1..1."""
    return np.clip(np.rint(255 * (x / 2 + 0.5)), 0, 255)


KINDS = {
    "vqvae-pixelcnn-1": VqVae,
    "vqvae-two-stage-1": TwoStage,
    "photo-1": Photo,
    "photo-2": Photo2,
}


def load(data):
    """The half of a model that pixels need. Raises ModelError."""
    return read_model(data, KINDS)


def pixels(indices, file, model):
    """8-bit samples, rows x columns x 3. `file` is what `parse` gives; mode 2 needs no model."""
    if file["mode"] == 2:
        out = np.zeros((file["height"], file["width"], 3), np.uint8)
    else:
        x = model.samples(indices, file["quality"])[:, : file["height"], : file["width"]]
        out = x.astype(np.uint8).transpose(1, 2, 0).copy()
    for place, tile in literal(file):
        out[place] = tile
    return out


def literal(file):
    """Of each literal tile its rows and columns of the picture, and its pixels."""
    for top, bottom, left, right, is_literal, stream in tiles(file):
        if is_literal:
            s = file["stride_log2"]
            top, left = top << s, left << s
            bottom, right = min(bottom << s, file["height"]), min(right << s, file["width"])
            place = slice(top, bottom), slice(left, right)
            yield place, decode_literal(stream, bottom - top, right - left)
