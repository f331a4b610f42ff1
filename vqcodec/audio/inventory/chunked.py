"""Files that consist of chunks, each with its type and length: WAV, RF64, W64, AIFF and CAF.

AU files, a header and samples, are told here as well.
"""

from __future__ import annotations

import os
import re
import struct
from dataclasses import dataclass
from typing import IO

from vqcodec.audio.channel_mask import MASK_TAG, mask_text
from vqcodec.audio.inventory.id3 import read_id3
from vqcodec.audio.inventory.parts import OTHER_DATA, TEXT_MAX, Ledger, text_of
from vqcodec.errors import SoundError

_CHUNKS_MAX = 1024
LARGEST = 0xFFFFF000
"""From here on a length of 32 bits stands for one that was not known."""
_NAMES = {
    "INAM": "TITLE",
    "IART": "ARTIST",
    "IPRD": "ALBUM",
    "ITRK": "TRACKNUMBER",
    "IPRT": "TRACKNUMBER",
    "ICRD": "DATE",
    "IGNR": "GENRE",
    "ICMT": "COMMENT",
    "ICOP": "COPYRIGHT",
    "ISFT": "ENCODER",
    "ILNG": "LANGUAGE",
    "IENG": "ENGINEER",
    "IMUS": "COMPOSER",
    "IKEY": "KEYWORDS",
    "ISBJ": "SUBJECT",
    "ISRC": "SOURCE",
    "ITCH": "ENCODEDBY",
    "NAME": "TITLE",
    "AUTH": "ARTIST",
    "(c) ": "COPYRIGHT",
    "ANNO": "COMMENT",
    "TRACK NUMBER": "TRACKNUMBER",
    "YEAR": "DATE",
    "COMMENTS": "COMMENT",
}
"""Names of Vorbis comments for those of INFO lists, of chunks of AIFF, and of CAF's."""
_AIFF_TEXTS = frozenset({"NAME", "AUTH", "(c) ", "ANNO"})
_OWN_CREATOR = b"m3ga"
"""In a chunk APPL of AIFF: what follows is libsndfile's name of the software."""
_OWN_END = re.compile(r"(?<=\)).$")
"""A byte that libsndfile writes too much there."""
_AU_TEXT = "annotation"
"""The name of what the header of an AU file has beside numbers."""
_SOUND = frozenset({"data", "SSND"})
"""Chunks of samples."""
_STRUCTURE = frozenset(
    {
        *("data", "fact", "PEAK", "peak", "JUNK", "junk", "PAD ", "FLLR", "ds64"),
        *("COMM", "SSND", "FVER", "desc", "kuki", "pakt", "free", "levl"),
    }
)
"""Chunks that say how the samples are stored, or nothing."""
_EXTENSIBLE = 0xFFFE
"""The number of the WAV format that has a mask of channels."""
_BY_MASK = 1 << 16
"""The kind of a layout of CAF that is such a mask."""
_USUAL_LAYOUTS = {100 << 16 | 1: 1, 101 << 16 | 2: 2, 121 << 16 | 6: 6}
"""Kinds that mean the usual layout of so many channels: mono, stereo and 5.1."""
_LAYOUT = "channel layout"


@dataclass(frozen=True, slots=True)
class Span:
    """A chunk's data."""

    name: str
    start: int
    told: int
    """Its length by its header."""
    size: int
    """Bytes that are there."""


@dataclass(frozen=True, slots=True)
class Layout:
    """The chunks of a file."""

    form: bytes
    """The file's first four bytes."""
    chunks: tuple[Span, ...]
    end: int
    """Where the last chunk ends, or the first that is not whole begins."""

    @property
    def sound(self) -> Span | None:
        """The samples."""
        return next((span for span in self.chunks if span.name in _SOUND), None)


@dataclass(frozen=True, slots=True)
class _Dialect:
    start: int
    """Of the first chunk."""
    name: int
    """Bytes of a type."""
    length: struct.Struct
    counts_header: bool
    alignment: int
    total: tuple[int, int] | None
    """Where the length of all is, and what must be added to it."""


