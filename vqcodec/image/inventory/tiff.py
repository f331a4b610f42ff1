"""TIFF and BigTIFF files (TIFF 6.0)."""

from __future__ import annotations

import struct

import numpy as np
from numpy.typing import NDArray
from PIL import TiffTags

from vqcodec.image import ifd
from vqcodec.image.ifd import Block, Directory, Entry
from vqcodec.image.inventory.ledger import Ledger, Span
from vqcodec.image.inventory.parts import Contents, Density, Kind, Unit

_BITS, _COMPRESSION, _PHOTOMETRIC, _SAMPLE_FORMAT, _COLOUR_MAP = 258, 259, 262, 339, 320
_X_RESOLUTION, _Y_RESOLUTION, _RESOLUTION_UNIT = _RESOLUTION = (282, 283, 296)
_XMP, _IPTC, _RESOURCES, _PROFILE = 700, 33723, 34377, 34675
_SUBFILES, _SUBFILE_TYPE, _REFERENCE_BLACK_WHITE = 330, 254, 532
_SAMPLES, _EXTRA_SAMPLES, _INK_SET, _PAGE_NUMBER = 277, 338, 332, 297
_WHITE_IS_ZERO, _BLACK_IS_ZERO, _RGB, _PALETTE, _CMYK, _YCBCR = 0, 1, 2, 3, 5, 6
_COLOURS = {_WHITE_IS_ZERO: 1, _BLACK_IS_ZERO: 1, _PALETTE: 1, _CMYK: 4}
"""Channels of a pixel that are colours; 3 elsewhere."""
_ALPHA = {_BLACK_IS_ZERO: (1, 2), _RGB: (1, 2), _PALETTE: (2,)}
"""Kinds of an only extra channel that Pillow reads as alpha: premultiplied, and not."""
_PLACES = ((273, 279), (324, 325), (513, 514))
"""Tags of the offsets and sizes of strips, of tiles, and of a thumbnail's JPEG file."""
_STRUCTURE = frozenset(
    {
        *(_SUBFILE_TYPE, 255, 256, 257, _BITS, _COMPRESSION, _PHOTOMETRIC, 263, 264, 265, 266),
        *(273, ifd.ORIENTATION, 277, 278, 279, 284, 292, 293, 317, _COLOUR_MAP, 322, 323, 324),
        *(280, 281, 325, 326, 327, 328, 334, _EXTRA_SAMPLES, _SAMPLE_FORMAT, 347, 529, 530, 531),
    }
)
"""Tags that decoding the pixels uses up."""
_BYTES = frozenset({1, 7})
"""Types of values that are bytes, whatever the byte order."""
_SIGNED, _REAL = frozenset({2, 5}), frozenset({3, 6})
"""Sample formats; the higher number is that of complex samples."""
_RATIONAL = 5
_POINTERS = frozenset({13, 18})
"""Types of values that are places of directories."""
_GROUPS = {
    ifd.EXIF_DIRECTORY: "EXIF",
    ifd.GPS_DIRECTORY: "GPS",
    ifd.INTEROPERABILITY: "INTEROPERABILITY",
}
_UNITS = {1: Unit.NONE, 2: Unit.INCH, 3: Unit.CENTIMETRE}
_FULL_RANGE = (0, 255, 128, 255, 128, 255)
"""Black and white of YCbCr as decoders take them to be."""
_ENTRIES_MAX = 1 << 16
_FORMS = {1: "u1", 3: "u2", 4: "u4", 13: "u4", 16: "u8", 18: "u8"}
"""NumPy's names of the types of unsigned integers."""


def read_tiff(data: bytes) -> Contents:
    """List the parts of a TIFF file.

    Raises ValueError or struct.error if its structure cannot be followed.
    """
    return _Reader(data).read()


