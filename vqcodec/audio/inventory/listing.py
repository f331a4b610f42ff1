"""What a file of sound holds beside its samples, told by the parser of its format."""

from __future__ import annotations

import os
from typing import IO

from vqcodec.audio.inventory import flac, ogg
from vqcodec.audio.inventory.chunked import read_chunked, read_layout
from vqcodec.audio.inventory.id3 import end_of_sound, read_id3
from vqcodec.audio.inventory.id3v1 import enter_id3v1
from vqcodec.audio.inventory.mpeg import read_mpeg
from vqcodec.audio.inventory.parts import Contents, Ledger

_UNKNOWN = "what the file has beside samples: its format is not taken apart"


def list_contents(file: IO[bytes]) -> Contents:
    """List what is known of a file of sound; of a format without a parser, that nothing is known.

    It is read once, in bounded memory. Raises: SoundError if it is damaged or ends early, as far
    as that is seen without decoding it.
    """
    ledger = Ledger()
    layout = read_layout(file)
    size = file.seek(0, os.SEEK_END)
    start = read_id3(file, 0, ledger)
    end, old = end_of_sound(file, size, ledger)
    stop = max(start, end)
    if layout is not None:
        read_chunked(file, layout, stop, ledger)
    else:
        _read_stream(file, start, stop, ledger)
    for tag in old:
        enter_id3v1(tag, ledger)
    return ledger.contents()


def _read_stream(file: IO[bytes], start: int, stop: int, ledger: Ledger) -> None:
    """Enter the parts of a file that begins and ends there, told by its first bytes."""
    file.seek(start)
    head = file.read(4)
    if head == flac.SIGNATURE:
        flac.read_flac(file, start, stop, ledger)
    elif head == ogg.SIGNATURE:
        ogg.read_ogg(file, start, stop, ledger)
    elif len(head) > 1 and head[0] == 0xFF and head[1] >= 0xE0:
        read_mpeg(file, start, stop, ledger)
    else:
        ledger.surplus(_UNKNOWN)
