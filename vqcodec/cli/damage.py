"""What is left of .vqc files that are damaged, for commands that say so."""

from __future__ import annotations

from vqcodec.container import Limits, recover
from vqcodec.container.read import Remains
from vqcodec.errors import ChecksumError, CorruptError, FormatError, TruncatedError


def remains_of(data: bytes, kind: type[Exception], limits: Limits | None = None) -> Remains | None:
    """Return what is left of a file that gave an error of this kind; None if the error is of no
    damage, or too little is left for `vqcodec decompress --salvage`.
    """
    if not issubclass(kind, (ChecksumError, CorruptError, TruncatedError)):
        return None
    try:
        remains = recover(data, limits)
    except FormatError:
        return None
    return remains if remains.lost or remains.damage else None
