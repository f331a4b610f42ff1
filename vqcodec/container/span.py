"""Where each field of a .vqc file is.

There is one way to write a container, so what a file says tells where it says it.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from vqcodec.container import layout
from vqcodec.container.types import Container
from vqcodec.container.write import varint

TILES_LISTED = 1 << 12
"""Most tiles whose fields are listed one by one."""


@dataclass(frozen=True, slots=True)
class Span:
    """One field, or all fields of many tiles: `size` bytes from `offset`."""

    name: str
    offset: int
    size: int


def spans(container: Container) -> list[Span]:
    """List the fields of a container's file in order; sizes sum to the file's size.

    Of more than TILES_LISTED tiles, the table is one span and the streams another.
    """
    found = []
    offset = 0
    for name, size in _fields(container):
        found.append(Span(name, offset, size))
        offset += size
    return found


def _fields(container: Container) -> Iterator[tuple[str, int]]:
    header, tiles = container.header, container.tiles
    yield "signature", len(layout.SIGNATURE)
    yield from _bytes("version", "media type", "mode", "quality")
    yield from ((name, len(varint(length))) for name, length in header.sizes())
    yield "model", layout.MODEL_BYTES
    yield from _bytes("stride_log2", "tile_log2", "chunk count")
    if len(tiles) > TILES_LISTED:
        yield "tile table", sum(len(varint(len(tile))) + layout.CRC_BYTES for tile in tiles)
    else:
        for number, tile in enumerate(tiles):
            yield f"tile {number} size", len(varint(len(tile)))
            yield f"tile {number} checksum", layout.CRC_BYTES
    yield "header checksum", layout.CRC_BYTES
    for chunk in container.chunks:
        name = f"chunk {chunk.type.decode()}"
        yield "chunk type", layout.CHUNK_TYPE_BYTES
        yield f"{name} size", len(varint(len(chunk.data)))
        yield name, len(chunk.data)
        yield f"{name} checksum", layout.CRC_BYTES
    if len(tiles) > TILES_LISTED:
        yield "tiles", sum(map(len, tiles))
    else:
        yield from ((f"tile {number}", len(tile)) for number, tile in enumerate(tiles))


def _bytes(*names: str) -> Iterable[tuple[str, int]]:
    return ((name, 1) for name in names)
