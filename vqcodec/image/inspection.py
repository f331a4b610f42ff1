"""What a picture's .vqc file consists of."""

from __future__ import annotations

from dataclasses import dataclass

from vqcodec.codec.inspection import Inspection, facts
from vqcodec.container import Container


@dataclass(frozen=True, slots=True, kw_only=True)
class PictureInspection(Inspection):
    """Facts about a picture's file."""

    width: int
    height: int
    bpp: float
    """File size in bits per pixel."""
    ratio: float
    """8-bit RGB pixels over file size."""


def describe(container: Container, size: int) -> PictureInspection:
    """Return the facts of a file of `size` bytes that has been parsed."""
    height, width = container.header.shape
    return PictureInspection(
        **facts(container, size),
        width=width,
        height=height,
        bpp=8 * size / (height * width),
        ratio=3 * height * width / size,
    )
