"""What a picture file consists of, told by the parser of its format."""

from __future__ import annotations

import re
import struct
from collections.abc import Callable
from typing import TypeAlias

from vqcodec.image.inventory.bmp import SIZES, read_bmp, read_dib
from vqcodec.image.inventory.gif import read_gif
from vqcodec.image.inventory.ico import read_ico
from vqcodec.image.inventory.iso import read_iso
from vqcodec.image.inventory.jpeg import read_jpeg
from vqcodec.image.inventory.jpeg2000 import read_jpeg2000
from vqcodec.image.inventory.netpbm import read_netpbm
from vqcodec.image.inventory.parts import Contents
from vqcodec.image.inventory.png import read_png
from vqcodec.image.inventory.riff import read_webp
from vqcodec.image.inventory.tiff import read_tiff

_Parser: TypeAlias = Callable[[bytes], Contents]
_PARSERS: tuple[tuple[bytes, _Parser], ...] = (
    (rb"\xff\xd8\xff", read_jpeg),
    (rb"\x89PNG\r\n\x1a\n", read_png),
    (rb"II[*+]\0|MM\0[*+]", read_tiff),
    (rb"RIFF....WEBP", read_webp),
    (rb"GIF8[79]a", read_gif),
    (rb"\0\0\0\x0cjP  \r\n\x87\n|\xff\x4f\xff\x51", read_jpeg2000),
    (rb"....ftyp", read_iso),
    (rb"P[1-6fF]\s|P[1-6fF]#", read_netpbm),
    (rb"\0\0[\1\2]\0", read_ico),
    (rb"BM", read_bmp),
    (rb"[%s]\0\0\0" % re.escape(bytes(SIZES)), read_dib),
)
"""Regular expressions of signatures, and who reads such files."""


def has_signature(data: bytes) -> bool:
    """Tell whether a file begins as one of a format that has a parser."""
    return any(re.match(signature, data, re.DOTALL) for signature, _ in _PARSERS)


def list_contents(data: bytes) -> Contents | None:
    """List the parts of a picture file, whose sizes sum to the file's.

    None if the format, found by the file's first bytes, has no parser, or if the file's
    structure cannot be followed. Nothing is raised, and time and memory are bounded by
    constants times the file's size.
    """
    for signature, parse in _PARSERS:
        if re.match(signature, data, re.DOTALL):
            try:
                return parse(data)
            except (ValueError, IndexError, struct.error):
                return None
    return None
