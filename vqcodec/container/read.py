"""Bytes to container.

Order of work: signature, version, then each field against its range, the tile
table against the bytes that are there, the header's checksum, the chunks, the
tiles. Nothing is allocated from a number in the file before that number has
been held against the size of the file or a limit.

`recover` reads damaged files with the same methods. A header that holds tells where
the tiles are from the front of the file and from its end, so each tile is looked for in
both places: bytes that are missing, too many or changed take with them what they hit.
"""

from __future__ import annotations

import math
import zlib
from array import array
from dataclasses import dataclass
from itertools import count
from typing import TypeAlias

from vqcodec.container import layout
from vqcodec.container.layout import Limits, Medium, Mode
from vqcodec.container.types import Chunk, Container, Header
from vqcodec.counting import counted
from vqcodec.errors import (
    ChecksumError,
    CorruptError,
    FormatError,
    LimitError,
    MediumError,
    NotVqcError,
    PixelLimitError,
    SampleLimitError,
    TruncatedError,
    VersionError,
)

_Table: TypeAlias = "tuple[array[int], array[int]]"
"""Sizes and checksums of the tiles, compact, as there may be millions."""
_SMALLEST_TILE_ENTRY = 1 + layout.CRC_BYTES
_NEWER = "a newer vqcodec may read it"


@dataclass(frozen=True, slots=True, kw_only=True)
class Remains:
    """What is left of a damaged file."""

    container: Container
    """Chunks that hold; lost tiles are empty."""
    lost: frozenset[int]
    """Numbers of the tiles whose checksum does not hold."""
    damage: tuple[str, ...]
    """What else is wrong, a sentence each."""
    broken: frozenset[bytes]
    """What stands where chunks that do not hold have their types; b"" for all that could not be
    found."""


def parse(data: bytes, limits: Limits | None = None) -> Container:
    """Read a .vqc file, checking everything that needs no model.

    Raises: a subclass of FormatError.
    """
    return _Reader(data, limits or Limits()).container()


def recover(data: bytes, limits: Limits | None = None) -> Remains:
    """Read what is left of a .vqc file whose header and tile table hold.

    Raises: a subclass of FormatError if they do not, or if the file has a chunk that a
    reader needs to know and this one does not.
    """
    return _Reader(data, limits or Limits()).remains()


