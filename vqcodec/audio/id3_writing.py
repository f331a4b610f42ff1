"""ID3v2.4 tags, which go before the sound of MP3 files (id3.org).

libsndfile's writer of MP3 takes ten names only, and garbles letters that are not ASCII.
"""

from __future__ import annotations

from vqcodec.audio.inventory.id3 import DESCRIBED, TEXT_FRAMES
from vqcodec.audio.waveform import Tags

_FRAMES = {name: frame for frame, name in reversed(TEXT_FRAMES.items()) if len(frame) == 4}
_DESCRIBED = {name: frame for frame, name in DESCRIBED.items() if len(frame) == 4}
_OWN = "TXXX"
"""The frame of texts with other names."""
_UTF_8 = b"\3"
_LANGUAGE = b"XXX"
"""It is not known."""


def pack_id3(tags: Tags) -> bytes:
    """Write a tag; empty if there are no tags. Names are in capitals, texts without zeros."""
    texts: dict[str, list[bytes]] = {}
    for name, text in tags:
        texts.setdefault(name, []).append(text.encode(errors="replace"))
    out = b""
    for name, parts in texts.items():
        if name in _DESCRIBED:
            for part in parts:
                out += _frame(_DESCRIBED[name], _UTF_8 + _LANGUAGE + b"\0" + part)
        elif name in _FRAMES:
            out += _frame(_FRAMES[name], _UTF_8 + b"\0".join(parts))
        else:
            out += _frame(_OWN, _UTF_8 + b"\0".join([name.encode(), *parts]))
    return b"ID3\4\0\0" + _syncsafe(len(out)) + out if out else b""


def _frame(name: str, body: bytes) -> bytes:
    return name.encode() + _syncsafe(len(body)) + b"\0\0" + body


def _syncsafe(number: int) -> bytes:
    """Write a number of 28 bits, 7 in a byte."""
    return bytes(number >> shift & 0x7F for shift in (21, 14, 7, 0))
