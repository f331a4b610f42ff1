"""Files that go as far as SPEC.md allows: each is valid, one step more would not be."""

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import reference
from cases.build import Array, Case, chunk, numbers, png, words, zeros
from cases.models import PAPER, PHOTO, TINY_PHOTO, Model, photo, random_indices, vqvae
from cases.valid import case


def cases() -> Iterator[Case]:
    yield from sizes()
    yield from chunks()
    yield from numbers_of_models()
    yield from arithmetic()
    yield from streams()


def nothing(name: str, tests: str, rule: str, width: int, height: int, **more: Any) -> Case:
    """A picture of the quality that has no groups, as large as one likes."""
    return case(name, tests, rule, PHOTO, width, height, mode=0, quality=3, **more)


def sizes() -> Iterator[Case]:
    sides = "1 to 2^24 - 1 pixels"
    yield case("size-1x1", "The smallest picture.", sides, PAPER, 1, 1)
    for name, size in (("width", (2**24 - 1, 1)), ("height", (1, 2**24 - 1))):
        yield nothing(
            f"{name}-largest",
            f"The largest {name}, in the fewest tiles. Of a model without groups: only the grid is large.",
            sides,
            *size,
            tile_log2=10,
            pixels=False,
        )
    yield nothing(
        "pixels-most",
        "2^28 pixels in 60 bytes: as many as this project's readers take by default.",
        "this project's default is 2^28",
        2**14,
        2**14,
        tile_log2=10,
        pixels=False,
    )
    for side in (127, 128, 2**14 - 1, 2**14):
        yield nothing(
            f"width-{side}",
            "Around the numbers where a varint needs one byte more.",
            "has no more bytes than it needs",
            side,
            1,
            tile_log2=10,
            pixels=side < 1000,
        )
    yield case(
        "tile-full",
        "A side of 2^tile_log2 positions is one band, one more makes two of 8 and 9.",
        "`n = ceil(rows / 2^tile_log2)` bands",
        PAPER,
        68,
        64,
        mode=0,
        tile_log2=4,
    )
    yield nothing("tile-log2-4", "The smallest tiles.", "tile_log2 | 4 to 10", 600, 600, tile_log2=4, pixels=False)
    yield nothing("tile-log2-10", "The largest tiles.", "tile_log2 | 4 to 10", 600, 600, tile_log2=10, pixels=False)


def chunks() -> Iterator[Case]:
    def with_chunks(name: str, tests: str, rule: str, *pairs: tuple[bytes, bytes], **more: Any) -> Case:
        return case(
            name, tests, rule, PAPER, 1, 1, mode=0, chunks=[chunk(*pair) for pair in pairs], **more
        )

    types = [b"x%03d" % number for number in range(64)]
    yield with_chunks(
        "chunks-64",
        "The most chunks, all empty.",
        "u8 | chunk count | 0 to 64",
        *((kind, b"") for kind in types),
    )
    yield with_chunks(
        "chunk-sizes",
        "Sizes around those where a varint needs one byte more.",
        "bytes of the data, at most 2^28",
        *((b"x%03d" % size, bytes(size)) for size in (0, 1, 127, 128)),
    )
    yield with_chunks(
        "metadata-largest",
        "A zlib stream that unpacks to 2^24 bytes.",
        "unpacks to at most 2^24 bytes",
        (b"xmp0", zeros(2**24)),
        unpacked={"xmp0": bytes(2**24)},
    )
    yield with_chunks(
        "alpha-1x1",
        "The smallest alpha channel.",
        "of the header's width and height",
        (b"ALPH", png(np.array([[7]], np.uint8))),
        unpacked={"ALPH": b"\7"},
    )


# ---- models ------------------------------------------------------------------------------

SMALLEST = vqvae(
    "smallest", size=2, embedding=1, channels=1, layers=0, hidden=1, blocks=0, dim=1
)
MANY_CODEWORDS = vqvae("many-codewords", size=4096, embedding=1, channels=1, layers=0, hidden=1, dim=1)
DEEP = vqvae("deep", size=3, embedding=90, channels=2, layers=32, hidden=1, blocks=16, dim=1024)
WIDE = vqvae("wide", size=3, embedding=1, channels=192, layers=0, hidden=1, blocks=0, dim=1)
MANY_SLICES = photo(
    "many-slices",
    [{0: {1: ([[1]], 2)}, 63: {8: ([[*range(15, 7, -1)]], 3)}}],
    size=4,
    latents=1024,
    slices=64,
    channels=1,
    layers=0,
    hidden=1,
)
MANY_QUALITIES = photo(
    "many-qualities",
    [{0: {1: ([[0]], 2)}} for _ in range(64)],
    size=2,
    latents=1,
    channels=1,
    layers=0,
    hidden=1,
)
WIDE_PHOTO = photo(
    "wide-photo", [{0: {1: ([[0]], 2)}}], size=2, latents=1, channels=512, layers=0, hidden=1
)
MANY_PHOTO_CODEWORDS = photo(
    "many-photo-codewords",
    [{0: {1: ([[0]], 4096)}}],
    size=4096,
    latents=1,
    channels=1,
    layers=32,
    hidden=1024,
    depths=(16, 0, 0),
)


