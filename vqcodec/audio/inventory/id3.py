"""ID3v2 tags (id3.org, versions 2.2 to 2.4), and what else is put behind the sound of MP3 files."""

from __future__ import annotations

import struct
from collections.abc import Iterator
from typing import IO

from vqcodec.audio.inventory import id3v1
from vqcodec.audio.inventory.parts import COVER, TEXT_MAX, Ledger, text_of

_HEADER = 10
_FOOTER, _UNSYNCHRONISED, _EXTENDED = 0x10, 0x80, 0x40
_PACKED = 0x0C
"""Flags of frames that are compressed or encrypted, in version 2.4."""
TEXT_FRAMES = {
    "TIT2": "TITLE",
    "TPE1": "ARTIST",
    "TALB": "ALBUM",
    "TRCK": "TRACKNUMBER",
    "TDRC": "DATE",
    "TYER": "DATE",
    "TCON": "GENRE",
    "TCOP": "COPYRIGHT",
    "TSSE": "ENCODER",
    "TPE2": "ALBUMARTIST",
    "TCOM": "COMPOSER",
    "TPOS": "DISCNUMBER",
    "TEXT": "LYRICIST",
    "TPE3": "CONDUCTOR",
    "TPE4": "REMIXER",
    "TPUB": "LABEL",
    "TBPM": "BPM",
    "TSRC": "ISRC",
    "TLAN": "LANGUAGE",
    "TIT1": "GROUPING",
    "TIT3": "SUBTITLE",
    "TENC": "ENCODEDBY",
    "TMOO": "MOOD",
    "TDOR": "ORIGINALDATE",
    "TKEY": "KEY",
    "TMED": "MEDIA",
    "TSOP": "ARTISTSORT",
    "TSOA": "ALBUMSORT",
    "TSOT": "TITLESORT",
    "TT2": "TITLE",
    "TP1": "ARTIST",
    "TAL": "ALBUM",
    "TRK": "TRACKNUMBER",
    "TYE": "DATE",
    "TCO": "GENRE",
    "TCR": "COPYRIGHT",
    "TSS": "ENCODER",
    "TP2": "ALBUMARTIST",
    "TCM": "COMPOSER",
    "TPA": "DISCNUMBER",
    "TBP": "BPM",
    "TEN": "ENCODEDBY",
}
"""Names of Vorbis comments for text frames."""
DESCRIBED = {"COMM": "COMMENT", "COM": "COMMENT", "USLT": "LYRICS", "ULT": "LYRICS"}
"""The same of frames whose text follows a language and a description."""
_OWN = frozenset({"TXXX", "TXX"})
"""Frames of texts that have names of their own."""
_ENCODINGS = ("latin-1", "utf-16", "utf-16-be", "utf-8")
_SILENT = frozenset({"TLEN", "TLE", "TSIZ", "TFLT", "TDLY", "TDTG", "TDEN"})
"""Frames about the file and its making, which its sound and the result's date say."""
_APE_SIZE = 32
"""Of the header and of the footer of an APE tag."""
_APE_HAS_HEADER = 1 << 31
_LYRICS_SIZE = 6


def read_id3(file: IO[bytes], start: int, ledger: Ledger) -> int:
    """Enter the frames of all ID3v2 tags that begin there; return where they end."""
    while True:
        file.seek(start)
        head = file.read(_HEADER)
        if len(head) < _HEADER or head[:3] != b"ID3" or head[3] not in (2, 3, 4):
            return start
        size = _syncsafe(head[6:])
        if size > TEXT_MAX:
            ledger.metadata("ID3 tag")
        else:
            _enter_frames(file.read(size), head[3], head[5], ledger)
        start += _HEADER + size + (_HEADER if head[3] == 4 and head[5] & _FOOTER else 0)


def end_of_sound(file: IO[bytes], size: int, ledger: Ledger) -> tuple[int, list[bytes]]:
    """Return where tags behind the sound begin, and those of ID3v1, to be entered when all others
    have been. Enter the others: APEv2 and Lyrics3.
    """
    old = []
    while True:
        end = size
        file.seek(max(0, end - id3v1.SIZE))
        tail = file.read(min(id3v1.SIZE, end))
        if len(tail) == id3v1.SIZE and tail.startswith(id3v1.SIGNATURE):
            old.append(tail)
            size -= id3v1.SIZE
        elif tail.endswith((b"LYRICS200", b"LYRICSEND")):
            size -= _lyrics_size(file, end, tail)
            ledger.other_tag("LYRICS")
        elif len(tail) >= _APE_SIZE and tail[-_APE_SIZE:].startswith(b"APETAGEX"):
            size -= _enter_ape(file, end, tail[-_APE_SIZE:], ledger)
        if size == end or size < 0:
            return end, old


