"""Vorbis comments: the tags of FLAC, Ogg Vorbis and Opus (RFC 9639, section 8.6)."""

from __future__ import annotations

from vqcodec.audio.inventory.parts import COVER, Ledger, text_of

_PICTURES = frozenset({"METADATA_BLOCK_PICTURE", "COVERART"})
_WITH_PICTURES = frozenset({"COVERARTMIME", "COVERARTTYPE", "COVERARTDESCRIPTION"})


def read_comments(data: bytes, ledger: Ledger) -> None:
    """Enter the fields of a comment header; what follows it is not looked at."""
    at = 4 + int.from_bytes(data[:4], "little")
    count = int.from_bytes(data[at : at + 4], "little")
    at += 4
    for _ in range(count):
        size = int.from_bytes(data[at : at + 4], "little")
        at += 4 + size
        if size == 0 or at > len(data):
            ledger.metadata("damaged tags")
            return
        name, sign, text = text_of(data[at - size : at]).partition("=")
        if not name or not sign:
            ledger.metadata("text without a name")
        elif name.upper() in _PICTURES:
            ledger.metadata(COVER)
        elif name.upper() not in _WITH_PICTURES:
            ledger.tag(name, text)
