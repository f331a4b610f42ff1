"""What a damaged .vqc file still holds, as a picture.

Tiles are coded by themselves, so damage in one leaves the others. Only the decoder network
looks over a tile's edge, as far as its halo: there it is shown a lost tile's surroundings
continued into it, which is nearer to the truth than any fixed index.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import cast

import numpy as np
from PIL import Image

from vqcodec.codec.coding import decode_grid
from vqcodec.codec.kinds import sort_tiles
from vqcodec.codec.literal import decode_literal
from vqcodec.codec.loading import ModelLike, model_of
from vqcodec.codec.progress import Progress, counter
from vqcodec.codec.salvage import continue_into
from vqcodec.codec.transform import decode_indices
from vqcodec.container import Header, Limits, Medium, recover
from vqcodec.grid import Box, whole
from vqcodec.image.chunks import unpack, unusable
from vqcodec.image.picture import Picture
from vqcodec.image.writing import to_image
from vqcodec.models.model import PictureModel
from vqcodec.storage import BytesLike, bytes_of

GREY = 128
"""Red, green and blue where nothing is left."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LostTile:
    """A tile that is painted grey."""

    number: int
    box: tuple[int, int, int, int]
    """(x, y, width, height) in pixels."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Salvaged:
    """A picture and what is missing from it."""

    picture: Picture
    """Its alpha and metadata are those that hold."""
    lost: tuple[LostTile, ...]
    damage: tuple[str, ...]
    """What else is wrong with the file, a sentence each; lost alpha and metadata among it."""

    @property
    def image(self) -> Image.Image:
        """The picture as a Pillow image, RGB, or RGBA if the file has alpha that holds."""
        return to_image(self.picture)

    @property
    def losses(self) -> tuple[str, ...]:
        """All that is wrong with the file, a sentence each; empty if it is whole."""
        tiles = [
            f"tile {tile.number} is lost, pixels {','.join(map(str, tile.box))} (X,Y,W,H) are grey"
            for tile in self.lost
        ]
        return (*tiles, *self.damage)


def salvage(
    data: BytesLike,
    *,
    model: ModelLike = None,
    device: str = "cpu",
    max_pixels: int = Limits().pixels,
    progress: Progress | None = None,
) -> Salvaged:
    """Decompress all of a damaged .vqc file that holds; the arguments are `decompress`'s.

    Tiles whose checksum does not hold, or whose stream does not decode, are grey. Up to the
    halo of the model's decoder (`decoder_halo` positions), pixels beside them are estimates.

    Raises: FormatError if the header or the tile table is damaged; ModelError.
    """
    remains = recover(bytes_of(data), Limits(pixels=max_pixels, media=frozenset({Medium.PICTURE})))
    container, header = remains.container, remains.container.header
    loaded = cast("PictureModel | None", model_of(header, model, device))
    count = counter(progress, 2 * math.prod(header.grid))
    lost = set(remains.lost)
    boxes, area = header.tiles(), whole(header.shape)
    if loaded is None:
        pixels = np.empty((*header.shape, 3), dtype=np.uint8)
    else:
        grid = decode_grid(loaded, header, container.tiles, progress=count, lost=lost)
        for number in sorted(lost):
            continue_into(grid, boxes[number], loaded.decoder_halo)
        pixels = decode_indices(loaded, grid, header.quality, area, progress=count)
    _, literal = sort_tiles(header, container.tiles, range(header.tile_count), lost)
    decode_literal(header, container.tiles, literal, area, pixels, count, lost)
    tiles = tuple(LostTile(number=n, box=_pixel_box(header, boxes[n])) for n in sorted(lost))
    for tile in tiles:
        x, y, width, height = tile.box
        pixels[y : y + height, x : x + width] = GREY
    wrong = unusable(container)
    held = tuple(chunk for chunk in container.chunks if chunk.type not in wrong)
    alpha, metadata = unpack(replace(container, chunks=held))
    return Salvaged(
        picture=Picture(pixels=pixels, alpha=alpha, metadata=metadata),
        lost=tiles,
        damage=(*remains.damage, *wrong.values()),
    )


def _pixel_box(header: Header, box: Box) -> tuple[int, int, int, int]:
    rows, columns = header.elements_of(box)
    return columns.start, rows.start, columns.stop - columns.start, rows.stop - rows.start
