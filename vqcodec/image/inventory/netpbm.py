"""PBM, PGM, PPM and PFM files (Netpbm)."""

from __future__ import annotations

import math
import re
from itertools import islice

import numpy as np

from vqcodec.image.inventory.ledger import PARTS_MAX, Ledger
from vqcodec.image.inventory.parts import Contents, Kind

_SPACE = b" \t\n\v\f\r"
_COMMENT = re.compile(rb"#([^\r\n]*)[\r\n]?")
_TOKEN_MAX = 10
"""Most characters of a number in a header."""
_CHANNELS = {b"P1": 1, b"P2": 1, b"P3": 3, b"P4": 1, b"P5": 1, b"P6": 3, b"Pf": 1, b"PF": 3}
_PLAIN = frozenset({b"P1", b"P2", b"P3"})
_BILEVEL = frozenset({b"P1", b"P4"})
_REAL = frozenset({b"Pf", b"PF"})


def read_netpbm(data: bytes) -> Contents:
    """List the parts of a Netpbm file.

    Raises ValueError or IndexError if its structure cannot be followed.
    """
    ledger = Ledger(data)
    magic = data[:2]
    header = _Header(data, ledger)
    width, height = int(header.token()), int(header.token())
    if min(width, height) < 1:
        raise ValueError("no pixels")
    maximum = 1
    if magic in _REAL:
        scale = float(header.token())
        if not math.isfinite(scale) or not scale:
            raise ValueError("not a scale")
        if abs(scale) != 1:
            ledger.other("scale of the samples")
    elif magic not in _BILEVEL:
        maximum = int(header.token())
        if not 1 <= maximum < 1 << 16:
            raise ValueError("not a maximum")
    samples = width * height * _CHANNELS[magic]
    if magic in _PLAIN:
        end = _enter_plain(ledger, data, header.at, samples, digits=magic == b"P1")
    else:
        row = -(-width // 8) if magic == b"P4" else samples // height
        sample = 4 if magic in _REAL else 1 if maximum < 256 else 2
        end = header.at + height * row * sample
        ledger.pixels((header.at, end))
    if not data[end:].strip(_SPACE):
        ledger.structure((end, len(data)))
    elif data.startswith(b"P", end):
        ledger.other("further pictures after the picture's end", (end, len(data)))
    real = magic in _REAL
    return ledger.contents("Netpbm", bits=32 if real else maximum.bit_length(), real=real)


class _Header:
    """Reads what comes before the samples, and enters it."""

    def __init__(self, data: bytes, ledger: Ledger) -> None:
        self._data = data
        self._ledger = ledger
        self.at = 2
        if data[2] not in _SPACE and data[2:3] != b"#":
            raise ValueError("not a Netpbm header")
        ledger.structure((0, 2))

    def token(self) -> bytes:
        """Return the next number, and stand behind the character that ends it.

        A comment may stand anywhere, even within a number: that is how Pillow reads it.
        """
        token = bytearray()
        start = self.at
        while len(token) <= _TOKEN_MAX:
            character = self._data[self.at]
            if character == ord("#"):
                self._ledger.structure((start, self.at))
                self.at = start = _enter_comment(self._ledger, self._data, self.at)
                continue
            self.at += 1
            if character not in _SPACE:
                token.append(character)
            elif token:
                self._ledger.structure((start, self.at))
                return bytes(token)
        raise ValueError("a number is too long")


def _enter_comment(ledger: Ledger, data: bytes, at: int) -> int:
    """Enter the comment that begins at a place, and return where it ends."""
    comment = _COMMENT.match(data, at)
    assert comment is not None
    ledger.add("comment", Kind.COMMENT, comment.span(), data=comment[1])
    return comment.end()


def _enter_plain(ledger: Ledger, data: bytes, start: int, samples: int, *, digits: bool) -> int:
    """Enter samples written as decimal numbers, or as single digits, and return their end.

    Raises ValueError if there are fewer of them, or anything else among them.
    """
    text = bytearray(data)
    at = start
    comments = list(islice(_COMMENT.finditer(data, start), PARTS_MAX + 1))
    if len(comments) > PARTS_MAX:
        raise ValueError("too many comments")
    for comment in comments:
        text[slice(*comment.span())] = b" " * (comment.end() - comment.start())
    characters = np.frombuffer(text, dtype=np.uint8)[start:]
    filled = ~np.isin(characters, np.frombuffer(_SPACE, dtype=np.uint8))
    starts = filled.copy()
    if not digits:
        starts[1:] &= ~filled[:-1]
    count = np.count_nonzero(starts)
    if count < samples:
        raise ValueError("samples are missing")
    end = len(data) if count == samples else start + int(np.flatnonzero(starts)[samples])
    used = characters[: end - start][filled[: end - start]]
    if ((used < ord("0")) | (used > (ord("1") if digits else ord("9")))).any():
        raise ValueError("not a sample")
    for comment in comments:
        if comment.start() < end:
            ledger.pixels((at, comment.start()))
            at = _enter_comment(ledger, data, comment.start())
    ledger.pixels((min(at, end), end))
    return end
