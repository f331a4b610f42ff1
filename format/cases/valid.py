"""Files that every decoder must decode: ordinary ones, and choices that SPEC.md leaves open."""

import struct
from collections.abc import Iterator
from typing import Any

import numpy as np
import reference

from cases.build import Array, Case, chunk, numbers, pack, png, png_chunk, stored, vqc
from cases.models import PAPER, PHOTO, Model, random_indices


def picture(
    model: Model,
    indices: Array,
    width: int,
    height: int,
    *,
    mode: int = 1,
    quality: int = 0,
    tile_log2: int = 6,
    **more: Any,
) -> bytes:
    """Write a valid file of the indices (rows, columns, groups)."""
    integers = model.integers
    rows, columns = (reference.bands(side, 1 << tile_log2) for side in indices.shape[:2])
    tiles = [indices[top:bottom, left:right] for top, bottom in rows for left, right in columns]
    if mode:
        streams = [reference.encode_prior(tile, integers, quality) for tile in tiles]
    else:
        streams = [pack(tile, integers.k) for tile in tiles]
    return vqc(
        width,
        height,
        streams,
        model=model.prefix,
        mode=mode,
        quality=quality,
        stride_log2=integers.stride_log2,
        tile_log2=tile_log2,
        **more,
    )


def case(
    name: str,
    tests: str,
    rule: str,
    model: Model,
    width: int,
    height: int,
    *,
    indices: Array | None = None,
    mode: int = 1,
    quality: int = 0,
    pixels: bool = True,
    unpacked: dict[str, bytes] | None = None,
    **more: Any,
) -> Case:
    """A valid picture, of random indices where none are given."""
    if indices is None:
        stride = 1 << model.integers.stride_log2
        shape = -(-height // stride), -(-width // stride)
        indices = random_indices(model, name, *shape, quality)
    return Case(
        name=name,
        tests=tests,
        rule=rule,
        data=picture(model, indices, width, height, mode=mode, quality=quality, **more),
        model=model.name,
        indices=indices,
        pixels=pixels,
        unpacked=unpacked or {},
    )


def cases() -> Iterator[Case]:
    yield from pictures()
    yield from chunks()


def pictures() -> Iterator[Case]:
    yield case(
        "paper",
        "A picture of a model without qualities, coded with its prior.",
        "In mode 1 the indices are coded in *wavefront order*",
        PAPER,
        40,
        28,
    )
    yield case(
        "paper-fixed",
        "The same at fixed length, 5 bits each.",
        "each in ceil(log2 K) bits, the highest bit first",
        PAPER,
        40,
        28,
        mode=0,
    )
    yield case(
        "paper-odd-size",
        "Sides that are no multiples of the stride: the grid is larger than the picture.",
        "Rows and columns beyond the header's height and width are dropped.",
        PAPER,
        13,
        6,
    )
    yield case(
        "paper-wide",
        "One row of positions: no neighbour above is there.",
        "a vector whose position is outside the tile is all zeros",
        PAPER,
        60,
        3,
    )
    yield case(
        "paper-high",
        "One column of positions: no neighbour to the left or right is there.",
        "a vector whose position is outside the tile is all zeros",
        PAPER,
        2,
        60,
    )
    yield case(
        "paper-tiles",
        "Bands of 11, 11 and 12 rows and of 8 and 9 columns, each tile coded by itself.",
        "the rows from `floor(k * rows / n)` to `floor((k + 1) * rows / n) - 1`",
        PAPER,
        66,
        136,
        tile_log2=4,
    )
    yield case(
        "paper-tiles-fixed",
        "Two by two tiles at fixed length, stored row by row.",
        "Tiles are numbered, and stored, row by row.",
        PAPER,
        72,
        68,
        mode=0,
        tile_log2=4,
    )
    for quality in (1, 2):
        for mode, way in ((1, "prior"), (0, "fixed")):
            yield case(
                f"photo-q{quality}-{way}",
                "Several indices per position, in blocks of several sizes, two of them alike but "
                "for the codewords, or in slices without any, and details."
                if mode
                else "Indices of several groups at fixed length, of groups of different sizes.",
                "for equal t by ascending block, then by ascending i, then by ascending group"
                if mode
                else "a position's indices in the order of their groups",
                PHOTO,
                70,
                50,
                mode=mode,
                quality=quality,
            )
    for mode, way in ((1, "prior"), (0, "fixed")):
        yield case(
            f"photo-no-groups-{way}",
            "A quality without any group: streams are empty, all latents are `rest`.",
            'and there may be none (section 6, "Product codebooks")',
            PHOTO,
            33,
            17,
            mode=mode,
            quality=3,
        )
    yield case(
        "photo-tiles",
        "Tiles of a model with several groups.",
        "no tile's stream or prior sees another tile",
        PHOTO,
        17 * 16,
        20,
        quality=2,
        tile_log2=4,
    )
    yield case(
        "paper-flat",
        "All indices 0: what the prior does far from random indices.",
        "the prior gives integer logits from the indices already coded",
        PAPER,
        36,
        36,
        indices=np.zeros((9, 9, 1), np.int64),
    )


def chunks() -> Iterator[Case]:
    def with_chunks(
        name: str, tests: str, rule: str, *pairs: tuple[bytes, bytes], **more: Any
    ) -> Case:
        return case(
            name, tests, rule, PAPER, 9, 7, mode=0, chunks=[chunk(*pair) for pair in pairs], **more
        )

    alpha = numbers("alpha", (7, 9), 0, 255).astype(np.uint8)
    yield with_chunks(
        "alpha",
        "An alpha channel whose rows use all filters of PNG.",
        "the alpha of each pixel, 255 being opaque",
        (b"ALPH", png(alpha)),
        unpacked={"ALPH": alpha.tobytes()},
    )
    exif, icc, xmp = b"II*\0\x08\0\0\0\0\0\0\0\0\0", b"not looked into", b"<x:xmpmeta/>"
    yield with_chunks(
        "metadata",
        "EXIF, a profile and XMP, and alpha before them.",
        "Chunks are in strictly ascending order of their types, compared as bytes",
        (b"ALPH", png(alpha)),
        (b"exif", stored(exif)),
        (b"iccp", stored(icc)),
        (b"xmp0", stored(xmp)),
        unpacked={"ALPH": alpha.tobytes(), "exif": exif, "iccp": icc, "xmp0": xmp},
    )
    density = bytes([2]) + struct.pack("<4I", 300, 1, 2**32 - 1, 0)
    texts = png_chunk(b"tEXt", b"Comment\0\xe9") + png_chunk(b"iTXt", b"Title\0\0\0\0\0\xc3\xa9")
    resources = b"8BIM\x04\x04\0\0\0\0\0\0"
    when = struct.pack("<q", -1)
    yield with_chunks(
        "metadata-more",
        "All other metadata: colour code, density, resources, PNG's texts, date, XMP's extension.",
        "Of the chunks in lower case",
        (b"cicp", b"\x0c\x0d\0\1"),
        (b"dens", density),
        (b"irb0", stored(resources)),
        (b"pngc", stored(texts)),
        (b"time", when),
        (b"xmpe", stored(xmp)),
        unpacked={
            "cicp": b"\x0c\x0d\0\1",
            "dens": density,
            "irb0": resources,
            "pngc": texts,
            "time": when,
            "xmpe": xmp,
        },
    )
    yield with_chunks(
        "unknown-optional",
        "Unknown types with a lower-case first letter are skipped, whatever the other three are.",
        "if it is lower case, it MUST skip the chunk",
        (b"a9ZZ", b""),
        (b"aaaa", b"not zlib"),
        (b"zZ9z", b"\xff" * 9),
    )
