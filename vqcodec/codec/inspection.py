"""What a .vqc file of any medium consists of, without decoding it or importing what decodes."""

from __future__ import annotations

import dataclasses
import math
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

from vqcodec.codec.kinds import sort_tiles
from vqcodec.container import Container, Span, spans
from vqcodec.errors import ModelError
from vqcodec.models.quality import scale_of
from vqcodec.registry.store import find_by_prefix, read_metadata


@dataclass(frozen=True, slots=True, kw_only=True)
class Inspection:
    """Facts about a file."""

    medium: str
    """'picture', 'sound' or 'clip'."""
    bytes: int
    mode: str
    """'prior', 'fixed', 'literal' or 'mixed'."""
    quality: float
    """1 to the model's highest; 0 without qualities. Where the model is not there, what the header
    has, which may count sixteenths."""
    model: str
    """First 8 bytes of the model's SHA-256, hexadecimal."""
    model_name: str | None
    """None if the model is not there, or damaged; or in a literal file, which has none."""
    grid: tuple[int, ...]
    """Rows and columns of positions; of sound, coded channels and frames; of a clip, frames, rows
    and columns."""
    tiles: int
    literal_tiles: int
    """Tiles that hold pixels instead of indices."""
    payload_bytes: int
    """Bytes of the tiles' streams."""
    bits_per_position: float
    """Payload bits per position of the grid, which may have several indices."""
    spans: tuple[Span, ...]
    """Every field of the file; sizes sum to `bytes`. Those of many tiles are taken together."""

    def as_dict(self) -> dict[str, Any]:
        """Return plain values, for JSON."""
        return dataclasses.asdict(self)


def facts(container: Container, size: int) -> dict[str, Any]:
    """Return the fields of an `Inspection` of a file of `size` bytes that has been parsed.

    Raises CorruptError if a tile of a mixed file does not say what it holds.
    """
    header = container.header
    name, scale = None, 1
    with suppress(ModelError):
        model = find_by_prefix(header.model)
        scale = scale_of(read_metadata(model.path).get("architecture"))
        name = model.name
    whole, part = divmod(header.quality, scale)
    _, literal = sort_tiles(header, container.tiles, range(header.tile_count))
    payload = sum(map(len, container.tiles))
    return {
        "medium": header.medium.name.lower(),
        "bytes": size,
        "mode": header.mode.name.lower(),
        "quality": whole + part / scale if part else whole,
        "model": header.model.hex(),
        "model_name": name,
        "grid": header.grid,
        "tiles": header.tile_count,
        "literal_tiles": len(literal),
        "payload_bytes": payload,
        "bits_per_position": 8 * payload / math.prod(header.grid),
        "spans": tuple(spans(container)),
    }
