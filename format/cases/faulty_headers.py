"""Files that every decoder must reject for what their headers say, or what they lack; those
called `order-...` have two faults, of which the first in the file counts.
"""

from collections.abc import Iterator
from typing import Any

from cases.build import (
    Case,
    chunk,
    crc,
    numbers,
    pack,
    varint,
    vqc,
)
from cases.limits_of_models import MANY_QUALITIES
from cases.models import PAPER, PHOTO

TILE = pack(numbers("tile", (2, 3, 1), 0, 23), 24)
"""Of a picture of 10 x 5 pixels at fixed length."""


def cases() -> Iterator[Case]:
    yield from varints()
    yield from header()
    yield from cut_off()
    yield from orders()


def small(
    name: str,
    expect: str,
    tests: str,
    rule: str,
    *,
    tiles: tuple[bytes, ...] = (TILE,),
    **fields: Any,
) -> Case:
    """A small picture at fixed length with a fault in its fields."""
    options = {"model": PAPER.prefix, "mode": 0} | fields
    return Case(
        name=name,
        tests=tests,
        rule=rule,
        data=vqc(10, 5, tiles, **options),
        model="paper",
        expect=expect,
    )


def varints() -> Iterator[Case]:
    needs = "has no more bytes than it needs (the last byte of a longer one is not 0)"
    too_long = varint(len(TILE), groups=2) + crc(TILE)
    yield small("varint-width-too-long", "Corrupt", "10 in two bytes.", needs, width=varint(10, 2))
    yield small(
        "varint-tile-too-long", "Corrupt", "A tile's size in two bytes.", needs, tile_table=too_long
    )
    yield small(
        "varint-chunk-too-long",
        "Corrupt",
        "A chunk's size in five bytes.",
        needs,
        chunks=[chunk(b"note", b"hi", size=varint(2, 5))],
    )
    yield small(
        "varint-of-6-bytes",
        "Corrupt",
        "No end after five bytes.",
        "It has 1 to 5 bytes",
        width=varint(10, 6),
    )
    yield small(
        "varint-above-32-bits",
        "Corrupt",
        "A tile's size of 2^32, in five bytes.",
        "is at most 2^32 - 1",
        tile_table=varint(2**32) + crc(TILE),
    )


