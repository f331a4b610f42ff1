"""Ogg files (RFC 3533), page by page: whether they are whole, and what they hold.

libsndfile steps over pages that are damaged, and reads the first of several pieces that were
joined.
"""

from __future__ import annotations

import struct
import zlib
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import IO

from vqcodec.audio.inventory.comments import read_comments
from vqcodec.audio.inventory.flac import enter_block
from vqcodec.audio.inventory.parts import FURTHER_SOUND, TEXT_MAX, Ledger
from vqcodec.errors import SoundError

SIGNATURE = b"OggS"
HEADER = struct.Struct("<4sBBqIIIB")
"""Signature, version, flags, position, serial number, sequence number, checksum, segments."""
COMMENT_MARKS = (b"\x03vorbis", b"OpusTags")
"""What comment headers begin with."""
_CONTINUED, _FIRST, _LAST = 1, 2, 4
_SEGMENT_MAX = 255
_STREAMS_MAX = 1024
_BLOCKS_MAX = 128
"""Metadata blocks of FLAC that are looked at."""
_REVERSED = bytes(int(f"{byte:08b}"[::-1], 2) for byte in range(256))
NO_END = "what may follow its last page, as its end is not marked"
"""Surplus of a file whose last page is not marked as such."""


@dataclass(frozen=True, slots=True)
class _Page:
    flags: int
    serial: int
    sequence: int
    lengths: bytes
    """Of segments."""
    body: bytes


@dataclass(slots=True)
class _Stream:
    """A logical stream, as far as it was read."""

    sequence: int
    is_over: bool = False
    packets: list[bytes] = field(default_factory=list)
    part: bytearray = field(default_factory=bytearray)
    """The beginning of a packet that the next page continues."""
    is_told: bool = False
    """Whether its headers have been entered."""


def read_ogg(file: IO[bytes], start: int, stop: int, ledger: Ledger) -> None:
    """Enter the parts of an Ogg file that begins and ends there. Raises: SoundError if a page is
    damaged or missing.
    """
    streams: dict[int, _Stream] = {}
    sounds, has_begun, end = 0, False, start
    for page, end in _pages(file, start, stop):  # noqa: B007 (the last end is used below)
        stream = streams.get(page.serial)
        if page.flags & _FIRST:
            if has_begun:  # another piece, which was joined to it
                ledger.surplus(FURTHER_SOUND)
                streams.clear()
                has_begun = False
            elif len(streams) >= _STREAMS_MAX or stream is not None:
                raise SoundError("the file is damaged: too many streams begin")
            stream = streams[page.serial] = _Stream(page.sequence)
        elif stream is None or stream.is_over or page.sequence != stream.sequence:
            raise SoundError("the file is damaged: a page is missing")
        else:
            has_begun = True
        stream.sequence = page.sequence + 1 & 0xFFFFFFFF
        stream.is_over = bool(page.flags & _LAST)
        if not stream.is_told:
            _add_packets(stream, page)
            sounds += _tell(stream, ledger, is_further=sounds > 0)
    if not all(stream.is_over for stream in streams.values()):
        # Recorders of live streams leave the mark out, so it is no damage if all pages are whole:
        # the sound is taken, and its file is kept. What follows in place of a page is damage.
        if end < stop:
            raise SoundError("the file is damaged: a page is missing")
        ledger.surplus(NO_END)
    ledger.rest(file, end, stop)


def checksum(data: bytes) -> int:
    """Return the checksum of a page whose own field for it is 0: CRC-32 of the polynomial
    04c11db7 hex, from the highest bit, starting with 0 (RFC 3533, section 6).

    zlib's is of the same polynomial, from the lowest bit, starting with all ones, and inverted.
    """
    value = zlib.crc32(data.translate(_REVERSED), 0xFFFFFFFF) ^ 0xFFFFFFFF
    return int.from_bytes(value.to_bytes(4, "little").translate(_REVERSED), "big")


def _pages(file: IO[bytes], at: int, stop: int) -> Iterator[tuple[_Page, int]]:
    """Yield pages and where each ends, up to something else or the end of the file."""
    file.seek(at)
    while at < stop:
        head = file.read(min(HEADER.size, stop - at))
        if not head.startswith(SIGNATURE):
            return
        lengths = file.read(head[-1]) if len(head) == HEADER.size else b""
        body = file.read(sum(lengths))
        at += len(head) + len(lengths) + len(body)
        is_whole = len(head) == HEADER.size and len(lengths) == head[-1]
        if not is_whole or len(body) < sum(lengths) or at > stop:
            raise SoundError("the file ends early: its last page is not whole")
        _, _, flags, _, serial, sequence, told, _ = HEADER.unpack(head)
        if checksum(head[:22] + bytes(4) + head[26:] + lengths + body) != told:
            raise SoundError("the file is damaged: the checksum of a page is wrong")
        yield _Page(flags, serial, sequence, lengths, body), at


def _add_packets(stream: _Stream, page: _Page) -> None:
    at = 0
    for length in page.lengths:
        if len(stream.part) <= TEXT_MAX:  # beyond, it is not kept anyway
            stream.part += page.body[at : at + length]
        at += length
        if length < _SEGMENT_MAX:
            stream.packets.append(bytes(stream.part))
            stream.part.clear()


def _tell(stream: _Stream, ledger: Ledger, *, is_further: bool) -> bool:
    """Enter what a stream's first packets say as soon as all of these are there."""
    packets = stream.packets
    if not packets:
        return False
    first = packets[0]
    is_flac = first.startswith(b"\x7fFLAC")
    if not first.startswith((b"\x01vorbis", b"OpusHead", b"\x7fFLAC", b"Speex   ")):
        stream.is_told = True
        if not first.startswith(b"fishead"):
            ledger.surplus("a stream that is no sound")
        return False
    needed = 2
    if is_flac:
        needed = 1 + min(max(1, int.from_bytes(first[7:9], "big")), _BLOCKS_MAX)
    if len(packets) < needed:
        return False
    stream.is_told = True
    if is_further:
        ledger.surplus(FURTHER_SOUND)
        return False
    for packet in packets[1:needed]:
        if is_flac:
            enter_block(packet[0] & 0x7F if packet else 0, packet[4:], ledger)
        elif len(packet) > TEXT_MAX:
            ledger.metadata("its tags")
        else:
            for mark in COMMENT_MARKS:
                packet = packet.removeprefix(mark)
            read_comments(packet, ledger)
    stream.packets = []
    return True
