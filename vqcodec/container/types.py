"""What a .vqc file says, as values. Built values are always writable: the
constructors check every range that SPEC.md states, so reader and writer agree.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from itertools import pairwise

from vqcodec.container import layout
from vqcodec.container.layout import Mode
from vqcodec.errors import CorruptError


@dataclass(frozen=True, slots=True, kw_only=True)
class Header:
    """The picture's geometry and how it is coded. Raises CorruptError if out of range."""

    mode: Mode
    quality: int = 0
    """0..255; 0 where the model has no qualities."""
    width: int
    """Pixels, 1..2^24-1."""
    height: int
    """Pixels, 1..2^24-1."""
    model: bytes
    """First 8 bytes of the model file's SHA-256; zeros in literal files."""
    stride_log2: int
    """Pixels per index along each side are 2^stride_log2, 0..6."""
    tile_log2: int
    """Tiles have at most 2^tile_log2 indices along each side, 4..10."""

    def __post_init__(self) -> None:
        _check("quality", self.quality, 0, 255)
        _check("width", self.width, 1, layout.SIDE_MAX)
        _check("height", self.height, 1, layout.SIDE_MAX)
        _check("model prefix length", len(self.model), layout.MODEL_BYTES, layout.MODEL_BYTES)
        _check("stride_log2", self.stride_log2, 0, layout.STRIDE_LOG2_MAX)
        if self.mode is Mode.LITERAL:
            _check("quality", self.quality, 0, 0)
            _check("model", int.from_bytes(self.model, "little"), 0, 0)
        _check("tile_log2", self.tile_log2, layout.TILE_LOG2_MIN, layout.TILE_LOG2_MAX)

    @property
    def rows(self) -> int:
        """Rows of the index grid."""
        return -(-self.height >> self.stride_log2)

    @property
    def columns(self) -> int:
        """Columns of the index grid."""
        return -(-self.width >> self.stride_log2)

    @property
    def row_edges(self) -> tuple[int, ...]:
        """First row of each row of tiles, and the end."""
        return layout.tile_edges(self.rows, self.tile_log2)

    @property
    def column_edges(self) -> tuple[int, ...]:
        """First column of each column of tiles, and the end."""
        return layout.tile_edges(self.columns, self.tile_log2)

    @property
    def tile_count(self) -> int:
        """Number of tiles."""
        size = 1 << self.tile_log2
        return -(-self.rows // size) * -(-self.columns // size)


@dataclass(frozen=True, slots=True, kw_only=True)
class Chunk:
    """Data beside the picture. Raises CorruptError if its type is not four ASCII
    letters or digits, the first one a letter, or it has more than 2^28 bytes.
    """

    type: bytes
    data: bytes

    def __post_init__(self) -> None:
        layout.check_chunk_type(self.type)
        _check("chunk size", len(self.data), 0, layout.CHUNK_BYTES_MAX)


@dataclass(frozen=True, slots=True, kw_only=True)
class Container:
    """A whole file. Raises CorruptError if the parts do not fit each other."""

    header: Header
    chunks: tuple[Chunk, ...] = field(default=())
    """In strictly ascending order of type."""
    tiles: tuple[bytes, ...]
    """Streams of the tiles, row by row."""

    def __post_init__(self) -> None:
        _check("number of tiles", len(self.tiles), self.header.tile_count, self.header.tile_count)
        _check("number of chunks", len(self.chunks), 0, layout.CHUNKS_MAX)
        types = [chunk.type for chunk in self.chunks]
        if any(a >= b for a, b in pairwise(types)):
            raise CorruptError("chunks are not in ascending order of type, each once")

    def chunk(self, chunk_type: bytes) -> bytes | None:
        """Return the data of the chunk of that type, or None."""
        return next((chunk.data for chunk in self.chunks if chunk.type == chunk_type), None)


def _check(name: str, value: int, low: int, high: int) -> None:
    if not low <= value <= high:
        expected = str(low) if low == high else f"{low} to {high}"
        raise CorruptError(f"{name} is {value}, not {expected}")