def numbers_of_models() -> Iterator[Case]:
    ranges = "Its ranges: K 2 to 4096 and equal in both tables"
    for model, tests in (
        (SMALLEST, "The smallest of everything: K = 2, E = C = 1, L = 0, H = D = 1, B = 0."),
        (MANY_CODEWORDS, "The largest K."),
        (DEEP, "The largest E, L, B and D."),
        (WIDE, "The largest C."),
    ):
        indices = random_indices(model, model.name, 2, 3)
        indices[0, 0] = model.integers.k - 1
        for mode, way in ((1, "prior"), (0, "fixed")):
            yield case(
                f"{model.name}-{way}", tests, ranges, model, 11, 7, indices=indices, mode=mode
            )
    ranges = "Its ranges: widths 1 to 1024"
    for model, quality, tests in (
        (MANY_SLICES, 1, "The largest D and S, the smallest widths, depths, C, L and H."),
        (MANY_QUALITIES, 64, "The largest Q and its last quality."),
        (MANY_QUALITIES, 1, "The largest Q and its first quality."),
        (MANY_PHOTO_CODEWORDS, 1, "The largest K, L, H and a depth of 16."),
        (WIDE_PHOTO, 1, "The largest C."),
    ):
        name = f"{model.name}-q{quality}"
        indices = random_indices(model, name, 1, 2, quality)
        sizes = [size for sizes in model.integers.sizes(quality) for size in sizes]
        indices[0, 0] = np.array(sizes) - 1
        yield case(
            name, tests, ranges, model, 17, 1, indices=indices, quality=quality
        )
    yield case(
        "photo-further-tensors",
        "Further tensors, one like a part of a block, and a further key are ignored.",
        "Further keys outside the tables and further tensors are ignored.",
        FURTHER,
        17,
        1,
        quality=1,
    )


def add_more(model: Model) -> None:
    # Without `channels` there is no block.
    model.numbers("codebooks.1.0.8.vectors", "I16", (1, 3, 8), 5000)
    model.numbers("colour", "F32", (2, 2), 9)
    model.config["colour"] = {"of": "magic"}


FURTHER = TINY_PHOTO.changed("further", add_more)


# ---- arithmetic --------------------------------------------------------------------------


def saturated(model: Model) -> None:
    """Sums that can reach 2^24 - 1 and -(2^24 - 1), with the largest shift and with none, and
    a stream that is clamped at both ends.
    """
    bound = 2**24 - 1
    for name in ("prior.first", "prior.layers.0", "prior.hidden", "prior.output"):
        weight = model.tensors[f"{name}.weight"][1]
        rows = np.arange(len(weight))
        weight = np.where(weight > 0, 127, -127)
        weight[rows % 2 == 0] = 127
        shift = np.choose(rows % 4, [0, 0, 14, 20])
        if name == "prior.output":
            # Logits that differ by little, so that each unit of a sum counts.
            weight = numbers("saturated/output", weight.shape, 120, 127)
            shift = 0 * shift
        bias = (bound - 127 * np.abs(weight).sum(1)) * np.where(rows % 2, -1, 1)
        if name == "prior.output":
            bias[:-1] = np.abs(bias[:-1])
        model.tensors[f"{name}.weight"] = ("I8", weight)
        model.tensors[f"{name}.bias"] = ("I32", bias)
        model.tensors[f"{name}.shift"] = ("U8", shift)
    model.set("prior.embedding", (slice(0, 8), slice(None)), 127)
    model.set("prior.embedding", (slice(8, 16), slice(None)), -127)


def constant(logits: list[int]) -> Model:
    """A prior that always gives these logits."""
    model = vqvae(
        f"constant-{len(logits)}", size=len(logits), embedding=1, channels=1, layers=0, hidden=1, blocks=0, dim=1
    )
    model.set("prior.output.weight", slice(None), 0)
    model.set("prior.output.shift", slice(None), 0)
    model.set("prior.output.bias", slice(None), logits)
    return model


def steep(model: Model) -> None:
    """The largest vectors, biases, embeddings and precisions, and means beyond the clamp."""
    for d in (1, 2):
        block = f"codebooks.1.0.{d}"
        for part, most in (("vectors", 4095), ("bias", 4095), ("embedding", 127)):
            dtype, values = model.tensors[f"{block}.{part}"]
            signs = np.sign(values) + (values == 0)
            signs.reshape(-1)[:1] = -1
            model.tensors[f"{block}.{part}"] = (dtype, most * signs)
    model.set("prior.output.0.shift", slice(None), 0)
    bias = [2**17, -(2**17), 2**17, 0, -(2**15), 2**15, -(2**15), 0]
    model.set("prior.output.0.bias", slice(None), bias)
    model.tensors["prior.precisions"] = (
        "I32",
        np.where(np.arange(1024) % 1023 == 0, 2**21 - 1, 77),
    )


