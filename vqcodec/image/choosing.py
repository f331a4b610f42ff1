"""Literal tiles and files where these are smaller than what a model makes.

A model's file is compared with files that show the same picture or a better one: one whose
tiles are literal where that is smaller, and one that is literal as a whole. Coding pixels of a
photograph would be in vain and takes longer than the model, so tiles are looked at first.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from vqcodec.codec.coding import Indices
from vqcodec.codec.literal import continue_into_literal, encode_literal
from vqcodec.codec.tiles import pixels_of, tile_boxes
from vqcodec.container import Chunk, Container, Header, Mode, TileKind, layout, serialise
from vqcodec.image.picture import Picture
from vqcodec.image.progress import Progress, counter
from vqcodec.image.transform import Pixels, decode_indices
from vqcodec.models.model import Model

_LITERAL_TILE_LOG2 = 10
_FLAT_STRIDE_LOG2 = 2
"""Flat pictures are coded in tiles of 4096 pixels: what is learned of letters and icons serves
all of them. Others are slower, and coded in tiles of 1024, several at once.
"""
_FLAT = 0.5
"""Part of the pixels that are like their left neighbour, from which on a tile may be smaller
as a literal one; photographs have .05 to .3."""
_WORTH_TILES = 0.25
"""Part of a picture's smallest tiles that must be flat for literal ones to be tried: coding them,
and tiles of two sizes, takes time.
"""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Encoded:
    """The bytes of a .vqc file and what they must decode to."""

    data: bytes
    header: Header
    indices: Indices
    picture: Picture
    literal: frozenset[int] = frozenset()
    """The tiles that hold pixels."""

    def shown(self, model: Model) -> Pixels:
        """Return the pixels (H, W, 3) that a decoder shows."""
        header, exact = self.header, self.picture.pixels
        if header.mode is Mode.LITERAL:
            return exact
        area = (slice(0, header.height), slice(0, header.width))
        pixels = decode_indices(model, self.indices, header.quality, area)
        boxes = tile_boxes(header)
        for place in (pixels_of(header, boxes[tile]) for tile in self.literal):
            pixels[place] = exact[place]
        return pixels


def encode_lossless(
    picture: Picture, chunks: tuple[Chunk, ...], progress: Progress | None = None
) -> Encoded:
    """Compress to a literal file, which needs no model."""
    height, width = picture.pixels.shape[:2]
    header = Header(
        mode=Mode.LITERAL,
        width=width,
        height=height,
        model=layout.NO_MODEL,
        stride_log2=_FLAT_STRIDE_LOG2 if _is_flat(picture.pixels) else 0,
        tile_log2=_LITERAL_TILE_LOG2,
    )
    tiles = range(header.tile_count)
    count = counter(progress, header.rows * header.columns)
    streams = encode_literal(header, picture.pixels, tiles, count)
    data = serialise(Container(header=header, chunks=chunks, tiles=tuple(streams)))
    none = np.zeros((header.rows, header.columns, 0), dtype=np.int32)
    return Encoded(
        data=data, header=header, indices=none, picture=picture, literal=frozenset(tiles)
    )


def flat_tiles(header: Header, pixels: Pixels) -> list[int]:
    """Return the tiles of a picture that may be smaller as literal ones."""
    boxes = tile_boxes(header)
    return [tile for tile, box in enumerate(boxes) if _is_flat(pixels[pixels_of(header, box)])]


def _is_flat(pixels: Pixels) -> bool:
    some = pixels[::4]
    alike = (some[:, 1:] == some[:, :-1]).all(2)
    return alike.size > 0 and float(alike.mean()) >= _FLAT


@dataclass(frozen=True, slots=True)
class _Layout:
    """Tiles of one size, and the streams of those that may be smaller as literal ones."""

    tile_log2: int
    literal: Mapping[int, bytes]


class Chooser:
    """What a picture has beside the tiles that a model makes of it."""

    def __init__(self, picture: Picture, chunks: tuple[Chunk, ...], header: Header) -> None:
        """Code the flat tiles of a picture; none of them for files of fixed length, which are
        for comparison.
        """
        self._picture, self._chunks = picture, chunks
        self._layouts = [_Layout(header.tile_log2, {})]
        self.whole: Encoded | None = None
        """The literal file, if it can be smaller than others."""
        if header.mode is Mode.FIXED:
            return
        fine = replace(header, tile_log2=layout.TILE_LOG2_MIN)
        flat = flat_tiles(fine, picture.pixels)
        if len(flat) < _WORTH_TILES * fine.tile_count:
            return
        self._layouts = [self._layout(header, flat_tiles(header, picture.pixels))]
        if len(flat) < fine.tile_count and fine.tile_count > header.tile_count:
            self._layouts.append(self._layout(fine, flat))
        if len(self._layouts[0].literal) == header.tile_count:
            self.whole = encode_lossless(picture, chunks)

    def _layout(self, header: Header, flat: Sequence[int]) -> _Layout:
        streams = encode_literal(header, self._picture.pixels, flat)
        return _Layout(header.tile_log2, dict(zip(flat, streams, strict=True)))

    def smallest(
        self, header: Header, code: Callable[[Header], tuple[tuple[bytes, ...], Indices]]
    ) -> Encoded:
        """Return the smallest of the files for a picture whose model's tiles `code` makes: for
        a header their streams, and the indices of the whole picture.
        """
        found = [] if self.whole is None else [self.whole]
        for each in self._layouts:
            laid = replace(header, tile_log2=each.tile_log2)
            streams, grid = code(laid)
            smaller = {
                tile: stream
                for tile, stream in each.literal.items()
                if len(stream) < len(streams[tile])
            }
            if smaller:
                found.append(self._mixed(laid, streams, grid, smaller))
            else:
                found.append(self._encoded(laid, streams, grid))
        return min(found, key=lambda encoded: len(encoded.data))

    def _encoded(
        self,
        header: Header,
        streams: Sequence[bytes],
        grid: Indices,
        literal: Iterable[int] = (),
    ) -> Encoded:
        container = Container(header=header, chunks=self._chunks, tiles=tuple(streams))
        return Encoded(
            data=serialise(container),
            header=header,
            indices=grid,
            picture=self._picture,
            literal=frozenset(literal),
        )

    def _mixed(
        self, header: Header, streams: Sequence[bytes], grid: Indices, literal: dict[int, bytes]
    ) -> Encoded:
        indexed = [tile for tile in range(len(streams)) if tile not in literal]
        tiles = [
            bytes([TileKind.LITERAL]) + literal[tile]
            if tile in literal
            else bytes([TileKind.INDICES]) + stream
            for tile, stream in enumerate(streams)
        ]
        seen = grid.copy()
        for tile, box in enumerate(tile_boxes(header)):
            if tile in literal:
                seen[box] = 0
        around = (slice(0, header.rows), slice(0, header.columns))
        continue_into_literal(seen, header, around, literal, indexed)
        return self._encoded(replace(header, mode=Mode.MIXED), tiles, seen, literal)