def header() -> Iterator[Case]:
    signature = "8B 56 51 43 0D 0A 1A 0A hex"
    png_signature = bytes.fromhex("89504E470D0A1A0A")
    yield small(
        "signature-png", "NotVqc", "A PNG picture's signature.", signature, signature=png_signature
    )
    yield small(
        "signature-text-transfer",
        "NotVqc",
        "CR LF became LF on the way.",
        signature,
        signature=bytes.fromhex("8B5651430A1A0A00"),
    )
    yield Case(
        name="empty",
        tests="A file of no bytes.",
        rule=signature,
        data=b"",
        model="paper",
        expect="NotVqc",
    )
    for name, values in (("version", (0, 2)), ("media_type", (0, 4, 255)), ("mode", (4, 255))):
        rules = {
            "version": "u8 | version | 1",
            "media_type": "u8 | media type | 1",
            "mode": "u8 | mode | 0: fixed length",
        }
        for value in values:
            yield small(
                f"{name.replace('_', '-')}-{value}",
                "Version",
                f"A {name.replace('_', ' ')} that version 1 does not have.",
                rules[name],
                **({"mode": value} if name == "mode" else {name: bytes([value])}),
            )
    for side in ("width", "height"):
        for value in (0, 2**24, 2**32 - 1):
            yield small(
                f"{side}-{value}",
                "Corrupt",
                f"A {side} out of range.",
                f"varint | {side} | 1 to 2^24 - 1 pixels",
                **{side: varint(value)},
            )
    limit = "A reader MUST reject (`Limit`) a picture of more pixels than it is willing to decode"
    yield small(
        "pixels-too-many",
        "Limit",
        "2^28 + 2^14 pixels, above this project's default.",
        limit,
        width=varint(2**14),
        height=varint(2**14 + 1),
    )
    yield small(
        "stride-log2-8", "Corrupt", "A stride of 256.", "u8 | stride_log2 | 0 to 7", stride_log2=8
    )
    for value in (0, 1, 3, 6, 7):
        yield small(
            f"stride-log2-{value}-not-the-models",
            "Corrupt",
            "A stride in range that is not the model's; there are tiles enough for it.",
            "must be the model's",
            stride_log2=value,
        )
    for value in (3, 11, 255):
        yield small(
            f"tile-log2-{value}",
            "Corrupt",
            "A size of tiles out of range.",
            "u8 | tile_log2 | 4 to 10",
            tile_log2=value,
        )
    for value in (65, 128, 255):
        yield small(
            f"chunk-count-{value}",
            "Corrupt",
            "More than 64 chunks.",
            "u8 | chunk count | 0 to 64",
            chunk_count=bytes([value]),
        )
    yield small(
        "header-checksum",
        "Checksum",
        "A wrong checksum of the header.",
        "header checksum | of all bytes before it",
        header_checksum=b"\1\2\3\4",
    )
    entry = varint(len(TILE)) + crc(TILE + b"!")
    yield small(
        "tile-checksum",
        "Checksum",
        "A wrong checksum of a tile.",
        "tile checksum | of the tile's stream",
        tile_table=entry,
    )
    yield small(
        "tail",
        "Corrupt",
        "A byte after the last tile.",
        "nothing follows the last tile",
        tail=b"\0",
    )
    one_more = "0 where the model has no qualities"
    for value in (1, 255):
        yield small(
            f"quality-{value}-of-none",
            "Corrupt",
            "The model has no qualities.",
            one_more,
            quality=value,
        )
    for model, value in ((PHOTO, 0), (PHOTO, 4), (PHOTO, 255), (MANY_QUALITIES, 65)):
        yield Case(
            name=f"quality-{value}-of-{'3' if model is PHOTO else '64'}",
            tests="A quality that the model does not have.",
            rule="In files of architecture `photo-1` it is one of 1..Q.",
            data=vqc(1, 1, [b""], model=model.prefix, mode=0, quality=value, stride_log2=4),
            model=model.name,
            expect="Corrupt",
        )
    table = "Before the table is read there must be 5 bytes per tile left in the file"
    yield small(
        "tiles-too-many",
        "Truncated",
        "2^20 tiles in a small file.",
        table,
        width=varint(2**14),
        height=varint(2**14),
        tile_log2=4,
        stride_log2=0,
    )
    sizes = "after each entry the sum of the sizes so far must not exceed the length of the file"
    yield small(
        "tile-larger-than-file",
        "Truncated",
        "A tile of 2^32 - 1 bytes.",
        sizes,
        tile_table=varint(2**32 - 1) + crc(TILE),
    )
    yield small(
        "tiles-larger-than-file",
        "Truncated",
        "Two tiles that would each fit, but not both; the checksum of the header is wrong too.",
        sizes,
        width=varint(80),
        tile_log2=4,
        tile_table=2 * (varint(50) + crc(bytes(50))),
        tiles=(bytes(50),),
        header_checksum=b"\0" * 4,
    )


def cut_off() -> Iterator[Case]:
    """One file with a chunk, cut off in each of its fields."""
    whole = vqc(
        200,
        5,
        [b"\1" * 5],
        model=PAPER.prefix,
        mode=0,
        tile_log2=6,
        chunks=[chunk(b"note", bytes(200))],
    )
    beginning = "a shorter, not empty beginning of it is Truncated"
    early = "`Truncated` (the file ends too early)"
    varint_cut = "one that the end of the file cuts off `Truncated`"
    ends = {
        "signature": (5, beginning),
        "after-signature": (8, early),
        "after-mode": (11, early),
        "width": (13, varint_cut),
        "height": (14, early),
        "model": (20, early),
        "after-model": (23, early),
        "chunk-count": (25, early),
        "tile-table": (30, "one entry per tile"),
        "header-checksum": (33, early),
        "chunk-type": (38, early),
        "chunk-size": (40, varint_cut),
        "chunk": (99, early),
        "chunk-checksum": (243, early),
        "tile": (len(whole) - 1, "bytes of the tile's stream"),
    }
    for name, (end, rule) in ends.items():
        yield Case(
            name=f"cut-{name}",
            tests=f"A file that ends after {end} of its {len(whole)} bytes.",
            rule=rule,
            data=whole[:end],
            model="paper",
            expect="Truncated",
        )


