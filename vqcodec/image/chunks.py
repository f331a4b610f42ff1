"""What goes beside a picture's pixels, packed into chunks and back.

The data of each type of chunk are those of format/SPEC.md, section "Chunks".
"""

from __future__ import annotations

import struct
import zlib
from collections.abc import Iterable, Iterator

import numpy as np
from numpy.typing import NDArray

from vqcodec.codec.chunks import inflate, pack_modified, unpack_modified
from vqcodec.container import Chunk, Container, layout
from vqcodec.errors import CorruptError, FormatError, LimitError
from vqcodec.image import alpha
from vqcodec.image.inventory.parts import Density
from vqcodec.image.picture import PNG_CHUNKS_MAX, Metadata, Picture, PngChunk

_PACKED = {
    "icc": layout.ICC,
    "exif": layout.EXIF,
    "xmp": layout.XMP,
    "xmp_extension": layout.XMP_EXTENSION,
    "resources": layout.RESOURCES,
}
"""Fields of `Metadata` that are stored as zlib streams."""
_CICP_BYTES = 4
PNG_TYPES = frozenset(
    {
        *("tEXt", "iTXt", "tIME", "bKGD", "sBIT", "oFFs", "pCAL", "sCAL", "sTER", "sPLT"),
        *("mDCV", "cLLI", "caNv", "vpAg"),
    }
)
"""PNG chunks that describe a picture. Others could change what a PNG file shows."""


def to_chunks(picture: Picture) -> tuple[Chunk, ...]:
    """Pack alpha and metadata."""
    metadata = picture.metadata
    data = {
        chunk_type: zlib.compress(value, 9)
        for field, chunk_type in _PACKED.items()
        if (value := getattr(metadata, field)) is not None
    }
    if picture.alpha is not None:
        data[layout.ALPHA] = alpha.pack(picture.alpha)
    if metadata.cicp is not None:
        data[layout.CICP] = metadata.cicp
    if metadata.density is not None:
        data[layout.DENSITY] = metadata.density.pack()
    if metadata.png_chunks:
        data[layout.PNG_CHUNKS] = zlib.compress(write_png_chunks(metadata.png_chunks), 9)
    if metadata.modified is not None:
        data[layout.MODIFIED] = pack_modified(metadata.modified)
    return tuple(Chunk(type=chunk_type, data=data[chunk_type]) for chunk_type in sorted(data))


def unpack(container: Container) -> tuple[NDArray[np.uint8] | None, Metadata]:
    """Return a file's alpha, (height, width) or None, and its metadata.

    Raises: FormatError if the data of a chunk are not what SPEC.md says.
    """
    packed = {
        field: None if (data := container.chunk(kind)) is None else inflate(kind, data)
        for field, kind in _PACKED.items()
    }
    cicp, density = container.chunk(layout.CICP), container.chunk(layout.DENSITY)
    texts = container.chunk(layout.PNG_CHUNKS)
    if cicp is not None and (len(cicp) != _CICP_BYTES or cicp[2:] != b"\0\1"):
        raise CorruptError("chunk cicp is not that of full-range RGB")
    metadata = Metadata(
        **packed,
        cicp=cicp,
        density=None if density is None else _density(density),
        png_chunks=() if texts is None else read_png_chunks(inflate(layout.PNG_CHUNKS, texts)),
        modified=unpack_modified(container.chunk(layout.MODIFIED)),
    )
    opacity = container.chunk(layout.ALPHA)
    height, width = container.header.shape
    return None if opacity is None else alpha.unpack(opacity, (width, height)), metadata


def unusable(container: Container) -> dict[bytes, str]:
    """Return the types of chunks that cannot be unpacked, and what is wrong with each."""
    wrong = {}
    for chunk in container.chunks:
        alone = Container(header=container.header, chunks=(chunk,), tiles=container.tiles)
        try:
            unpack(alone)
        except FormatError as error:
            wrong[chunk.type] = str(error)
    return wrong


def write_png_chunks(chunks: Iterable[PngChunk]) -> bytes:
    """Write chunks as a PNG file has them: length, type, data and CRC-32 of each."""
    out = bytearray()
    for name, data in chunks:
        kind = name.encode("ascii")
        out += struct.pack(">I", len(data)) + kind + data
        out += struct.pack(">I", zlib.crc32(data, zlib.crc32(kind)))
    return bytes(out)


def read_png_chunks(data: bytes) -> tuple[PngChunk, ...]:
    """Undo `write_png_chunks`. Raises: CorruptError; LimitError if they are too many."""
    chunks = tuple(_png_chunks(data))
    if write_png_chunks(chunks) != data:
        raise CorruptError("chunk pngc does not consist of whole PNG chunks")
    return chunks


def _png_chunks(data: bytes) -> Iterator[PngChunk]:
    at = 0
    for _ in range(PNG_CHUNKS_MAX):
        if at + 12 > len(data):
            return
        size, kind = struct.unpack_from(">I4s", data, at)
        name = kind.decode("latin-1")
        if name not in PNG_TYPES:
            raise CorruptError(f"chunk pngc has a PNG chunk of type {name!r}")
        yield name, data[at + 8 : at + 8 + size]
        at += 12 + size
    if at < len(data):
        raise LimitError(f"chunk pngc has more than {PNG_CHUNKS_MAX} PNG chunks")


def _density(data: bytes) -> Density:
    try:
        return Density.unpack(data)
    except ValueError as error:
        raise CorruptError(f"chunk dens: {error}") from error
