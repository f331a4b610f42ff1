"""GIF files (87a and 89a)."""

from __future__ import annotations

from vqcodec.image.inventory.ledger import Ledger, Span, name_of
from vqcodec.image.inventory.parts import Contents, Density, Kind, Unit

_IMAGE, _EXTENSION, _TRAILER = 0x2C, 0x21, 0x3B
_TEXT, _CONTROL, _COMMENT, _APPLICATION = 0x01, 0xF9, 0xFE, 0xFF
_LOOPS = frozenset({b"NETSCAPE2.0", b"ANIMEXTS1.0"})
_XMP = b"XMP DataXMP"
_XMP_TRAILER = bytes([1, *range(255, -1, -1), 0])
"""It leads readers that take the packet for blocks to its end."""
_SQUARE = 49


def read_gif(data: bytes) -> Contents:
    """List the parts of a GIF file.

    Raises ValueError or IndexError if its structure cannot be followed.
    """
    return _Reader(data).read()


class _Reader:
    def __init__(self, data: bytes) -> None:
        self._data = data
        self._ledger = Ledger(data)
        self._frames = 0
        self._control: Span | None = None
        """The control extension of the next frame."""
        self._loop: Span | None = None
        self._has_xmp = False

    def read(self) -> Contents:
        data, ledger = self._data, self._ledger
        at = self._read_screen()
        while data[at] != _TRAILER:
            if data[at] == _IMAGE:
                at = self._read_image(at)
            elif data[at] == _EXTENSION:
                at = self._read_extension(at)
            elif data[at] == 0:
                at += 1
            else:
                raise ValueError("no block where one must be")
        ledger.structure((at, at + 1))
        if not self._frames:
            raise ValueError("no picture")
        if self._control is not None:
            ledger.structure(self._control)
        if self._loop is not None and self._frames == 1:
            ledger.structure(self._loop)
        elif self._loop is not None:
            ledger.other("number of repetitions", self._loop)
        return ledger.contents("GIF")

    def _read_screen(self) -> int:
        """Enter the header and the common colours; return where they end."""
        aspect = self._data[12]
        end = 13 + _palette_size(self._data[10])
        self._ledger.structure((0, 12), (13, end))
        # A pixel is (aspect + 15) / 64 times as wide as it is high.
        across = aspect + 15 if aspect else 64
        self._ledger.density(Density(Unit.NONE, (64, 1), (across, 1)), (12, 13))
        return end

    def _read_image(self, start: int) -> int:
        end = self._blocks_end(start + 11 + _palette_size(self._data[start + 9]))
        self._frames += 1
        spans = [(start, end)] if self._control is None else [self._control, (start, end)]
        self._control = None
        if self._frames == 1:
            self._ledger.pixels(*spans)
            screen, frame = self._data[6:10], self._data[start + 1 : start + 9]
            if frame != bytes(4) + screen:
                self._ledger.other("what the first frame leaves open")
        else:
            self._ledger.other(f"frame {self._frames}", *spans)
        return end

    def _read_extension(self, start: int) -> int:
        data, ledger = self._data, self._ledger
        label, body = data[start + 1], start + 2
        if label == _APPLICATION and data[body] == 11:
            return self._read_application(start, data[body + 1 : body + 12])
        end = self._blocks_end(body)
        if label == _CONTROL and self._control is None:
            self._control = (start, end)
        elif label == _COMMENT:
            ledger.add("comment", Kind.COMMENT, (start, end), data=self._joined(body))
        elif label == _TEXT:
            ledger.other("text to be drawn (plain text extension)", (start, end))
        else:
            ledger.other(f"extension {label}", (start, end))
        return end

    def _read_application(self, start: int, name: bytes) -> int:
        body = start + 14
        trailer = -1
        if name == _XMP and not self._has_xmp:
            trailer = self._data.find(_XMP_TRAILER, body)
            self._has_xmp = True
        if trailer >= 0:
            end = trailer + len(_XMP_TRAILER)
            self._ledger.add("XMP", Kind.XMP, (start, end), data=self._data[body:trailer])
            return end
        end = self._blocks_end(body)
        if name in _LOOPS and end - body == 5 and self._loop is None:
            self._loop = (start, end)
        else:
            self._ledger.other(f"application extension {name_of(name)}", (start, end))
        return end

    def _blocks_end(self, at: int) -> int:
        """Return where a sequence of blocks ends, the empty one behind it included."""
        while size := self._data[at]:
            at += 1 + size
        return at + 1

    def _joined(self, at: int) -> bytes:
        blocks = []
        while size := self._data[at]:
            blocks.append(self._data[at + 1 : at + 1 + size])
            at += 1 + size
        return b"".join(blocks)


def _palette_size(flags: int) -> int:
    """Return the bytes of the palette that a screen's or an image's flags announce."""
    return 3 << (flags & 7) + 1 if flags & 0x80 else 0
