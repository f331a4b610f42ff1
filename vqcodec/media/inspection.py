"""What a .vqc file of any medium consists of. Loads no numpy."""

from __future__ import annotations

from dataclasses import replace

from vqcodec.audio import inspection as sound
from vqcodec.audio.chunks import MAX_SAMPLES
from vqcodec.clip import inspection as clip
from vqcodec.codec.inspection import Inspection
from vqcodec.container import Container, Limits, Medium, TileKind, parse
from vqcodec.image import inspection as picture
from vqcodec.storage import BytesLike, bytes_of


def inspect(
    data: BytesLike, *, max_pixels: int = Limits().pixels, max_samples: int = MAX_SAMPLES
) -> Inspection:
    """Account for every byte of a .vqc file: a `PictureInspection`, a `SoundInspection` or
    a `ClipInspection`.

    Raises: FormatError, also if a tile of a mixed file does not say what it holds.
    """
    data = bytes_of(data)
    return describe(parse(data, Limits(pixels=max_pixels)), len(data), max_samples)


def describe(container: Container, size: int, max_samples: int = MAX_SAMPLES) -> Inspection:
    """Do what `inspect` does with a file of `size` bytes that has been parsed."""
    if container.header.medium is Medium.SOUND:
        return sound.describe(container, size, max_samples)
    if container.header.medium is Medium.CLIP:
        return clip.describe(container, size)
    return picture.describe(container, size)


def describe_remains(container: Container, size: int, max_samples: int = MAX_SAMPLES) -> Inspection:
    """Do what `describe` does with what is left of a damaged file. What it says of single tiles
    and fields, and of how many bytes they take, is not that of the file.

    Raises: FormatError if a chunk is lost without which nothing can be said.
    """
    # A mixed file's tiles say what they hold, which lost ones cannot.
    tiles = tuple(tile or bytes([TileKind.INDICES]) for tile in container.tiles)
    return describe(replace(container, tiles=tiles), size, max_samples)
