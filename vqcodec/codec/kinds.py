"""What tiles hold: indices or pixels (format/SPEC.md, section 5). Standard library only."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from vqcodec.container import Header, Mode, TileKind
from vqcodec.errors import CorruptError


def kind_of(header: Header, stream: bytes) -> TileKind:
    """Return what a tile of a file holds.

    Raises CorruptError if the file is mixed and the stream's first byte says neither.
    """
    if header.mode is not Mode.MIXED:
        return TileKind.LITERAL if header.mode is Mode.LITERAL else TileKind.INDICES
    if not stream or stream[0] not in tuple(TileKind):
        raise CorruptError("a tile of a mixed file does not say what it holds")
    return TileKind(stream[0])


def content_of(header: Header, stream: bytes) -> bytes:
    """Return a tile's stream without the byte that says what it holds."""
    return stream[1:] if header.mode is Mode.MIXED else stream


def sort_tiles(
    header: Header, streams: Sequence[bytes], tiles: Iterable[int], lost: set[int] | None = None
) -> tuple[list[int], list[int]]:
    """Return which of the tiles hold indices, and which hold pixels.

    Raises CorruptError if one does not say it, unless there is a set `lost`: then such tiles
    are put into it, and tiles that are in it already are left out.
    """
    found: dict[TileKind, list[int]] = {kind: [] for kind in TileKind}
    for tile in tiles:
        if lost is not None and tile in lost:
            continue
        try:
            found[kind_of(header, streams[tile])].append(tile)
        except CorruptError as error:
            if lost is None:
                error.args = (f"tile {tile}: {error}",)
                raise
            lost.add(tile)
    return found[TileKind.INDICES], found[TileKind.LITERAL]