class _Reader:
    def __init__(self, data: bytes, limits: Limits) -> None:
        self._data = bytes(data)
        self._limits = limits
        self._at = 0

    def container(self) -> Container:
        header, chunk_count, table = self._head(whole=True)
        chunks: list[Chunk] = []
        for _ in range(chunk_count):
            chunks.append(self._chunk(header.medium, chunks[-1].type if chunks else b""))
        tiles = tuple(self._tile(*entry) for entry in zip(count(), *table, strict=False))
        if self._at != len(self._data):
            more = counted(len(self._data) - self._at, "byte")
            raise CorruptError(f"after the last tile there are {more}")
        return Container(header=header, chunks=tuple(chunks), tiles=tiles)

    def remains(self) -> Remains:
        header, chunk_count, table = self._head(whole=False)
        chunks, damage, broken = self._remaining_chunks(header.medium, chunk_count)
        payload = sum(table[0])
        surplus = len(self._data) - self._at - payload
        if surplus and not damage:
            wrong = "too long" if surplus > 0 else "too short"
            damage.append(f"the file is {counted(abs(surplus), 'byte')} {wrong}")
        tiles, lost = [], set()
        start = self._at
        for number, size, crc in zip(count(), *table, strict=False):
            for first in (start, start + surplus):
                tile = self._data[max(first, 0) : max(first + size, 0)]
                if len(tile) == size and zlib.crc32(tile) == crc:
                    break
            else:
                tile = b""
                lost.add(number)
            tiles.append(tile)
            start += size
        container = Container(header=header, chunks=tuple(chunks), tiles=tuple(tiles))
        return Remains(
            container=container,
            lost=frozenset(lost),
            damage=tuple(damage),
            broken=frozenset(broken),
        )

    def _remaining_chunks(
        self, medium: Medium, chunk_count: int
    ) -> tuple[list[Chunk], list[str], list[bytes]]:
        """Read the chunks that hold and step over the others; also say what is wrong, and what
        the others have as types.
        """
        chunks: list[Chunk] = []
        damage: list[str] = []
        broken: list[bytes] = []
        for _ in range(chunk_count):
            start = self._at
            try:
                chunks.append(self._chunk(medium, chunks[-1].type if chunks else b""))
            except VersionError:
                raise
            except FormatError as error:
                damage.append(str(error))
                try:
                    self._at = start
                    broken.append(self._take("chunk type", layout.CHUNK_TYPE_BYTES))
                    size = self._varint("chunk size", 0, layout.CHUNK_BYTES_MAX)
                    self._take("chunk", size + layout.CRC_BYTES)
                except FormatError:
                    damage.append("what follows, up to the tiles, is not readable")
                    broken.append(b"")
                    break
        return chunks, damage, broken

    def _head(self, *, whole: bool) -> tuple[Header, int, _Table]:
        """Read header, chunk count and tile table; the tiles of a whole file fit into it."""
        self._signature()
        header, chunk_count = self._header()
        table = self._tile_table(header, whole)
        self._checksum("header checksum", 0)
        return header, chunk_count, table

    def _signature(self) -> None:
        size = len(layout.SIGNATURE)
        if self._data[:size] != layout.SIGNATURE[: len(self._data)] or not self._data:
            raise NotVqcError("not a .vqc file", hint="`vqcodec compress` makes .vqc files")
        self._take("signature", size)
        version = self._byte("version")
        if version != layout.VERSION:
            raise VersionError(
                f"version {version} of the format, this program reads {layout.VERSION}", hint=_NEWER
            )

    def _header(self) -> tuple[Header, int]:
        medium = self._medium()
        mode = self._byte("mode")
        if mode not in medium.modes:
            raise VersionError(f"mode {mode} is not known to this program", hint=_NEWER)
        is_literal = mode == Mode.LITERAL
        quality = self._byte("quality", 0, 0 if is_literal else 255)
        sizes = [self._varint(name, 1, layout.longest(name)) for name in medium.axes]
        self._check_extent(medium, sizes)
        header = Header(
            medium=medium,
            mode=Mode(mode),
            quality=quality,
            shape=tuple(reversed(sizes)),
            model=self._model(is_literal),
            stride_log2=self._byte("stride_log2", 0, layout.STRIDE_LOG2_MAX),
            tile_log2=self._byte("tile_log2", layout.TILE_LOG2_MIN, layout.tile_log2_most(medium)),
        )
        return header, self._byte("chunk count", 0, layout.CHUNKS_MAX)

    def _check_extent(self, medium: Medium, sizes: list[int]) -> None:
        extent, shape = math.prod(sizes), "x".join(map(str, sizes))
        if medium is Medium.SOUND and extent > self._limits.frames:
            raise SampleLimitError(
                f"{shape} is {counted(extent, 'frame')}, the limit is {self._limits.frames}"
            )
        if medium is not Medium.SOUND and extent > self._limits.pixels:
            raise PixelLimitError(f"{shape} is {extent} pixels, the limit is {self._limits.pixels}")

    def _medium(self) -> Medium:
        number = self._byte("media type")
        try:
            medium = Medium(number)
        except ValueError:
            message = f"media type {number} is not known to this program"
            raise VersionError(message, hint=_NEWER) from None
        if medium not in self._limits.media:
            wanted = " or ".join(sorted(medium.noun for medium in self._limits.media))
            raise MediumError(f"the file holds {medium.noun}, not {wanted}")
        return medium

    def _model(self, is_literal: bool) -> bytes:
        model = self._take("model", layout.MODEL_BYTES)
        if is_literal and model != layout.NO_MODEL:
            raise CorruptError("a literal file names a model")
        return model

    def _tile_table(self, header: Header, whole: bool) -> _Table:
        room = (len(self._data) - self._at) // _SMALLEST_TILE_ENTRY
        if header.tile_count > room:
            tiles = counted(header.tile_count, "tile")
            raise TruncatedError(f"{tiles} cannot fit into the rest of the file")
        sizes, checksums = array("L"), array("L")  # of at least 32 bits each
        left = len(self._data)
        for number in range(header.tile_count):
            size = self._varint("tile size", 0, layout.VARINT_MAX)
            left -= size
            if whole and left < 0:
                raise TruncatedError(f"tile {number}: the file is shorter than its tiles")
            sizes.append(size)
            checksums.append(
                int.from_bytes(self._take("tile checksum", layout.CRC_BYTES), "little")
            )
        return sizes, checksums

    def _chunk(self, medium: Medium, previous: bytes) -> Chunk:
        start = self._at
        chunk_type = self._take("chunk type", layout.CHUNK_TYPE_BYTES)
        layout.check_chunk_type(chunk_type)
        name = f"chunk {chunk_type.decode()}"
        if chunk_type <= previous:
            raise CorruptError(f"{name} is not in ascending order of type, each once")
        size = self._varint(f"{name} size", 0, layout.VARINT_MAX)
        if size > layout.CHUNK_BYTES_MAX:
            raise LimitError(f"{name} has {size} bytes, the limit is {layout.CHUNK_BYTES_MAX}")
        chunk = Chunk(type=chunk_type, data=self._take(name, size))
        self._checksum(f"{name} checksum", start)
        if layout.is_critical(chunk_type) and chunk_type not in layout.CRITICAL[medium]:
            raise VersionError(f"{name} is needed and not known to this program", hint=_NEWER)
        return chunk

    def _tile(self, number: int, size: int, crc: int) -> bytes:
        tile = self._take("tile", size)
        if zlib.crc32(tile) != crc:
            raise ChecksumError(f"tile {number} does not match its checksum")
        return tile

    def _take(self, name: str, size: int) -> bytes:
        end = self._at + size
        if end > len(self._data):
            place = f"offset {self._at}, {counted(size, 'byte')}"
            raise TruncatedError(f"the file ends inside {name} ({place})")
        taken = self._data[self._at : end]
        self._at = end
        return taken

    def _byte(self, name: str, least: int = 0, most: int = 255) -> int:
        value = self._take(name, 1)[0]
        if not least <= value <= most:
            raise CorruptError(f"{name} is {value}, not {least} to {most}")
        return value

    def _varint(self, name: str, least: int, most: int) -> int:
        start, value = self._at, 0
        for shift in range(0, 7 * layout.VARINT_BYTES_MAX, 7):
            if self._at == len(self._data):
                raise TruncatedError(f"the file ends inside {name} (offset {start})")
            byte = self._data[self._at]
            self._at += 1
            value |= (byte & 0x7F) << shift
            if byte < 0x80:
                if shift and not byte:
                    raise CorruptError(f"{name}: an integer is longer than it need be")
                break
        else:
            raise CorruptError(f"{name}: an integer has no end")
        if not least <= value <= most:
            raise CorruptError(f"{name} is {value}, not {least} to {most}")
        return value

    def _checksum(self, name: str, start: int) -> None:
        expected = zlib.crc32(memoryview(self._data)[start : self._at])
        if int.from_bytes(self._take(name, layout.CRC_BYTES), "little") != expected:
            raise ChecksumError(f"{name} does not match")
