"""FLAC files (RFC 9639): their metadata, and where their sound ends."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import IO

from vqcodec.audio.inventory.comments import read_comments
from vqcodec.audio.inventory.parts import COVER, OTHER_DATA, TEXT_MAX, Ledger

SIGNATURE = b"fLaC"
STREAM_INFO, PADDING, APPLICATION, SEEK_TABLE, COMMENTS, CUE_SHEET, PICTURE = range(7)
_NAMES = {APPLICATION: "application data", CUE_SHEET: "cue sheet", PICTURE: COVER}
_HEADER = re.compile(rb"\xff[\xf8\xf9]", re.DOTALL)
_HEADER_MAX = 16
_PIECE = 1 << 20


@dataclass(frozen=True, slots=True)
class _Stream:
    """What the first metadata block says."""

    block_size: int
    """Samples of all frames but the last, where that is fixed."""
    channels: int
    bits: int
    total: int
    """Samples of a channel, 0 if it is not known."""


@dataclass(frozen=True, slots=True)
class _Frame:
    start: int
    """Its place in the file."""
    stop: int
    """The first sample after it."""
    size: int
    """Samples of a channel."""


def read_flac(file: IO[bytes], start: int, stop: int, ledger: Ledger) -> None:
    """Enter the parts of a FLAC file that begins and ends there."""
    at, last, stream = start + len(SIGNATURE), False, None
    while not last:
        file.seek(at)
        head = file.read(4)
        if len(head) < 4 or at > stop:
            return  # libsndfile says what is wrong with it
        last, kind, size = head[0] >= 0x80, head[0] & 0x7F, int.from_bytes(head[1:], "big")
        data = file.read(size) if kind in (STREAM_INFO, COMMENTS) else b""
        if kind == STREAM_INFO and stream is None and len(data) >= 18:
            stream = _stream(data)
        else:
            enter_block(kind, data, ledger)
        at += 4 + size
    if stream is not None:
        _enter_rest(file, at, stop, stream, ledger)


def enter_block(kind: int, data: bytes, ledger: Ledger) -> None:
    """Enter a metadata block; of comments the data must be there."""
    if kind == COMMENTS:
        read_comments(data[:TEXT_MAX], ledger)
    elif kind in _NAMES:
        ledger.metadata(_NAMES[kind])
    elif kind not in (STREAM_INFO, PADDING, SEEK_TABLE):
        ledger.metadata(f"metadata block {kind}")


def _stream(data: bytes) -> _Stream:
    packed = int.from_bytes(data[10:18], "big")
    return _Stream(
        block_size=int.from_bytes(data[2:4], "big"),
        channels=(packed >> 41 & 7) + 1,
        bits=(packed >> 36 & 31) + 1,
        total=packed & (1 << 36) - 1,
    )


def _enter_rest(file: IO[bytes], at: int, stop: int, stream: _Stream, ledger: Ledger) -> None:
    """Enter what follows the last frame.

    Frames do not tell their lengths. The last is found by the number of its first sample, and its
    end by its checksum, which makes that of frame and checksum together 0 (RFC 9639, section 9.3).
    Zeros behind it do not change that; other data do, but for one in 65536.
    """
    frames = (frame for frame in _frames(file, at, stop, stream) if frame.stop == stream.total)
    last = next(frames, None)
    if last is None:
        ledger.surplus(OTHER_DATA)
        return
    verbatim = stream.channels * (last.size * (stream.bits + 1) + 64) // 8 + 2 * _HEADER_MAX
    end = _without_zeros(file, last.start, stop)
    if end - last.start > verbatim:
        ledger.surplus(OTHER_DATA)
        return
    file.seek(last.start)
    if _checksum(file.read(end - last.start) + b"\0\0", _CRC_16, 16):
        ledger.surplus(OTHER_DATA)


def _without_zeros(file: IO[bytes], start: int, stop: int) -> int:
    """Return where the zeros begin that end a part of a file."""
    while stop > start:
        size = min(_PIECE, stop - start)
        file.seek(stop - size)
        if kept := len(file.read(size).rstrip(b"\0")):
            return stop - size + kept
        stop -= size
    return start


def _frames(file: IO[bytes], start: int, stop: int, stream: _Stream) -> Iterator[_Frame]:
    """Yield what looks like the header of a frame."""
    kept = b""
    file.seek(start)
    while start < stop:
        piece = file.read(min(_PIECE, stop - start))
        if not piece:
            return
        data, place = kept + piece, start - len(kept)
        start += len(piece)
        whole = len(data) if start >= stop else len(data) - _HEADER_MAX
        for found in _HEADER.finditer(data, 0, max(0, whole + 1)):
            if found.start() < whole:
                frame = _frame(data[found.start() : found.start() + _HEADER_MAX], stream)
                if frame is not None:
                    number, size = frame
                    yield _Frame(place + found.start(), number + size, size)
        kept = data[max(0, whole) :]


def _frame(head: bytes, stream: _Stream) -> tuple[int, int] | None:
    """Return the first sample and the samples of a frame by its header (RFC 9639, section 9.1);
    None if it is none.
    """
    if len(head) < 6:
        return None
    size_code, rate_code = head[2] >> 4, head[2] & 15
    lead = head[4]
    more = 0 if lead < 0x80 else 8 - (~lead & 0xFF).bit_length() - 1  # bytes that follow
    if more < 0 or (more == 0 and lead >= 0x80) or more > 6:
        return None
    number = lead if not more else lead & (0x3F >> more)
    for byte in head[5 : 5 + more]:
        number = number << 6 | byte & 0x3F
    at = 5 + more
    size_bytes = {6: 1, 7: 2}.get(size_code, 0)
    rate_bytes = {12: 1, 13: 2, 14: 2}.get(rate_code, 0)
    end = at + size_bytes + rate_bytes
    if not size_code or len(head) <= end or _checksum(head[: end + 1], _CRC_8, 8):
        return None
    if size_bytes:
        size = int.from_bytes(head[at : at + size_bytes], "big") + 1
    elif size_code == 1:
        size = 192
    else:
        size = 144 << size_code if size_code < 6 else 1 << size_code
    is_variable = bool(head[1] & 1)
    return number if is_variable else number * stream.block_size, size


def _table(polynomial: int, bits: int) -> tuple[int, ...]:
    table = []
    for byte in range(256):
        value = byte << bits - 8
        for _ in range(8):
            value = value << 1 ^ (polynomial if value >> bits - 1 else 0)
            value &= (1 << bits) - 1
        table.append(value)
    return tuple(table)


_CRC_8 = _table(0x07, 8)
_CRC_16 = _table(0x8005, 16)


def _checksum(data: bytes, table: tuple[int, ...], bits: int) -> int:
    value, mask = 0, (1 << bits) - 1
    for byte in data:
        value = (value << 8 & mask) ^ table[value >> bits - 8 ^ byte]
    return value
