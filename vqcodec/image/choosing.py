"""Literal tiles and files where these are smaller than what a model makes.

A model's file is compared with files that show the same picture or a better one: one whose
tiles are literal where that is smaller, and one that is literal as a whole. Coding pixels of a
photograph would be in vain and takes longer than the model, so tiles are looked at first.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from vqcodec.codec.coding import Indices, encode_indices
from vqcodec.codec.literal import continue_into_literal, encode_literal
from vqcodec.codec.progress import Progress, counter
from vqcodec.codec.search import Setting
from vqcodec.codec.transform import Pixels, decode_indices
from vqcodec.container import (
    Chunk,
    Container,
    Header,
    Limits,
    Mode,
    TileKind,
    layout,
    parse,
    serialise,
)
from vqcodec.grid import whole
from vqcodec.image.picture import Picture
from vqcodec.models.model import PictureModel

_LITERAL_TILE_LOG2 = 10
_FLAT_STRIDE_LOG2 = 2
"""Flat pictures are coded in tiles of 4096 pixels: what is learned of letters and icons serves
all of them. Others are slower, and coded in tiles of 1024, several at once.
"""
_FLAT = 0.5
"""Part of the pixels that are like their left neighbour, from which on a tile may be smaller
as a literal one; photographs have .05 to .3."""
_FEW_COLOURS = 16
"""So many at most, among the pixels that are looked at, make a tile that may be smaller as a
literal one too: scans in black and white, dithered or not, and fine patterns are not flat.
"""
_ENOUGH = 4 * _FEW_COLOURS
"""Pixels that must be looked at for that: tiny pictures have few colours whatever they show."""
_WORTH_TILES = 0.25
"""Part of a picture's smallest tiles that must be such for literal ones to be tried: coding them,
and tiles of two sizes, takes time.
"""
_COLOUR = np.array([1 << 16, 1 << 8, 1], np.uint32)
"""Makes one number of the three samples of a pixel."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Encoded:
    """The bytes of a .vqc file and what they must decode to."""

    data: bytes
    header: Header
    indices: Indices
    picture: Picture
    literal: frozenset[int] = frozenset()
    """The tiles that hold pixels."""

    @property
    def is_exact(self) -> bool:
        """Whether all tiles hold pixels."""
        return len(self.literal) == self.header.tile_count

    def container(self) -> Container:
        """Return the parts of the file."""
        return parse(self.data, Limits(pixels=math.prod(self.header.shape)))

    def shown(self, model: PictureModel) -> Pixels:
        """Return the pixels (H, W, 3) that a decoder shows."""
        header, exact = self.header, self.picture.pixels
        if header.mode is Mode.LITERAL:
            return exact
        pixels = decode_indices(model, self.indices, header.quality, whole(header.shape))
        boxes = header.tiles()
        for place in (header.elements_of(boxes[tile]) for tile in self.literal):
            pixels[place] = exact[place]
        return pixels


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class ModelEncoded(Encoded):
    """A file as its model makes it: all tiles hold indices."""

    setting: Setting
    """What the model was told."""


def encode_lossless(
    picture: Picture, chunks: tuple[Chunk, ...], progress: Progress | None = None
) -> Encoded:
    """Compress to a literal file, which needs no model."""
    header = Header(
        mode=Mode.LITERAL,
        shape=picture.pixels.shape[:2],
        model=layout.NO_MODEL,
        stride_log2=_FLAT_STRIDE_LOG2 if _is_flat(picture.pixels) else 0,
        tile_log2=_LITERAL_TILE_LOG2,
    )
    tiles = range(header.tile_count)
    count = counter(progress, math.prod(header.grid))
    streams = encode_literal(header, picture.pixels, tiles, count)
    data = serialise(Container(header=header, chunks=chunks, tiles=tuple(streams)))
    none = np.zeros((*header.grid, 0), dtype=np.int32)
    return Encoded(
        data=data, header=header, indices=none, picture=picture, literal=frozenset(tiles)
    )


def flat_tiles(header: Header, pixels: Pixels) -> list[int]:
    """Return the tiles of a picture that may be smaller as literal ones."""
    places = map(header.elements_of, header.tiles())
    return [tile for tile, place in enumerate(places) if _is_flat(pixels[place])]


def _is_flat(pixels: Pixels) -> bool:
    """Tell whether neighbours are often alike, or colours are few."""
    some = pixels[::4]
    alike = (some[:, 1:] == some[:, :-1]).all(2)
    if alike.size > 0 and float(alike.mean()) >= _FLAT:
        return True
    fewer = pixels[::5, ::5].reshape(-1, 3).astype(np.uint32)
    return len(fewer) >= _ENOUGH and len(np.unique(fewer @ _COLOUR)) <= _FEW_COLOURS


@dataclass(frozen=True, slots=True)
class _Layout:
    """Tiles of one size, and the streams of those that may be smaller as literal ones."""

    tile_log2: int
    literal: Mapping[int, bytes]


class Chooser:
    """What a picture has beside the tiles that a model makes of it."""

    def __init__(
        self, picture: Picture, chunks: tuple[Chunk, ...], model: PictureModel, header: Header
    ) -> None:
        """Code the flat tiles of a picture; none of them for files of fixed length, which are
        for comparison.
        """
        self._picture, self._chunks, self._model = picture, chunks, model
        self._layouts: list[_Layout] = []
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

    def smallest(self, encoded: ModelEncoded) -> Encoded:
        """Return the smallest file of those that show what the model's shows or come nearer to
        the picture.
        """
        found = [] if self.whole is None else [self.whole]
        for each in self._layouts:
            header, grid = replace(encoded.header, tile_log2=each.tile_log2), encoded.indices
            is_same = header == encoded.header
            streams = (
                encoded.container().tiles if is_same else encode_indices(self._model, header, grid)
            )
            smaller = {
                tile: stream
                for tile, stream in each.literal.items()
                if len(stream) < len(streams[tile])
            }
            if smaller:
                found.append(self._mixed(header, streams, grid, smaller))
        return min([*found, encoded], key=lambda each: len(each.data))

    def _mixed(
        self, header: Header, streams: Sequence[bytes], grid: Indices, literal: Mapping[int, bytes]
    ) -> Encoded:
        tiles = [
            bytes([TileKind.LITERAL]) + literal[tile]
            if tile in literal
            else bytes([TileKind.INDICES]) + stream
            for tile, stream in enumerate(streams)
        ]
        seen, boxes = grid.copy(), header.tiles()
        for tile in literal:
            seen[boxes[tile]] = 0
        indexed = [tile for tile in range(len(streams)) if tile not in literal]
        continue_into_literal(seen, header, whole(header.grid), literal, indexed)
        mixed = replace(header, mode=Mode.MIXED)
        container = Container(header=mixed, chunks=self._chunks, tiles=tuple(tiles))
        return Encoded(
            data=serialise(container),
            header=mixed,
            indices=seen,
            picture=self._picture,
            literal=frozenset(literal),
        )
