"""MP3 files, frame by frame (ISO 11172-3, 13818-3): whether sound goes on behind its end.

libmpg123 stops after as many frames as a file tells in its first, whose sound is none.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import IO

from vqcodec.audio.inventory.parts import FURTHER_SOUND, Ledger

_KBPS = {
    (1, 1): (32, 64, 96, 128, 160, 192, 224, 256, 288, 320, 352, 384, 416, 448),
    (1, 2): (32, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320, 384),
    (1, 3): (32, 40, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320),
    (2, 1): (32, 48, 56, 64, 80, 96, 112, 128, 144, 160, 176, 192, 224, 256),
    (2, 2): (8, 16, 24, 32, 40, 48, 56, 64, 80, 96, 112, 128, 144, 160),
    (2, 3): (8, 16, 24, 32, 40, 48, 56, 64, 80, 96, 112, 128, 144, 160),
}
"""By version (2 also stands for 2.5) and layer, for the numbers 1 to 14."""
_RATES = (44100, 48000, 32000)
_DIVISORS = {3: 1, 2: 2, 0: 4}
"""Of rates, by the field of the version."""
_MONO = 3
_SYNC = re.compile(rb"\xff[\xe0-\xff]", re.DOTALL)
_HEADER = 4
_PIECE = 1 << 16
_DAMAGE = "data between its frames that are no sound"


@dataclass(frozen=True, slots=True)
class _Frame:
    size: int
    """In bytes."""
    rate: int
    is_mono: bool
    side: int
    """Bytes between the header and a table in the place of sound."""


def read_mpeg(file: IO[bytes], start: int, stop: int, ledger: Ledger) -> None:
    """Enter what is behind or between the frames from `start` to `stop`."""
    at, count, told, first = start, 0, None, None
    while at < stop:
        file.seek(at)
        head = file.read(_HEADER)
        frame = _frame(head)
        if frame is None:
            place = _next_frame(file, at + 1, stop)
            if place is None:
                break
            ledger.surplus(_DAMAGE)
            at = place
            continue
        if first is None:
            first = frame
            told = _told(file.read(min(frame.size, 256)), frame)
            count -= told is not None
        elif (frame.rate, frame.is_mono) != (first.rate, first.is_mono):
            ledger.surplus("sound of another rate or number of channels")
        count += 1
        at += frame.size
    if at > stop:
        ledger.surplus("its last frame, which is not whole")
    if told is not None and count > told:
        ledger.surplus(FURTHER_SOUND)
    ledger.rest(file, min(at, stop), stop)


def _frame(head: bytes) -> _Frame | None:
    """Read a header; None if it is none. One without a bitrate does not tell the frame's size."""
    if len(head) < _HEADER or head[0] != 0xFF or head[1] < 0xE0:
        return None
    field, layer = head[1] >> 3 & 3, 4 - (head[1] >> 1 & 3)
    bitrate, rate, padding = head[2] >> 4, head[2] >> 2 & 3, head[2] >> 1 & 1
    if field not in _DIVISORS or layer == 4 or not 1 <= bitrate <= 14 or rate == 3:
        return None
    version = 1 if field == 3 else 2
    hertz = _RATES[rate] // _DIVISORS[field]
    bits = 1000 * _KBPS[version, layer][bitrate - 1]
    if layer == 1:
        size = (12 * bits // hertz + padding) * 4
    else:
        size = (72 if (version, layer) == (2, 3) else 144) * bits // hertz + padding
    is_mono = head[3] >> 6 == _MONO
    side = (17 if is_mono else 32) if version == 1 else 9 if is_mono else 17
    return _Frame(size=size, rate=hertz, is_mono=is_mono, side=side)


def _told(body: bytes, frame: _Frame) -> int | None:
    """Return how many frames the first says that there are, None if it is one of sound, or does
    not say it.
    """
    xing, vbri = body[frame.side :], body[32:]
    if xing[:4] in (b"Xing", b"Info") and len(xing) >= 12 and xing[7] & 1:
        return int.from_bytes(xing[8:12], "big")
    if vbri[:4] == b"VBRI":
        return int.from_bytes(vbri[14:18], "big")
    return None


def _next_frame(file: IO[bytes], at: int, stop: int) -> int | None:
    """Return where the next two frames are that follow each other."""
    while at < stop:
        file.seek(at)
        piece = file.read(min(_PIECE, stop - at))
        for found in _SYNC.finditer(piece):
            place = at + found.start()
            frame = _frame(piece[found.start() : found.start() + _HEADER])
            if frame is not None:
                file.seek(place + frame.size)
                if place + frame.size < stop and _frame(file.read(_HEADER)) is not None:
                    return place
        if len(piece) <= _HEADER:
            return None
        at += len(piece) - _HEADER + 1
    return None
