"""The length that the header of a WAV file gives, which may be unknown or wrong.

Programs that write WAV to a pipe cannot go back to the header when they know the length: they
leave there 0, or the largest number that they have.
"""

from __future__ import annotations

import os
import shutil
import tempfile
from typing import IO

from vqcodec.errors import SoundError

_LARGEST = 0xFFFFF000
_CHUNKS_MAX = 1024


def mended(file: IO[bytes]) -> IO[bytes]:
    """Return the file, or a copy of it that tells its length: libsndfile takes 0 at its word.

    Raises SoundError if it is shorter than its header tells.
    """
    found = _lengths(file)
    if found is None:
        return file
    start, told, rest = found
    if not _is_unknown(told) and told > rest:
        raise SoundError(f"the file ends early: {rest} of {told} bytes of samples are there")
    if told or not rest:
        return file
    copy = tempfile.TemporaryFile()  # noqa: SIM115 (who reads it closes it)
    file.seek(0)
    shutil.copyfileobj(file, copy)
    copy.seek(start - 4)
    copy.write(min(rest, _LARGEST).to_bytes(4, "little"))
    copy.flush()
    return copy


def _lengths(file: IO[bytes]) -> tuple[int, int, int] | None:
    """Return where the samples of a WAV file begin, how many bytes of them its header tells of,
    and how many bytes follow; None of another file.
    """
    size = file.seek(0, os.SEEK_END)
    file.seek(0)
    head = file.read(12)
    if head[:4] != b"RIFF" or head[8:] != b"WAVE":
        return None
    at = 12
    for _ in range(_CHUNKS_MAX):
        file.seek(at)
        head = file.read(8)
        told = int.from_bytes(head[4:], "little")
        if len(head) < 8:
            return None
        if head[:4] == b"data":
            return at + 8, told, size - at - 8
        at += 8 + told + told % 2
    return None


def _is_unknown(told: int) -> bool:
    """Tell whether a length stands for one that was not known."""
    return told == 0 or 0x7FFFF000 <= told <= 0x80000000 or told >= _LARGEST
