"""Changes that know the formats: checksums, sizes and offsets are put right again.

Plain changes of bytes would be refused by the first checksum. Here a file is taken apart,
leniently, a part of it is changed, and the whole is sealed again; now and then it is left unsealed.
"""

from __future__ import annotations

import json
import struct
import zlib
from collections.abc import Callable
from copy import deepcopy
from dataclasses import dataclass
from random import Random
from typing import Any

Plain = Callable[[bytes], bytes]
"""A change that knows nothing, of the fuzzer's own."""

_SIDES = (1, 2, 4, 5, 15, 16, 17, 31, 64, 65, 255, 1 << 14, (1 << 24) - 1, 1 << 24, (1 << 32) - 1)
_CHUNKS = (
    *(b"ALPH", b"cicp", b"dens", b"exif", b"iccp", b"irb0", b"pngc", b"time", b"xmp0", b"xmpe"),
    *(b"WAVE", b"spkr", b"tags", b"note", b"NOTE", b"ACTS", b"CLIP"),
)
_SOUND, _CLIP = 2, 3
_GROUP = 32
"""Frames of a clip's tile."""
_VALUES: tuple[Any, ...] = (
    *(0, 1, 2, 3, -1, 64, 127, 4096, 1 << 31, 1 << 63, 10**30, 10**4299),
    *(0.5, -0.0, 1e-320, 1e308, float("inf"), float("nan"), None, True, "", "\x1b[2J", [], [1]),
    *([1, 1], [0, 1, 1], [1, 2, 3, 4], {}, {"a": 1}),
)
_DTYPES = {"I8": 1, "U8": 1, "I16": 2, "F16": 2, "I32": 4, "F32": 4, "I64": 8, "F8_E8M0": 1}
_EXTREMES = (b"\x00", b"\x01", b"\x7f", b"\x80", b"\xff", b"\x00\x7c", b"\x00\x7e", b"\x00\x80")


@dataclass
class _File:
    """A .vqc file in parts."""

    front: bytearray  # signature, version, media type, mode, quality
    sides: list[int]
    model: bytes
    logs: list[int]  # stride_log2, tile_log2
    chunks: list[tuple[bytes, bytes]]
    tiles: list[bytes]


def container(data: bytes, rng: Random, plain: Plain) -> bytes:
    """Change a .vqc file."""
    file = _read_container(data)
    if file is None or rng.random() < 0.05:
        return plain(data)
    for _ in range(rng.choice((1, 1, 2, 3))):
        rng.choice((_change_header, _change_tiles, _change_tiles, _change_chunks))(file, rng, plain)
    sealed = _write_container(file, rng.random() < 0.9)
    return sealed if rng.random() < 0.95 else plain(sealed)


def _read_container(data: bytes) -> _File | None:
    at = 12

    def varint() -> int:
        nonlocal at
        value = shift = 0
        while at < len(data) and shift < 35:
            value |= (data[at] & 127) << shift
            at, shift = at + 1, shift + 7
            if data[at - 1] < 128:
                break
        return value

    def take(size: int) -> bytes:
        nonlocal at
        at += size
        return data[at - size : at]

    sides = [varint() for _ in range(_side_count(data[9]))]
    model, logs, count = take(8), list(take(2)), varint()
    if len(logs) < 2 or not all(sides) or logs[0] > 6 or not 4 <= logs[1] <= 10:
        return None
    wanted = _tile_count(data[9], sides, logs)
    if wanted > len(data) // 5:
        return None
    sizes = []
    for _ in range(wanted):
        sizes.append(varint())
        take(4)
    take(4)
    chunks = []
    for _ in range(min(count, 64)):
        kind, size = take(4), varint()
        chunks.append((kind, take(size)))
        take(4)
    tiles = [take(size) for size in sizes]
    return _File(bytearray(data[:12]), sides, model, logs, chunks, tiles)


def _write_container(file: _File, fitting: bool) -> bytes:
    """Put a file together; `fitting` makes as many tiles as the header asks for."""
    tiles = list(file.tiles)
    if fitting and 0 <= file.logs[0] <= 6:
        wanted = min(_tile_count(file.front[9], _sides(file), file.logs), 24)
        tiles = (tiles + [tiles[-1] if tiles else b""] * wanted)[:wanted]
    out = bytearray(file.front) + b"".join(map(_varint, _sides(file))) + file.model
    out += bytes(file.logs) + _varint(len(file.chunks))
    for tile in tiles:
        out += _varint(len(tile)) + _crc(tile)
    out += _crc(out)
    for kind, data in file.chunks:
        chunk = kind + _varint(len(data)) + data
        out += chunk + _crc(chunk)
    return bytes(out) + b"".join(tiles)


