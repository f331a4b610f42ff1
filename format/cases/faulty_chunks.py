"""Files that every decoder must reject for their chunks; what is in those that are known is
looked at by readers that use them.
"""

from collections.abc import Iterator

import numpy as np

from cases.build import (
    Case,
    chunk,
    crc,
    numbers,
    png,
    png_chunk,
    stored,
    varint,
    zeros,
)
from cases.faulty_headers import small


def cases() -> Iterator[Case]:
    yield from chunks()
    yield from contents()


def chunks() -> Iterator[Case]:
    types = "ASCII letters or digits, the first a letter"
    for name, kind in (
        ("space", b"no e"),
        ("digit", b"1ote"),
        ("not-ascii", b"n\xf6te"),
        ("zeros", bytes(4)),
    ):
        yield small(
            f"chunk-type-{name}",
            "Corrupt",
            f"A chunk of type {kind!r}.",
            types,
            chunks=[chunk(kind, b"hi")],
        )
    ascending = "so no type comes twice (`Corrupt`)"
    for name, pair in (("descending", (b"zzzz", b"aaaa")), ("twice", (b"note", b"note"))):
        yield small(
            f"chunks-{name}",
            "Corrupt",
            "Chunks that are not in ascending order.",
            ascending if name == "twice" else "greater than the type before",
            chunks=[chunk(kind, b"") for kind in pair],
        )
    size = "bytes of the data, at most 2^28"
    above, most = varint(2**28 + 1), varint(2**28)
    yield small(
        "chunk-too-large",
        "Limit",
        "A size of 2^28 + 1.",
        size,
        chunks=[chunk(b"note", b"", size=above)],
    )
    yield small(
        "chunk-not-there",
        "Truncated",
        "A size of 2^28 in a small file.",
        size,
        chunks=[chunk(b"note", b"", size=most)],
    )
    yield small(
        "chunk-checksum",
        "Checksum",
        "A wrong checksum of a chunk, of one that need not be known.",
        "checksum | of type, size and data",
        chunks=[chunk(b"note", b"hi", checksum=crc(b"hi"))],
    )
    unknown = "a reader that does not know the type MUST reject the file (`Version`)"
    for kind in (b"NOTE", b"Aaaa", b"ALPh"):
        yield small(
            f"chunk-unknown-{kind.decode()}",
            "Version",
            "An unknown type with an upper-case first letter.",
            unknown,
            chunks=[chunk(kind, b"hi")],
        )


def contents() -> Iterator[Case]:
    """Found by a reader that uses the chunk."""
    alpha = numbers("alpha-faulty", (5, 10), 0, 255).astype(np.uint8)
    right = png(alpha)
    undecodable = "A reader rejects an `ALPH` chunk that it cannot decode as such a picture."
    whole = "no row missing and none too many"
    kind = "8-bit greyscale and not interlaced"
    for name, tests, rule, data in (
        ("no-png", "Not a PNG picture.", undecodable, b"no picture"),
        ("empty", "No bytes.", undecodable, b""),
        ("cut", "A PNG picture that is cut off.", undecodable, right[:-30]),
        (
            "filter",
            "A filter that PNG does not have.",
            undecodable,
            png(alpha, filters=range(5, 6)),
        ),
        ("missing-row", "4 rows of 5.", whole, png(alpha[:4], height=5)),
        ("sixth-row", "6 rows of 5.", whole, png(alpha[[0, 1, 2, 3, 4, 4]], height=5)),
        ("size", "10 rows of 5.", "of the header's width and height", png(alpha.T)),
        ("16-bits", "16 bits.", kind, png(np.zeros((5, 20), np.uint8), bits=16, width=10)),
        ("4-bits", "4 bits.", kind, png(np.zeros((5, 5), np.uint8), bits=4, width=10)),
        ("colours", "An RGB picture.", kind, png(np.stack([alpha] * 3, axis=2))),
        ("interlaced", "Said to be interlaced.", kind, png(alpha, interlace=1)),
    ):
        yield small(f"alpha-{name}", "Corrupt", tests, rule, chunks=[chunk(b"ALPH", data)])
    ends = "A zlib stream ends with its chunk (`Corrupt`)"
    stream = stored(b"metadata")
    for kind in (b"exif", b"iccp", b"irb0", b"pngc", b"xmp0", b"xmpe"):
        yield small(
            f"{kind.decode()}-no-zlib",
            "Corrupt",
            "Not a zlib stream.",
            f"`{kind.decode()}` | zlib stream",
            chunks=[chunk(kind, b"metadata")],
        )
    for name, data in (
        ("empty", b""),
        ("cut", stream[:-5]),
        ("without-checksum", stream[:-4]),
        ("wrong-checksum", stream[:-1] + b"\0"),
        ("and-more", stream + b"\0"),
    ):
        yield small(
            f"xmp0-{name}",
            "Corrupt",
            "Not one whole zlib stream.",
            ends,
            chunks=[chunk(b"xmp0", data)],
        )
    yield small(
        "metadata-too-large",
        "Limit",
        "A zlib stream that unpacks to 2^24 + 1 bytes.",
        "unpacks to at most 2^24 bytes (`Limit`)",
        chunks=[chunk(b"xmp0", zeros(2**24 + 1))],
    )
    text = png_chunk(b"tEXt", b"Title\0text")
    for name, kind, tests, rule, data in (
        ("cicp-3", b"cicp", "3 bytes.", "`cicp` | 4 bytes", b"\1\1\0"),
        ("cicp-matrix", b"cicp", "A matrix.", "`cicp` | 4 bytes", b"\1\1\1\1"),
        ("dens-16", b"dens", "16 bytes.", "`dens` | 17 bytes", bytes(16)),
        ("dens-unit", b"dens", "A unit of 4.", "3: centimetre", b"\4" + bytes(16)),
        ("time-7", b"time", "7 bytes.", "`time` | 8 bytes", bytes(7)),
        ("pngc-cut", b"pngc", "A PNG chunk that is cut off.", "whole PNG chunks", text[:-1]),
        ("pngc-checksum", b"pngc", "A wrong CRC.", "whole PNG chunks", text[:-1] + b"?"),
        ("pngc-type", b"pngc", "No letter.", "each of type tEXt", png_chunk(b"tEX1", b"")),
        (
            "pngc-pixels",
            b"pngc",
            "A chunk of pixels.",
            "each of type tEXt",
            png_chunk(b"IDAT", b""),
        ),
    ):
        packed = stored(data) if kind == b"pngc" else data
        yield small(name, "Corrupt", tests, rule, chunks=[chunk(kind, packed)])
    yield small(
        "pngc-1025",
        "Limit",
        "1025 PNG chunks.",
        "at most 1024 whole PNG chunks",
        chunks=[chunk(b"pngc", stored(1025 * png_chunk(b"tEXt", b"a\0")))],
    )