_LITTLE, _BIG = struct.Struct("<I"), struct.Struct(">I")
_DIALECTS = {
    b"RIFF": _Dialect(12, 4, _LITTLE, False, 2, (4, 8)),
    b"RF64": _Dialect(12, 4, _LITTLE, False, 2, None),
    b"FORM": _Dialect(12, 4, _BIG, False, 2, (4, 8)),
    b"caff": _Dialect(8, 4, struct.Struct(">q"), False, 1, None),
    b"riff": _Dialect(40, 16, struct.Struct("<Q"), True, 8, (16, 0)),
}
_FORMS = {b"RIFF": (b"WAVE",), b"RF64": (b"WAVE",), b"FORM": (b"AIFF", b"AIFC")}


def is_unknown(told: int) -> bool:
    """Tell whether a length stands for one that was not known: programs that write to a pipe
    leave 0, or the largest number that they have.
    """
    of_32_bits = 0x7FFFF000 <= told <= 0x80000000 or LARGEST <= told <= 0xFFFFFFFF
    return told <= 0 or of_32_bits or told >= 1 << 62


def read_layout(file: IO[bytes]) -> Layout | None:
    """Find the chunks of a file; None of one that has none.

    Raises: SoundError if there are fewer bytes of samples than their header tells.
    """
    size = file.seek(0, os.SEEK_END)
    file.seek(0)
    head = file.read(40)
    form = head[:4]
    if form == b".snd":
        layout = _layout_of_au(head, size)
    elif form in _DIALECTS and head[8:12] in _FORMS.get(form, (head[8:12],)):
        layout = _walk(file, form, _DIALECTS[form], size)
    else:
        return None
    sound = layout.sound
    if sound is not None and sound.told > sound.size and not is_unknown(sound.told):
        told = f"{sound.size} of {sound.told} bytes of samples are there"
        raise SoundError(f"the file ends early: {told}")
    return layout


def _layout_of_au(head: bytes, size: int) -> Layout:
    start, told = struct.unpack(">II", head[4:12].ljust(8, b"\0"))
    there = max(0, size - start)
    there = there if is_unknown(told) else min(told, there)
    chunks = (Span(_AU_TEXT, 24, start - 24, start - 24),) if start > 24 else ()
    return Layout(b".snd", (*chunks, Span("data", start, told, there)), start + there)


def _walk(file: IO[bytes], form: bytes, dialect: _Dialect, size: int) -> Layout:
    chunks: list[Span] = []
    at, stop, long = dialect.start, size, -1
    header = dialect.name + dialect.length.size
    if dialect.total is not None:
        place, more = dialect.total
        file.seek(place)
        total = file.read(dialect.length.size)
        if len(total) < dialect.length.size:
            return Layout(form, (), size)
        told = dialect.length.unpack(total)[0]
        stop = size if is_unknown(told) else min(size, told + more)
    while at < stop and len(chunks) < _CHUNKS_MAX:
        file.seek(at)
        head = file.read(header)
        if len(head) < header or not head.strip(b"\0"):
            break
        told = dialect.length.unpack_from(head, dialect.name)[0]
        told -= header if dialect.counts_header else 0
        name, start = head[:4].decode("latin-1"), at + header
        is_sound = name in _SOUND and not any(span.name in _SOUND for span in chunks)
        if name == "ds64":
            long = int.from_bytes(file.read(16)[8:], "little")
        if is_sound and told == 0xFFFFFFFF and long >= 0:
            told = long
        if is_sound and (is_unknown(told) or told > size - start):
            chunks.append(Span(name, start, told, size - start))
            return Layout(form, tuple(chunks), size)
        if not 0 <= told <= size - start:
            break
        chunks.append(Span(name, start, told, told))
        at = start + told + -told % dialect.alignment
        stop = max(stop, at) if is_sound else stop
    return Layout(form, tuple(chunks), min(at, size))