def _sides(file: _File) -> list[int]:
    """Return as many sizes as the medium has, which may have been changed."""
    return [*file.sides, 1][: _side_count(file.front[9])]


def _side_count(medium: int) -> int:
    return 3 if medium == _CLIP else 2


def _tile_count(medium: int, sides: list[int], logs: list[int]) -> int:
    across, down = (-(-side >> (logs[0] + logs[1])) for side in sides[:2])
    if medium == _SOUND:
        return across * -(-sides[1] >> logs[0])
    return across * down * (-(-sides[2] // _GROUP) if medium == _CLIP else 1)


def _change_header(file: _File, rng: Random, plain: Plain) -> None:
    what = rng.randrange(5)
    if what == 0:
        file.front[rng.randrange(8, 12)] = rng.choice((0, 1, 2, 3, 4, 255))
    elif what == 1:
        file.sides[rng.randrange(len(file.sides))] = rng.choice(_SIDES)
    elif what == 2:
        file.sides[rng.randrange(len(file.sides))] = rng.randrange(1, 40)
    elif what == 3:
        file.logs[rng.randrange(2)] = rng.randrange(12)
    else:
        file.model = (plain(file.model) + bytes(8))[:8]


def _change_tiles(file: _File, rng: Random, plain: Plain) -> None:
    if not file.tiles:
        return
    at = rng.randrange(len(file.tiles))
    tile, what = file.tiles[at], rng.randrange(6)
    if what < 3:
        file.tiles[at] = plain(tile)
    elif what == 3:  # whole words, as a range coder reads them
        file.tiles[at] = rng.randbytes(4 * rng.randrange(8))
    elif what == 4:
        file.tiles[at] = tile[: rng.randrange(len(tile) + 1)]
    else:
        file.front[10] ^= rng.choice((1, 2, 3))


def _change_chunks(file: _File, rng: Random, plain: Plain) -> None:
    what = rng.randrange(6)
    if what == 0 or not file.chunks:
        file.chunks.append((rng.choice(_CHUNKS), zlib.compress(rng.randbytes(rng.randrange(30)))))
        file.chunks.sort()
        return
    at = rng.randrange(len(file.chunks))
    kind, data = file.chunks[at]
    if what == 1:
        del file.chunks[at]
    elif what == 2:
        file.chunks[at] = (rng.choice(_CHUNKS), data)
    elif what == 3:
        file.chunks[at] = (kind, plain(data))
    elif data.startswith(b"\x89PNG"):
        file.chunks[at] = (kind, _change_png(data, rng, plain))
    else:
        file.chunks[at] = (kind, _repacked(data, plain))


def _change_png(data: bytes, rng: Random, plain: Plain) -> bytes:
    """Change one chunk of a PNG picture and its checksum with it."""
    chunks, at = [], 8
    while at + 12 <= len(data):
        size = int.from_bytes(data[at : at + 4], "big")
        chunks.append((data[at + 4 : at + 8], data[at + 8 : at + 8 + size]))
        at += 12 + size
    if not chunks:
        return plain(data)
    pick = rng.randrange(len(chunks))
    kind, body = chunks[pick]
    chunks[pick] = (kind, _repacked(body, plain) if kind == b"IDAT" else plain(body))
    out = data[:8]
    for kind, body in chunks:
        out += struct.pack(">I", len(body)) + kind + body
        out += struct.pack(">I", zlib.crc32(kind + body))
    return out


def _repacked(data: bytes, plain: Plain) -> bytes:
    """Change what a zlib stream holds."""
    try:
        return zlib.compress(plain(zlib.decompressobj().decompress(data, 1 << 16)))
    except zlib.error:
        return plain(data)


def _varint(value: int) -> bytes:
    out = bytearray()
    while value > 127:
        out.append(value & 127 | 128)
        value >>= 7
    out.append(value)
    return bytes(out)


def _crc(data: bytes | bytearray) -> bytes:
    return struct.pack("<I", zlib.crc32(data))


@dataclass
class _Model:
    """A model file in parts."""

    metadata: Any
    tensors: dict[str, tuple[Any, Any, bytes]]  # name -> dtype, shape, data


def model(data: bytes, rng: Random, plain: Plain) -> bytes:
    """Change a model file."""
    try:
        parts = _read_model(data)
    except (ValueError, LookupError, TypeError, AttributeError, RecursionError):
        return plain(data)
    for _ in range(rng.choice((1, 1, 2, 3))):
        change = (_change_metadata, _change_values, _change_values, _change_tensor)
        rng.choice(change)(parts, rng, plain)
    header, body = _header_of(parts)
    if rng.random() < 0.1 and len(header) > 1:
        _lie(header, rng)
    if rng.random() < 0.02:
        header["__metadata__"]["vqcodec"] = "[" * rng.randrange(2000)
    text = json.dumps(header).encode("utf-8", "surrogatepass")
    if rng.random() < 0.03:
        text = plain(text)
    out = struct.pack("<Q", len(text)) + text + body
    return out if rng.random() < 0.97 else plain(out)


def _read_model(data: bytes) -> _Model:
    size = int.from_bytes(data[:8], "little")
    if size > len(data):
        raise ValueError("no header")
    header, body = json.loads(data[8 : 8 + size]), data[8 + size :]
    metadata = json.loads(header.pop("__metadata__")["vqcodec"])
    tensors = {}
    for name, entry in header.items():
        start, end = entry["data_offsets"]
        tensors[name] = (entry["dtype"], entry["shape"], body[start:end])
    return _Model(metadata, tensors)


def _header_of(parts: _Model) -> tuple[dict[str, Any], bytes]:
    header: dict[str, Any] = {"__metadata__": {"vqcodec": json.dumps(parts.metadata)}}
    body = b""
    for name, (dtype, shape, data) in parts.tensors.items():
        offsets = [len(body), len(body) + len(data)]
        header[name] = {"dtype": dtype, "shape": shape, "data_offsets": offsets}
        body += data
    return header, body


def _change_metadata(parts: _Model, rng: Random, plain: Plain) -> None:
    table = parts.metadata
    while isinstance(table, dict) and table:
        key = rng.choice(list(table))
        if isinstance(table[key], dict) and table[key] and rng.random() < 0.95:
            table = table[key]
            continue
        old = table[key]
        near = [old + 1, old - 1, old * 2] if type(old) is int and abs(old) < 1 << 64 else []
        # A copy, or a table that is put into itself would have no end.
        table[key] = deepcopy(rng.choice((*_VALUES, *near, *near, *near)))
        return


def _change_values(parts: _Model, rng: Random, plain: Plain) -> None:
    """Change numbers in a tensor, its shape staying."""
    if not parts.tensors:
        return
    name = rng.choice(list(parts.tensors))
    dtype, shape, data = parts.tensors[name]
    if rng.random() < 0.4:
        data = (plain(data) + data)[: len(data)]
    else:
        extreme = rng.choice(_EXTREMES) * (4 if rng.random() < 0.5 else len(data))
        at = rng.randrange(len(data) + 1)
        data = (data[:at] + extreme + data[at + len(extreme) :])[: len(data)]
    parts.tensors[name] = (dtype, shape, data)


def _change_tensor(parts: _Model, rng: Random, plain: Plain) -> None:
    """Change a tensor's name, type or shape, its data fitting again."""
    if not parts.tensors:
        return
    name = rng.choice(list(parts.tensors))
    dtype, shape, data = parts.tensors[name]
    what = rng.randrange(5)
    if what == 0:
        del parts.tensors[name]
    elif what == 1:
        parts.tensors[name + rng.choice(("", "x", ".1", "\ud800"))] = (dtype, [0, *shape], b"")
    elif what == 2:
        parts.tensors[name] = (rng.choice(list(_DTYPES)), shape, data)
    else:
        shape = list(shape)
        if shape and what == 3:
            shape[rng.randrange(len(shape))] = rng.choice((0, 1, 2, 3, 1 << 32, 1 << 62))
        else:
            shape.insert(0, rng.choice((0, 1, 1 << 62)))
        size = _DTYPES.get(dtype, 1)
        for side in shape:
            size *= side
        fitting = data + bytes(min(max(0, size - len(data)), 1 << 12))
        parts.tensors[name] = (dtype, shape, fitting[:size])


def _lie(header: dict[str, Any], rng: Random) -> None:
    """Change a place that the header gives, whatever the data."""
    entry = header[rng.choice([name for name in header if name != "__metadata__"])]
    entry["data_offsets"][rng.randrange(2)] = rng.choice(
        (0, 1, -1, 1 << 40, 1 << 64, 10**4299, None, "1")
    )


def picture(data: bytes, rng: Random, plain: Plain) -> bytes:
    """Change a picture file: some bytes, or parts of it exchanged, doubled or left out."""
    if rng.random() < 0.7:
        return plain(data)
    first, second, third = sorted(rng.randrange(len(data) + 1) for _ in range(3))
    parts = [data[:first], data[first:second], data[second:third], data[third:]]
    what = rng.randrange(3)
    if what == 0:
        parts[1], parts[2] = parts[2], parts[1]
    elif what == 1:
        parts[1] = b""
    else:
        parts[1] *= 2
    return b"".join(parts)


MUTATORS = {
    "container": container,
    "decode": container,
    "salvage": container,
    "model": model,
    "inventory": picture,
}
"""By target."""
