"""What cases are made of: numbers that are fixed for good, and bytes right or wrong on purpose.

Nothing here depends on the version of a library: numbers come from SHAKE-256, and zlib
streams are written by hand.
"""

import hashlib
import struct
import zlib
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.int64]


def numbers(name: str, shape: tuple[int, ...], low: int, high: int) -> Array:
    """Integers low..high that follow from the name."""
    raw = hashlib.shake_256(name.encode()).digest(4 * int(np.prod(shape)))
    fractions = np.frombuffer(raw, "<u4").astype(np.int64)
    return (low + (fractions * (high - low + 1) >> 32)).reshape(shape)


def noise(name: str, size: int) -> bytes:
    """Bytes that follow from the name."""
    return hashlib.shake_256(name.encode()).digest(size)


# ---- files -----------------------------------------------------------------------------


def varint(value: int, groups: int = 1) -> bytes:
    """Write an integer, in at least so many groups of 7 bits: more than 1 may be too many."""
    out = bytearray()
    while value > 127 or groups > 1:
        out.append(value & 127 | 128)
        value, groups = value >> 7, groups - 1
    return bytes([*out, value])


def crc(data: bytes) -> bytes:
    return struct.pack("<I", zlib.crc32(data))


def chunk(
    kind: bytes, data: bytes, *, size: bytes | None = None, checksum: bytes | None = None
) -> bytes:
    """`size` and `checksum` replace the right ones."""
    body = kind + (varint(len(data)) if size is None else size) + data
    return body + (crc(body) if checksum is None else checksum)


def vqc(
    width: int,
    height: int,
    tiles: Sequence[bytes],
    /,
    *,
    frames: int | None = None,
    model: bytes,
    mode: int = 1,
    quality: int = 0,
    stride_log2: int = 2,
    tile_log2: int = 6,
    chunks: Sequence[bytes] = (),
    **fields: bytes,
) -> bytes:
    """Write a file; `fields` replaces the bytes of fields by their names.

    Checksums are of what is there, right or wrong, unless they are replaced.
    """
    header = {
        "signature": bytes.fromhex("8B5651430D0A1A0A"),
        "version": b"\1",
        "media_type": b"\1",
        "mode": bytes([mode]),
        "quality": bytes([quality]),
        "width": varint(width),
        "height": varint(height),
        "frames": b"" if frames is None else varint(frames),
        "model": model,
        "stride_log2": bytes([stride_log2]),
        "tile_log2": bytes([tile_log2]),
        "chunk_count": bytes([len(chunks)]),
        "tile_table": b"".join(varint(len(tile)) + crc(tile) for tile in tiles),
    }
    rest = {"chunks": b"".join(chunks), "tiles": b"".join(tiles), "tail": b""}
    unknown = fields.keys() - header - rest.keys() - {"header_checksum"}
    if unknown:
        raise ValueError(f"no such fields: {unknown}")
    before = b"".join(fields.get(name, value) for name, value in header.items())
    before += fields.get("header_checksum", crc(before))
    return before + b"".join(fields.get(name, value) for name, value in rest.items())


