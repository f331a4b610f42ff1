"""What a .vqc file says, as values. Built values are always writable: the
constructors check every range that SPEC.md states, so reader and writer agree.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import pairwise

from vqcodec import grid
from vqcodec.container import layout
from vqcodec.container.layout import Medium, Mode
from vqcodec.errors import CorruptError
from vqcodec.grid import Box, Size


@dataclass(frozen=True, slots=True, kw_only=True)
class Header:
    """The geometry of what a file holds, and how it is coded.

    Raises CorruptError if out of range.
    """

    medium: Medium = Medium.PICTURE
    mode: Mode
    quality: int = 0
    """0..255; 0 where the model has no qualities."""
    shape: Size
    """Sizes in the order of an array's axes: height and width of a picture, channels and frames
    of sound, frames, height and width of a clip. Channels are 1..255, the others 1..2^24-1.
    """
    model: bytes
    """First 8 bytes of the model file's SHA-256; zeros in literal files."""
    stride_log2: int
    """Elements, such as pixels, per position along each axis are 2^stride_log2, 0..7; the
    frames of sound are its positions, and positions of a clip are of one frame.
    """
    tile_log2: int
    """Tiles have at most 2^tile_log2 positions along each axis, 4..10; of sound, one channel; of
    clips 4..7, and at most `layout.GROUP_FRAMES` frames.
    """

    def __post_init__(self) -> None:
        axes = self.medium.axes
        if self.mode not in self.medium.modes:
            raise CorruptError(f"mode {self.mode.value} is not one of {self.medium.plural}")
        _check("quality", self.quality, 0, 255)
        _check("number of sizes", len(self.shape), len(axes), len(axes))
        for name, length in self.sizes():
            _check(name, length, 1, layout.longest(name))
        _check("model prefix length", len(self.model), layout.MODEL_BYTES, layout.MODEL_BYTES)
        _check("stride_log2", self.stride_log2, 0, layout.STRIDE_LOG2_MAX)
        if self.mode is Mode.LITERAL:
            _check("quality", self.quality, 0, 0)
            _check("model", int.from_bytes(self.model, "little"), 0, 0)
        most = layout.tile_log2_most(self.medium)
        _check("tile_log2", self.tile_log2, layout.TILE_LOG2_MIN, most)

    def sizes(self) -> Iterator[tuple[str, int]]:
        """Yield names and values of the shape's sizes in the order of the file."""
        return zip(self.medium.axes, reversed(self.shape), strict=True)

    @property
    def grid(self) -> Size:
        """Lengths of the grid of positions: rows and columns of a picture."""
        return grid.divided(self.shape, self._strides)

    @property
    def tile_count(self) -> int:
        """Number of tiles."""
        return grid.tile_count(self.grid, self.medium.tile(1 << self.tile_log2))

    def tiles(self) -> list[Box]:
        """Return the boxes of the grid that are tiles, in the order of the file."""
        return grid.tiles(self.grid, self.medium.tile(1 << self.tile_log2))

    def elements_of(self, box: Box) -> Box:
        """Return the elements, such as pixels, of a box of positions; none beyond the shape."""
        return grid.common(grid.scaled(box, self._strides), grid.whole(self.shape))

    @property
    def _strides(self) -> Size:
        return self.medium.strides(1 << self.stride_log2)


@dataclass(frozen=True, slots=True, kw_only=True)
class Chunk:
    """Data beside the tiles. Raises CorruptError if its type is not four ASCII
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
    """Streams of the tiles, in the order of `Header.tiles`."""

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
