"""Files that every decoder must reject for what is in their tiles."""

from collections.abc import Iterator
from typing import Any

import numpy as np
import reference

from cases.build import (
    Case,
    from_words,
    numbers,
    pack,
    varint,
    vqc,
    words,
)
from cases.faulty_headers import TILE, small
from cases.models import PAPER, PHOTO


def cases() -> Iterator[Case]:
    yield from fixed_length()
    yield from range_coder()


def fixed_length() -> Iterator[Case]:
    rule = (
        "A stream of another length, an index of k or more or a bit of padding that is not 0 is "
        "`Corrupt`"
    )
    # Six indices of five bits: four bytes with two bits of padding.
    for name, tile in (
        ("short", TILE[:-1]),
        ("long", TILE + b"\0"),
        ("empty", b""),
        ("padding", TILE[:-1] + bytes([TILE[-1] | 1])),
        ("index-24", pack(np.array([24, 0, 0, 0, 0, 0]), 24)),
        ("index-31-last", pack(np.array([0, 0, 0, 0, 0, 31]), 24)),
    ):
        yield small(
            f"fixed-{name}", "Corrupt", "A wrong stream at fixed length.", rule, tiles=(tile,)
        )
    second = pack(numbers("second", (2, 10, 1), 0, 23), 24)
    wrong = second[:-1] + b"\xff"
    yield small(
        "fixed-second-tile",
        "Corrupt",
        "Only the second tile is wrong.",
        rule,
        tiles=(second, wrong),
        width=varint(80),
        tile_log2=4,
    )
    # One position: two groups of 7 codewords, then one each of 20, 16, 20, 12, 12 and 3.
    for index in (7, 19, 31):
        yield Case(
            name=f"fixed-index-{index}-without-codeword",
            tests="An index of a group with 7 codewords, in a model with K = 20.",
            rule=rule,
            data=vqc(
                9,
                9,
                [pack(np.array([index, 0, 0, 0, 0, 0, 0, 0]), 20)],
                model=PHOTO.prefix,
                mode=0,
                quality=1,
                stride_log2=4,
            ),
            model="photo",
            expect="Corrupt",
        )
    for mode in (0, 1):
        yield Case(
            name=f"stream-of-nothing-{('fixed', 'prior')[mode]}",
            tests="Four bytes for a tile that has no indices.",
            rule="A stream of another length" if mode == 0 else "in which case the stream is empty",
            data=vqc(9, 9, [bytes(4)], model=PHOTO.prefix, mode=mode, quality=3, stride_log2=4),
            model="photo",
            expect="Corrupt",
        )


def range_coder() -> Iterator[Case]:
    one = "a decoder rejects (`Corrupt`) a stream that is not the one that the encoder above writes"
    tile = numbers("range-coder", (2, 3, 1), 0, 23)
    stream = reference.encode_prior(tile, PAPER.integers, 0)
    long_tile = numbers("range-coder-long", (6, 8, 1), 0, 23)
    long_stream = words(reference.encode_prior(long_tile, PAPER.integers, 0))

    def coded(name: str, tests: str, rule: str, data: bytes, **fields: Any) -> Case:
        return small(f"stream-{name}", "Corrupt", tests, rule, tiles=(data,), mode=1, **fields)

    multiple = "a stream whose length is no multiple of 4 is `Corrupt`"
    yield coded("of-3-bytes", "Less than a word.", multiple, stream[:3])
    yield coded("and-a-byte", "A byte after the last word.", multiple, stream + b"\0")
    yield coded("all-ones", "A quantile above 2^24 - 1.", "quantile >= 2^24: Corrupt", b"\xff" * 8)
    yield coded("empty", "No words for six indices.", one, b"")
    yield coded("and-a-zero", "A word of 0 after the last.", one, stream + bytes(4))
    yield coded("and-a-word", "A word after the last.", one, stream + b"word")
    first, *rest = words(stream)
    yield coded(
        "another-point",
        "The last word is another point of the same interval: the same indices.",
        one,
        from_words(first, *rest[:-1], rest[-1] + 1) if rest else from_words(first + 1),
    )
    size = {"width": varint(32), "height": varint(24)}
    yield coded(
        "cut", "The last two words are not there.", one, from_words(*long_stream[:-2]), **size
    )
    middle = len(long_stream) // 2
    flipped = [word ^ (k == middle) << 31 for k, word in enumerate(long_stream)]
    yield coded(
        "damaged",
        "A bit in the middle is wrong, the checksum right.",
        one,
        from_words(*flipped),
        **size,
    )
    big_endian = b"".join(word.to_bytes(4, "big") for word in long_stream)
    yield coded(
        "big-endian", "Words with the highest byte first.", "each a `u32le`", big_endian, **size
    )
