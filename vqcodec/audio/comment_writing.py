"""Vorbis comments of any names, put into files of FLAC, Ogg Vorbis and Opus that libsndfile wrote.

libsndfile writes ten names only. So it is given one comment that takes as much room as all tags
do, and what it wrote for that is replaced: nothing in the file moves.
"""

from __future__ import annotations

import struct
from typing import IO

from vqcodec.audio.chunks import pack_tags
from vqcodec.audio.inventory import flac, ogg
from vqcodec.audio.waveform import Tags

_OWN_SIZE = 4 + len("COMMENT=")
"""Bytes that libsndfile's comment takes beside its text."""
_CHECKSUM = slice(22, 26)
"""In the header of a page of Ogg."""


def placeholder(tags: Tags) -> str:
    """Return a comment that takes the room of these tags. Raises: as `pack_tags`."""
    fields = len(pack_tags(tags)) - 8  # without vendor and count
    return "x" * max(1, fields - _OWN_SIZE)


def replace_comments(file: IO[bytes], tags: Tags) -> None:
    """Put tags where the placeholder of these is, in a file that begins there."""
    file.seek(0)
    if file.read(4) == flac.SIGNATURE:
        _replace_block(file, tags)
    else:
        _replace_packet(file, tags)


def _replace_block(file: IO[bytes], tags: Tags) -> None:
    """Replace the data of a metadata block of FLAC."""
    kind = None
    while kind != flac.COMMENTS:
        head = file.read(4)
        kind, size = head[0] & 0x7F, int.from_bytes(head[1:], "big")
        start = file.tell()
        data = file.read(size)
    file.seek(start)
    file.write(_replaced(data, tags))


def _replace_packet(file: IO[bytes], tags: Tags) -> None:
    """Replace the second packet of an Ogg file, on as many pages as it has."""
    pages: list[tuple[int, bytes, bytes, int]] = []  # place, header, body, bytes of the packet
    is_over, at = False, 0
    while not is_over:
        file.seek(at)
        head = file.read(ogg.HEADER.size)
        lengths = file.read(head[-1])
        body = file.read(sum(lengths))
        if at:  # the first packet has the first page for itself
            ends = [number for number, length in enumerate(lengths, 1) if length < 255]
            is_over = bool(ends)
            size = sum(lengths[: ends[0]]) if ends else len(body)
            pages.append((at, head + lengths, body, size))
        at += len(head) + len(lengths) + len(body)
    packet = b"".join(body[:size] for _, _, body, size in pages)
    mark = next(mark for mark in ogg.COMMENT_MARKS if packet.startswith(mark))
    packet = mark + _replaced(packet[len(mark) :], tags)
    for place, header, body, size in pages:
        page = bytearray(header + packet[:size] + body[size:])
        packet = packet[size:]
        page[_CHECKSUM] = bytes(4)
        page[_CHECKSUM] = ogg.checksum(bytes(page)).to_bytes(4, "little")
        file.seek(place)
        file.write(page)


def _replaced(data: bytes, tags: Tags) -> bytes:
    """Return a comment header with other tags. Where these take less room, spaces follow the name
    of the vendor, which nothing reads.
    """
    vendor_end = end = 4 + int.from_bytes(data[:4], "little")
    end += 4
    for _ in range(int.from_bytes(data[vendor_end:end], "little")):
        end += 4 + int.from_bytes(data[end : end + 4], "little")
    rest = data[end:]  # Vorbis has a bit there, Opus zeros
    fields = pack_tags(tags)[4:]
    vendor = data[4:vendor_end].ljust(len(data) - len(rest) - len(fields) - 4)
    return struct.pack("<I", len(vendor)) + vendor + fields + rest
