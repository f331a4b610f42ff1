"""Files with literal tiles: right ones, those at the limits, and faulty ones."""

from collections.abc import Iterator
from typing import Any

import numpy as np
import reference
import reference_literal
from numpy.typing import NDArray

from cases.build import Array, Case, chunk, from_words, noise, numbers, pack, png, vqc, words
from cases.exact import PHOTO2
from cases.models import PAPER, PHOTO, Model, random_indices

CODED = 'Section 9, "Literal pixels", defines literal streams.'
Pixels = NDArray[np.uint8]


def drawn(name: str, height: int, width: int, colours: int = 5) -> Pixels:
    """Draw rows of figures of 5 x 3 pixels, some of which come again, on white."""
    palette = numbers(f"{name}-palette", (colours, 3), 0, 255).astype(np.uint8)
    figures = palette[numbers(f"{name}-figures", (4, 5, 3), 0, colours - 1)]
    pixels = np.full((height, width, 3), 255, np.uint8)
    places = numbers(f"{name}-places", (height // 7, width // 4), 0, 3)
    for (i, j), figure in np.ndenumerate(places):
        pixels[7 * i : 7 * i + 5, 4 * j : 4 * j + 3] = figures[figure]
    return pixels


def random(name: str, height: int, width: int) -> Pixels:
    """Random colours."""
    return numbers(name, (height, width, 3), 0, 255).astype(np.uint8)


def sloped(height: int, width: int) -> Pixels:
    """Slopes that differ by channel, with a little noise, as in photographs."""
    y, x = np.mgrid[:height, :width]
    planes = np.stack([3 * x + y, 2 * x + 2 * y + 40, 255 - 2 * x - y], -1)
    return (planes + numbers("slopes", planes.shape, 0, 3)).clip(0, 255).astype(np.uint8)


def literal(pixels: Pixels, *, stride_log2: int = 0, tile_log2: int = 6, **more: Any) -> bytes:
    """Write a literal file."""
    height, width = pixels.shape[:2]
    rows, columns = (
        [(s << stride_log2, e << stride_log2) for s, e in reference.bands(side, 1 << tile_log2)]
        for side in (-(-height >> stride_log2), -(-width >> stride_log2))
    )
    streams = [
        reference_literal.encode_literal(pixels[top:bottom, left:right])
        for top, bottom in rows
        for left, right in columns
    ]
    options = {"model": bytes(8), "mode": 2} | more
    return vqc(width, height, streams, stride_log2=stride_log2, tile_log2=tile_log2, **options)


def literal_case(name: str, tests: str, rule: str, pixels: Pixels, **more: Any) -> Case:
    unpacked = more.pop("unpacked", {})
    data = literal(pixels, **more)
    rows, columns = (reference.parse(data)[side][-1][1] for side in ("rows", "columns"))
    return Case(
        name=name,
        tests=tests,
        rule=rule,
        data=data,
        model="paper",
        indices=np.zeros((rows, columns, 0), np.int64),
        unpacked=unpacked,
    )


def mixed_case(
    name: str,
    tests: str,
    rule: str,
    model: Model,
    positions: tuple[int, int],
    literal_tiles: set[int],
    *,
    quality: int = 0,
) -> Case:
    """A file of tiles of at most 16 x 16 positions, some of them literal."""
    integers = model.integers
    s = integers.stride_log2
    grid = random_indices(model, name, *positions, quality)
    pixels = drawn(name, *(side << s for side in positions))
    bands = [reference.bands(side, 16) for side in positions]
    streams = []
    for top, bottom in bands[0]:
        for left, right in bands[1]:
            if len(streams) in literal_tiles:
                shown = pixels[top << s : bottom << s, left << s : right << s]
                streams.append(b"\1" + reference_literal.encode_literal(shown))
            else:
                tile: Array = grid[top:bottom, left:right]
                streams.append(b"\0" + reference.encode_prior(tile, integers, quality))
    height, width = pixels.shape[:2]
    data = vqc(
        width,
        height,
        streams,
        model=model.prefix,
        mode=3,
        quality=quality,
        stride_log2=s,
        tile_log2=4,
    )
    seen = reference.decode(data, model.data)
    return Case(name=name, tests=tests, rule=rule, data=data, model=model.name, indices=seen)


def valid() -> Iterator[Case]:
    yield literal_case(
        "literal-figures",
        "Figures of few colours that come again: all three memories tell colours.",
        "An entry *says* its colour if `seen` is not 0.",
        drawn("figures", 42, 40),
    )
    yield literal_case(
        "literal-slopes",
        "Colours that are near their neighbours' and seldom the same.",
        "If it is none of the candidates, its channels i = 0, 1, 2 are coded",
        sloped(20, 30),
    )
    yield literal_case(
        "literal-random", "Colours that nothing predicts.", CODED, random("literal-random", 12, 17)
    )
    yield literal_case(
        "literal-flat",
        "One colour: counts and numbers `seen` reach their largest values.",
        "n[j]      = min(127, n[j] + 1)",
        np.full((40, 40, 3), (20, 200, 90), np.uint8),
    )
    yield literal_case(
        "literal-tiles",
        "Two by two tiles, each coded by itself.",
        "Slots, weights and memories are a tile's own.",
        drawn("literal-tiles", 30, 24),
        tile_log2=4,
    )
    yield literal_case(
        "literal-stride",
        "Positions of 4 x 4 pixels, and sides that are no multiples of 4.",
        "as far as the picture has them",
        drawn("literal-stride", 21, 70),
        stride_log2=2,
        tile_log2=4,
    )
    alpha = numbers("literal-alpha", (7, 9), 0, 255).astype(np.uint8)
    yield literal_case(
        "literal-alpha",
        "Alpha beside literal pixels.",
        "the alpha of each pixel, 255 being opaque",
        random("literal-alpha-pixels", 7, 9),
        chunks=[chunk(b"ALPH", png(alpha))],
        unpacked={"ALPH": alpha.tobytes()},
    )
    beside = "of equally near ones the first in that order"
    yield mixed_case(
        "mixed-middle",
        "A literal tile with tiles of indices on all four sides.",
        beside,
        PAPER,
        (36, 36),
        {4},
    )
    yield mixed_case(
        "mixed-most",
        "Literal tiles beside each other; one has no tile of indices beside it.",
        "Without such a position all its indices are 0.",
        PAPER,
        (33, 36),
        {1, 2, 4, 5, 7, 8},
    )
    yield mixed_case(
        "mixed-photo",
        "Literal tiles in a file of several groups.",
        "Networks draw the pixels of tiles with indices, and see indices everywhere",
        PHOTO,
        (2, 34),
        {1},
        quality=2,
    )
    yield mixed_case(
        "mixed-photo-2",
        "Literal tiles between exact pixels.",
        "no two decoders may differ in any sample",
        PHOTO2,
        (2, 34),
        {1},
        quality=32,
    )
    for name, tiles in (("none", set[int]()), ("all", {0, 1})):
        yield mixed_case(
            f"mixed-{name}",
            f"A file in mode 3 of whose tiles {name} are literal.",
            "In mode 3 the first byte of a tile's stream is 0 if it holds indices",
            PAPER,
            (3, 20),
            tiles,
        )


def limits() -> Iterator[Case]:
    yield literal_case("literal-1x1", "One pixel.", CODED, random("literal-1x1", 1, 1))
    around = "Pixels outside the tile have colour 0."
    yield literal_case(
        "literal-row", "One row: nothing lies above.", around, random("literal-row", 1, 40)
    )
    yield literal_case(
        "literal-column",
        "One column, no sides.",
        around,
        random("literal-column", 40, 1),
    )
    corners = np.array([0, 255], np.uint8)[numbers("literal-corners", (16, 16, 3), 0, 1)]
    yield literal_case(
        "literal-extremes",
        "Channels of 0 and 255 alone: differences wrap around.",
        "256 ((red - green) mod 256)",
        corners,
    )


def faulty() -> Iterator[Case]:
    pixels = drawn("faulty-literal", 20, 20)
    stream = reference_literal.encode_literal(pixels)
    one = "a stream that is not the one that the encoder writes for these bits is `Corrupt`"

    def coded(name: str, tests: str, rule: str, data: bytes, **fields: Any) -> Case:
        options = {"model": bytes(8), "mode": 2, "stride_log2": 0} | fields
        return Case(
            name=name,
            tests=tests,
            rule=rule,
            data=vqc(20, 20, [data], **options),
            model="paper",
            expect="Corrupt",
        )

    first, *rest = words(stream)
    for name, tests, data in (
        ("empty", "No words for 400 pixels.", b""),
        ("cut", "The last word is not there.", stream[:-4]),
        ("and-a-zero", "A word of 0 after the last.", stream + bytes(4)),
        ("another-point", "Another point.", from_words(first, *rest[:-1], rest[-1] + 1)),
        ("noise", "Random words.", noise("literal-noise", 400)),
        ("damaged", "A bit in the first word is wrong.", from_words(first ^ 1 << 9, *rest)),
    ):
        yield coded(f"literal-{name}", tests, one, data)
    multiple = "a stream whose length is no multiple of 4 is `Corrupt`"
    yield coded("literal-and-a-byte", "A byte after the last word.", multiple, stream + b"\0")
    beyond = "quantile >= 2^24: Corrupt"
    yield coded("literal-all-ones", "A quantile above 2^24 - 1.", beyond, b"\xff" * 8)
    yield coded(
        "literal-with-a-model",
        "A literal file that names a model.",
        "in mode 2, which has no model, zeros",
        stream,
        model=PAPER.prefix,
    )
    yield coded(
        "literal-with-a-quality",
        "A literal file with a quality.",
        "0 where the model has no qualities, and in mode 2",
        stream,
        quality=1,
    )
    kinds = "another byte, or none, is `Corrupt`"
    mixed = {"model": PAPER.prefix, "mode": 3, "stride_log2": 2}
    yield coded("mixed-kind-2", "A tile of a third kind.", kinds, b"\2" + stream, **mixed)
    yield coded("mixed-empty", "A tile without a first byte.", kinds, b"", **mixed)
    follows = "what follows is the stream that the tile would have in mode 1 or 2"
    yield coded("mixed-literal-cut", "No words.", follows, b"\1", **mixed)
    yield coded("mixed-indices-cut", "No words.", follows, b"\0", **mixed)
    fixed = pack(numbers("mixed-fixed", (5, 5, 1), 0, 23), 24)
    yield coded("mixed-fixed", "Indices at fixed length.", follows, b"\0" + fixed, **mixed)