def orders() -> Iterator[Case]:
    rule = (
        "A reader goes through the file from its first byte to its last and reports the first error"
    )
    wrong = b"\0" * 4

    def order(name: str, expect: str, tests: str, **fields: Any) -> Case:
        return small(f"order-{name}", expect, tests, rule, **fields)

    yield order(
        "version-checksum",
        "Version",
        "Version 2, and a wrong checksum.",
        version=b"\2",
        header_checksum=wrong,
    )
    yield order(
        "media-type-width",
        "Version",
        "A media type that version 1 does not have, and a width of 0.",
        media_type=b"\4",
        width=b"\0",
    )
    yield order("mode-width", "Version", "Mode 4, and a width of 0.", mode=4, width=b"\0")
    yield order(
        "width-checksum",
        "Corrupt",
        "A width of 0, and a wrong checksum.",
        width=b"\0",
        header_checksum=wrong,
    )
    whole = vqc(2**20, 2**20, [], model=PAPER.prefix)
    yield Case(
        name="order-pixels-cut",
        tests="Too many pixels, and the file ends after the height.",
        rule="the limit on pixels after the height",
        data=whole[: 12 + 3 + 3],
        model="paper",
        expect="Limit",
    )
    yield order(
        "pixels-stride",
        "Limit",
        "Too many pixels, and a wrong stride.",
        width=varint(2**20),
        height=varint(2**20),
        stride_log2=7,
    )
    yield order(
        "tile-table-checksum",
        "Truncated",
        "A tile that does not fit, and a wrong checksum.",
        tile_table=varint(9999) + crc(TILE),
        header_checksum=wrong,
    )
    yield order(
        "checksum-chunk",
        "Checksum",
        "A wrong checksum of the header, and a wrong chunk.",
        header_checksum=wrong,
        chunks=[chunk(b"no e", b"")],
    )
    yield order(
        "type-size",
        "Corrupt",
        "A chunk of a wrong type, with a size above the limit.",
        chunks=[chunk(b"no e", b"", size=varint(2**28 + 1))],
    )
    yield order(
        "ascending-checksum",
        "Corrupt",
        "Chunks in descending order, the second with a wrong checksum.",
        chunks=[chunk(b"note", b""), chunk(b"nope", b"", checksum=wrong)],
    )
    yield order(
        "chunk-checksum-unknown",
        "Checksum",
        "An unknown chunk that would be needed, with a wrong checksum.",
        chunks=[chunk(b"NOTE", b"", checksum=wrong)],
    )
    bad_tile = varint(len(TILE)) + wrong
    yield order(
        "unknown-tile",
        "Version",
        "An unknown chunk that would be needed, and a wrong tile.",
        chunks=[chunk(b"NOTE", b"")],
        tile_table=bad_tile,
    )
    yield order(
        "tile-tail",
        "Checksum",
        "A wrong tile, and a byte after it.",
        tile_table=bad_tile,
        tail=b"\0",
    )
    yield order(
        "tile-quality",
        "Checksum",
        "A wrong tile, and a wrong quality.",
        tile_table=bad_tile,
        quality=1,
    )
    yield order(
        "tail-model",
        "Corrupt",
        "A byte after the last tile, and no model.",
        model=bytes(8),
        tail=b"\0",
    )
    yield order(
        "model-quality",
        "Model",
        "No model, and a wrong quality and stride.",
        model=bytes(8),
        quality=9,
        stride_log2=6,
    )