class _Reader:
    def __init__(self, data: bytes) -> None:
        self._ledger = Ledger(data)
        self._block = Block(data)
        self._entries = 0

    def read(self) -> Contents:
        block, ledger = self._block, self._ledger
        ledger.structure((0, 16 if block.big else 8))
        pages = block.directories()
        main = next(pages, None)
        if main is None:
            raise ValueError("no picture")
        self._enter_main(main)
        for number, page in enumerate(pages, 2):
            self._enter_other(page, f"page {number}")
        photometric = int(self._numbers(main, _PHOTOMETRIC, 1)[0])
        palette = main.entry(_COLOUR_MAP) if photometric == _PALETTE else None
        bits = int(self._numbers(main, _BITS, 1).max())
        formats = set(np.unique(self._numbers(main, _SAMPLE_FORMAT, 1)).tolist())
        return ledger.contents(
            "TIFF",
            bits=bits if palette is None else _palette_bits(self._values(palette)),
            real=bool(formats & _REAL),
            signed=bool(formats & _SIGNED),
            inverted=photometric == _WHITE_IS_ZERO,
        )

    def _enter_main(self, main: Directory) -> None:
        ledger = self._ledger
        pixels = self._pixel_spans(main)
        if not pixels:
            raise ValueError("no pixels")
        ledger.pixels(*pixels)
        density = self._density(main)
        density_spans: list[Span] = []
        seen = set[int]()
        for entry, spans in self._enter_frame(main):
            tag = entry.tag
            if tag in seen:
                ledger.other(f"further tag {tag}", *spans)
            elif tag in _STRUCTURE or self._is_usual(main, entry):
                ledger.structure(*spans)
            elif tag in _RESOLUTION and density is not None:
                density_spans += spans
            elif tag == _PROFILE and entry.type in _BYTES:
                ledger.add("colour profile", Kind.ICC, *spans, data=entry.value)
            elif tag == _XMP and entry.type in _BYTES:
                ledger.add("XMP", Kind.XMP, *spans, data=entry.value)
            elif tag == _RESOURCES and entry.type in _BYTES and entry.value[:4] == b"8BIM":
                ledger.add("Photoshop resources", Kind.RESOURCES, *spans, data=entry.value)
            elif tag == _IPTC and entry.value[:1] == b"\x1c":
                self._enter_iptc(entry, spans, main.entry(_RESOURCES))
            elif tag in ifd.DESCRIPTIVE:
                self._enter_description("MAIN", entry, spans)
            elif tag in (ifd.EXIF_DIRECTORY, ifd.GPS_DIRECTORY):
                ledger.structure(*spans)
                self._enter_descriptions(main, tag)
            elif tag == _SUBFILES:
                name = f"further pictures (tag {tag})"
                ledger.other(name, *spans)
                for offset in self._values(entry):
                    self._enter_other(self._block.directory(int(offset)), name)
            else:
                ledger.other(_name(tag), *spans)
            seen.add(tag)
        if extra := self._channels_left_out(main):
            ledger.other(f"{extra} further channels")
        if density is not None:
            ledger.density(density, *density_spans)

    def _enter_descriptions(self, parent: Directory, tag: int) -> None:
        """Enter the directory that a tag of `parent` points to: EXIF, GPS or interoperability."""
        directory = self._block.subdirectory(parent, tag)
        if directory is None:
            raise ValueError(f"tag {tag} points to no directory")
        group = _GROUPS[tag]
        seen = set[int]()
        for entry, spans in self._enter_frame(directory):
            if entry.tag in seen:
                self._ledger.other(f"further tag {group}/{entry.tag}", *spans)
            elif entry.tag == ifd.MAKER_NOTE:
                self._ledger.other("maker's notes, whose place in the file changes", *spans)
            elif tag == ifd.EXIF_DIRECTORY and entry.tag == ifd.INTEROPERABILITY:
                self._ledger.structure(*spans)
                self._enter_descriptions(directory, ifd.INTEROPERABILITY)
            elif entry.type in _POINTERS or entry.tag in ifd.SUBDIRECTORIES:
                self._ledger.other(f"directory of tag {group}/{entry.tag}", *spans)
            else:
                self._enter_description(group, entry, spans)
            seen.add(entry.tag)
        if directory.next:
            self._ledger.other(f"what follows the {group} directory")

    def _enter_description(self, group: str, entry: Entry, spans: list[Span]) -> None:
        key = f"{group}/{entry.tag}"
        self._ledger.add(f"tag {key}", Kind.TAG, *spans, data=entry.value, key=key)

    def _enter_iptc(self, entry: Entry, spans: list[Span], resources: Entry | None) -> None:
        records = bytes(entry.value)
        if resources is None:
            head = struct.pack(">4sHHI", b"8BIM", 0x0404, 0, len(records))
            block = head + records + bytes(len(records) % 2)
            self._ledger.add("IPTC", Kind.RESOURCES, *spans, data=block)
        elif records.rstrip(b"\0") in bytes(resources.value):
            self._ledger.structure(*spans)
        else:
            self._ledger.other("IPTC that differs from that in the Photoshop resources", *spans)

    def _enter_other(self, directory: Directory, name: str) -> None:
        """Enter a directory that is not kept, with all that it points to."""
        for _, spans in self._enter_frame(directory):
            self._ledger.other(name, *spans)
        self._ledger.other(name, *self._pixel_spans(directory))

    def _enter_frame(self, directory: Directory) -> list[tuple[Entry, list[Span]]]:
        """Enter what belongs to no readable tag of a directory, and return what does.

        Damaged tags have no values that could be found, and are not kept.
        """
        self._entries += len(directory.entries)
        if self._entries > _ENTRIES_MAX:
            raise ValueError("too many tags")
        start, stop = directory.offset, directory.offset + directory.size
        # Tags are all of one size, and it does not matter which is told of which.
        step = 20 if self._block.big else 12
        at = start + (8 if self._block.big else 2)
        self._ledger.structure((start, at))
        for tag in directory.damaged:
            self._ledger.other(f"damaged tag {tag}", (at, at + step))
            at += step
        found = []
        for entry in directory.entries:
            spans = [(at, at + step)]
            if not start <= entry.offset < stop:
                spans.append((entry.offset, entry.offset + len(entry.value)))
            found.append((entry, spans))
            at += step
        self._ledger.structure((at, stop))
        return found

    def _density(self, main: Directory) -> Density | None:
        x, y = main.entry(_X_RESOLUTION), main.entry(_Y_RESOLUTION)
        unit = _UNITS.get(int(self._numbers(main, _RESOLUTION_UNIT, 2)[0]))
        if x is None and y is None and unit is not None:
            return Density(Unit.NONE, (1, 1), (1, 1))
        if x is None or y is None or unit is None:
            return None
        if (x.type, x.count, y.type, y.count) != (_RATIONAL, 1, _RATIONAL, 1):
            return None
        across, down = (struct.unpack(self._block.order + "2I", e.value) for e in (x, y))
        return Density(unit, (across[0], across[1]), (down[0], down[1]))

    def _channels_left_out(self, main: Directory) -> int:
        """Return how many channels of a pixel are neither colours nor the alpha that is read."""
        photometric = int(self._numbers(main, _PHOTOMETRIC, 1)[0])
        extra = int(self._numbers(main, _SAMPLES, 1)[0]) - _COLOURS.get(photometric, 3)
        kinds = main.entry(_EXTRA_SAMPLES)
        kind = None if kinds is None else int(self._values(kinds)[0])
        return 0 if extra == 1 and kind in _ALPHA.get(photometric, ()) else max(0, extra)

    def _is_usual(self, main: Directory, entry: Entry) -> bool:
        """Tell whether a tag says what is taken for granted without it: that the first page is
        the only one, that inks are cyan, magenta, yellow and black, that YCbCr has full range.
        """
        if entry.tag == _PAGE_NUMBER:
            values = self._values(entry).tolist()
            return bool(len(values) == 2 and values[0] == 0 and values[1] in (0, 1))
        if entry.tag == _INK_SET:
            return bool(self._values(entry).tolist() == [1])
        return self._is_full_range(main, entry)

    def _is_full_range(self, main: Directory, entry: Entry) -> bool:
        """Tell whether this is the black and white that decoders of YCbCr take for granted."""
        if entry.tag != _REFERENCE_BLACK_WHITE or (entry.type, entry.count) != (_RATIONAL, 6):
            return False
        numbers = struct.unpack(self._block.order + "12I", entry.value)
        fractions = zip(numbers[::2], numbers[1::2], _FULL_RANGE, strict=True)
        full = all(below and above == value * below for above, below, value in fractions)
        return full and int(self._numbers(main, _PHOTOMETRIC, 1)[0]) == _YCBCR

    def _pixel_spans(self, directory: Directory) -> list[Span]:
        """Return where the strips and tiles are. Raises ValueError if it is not told for each."""
        spans = []
        for tags in _PLACES:
            offsets, sizes = (directory.entry(tag) for tag in tags)
            if offsets is not None and sizes is not None:
                places = self._values(offsets), self._values(sizes)
                spans += _runs(*places, len(self._block.data))
        return spans

    def _numbers(self, directory: Directory, tag: int, default: int) -> NDArray[np.uint64]:
        """Return a tag's values, which are at least one."""
        entry = directory.entry(tag)
        return np.array([default], dtype=np.uint64) if entry is None else self._values(entry)

    def _values(self, entry: Entry) -> NDArray[np.uint64]:
        form = _FORMS.get(entry.type)
        if form is None or not entry.count:
            raise ValueError(f"tag {entry.tag} has no unsigned integers")
        return np.frombuffer(entry.value, dtype=self._block.order + form).astype(np.uint64)


def _name(tag: int) -> str:
    name = TiffTags.lookup(tag).name
    return f"tag {tag}" if name == "unknown" else f"tag {tag} ({name})"


def _runs(starts: NDArray[np.uint64], sizes: NDArray[np.uint64], limit: int) -> list[Span]:
    """Join ranges that touch or overlap. Raises ValueError if one reaches beyond `limit`."""
    if len(starts) != len(sizes) or max(starts.max(), sizes.max()) > limit:
        raise ValueError("strips are outside the file")
    order = np.argsort(starts, kind="stable")
    first = starts[order].astype(np.int64)
    last = np.maximum.accumulate(first + sizes[order].astype(np.int64))
    breaks = np.flatnonzero(first[1:] > last[:-1])
    begins, ends = first[np.append(0, breaks + 1)], last[np.append(breaks, len(last) - 1)]
    return list(zip(begins.tolist(), ends.tolist(), strict=True))


def _palette_bits(levels: NDArray[np.uint64]) -> int:
    """Return how many bits of a colour map's 16 say something."""
    high, low = levels >> np.uint64(8), levels & np.uint64(255)
    return 8 if not low.any() or bool((low == high).all()) else 16
