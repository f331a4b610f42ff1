"""Files that go as far as SPEC.md allows: each is valid, one step more would not be."""

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import reference

from cases.build import Array, Case, chunk, numbers, png, words, zeros
from cases.limits_of_models import TIES
from cases.models import PAPER, PHOTO, Model, random_indices
from cases.valid import case


def cases() -> Iterator[Case]:
    yield from sizes()
    yield from chunks()
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
            f"The largest {name}, in the fewest tiles, of a model without groups: only the grid "
            "is large.",
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
    yield nothing(
        "tile-log2-4",
        "The smallest tiles.",
        "tile_log2 | 4 to 10",
        600,
        600,
        tile_log2=4,
        pixels=False,
    )
    yield nothing(
        "tile-log2-10",
        "The largest tiles.",
        "tile_log2 | 4 to 10",
        600,
        600,
        tile_log2=10,
        pixels=False,
    )


def chunks() -> Iterator[Case]:
    def with_chunks(
        name: str, tests: str, rule: str, *pairs: tuple[bytes, bytes], **more: Any
    ) -> Case:
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
