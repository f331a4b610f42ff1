"""Files of sound for tests: of every format, taken apart and put together in other ways."""

from __future__ import annotations

import io
import struct
from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

soundfile = pytest.importorskip("soundfile")

KINDS: dict[str, dict[str, str]] = {
    "wav": {"format": "WAV"},
    "wav24": {"format": "WAV", "subtype": "PCM_24"},
    "wavfloat": {"format": "WAV", "subtype": "FLOAT"},
    "flac": {"format": "FLAC"},
    "vorbis": {"format": "OGG", "subtype": "VORBIS"},
    "opus": {"format": "OGG", "subtype": "OPUS"},
    "mp3": {"format": "MP3"},
    "aiff": {"format": "AIFF"},
    "caf": {"format": "CAF"},
    "au": {"format": "AU"},
    "w64": {"format": "W64"},
    "rf64": {"format": "RF64"},
}


def written(samples: NDArray, rate: int, **options: Any) -> bytes:
    """Return a file of samples, (channels, n)."""
    buffer = io.BytesIO()
    soundfile.write(buffer, samples.T, rate, **options)
    return buffer.getvalue()


@dataclass(frozen=True)
class Page:
    """A page of an Ogg file (RFC 3533, section 6)."""

    flags: int
    position: int
    serial: int
    sequence: int
    lengths: bytes
    body: bytes

    def packed(self) -> bytes:
        """Write it with the right checksum."""
        numbers = (0, self.flags, self.position, self.serial, self.sequence, 0, len(self.lengths))
        head = b"OggS" + struct.pack("<BBqIIIB", *numbers)
        whole = head + self.lengths + self.body
        return whole[:22] + struct.pack("<I", ogg_checksum(whole)) + whole[26:]


def ogg_checksum(data: bytes) -> int:
    """Return the checksum of a page, bit by bit as RFC 3533 has it."""
    value = 0
    for byte in data:
        value ^= byte << 24
        for _ in range(8):
            value = (value << 1 ^ (0x04C11DB7 if value >> 31 else 0)) & 0xFFFFFFFF
    return value


def pages_of(data: bytes) -> list[Page]:
    """Take an Ogg file apart."""
    pages, at = [], 0
    while at < len(data):
        _, flags, position, serial, sequence, _, count = struct.unpack_from(
            "<BBqIIIB", data, at + 4
        )
        lengths = data[at + 27 : at + 27 + count]
        start = at + 27 + count
        at = start + sum(lengths)
        pages.append(Page(flags, position, serial, sequence, lengths, data[start:at]))
    return pages


def joined(pages: Iterable[Page]) -> bytes:
    """Put an Ogg file together."""
    return b"".join(page.packed() for page in pages)


def without_end(data: bytes) -> bytes:
    """Return an Ogg file whose last page does not say that it is the last."""
    *pages, last = pages_of(data)
    return joined([*pages, replace(last, flags=last.flags & ~4)])


def comments(*fields: str, encoding: str = "utf-8") -> bytes:
    """Return a Vorbis comment header."""
    out = struct.pack("<I", 4) + b"test" + struct.pack("<I", len(fields))
    for text in fields:
        data = text.encode(encoding)
        out += struct.pack("<I", len(data)) + data
    return out


def flac_with(data: bytes, *blocks: tuple[int, bytes]) -> bytes:
    """Return a FLAC file with these metadata blocks, types and data, in place of all its own but
    the first.
    """
    at, last = 4, False
    while not last:
        last = data[at] >= 0x80
        at += 4 + int.from_bytes(data[at + 1 : at + 4], "big")
    first = bytes([0 if blocks else 0x80]) + data[5:42]
    out = data[:4] + first
    for number, (kind, body) in enumerate(blocks, 1):
        out += bytes([kind | (0x80 if number == len(blocks) else 0)])
        out += len(body).to_bytes(3, "big") + body
    return out + data[at:]


