"""Where an animated picture ends in its file: behind that Pillow reads nothing."""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import IO

_IMAGE, _EXTENSION, _TRAILER = 0x2C, 0x21, 0x3B
_HAS_COLOURS, _COLOUR_BITS = 0x80, 7
_PNG_SIGNATURE = 8
_PIECE = 1 << 16


def has_more(file: IO[bytes]) -> bool:
    """Tell whether something follows the end of a GIF, PNG or WebP, or stands where a block of
    it must be. Zeros and line ends are nothing, and so is what a cut file lacks.
    """
    file.seek(0)
    end = _ENDS[file.read(4)]
    file.seek(0)
    end(file)
    while piece := file.read(_PIECE):
        if piece.strip(b"\0\r\n"):
            return True
    return False


def _end_gif(file: IO[bytes]) -> None:
    """Leave the file behind its trailer, or at what is no block (GIF 89a, appendix B)."""
    head = file.read(13)
    _skip_colours(file, head[10:11])
    while kind := file.read(1):
        if kind[0] == _IMAGE:
            _skip_colours(file, file.read(9)[8:])
            file.read(1)
        elif kind[0] == _EXTENSION:
            file.read(1)
        elif kind[0] == _TRAILER:
            return
        elif kind[0]:
            file.seek(-1, os.SEEK_CUR)
            return
        else:
            continue
        while size := file.read(1)[:1].strip(b"\0"):
            file.seek(size[0], os.SEEK_CUR)


def _skip_colours(file: IO[bytes], flags: bytes) -> None:
    if flags and flags[0] & _HAS_COLOURS:
        file.seek(3 << (flags[0] & _COLOUR_BITS) + 1, os.SEEK_CUR)


def _end_png(file: IO[bytes]) -> None:
    """Leave the file behind its last chunk."""
    file.seek(_PNG_SIGNATURE)
    while len(head := file.read(8)) == 8:
        file.seek(int.from_bytes(head[:4], "big") + 4, os.SEEK_CUR)
        if head[4:] == b"IEND":
            return


def _end_webp(file: IO[bytes]) -> None:
    """Leave the file behind the chunk that holds all others."""
    size = int.from_bytes(file.read(8)[4:], "little")
    file.seek(size + size % 2, os.SEEK_CUR)


_ENDS: dict[bytes, Callable[[IO[bytes]], None]] = {
    b"GIF8": _end_gif,
    b"\x89PNG": _end_png,
    b"RIFF": _end_webp,
}