def read_chunked(file: IO[bytes], layout: Layout, stop: int, ledger: Ledger) -> None:
    """Enter the parts of a file of chunks, which ends there."""
    for span in layout.chunks:
        _enter(file, span, layout, ledger)
    ledger.rest(file, layout.end, stop)


def _enter(file: IO[bytes], span: Span, layout: Layout, ledger: Ledger) -> None:
    name = span.name
    if name in _STRUCTURE:
        if name in _SOUND and span is not layout.sound:
            ledger.surplus(OTHER_DATA)
        return
    if name in ("ID3 ", "id3 "):
        read_id3(file, span.start, ledger)
        return
    file.seek(span.start)
    data = file.read(max(span.size, 0)) if span.size <= TEXT_MAX else b""
    if name == _AU_TEXT and not data.strip(b"\0"):
        return
    if name == "LIST" and data.startswith(b"INFO"):
        _enter_list(data[4:], ledger)
    elif name == "fmt ":
        _enter_mask(data, ledger)
    elif name in ("chan", "CHAN"):
        _enter_layout(data, _channels(file, layout), ledger)
    elif name in _AIFF_TEXTS and layout.form == b"FORM" and data:
        ledger.tag(_NAMES[name], text_of(data))
    elif name == "APPL" and data.startswith(_OWN_CREATOR):
        ledger.tag("ENCODER", _OWN_END.sub("", text_of(data[len(_OWN_CREATOR) :])))
    elif name == "info" and layout.form == b"caff" and data:
        _enter_pairs(data, ledger)
    else:
        ledger.metadata(name if name == _AU_TEXT else _chunk(name))


def _enter_mask(data: bytes, ledger: Ledger) -> None:
    """Enter which loudspeakers the format of WAV says that channels are for."""
    kind, channels = struct.unpack("<HH", data[:4].ljust(4, b"\0"))
    if kind == _EXTENSIBLE:
        ledger.tag(MASK_TAG, mask_text(int.from_bytes(data[20:24], "little"), channels))


def _enter_layout(data: bytes, channels: int, ledger: Ledger) -> None:
    """Enter the same of CAF and AIFF, which say it in one of several ways."""
    kind, mask = struct.unpack(">II", data[:8].ljust(8, b"\0"))
    if kind == _BY_MASK:
        ledger.tag(MASK_TAG, mask_text(mask, channels))
    elif _USUAL_LAYOUTS.get(kind) != channels:
        ledger.metadata(_LAYOUT)


def _channels(file: IO[bytes], layout: Layout) -> int:
    """Return how many channels a CAF or AIFF file has; 0 if it does not say it."""
    for name, place, size in (("desc", 24, 4), ("COMM", 0, 2)):
        for span in layout.chunks:
            if span.name == name:
                file.seek(span.start + place)
                return int.from_bytes(file.read(size), "big")
    return 0


def _enter_list(data: bytes, ledger: Ledger) -> None:
    """Enter the texts of a list INFO of RIFF."""
    at = 0
    while at + 8 <= len(data):
        name = data[at : at + 4].decode("latin-1")
        size = int.from_bytes(data[at + 4 : at + 8], "little")
        text = text_of(data[at + 8 : at + 8 + size])
        if name in _NAMES:
            ledger.tag(_NAMES[name], text)
        elif text:
            ledger.other_tag(name)
        at += 8 + size + size % 2


def _enter_pairs(data: bytes, ledger: Ledger) -> None:
    """Enter the names and texts of a chunk info of CAF."""
    fields = data[4:].split(b"\0")
    for key, text in zip(fields[::2], fields[1::2], strict=False):
        name = text_of(key).upper()
        ledger.tag(_NAMES.get(name, name), text_of(text))


def _chunk(name: str) -> str:
    shown = name.strip() if name.isascii() and name.isprintable() else name.encode("latin-1").hex()
    return f"chunk {shown}"