def pack(indices: Array, codebook_size: int) -> bytes:
    """Write indices at fixed length."""
    bits = (codebook_size - 1).bit_length()
    text = "".join(f"{index:0{bits}b}" for index in indices.ravel())
    size = -(-len(text) // 8)
    return int("0" + text.ljust(8 * size, "0"), 2).to_bytes(size, "big")


def words(stream: bytes) -> list[int]:
    return list(struct.unpack(f"<{len(stream) // 4}I", stream))


def from_words(*values: int) -> bytes:
    return struct.pack(f"<{len(values)}I", *values)


# ---- zlib and PNG ------------------------------------------------------------------------


def stored(data: bytes) -> bytes:
    """Make a zlib stream that holds up to 65535 bytes as they are."""
    block = struct.pack("<BHH", 1, len(data), 65535 - len(data)) + data
    return b"\x78\x01" + block + struct.pack(">I", zlib.adler32(data))


def png_chunk(kind: bytes, data: bytes) -> bytes:
    """Write a PNG chunk."""
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def zeros(count: int) -> bytes:
    """Make a small zlib stream of very many zero bytes.

    One block of dynamic Huffman codes: a literal 0, the end of the block and the length
    258 have codes of 2, 2 and 1 bits, the only distance, 1, has one of 1 bit.
    """
    bits: list[int] = []

    def put(value: int, width: int) -> None:
        bits.extend(value >> k & 1 for k in range(width))

    put(1, 1)  # the last block
    put(2, 2)  # of dynamic codes
    put(286 - 257, 5)
    put(1 - 1, 5)
    put(18 - 4, 4)
    # Lengths of the codes of code lengths, in deflate's order: 18 (a run of zeros) has 1,
    # 1 and 2 have 2 bits each.
    for symbol in (16, 17, 18, 0, 8, 7, 9, 6, 10, 5, 11, 4, 12, 3, 13, 2, 14, 1):
        put({18: 1, 1: 2, 2: 2}.get(symbol, 0), 3)
    codes = {18: (0,), 1: (1, 0), 2: (1, 1)}

    def run(length: int) -> None:
        bits.extend(codes[18])
        put(length - 11, 7)

    bits.extend(codes[2])  # literal 0
    run(138)
    run(117)
    bits.extend(codes[2])  # 256, the end
    run(28)
    bits.extend(codes[1])  # 285, length 258
    bits.extend(codes[1])  # distance 1
    matches, literals = divmod(count - 1, 258)
    # Canonical codes: 285 is 0, literal 0 is 10, the end 11.
    packed = np.array(bits + [1, 0] + [0, 0] * matches + [1, 0] * literals + [1, 1], np.uint8)
    adler = struct.pack(">I", zlib.adler32(bytes(count)))
    return b"\x78\x01" + np.packbits(packed, bitorder="little").tobytes() + adler


def png(
    samples: NDArray[np.uint8],
    *,
    filters: range = range(5),
    bits: int = 8,
    interlace: int = 0,
    width: int | None = None,
    height: int | None = None,
) -> bytes:
    """Write a PNG picture: grey (rows, columns), its rows filtered in all ways in turn, or
    RGB (rows, columns, 3), not filtered. The other arguments are said, not done.
    """
    lines, above = b"", bytes(samples.shape[1])
    for y, row in enumerate(samples):
        kind = filters[y % len(filters)] if samples.ndim == 2 else 0
        lines += bytes([kind]) + (filtered(kind, row.tobytes(), above) if kind else row.tobytes())
        above = row.tobytes()
    colour = 2 if samples.ndim == 3 else 0
    size = width or samples.shape[1], height or len(samples)
    header = struct.pack(">IIBBBBB", *size, bits, colour, 0, 0, interlace)
    out = bytes.fromhex("89504E470D0A1A0A")
    for name, data in ((b"IHDR", header), (b"IDAT", stored(lines)), (b"IEND", b"")):
        out += struct.pack(">I", len(data)) + name + data
        out += struct.pack(">I", zlib.crc32(name + data))
    return out


def filtered(kind: int, row: bytes, above: bytes) -> bytes:
    out = []
    for a, b, c, value in zip(b"\0" + row, above, b"\0" + above, row, strict=False):
        paeth = min(a, b, c, key=lambda v: abs(a + b - c - v))
        out.append((value - (0, a, b, (a + b) // 2, paeth)[kind % 5]) % 256)
    return bytes(out)


# ---- cases -------------------------------------------------------------------------------


@dataclass(frozen=True, kw_only=True)
class Case:
    """A file, or the stream of a tile alone, with what a decoder must make of it."""

    name: str
    """Of the file, without suffix."""
    tests: str
    """What it tests, one sentence."""
    rule: str
    """The words of SPEC.md that it obeys or breaks."""
    data: bytes
    model: str
    """Name of a file in `models`."""
    expect: str = "success"
    """That, or the class of the error."""
    indices: Array | None = None
    """Rows x columns x groups, of a file that decodes."""
    quality: int = 0
    """Of a stream; files say it themselves."""
    columns: int = 0
    """Positions of a stream, whose tile has one row; 0 for a file."""
    pixels: bool = True
    """Whether the pixels are there to compare with."""
    unpacked: dict[str, bytes] = field(default_factory=dict)
    """What known chunks hold, by their types."""