def _enter_frames(data: bytes, version: int, flags: int, ledger: Ledger) -> None:
    if flags & _UNSYNCHRONISED and version < 4:
        data = data.replace(b"\xff\0", b"\xff")
    if flags & _EXTENDED and version > 2:
        data = data[_syncsafe(data[:4]) if version == 4 else 4 + int.from_bytes(data[:4], "big") :]
    for name, body, is_packed in _frames(data, version):
        if name in ("APIC", "PIC"):
            ledger.metadata(COVER)
        elif is_packed:
            ledger.other_tag(name)
        elif name in DESCRIBED:
            _, _, text = _decoded(body[:1] + body[4:]).partition("\0")
            ledger.tag(DESCRIBED[name], text)
        elif name in _OWN:
            own, *texts = _decoded(body).split("\0")
            for text in texts:
                ledger.tag(own, text)
        elif name in TEXT_FRAMES:
            for text in _decoded(body).split("\0"):
                is_genre = TEXT_FRAMES[name] == "GENRE"
                ledger.tag(TEXT_FRAMES[name], id3v1.genre_of(text) if is_genre else text)
        elif name not in _SILENT:
            ledger.other_tag(name)


def _frames(data: bytes, version: int) -> Iterator[tuple[str, bytes, bool]]:
    """Yield name and body of each frame, and whether the body is packed."""
    letters, head = (3, 6) if version == 2 else (4, 10)
    at = 0
    while at + head <= len(data) and data[at]:
        name = data[at : at + letters].decode("latin-1")
        field = data[at + letters : at + letters + (3 if version == 2 else 4)]
        size = _syncsafe(field) if version == 4 else int.from_bytes(field, "big")
        flags = 0 if version == 2 else data[at + 9]
        body = data[at + head : at + head + size]
        if version == 4 and flags & 2:
            body = body.replace(b"\xff\0", b"\xff")
        if version == 4 and flags & 1:
            body = body[4:]  # the length before it was changed
        packed = flags & (_PACKED if version == 4 else 0xC0)
        yield name, body, bool(packed)
        at += head + size


def _decoded(body: bytes) -> str:
    """Decode a text behind the byte that says its encoding; texts of several are joined by 0."""
    if not body:
        return ""
    if body[0] == 0:  # programs write here what their system has
        return "\0".join(text_of(part) for part in body[1:].split(b"\0"))
    encoding = _ENCODINGS[min(body[0], 3)]
    text = body[1:].decode(encoding, errors="replace")
    return text.replace("\ufeff", "").replace("\ufffe", "")


def _syncsafe(field: bytes) -> int:
    """Return a number of 7 bits a byte."""
    value = 0
    for byte in field:
        value = value << 7 | byte & 0x7F
    return value


def _lyrics_size(file: IO[bytes], end: int, tail: bytes) -> int:
    """Return the size of a Lyrics3 tag that ends there, 0 if its beginning is not found."""
    if tail.endswith(b"LYRICS200"):
        told = tail[-9 - _LYRICS_SIZE : -9]
        size = int(told) + _LYRICS_SIZE + 9 if told.isdigit() else 0
    else:
        most = min(end, 5120)  # that it has
        file.seek(end - most)
        size = most - max(file.read(most).rfind(b"LYRICSBEGIN"), 0)
    file.seek(max(0, end - size))
    return size if file.read(11) == b"LYRICSBEGIN" else 0


def _enter_ape(file: IO[bytes], end: int, footer: bytes, ledger: Ledger) -> int:
    """Enter the items of an APE tag that ends there; return its size."""
    size, count, flags = (int.from_bytes(footer[at : at + 4], "little") for at in (12, 16, 20))
    if not _APE_SIZE <= size <= min(end, TEXT_MAX):
        return 0
    file.seek(end - size)
    data = file.read(size - _APE_SIZE)
    at = 0
    for _ in range(count):
        length, kind = struct.unpack("<II", data[at : at + 8].ljust(8, b"\0"))
        name, _, _ = data[at + 8 : at + 264].partition(b"\0")
        start = at + 9 + len(name)
        at = start + length
        if at > len(data):
            break
        if kind >> 1 & 3 == 0:
            for text in data[start:at].split(b"\0"):
                ledger.tag(name.decode("latin-1"), text_of(text))
        elif name.upper().startswith(b"COVER ART"):
            ledger.metadata(COVER)
        else:
            ledger.other_tag(name.decode("latin-1").upper())
    return size + (_APE_SIZE if flags & _APE_HAS_HEADER else 0)