def vorbis_with(data: bytes, header: bytes) -> bytes:
    """Return an Ogg Vorbis or Opus file with that comment header."""
    first, *rest = pages_of(data)
    lengths, body, packets, count = b"", b"", [], 0
    wanted = 1 if first.body.startswith(b"OpusHead") else 2
    part = b""
    while len(packets) < wanted:  # comments, and the set-up of Vorbis
        page, at = rest[count], 0
        count += 1
        for length in page.lengths:
            part += page.body[at : at + length]
            at += length
            if length < 255:
                packets.append(part)
                part = b""
    packets[0] = b"OpusTags" + header if wanted == 1 else b"\3vorbis" + header + b"\1"
    for packet in packets:
        lengths += b"\xff" * (len(packet) // 255) + bytes([len(packet) % 255])
        body += packet
    pages, at = [first], 0
    for start in range(0, len(lengths), 255):
        some = lengths[start : start + 255]
        flags = 1 if start and lengths[start - 1] == 255 else 0
        pages.append(Page(flags, 0, first.serial, len(pages), some, body[at : at + sum(some)]))
        at += sum(some)
    sequence = len(pages)
    return joined(pages + [replace(p, sequence=sequence + n) for n, p in enumerate(rest[count:])])


def id3(*frames: tuple[str, bytes], version: int = 4) -> bytes:
    """Return an ID3v2.3 or 2.4 tag."""
    out = b""
    for name, body in frames:
        size = _syncsafe(len(body)) if version == 4 else len(body).to_bytes(4, "big")
        out += name.encode() + size + b"\0\0" + body
    return b"ID3" + bytes([version, 0, 0]) + _syncsafe(len(out)) + out


def _syncsafe(number: int) -> bytes:
    return bytes(number >> shift & 0x7F for shift in (21, 14, 7, 0))


def id3v1(
    title: str = "",
    artist: str = "",
    album: str = "",
    date: str = "",
    comment: str = "",
    track: int = 0,
    genre: int = 255,
) -> bytes:
    """Return an ID3v1 tag, of version 1.1 if there is a track."""
    out = b"TAG"
    sizes = (30, 30, 30, 4, 28)
    for text, size in zip((title, artist, album, date, comment), sizes, strict=True):
        out += text.encode("latin-1")[:size].ljust(size, b"\0")
    return out + bytes([0, track, genre])


def ape(*items: tuple[str, str]) -> bytes:
    """Return an APEv2 tag without a header."""
    out = b""
    for name, text in items:
        data = text.encode()
        out += struct.pack("<II", len(data), 0) + name.encode() + b"\0" + data
    return out + b"APETAGEX" + struct.pack("<IIII", 2000, len(out) + 32, len(items), 0) + bytes(8)


def lyrics3(text: str) -> bytes:
    """Return a Lyrics3 tag of version 2."""
    body = f"LYRICSBEGINLYR{len(text):05}{text}".encode()
    return body + f"{len(body):06}LYRICS200".encode()


def riff_with(data: bytes, *chunks: tuple[bytes, bytes]) -> bytes:
    """Return a WAV file with these chunks behind its own."""
    more = b""
    for name, body in chunks:
        more += name + struct.pack("<I", len(body)) + body + bytes(len(body) % 2)
    return data[:4] + struct.pack("<I", len(data) + len(more) - 8) + data[8:] + more


def masked(data: bytes, mask: int) -> bytes:
    """Return an extensible WAV or RF64 file with this mask of channels."""
    place = data.index(b"fmt ") + 28
    return data[:place] + mask.to_bytes(4, "little") + data[place + 4 :]


def caf_with(data: bytes, chunk: tuple[bytes, bytes]) -> bytes:
    """Return a CAF file with this chunk behind its first."""
    name, body = chunk
    return data[:52] + name + len(body).to_bytes(8, "big") + body + data[52:]


def aiff_with(data: bytes, chunk: tuple[bytes, bytes]) -> bytes:
    """Return an AIFF file with this chunk, of an even number of bytes, behind its first."""
    name, body = chunk
    more = name + len(body).to_bytes(4, "big") + body
    total = int.from_bytes(data[4:8], "big") + len(more)
    return data[:4] + total.to_bytes(4, "big") + data[8:38] + more + data[38:]


def flac_picture(data: bytes) -> bytes:
    """Return the data of a metadata block with a picture (RFC 9639, section 8.8)."""
    kind = b"image/png"
    head = struct.pack(">II", 3, len(kind)) + kind + bytes(4)
    return head + struct.pack(">IIIII", 8, 8, 24, 0, len(data)) + data


def flac_cue_sheet() -> bytes:
    """Return the data of a cue sheet that has only an end (RFC 9639, section 8.7)."""
    return bytes(128 + 8 + 1 + 258) + b"\1" + bytes(8) + b"\xff" + bytes(27)


def noise(size: int) -> bytes:
    """Return bytes that mean nothing."""
    return np.random.default_rng(size).bytes(size)
