"""What a .vqc file consists of, without decoding it or importing what decodes."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from typing import Any

from vqcodec.codec.kinds import sort_tiles
from vqcodec.container import Container, Limits, Span, parse, spans
from vqcodec.errors import ModelError
from vqcodec.registry.store import find_by_prefix
from vqcodec.storage import BytesLike, bytes_of


@dataclass(frozen=True, slots=True, kw_only=True)
class Inspection:
    """Facts about a file."""

    bytes: int
    width: int
    height: int
    mode: str
    """'prior', 'fixed', 'literal' or 'mixed'."""
    quality: int
    model: str
    """First 8 bytes of the model's SHA-256, hexadecimal."""
    model_name: str | None
    """None if the model is not there, or damaged; or in a literal file, which has none."""
    grid: tuple[int, int]
    """Rows and columns of positions."""
    tiles: int
    literal_tiles: int
    """Tiles that hold pixels instead of indices."""
    bpp: float
    """File size in bits per pixel."""
    ratio: float
    """8-bit RGB pixels over file size."""
    payload_bytes: int
    """Bytes of the tiles' streams."""
    bits_per_position: float
    """Payload bits per position of the grid, which may have several indices."""
    spans: tuple[Span, ...]
    """Every field of the file; sizes sum to `bytes`. Those of many tiles are taken together."""

    def as_dict(self) -> dict[str, Any]:
        """Return plain values, for JSON."""
        return dataclasses.asdict(self)


def inspect(data: BytesLike, *, max_pixels: int | None = None) -> Inspection:
    """Account for every byte of a .vqc file.

    Raises: FormatError, also if a tile of a mixed file does not say what it holds.
    """
    data = bytes_of(data)
    container = parse(data, Limits() if max_pixels is None else Limits(pixels=max_pixels))
    return describe(container, len(data))


def describe(container: Container, size: int) -> Inspection:
    """Do what `inspect` does with a file of `size` bytes that has been parsed."""
    header = container.header
    try:
        name: str | None = find_by_prefix(header.model).name
    except ModelError:
        name = None
    _, literal = sort_tiles(header, container.tiles, range(header.tile_count))
    payload = sum(map(len, container.tiles))
    height, width = header.shape
    rows, columns = header.grid
    pixels = height * width
    return Inspection(
        bytes=size,
        width=width,
        height=height,
        mode=header.mode.name.lower(),
        quality=header.quality,
        model=header.model.hex(),
        model_name=name,
        grid=(rows, columns),
        tiles=header.tile_count,
        literal_tiles=len(literal),
        bpp=8 * size / pixels,
        ratio=3 * pixels / size,
        payload_bytes=payload,
        bits_per_position=8 * payload / (rows * columns),
        spans=tuple(spans(container)),
    )
