"""The .vqc container: bytes to frozen dataclasses and back. Standard library only."""

from vqcodec.container.layout import ALPHA, EXIF, ICC, XMP, Limits, Medium, Mode, TileKind
from vqcodec.container.read import Remains, parse, recover
from vqcodec.container.span import Span, spans
from vqcodec.container.types import Chunk, Container, Header
from vqcodec.container.write import serialise

__all__ = [
    "ALPHA",
    "EXIF",
    "ICC",
    "XMP",
    "Chunk",
    "Container",
    "Header",
    "Limits",
    "Medium",
    "Mode",
    "Remains",
    "Span",
    "TileKind",
    "parse",
    "recover",
    "serialise",
    "spans",
]