SATURATED = vqvae("saturated", layers=1).changed("saturated", saturated)
TIES = constant([0, 0, 0, 0, 0])
FAR = constant([0, -1, -398, -399, -400, -401, -(2**24) + 1])
STEEP = TINY_PHOTO.changed("steep", steep)


def arithmetic() -> Iterator[Case]:
    yield case(
        "sums-largest",
        "Sums of 2^24 - 1 in every layer, shifts of 0 and 20, weights and embeddings of 127 and "
        "-127, and a stream clamped at both ends.",
        "127 * sum over k of |weight[c, k]| + |bias[c]| < 2^24",
        SATURATED,
        40,
        24,
    )
    every = np.arange(7)[None, :, None]
    yield case(
        "logits-far-apart",
        "Logits 398 to 2^24 - 1 below the largest, each symbol coded.",
        "POWERS[d] = floor(2^24 * 2^(-d/16) + 1/2) for d = 0..399, POWERS[400] = 0",
        FAR,
        28,
        1,
        indices=every,
    )
    yield case(
        "logits-equal",
        "All logits are equal: the first symbol gets what is left of 2^24.",
        "b being the smallest k with l[k] = m",
        TIES,
        20,
        1,
        indices=every[:, :5],
    )
    yield case(
        "codebooks-largest",
        "Vectors and biases of 4095 and -4095, means of 32767 and -32767, precisions of 2^21 - 1.",
        "-4095 to 4095, in units of 1/32",
        STEEP,
        80,
        48,
        quality=1,
    )


# ---- the range coder ---------------------------------------------------------------------

Choice = Callable[[reference.Encoder, Array], int]


def chosen(model: Model, rows: int, columns: int, choose: Choice) -> Array:
    """Indices that are chosen as they are coded, with the encoder's state in sight."""
    encoder = reference.Encoder()
    tile = np.zeros((rows, columns, 1), np.int64)

    def code(logits: Array, _: int) -> int:
        f = reference.frequencies(logits)
        index = choose(encoder, f)
        encoder.symbol(f, index)
        return index

    reference.walk(tile, model.integers, 0, code)
    return tile


def holding(name: str, rows: int, columns: int, until: int, carry: bool) -> Array:
    """Indices whose intervals straddle the end of a word for long, before a carry or none."""
    count = 0
    draws = numbers(name, (rows * columns,), 0, TIES.integers.k - 1)
    longest: list[int] = []

    def choose(encoder: reference.Encoder, f: Array) -> int:
        nonlocal count
        count += 1
        scale = encoder.range >> 24
        edge = (2**64 - encoder.low) // scale
        longest.append(len(encoder.held))
        ends = np.cumsum(f)
        if not 0 < edge < 2**24 or not encoder.held:
            return int(draws[count - 1])
        straddling = int(np.searchsorted(ends, edge, side="right"))
        if count < until:
            return straddling
        inside = 0 < straddling < len(f) - 1
        return straddling + (1 if carry else -1) if inside else straddling

    tile = chosen(TIES, rows, columns, choose)
    if max(longest) < 4:
        raise AssertionError(f"{name} held {longest} words")
    return tile


def ending(name: str, columns: int, wanted: Callable[[list[int]], bool]) -> Array:
    """Indices in a row whose stream's words are as wanted."""
    for attempt in range(1000):
        tile = random_indices(PAPER, f"{name}/{attempt}", 1, columns)
        if wanted(words(reference.encode_prior(tile, PAPER.integers, 0))):
            return tile
    raise AssertionError(f"no stream for {name}")


def streams() -> Iterator[Case]:
    for carry in (True, False):
        name = "carry" if carry else "no-carry"
        yield case(
            f"words-held-{name}",
            f"Four words or more are held before {'a' if carry else 'no'} carry is certain.",
            "for each further held word write 0 if carry = 1, FFFFFFFF hex if carry = 0",
            TIES,
            64,
            32,
            indices=holding(name, 8, 16, 110, carry),
        )
    yield case(
        "last-word-0",
        "A stream whose last word is the 0 that the end may need.",
        "if ((low + range) mod 2^64) >> 32 = point >> 32: write 0",
        PAPER,
        16,
        4,
        indices=ending("last-word-0", 4, lambda stream: stream[-1] == 0),
    )
    yield case(
        "one-word",
        "A stream of one word: those after it read as 0.",
        "where a word that the stream does not have is 0",
        PAPER,
        8,
        4,
        indices=ending("one-word", 2, lambda stream: len(stream) == 1),
    )
    yield case(
        "padding-none",
        "Forty bits fill five bytes: there is no padding.",
        "The last byte is filled up with zero bits.",
        PAPER,
        16,
        8,
        mode=0,
        indices=np.array([[0, 23, 16, 15], [8, 7, 4, 3]])[:, :, None],
    )


MODELS = [
    SMALLEST,
    MANY_CODEWORDS,
    DEEP,
    WIDE,
    MANY_SLICES,
    MANY_QUALITIES,
    MANY_PHOTO_CODEWORDS,
    WIDE_PHOTO,
    FURTHER,
    SATURATED,
    TIES,
    FAR,
    STEEP,
]
