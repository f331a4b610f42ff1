"""AVIF and HEIC files (ISO 23008-12, AV1 Image File Format)."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TypeAlias

from vqcodec.image.inventory import items
from vqcodec.image.inventory.boxes import Box, boxes
from vqcodec.image.inventory.ledger import Ledger
from vqcodec.image.inventory.parts import Contents, Kind

_Owned: TypeAlias = "tuple[Box, set[int]]"
"""A property and the items that have it."""

_LISTS = frozenset({b"hdlr", b"pitm", b"iloc", b"iinf", b"iref"})
_NEEDED = frozenset({b"pitm", b"iloc", b"iinf", b"iprp"})
_CODED = frozenset({b"av01", b"hvc1"})
_DERIVED = frozenset({b"grid", b"iden"})
"""Pictures that are made of others."""
_ALPHA = frozenset({b"urn:mpeg:mpegB:cicp:systems:auxiliary:alpha", b"urn:mpeg:hevc:2015:auxid:1"})
_DECODING = frozenset({b"ispe", b"pixi", b"av1C", b"hvcC", b"irot", b"imir"})
"""Properties that decoding uses up."""
_OF_PARTS = _DECODING | {b"auxC", b"colr"}
"""Properties that an alpha channel, or a tile of the picture, may have besides."""
_ROLES = {b"thmb": "thumbnail", b"auxl": "auxiliary picture", b"dimg": "picture made of others"}
"""What items are that refer to others in these ways."""
_ASSOCIATIONS_MAX = 16
"""Most boxes that tell which item has which property."""
_UNSPECIFIED, _BT709, _SRGB = 2, 1, 13
"""Numbers of ISO 23091-2."""


def read_iso(data: bytes) -> Contents:
    """List the parts of an AVIF or HEIC file.

    Raises ValueError or IndexError if its structure cannot be followed.
    """
    ledger = Ledger(data)
    inner: dict[bytes, Box] = {}
    for box in boxes(data, 0, len(data)):
        if box.type == b"ftyp":
            ledger.structure((box.start, box.stop))
        elif box.type == b"meta" and not inner:
            ledger.structure((box.start, box.body + 4))
            inner = _enter_meta(ledger, data, box)
        elif box.type in (b"mdat", b"free", b"skip"):
            ledger.structure((box.start, box.body))
        elif box.type in (b"moov", b"moof"):
            ledger.other(f"sequence of pictures (box {box.name})", (box.start, box.stop))
        else:
            ledger.other(f"box {box.name}", (box.start, box.stop))
    if not inner.keys() >= _NEEDED:
        raise ValueError("no items")
    picture = _Picture(ledger, data, inner)
    picture.enter_items()
    picture.enter_properties()
    return ledger.contents(picture.format, bits=picture.bits)


def _enter_meta(ledger: Ledger, data: bytes, meta: Box) -> dict[bytes, Box]:
    """Enter the lists of box `meta`, and return the first box of each type in it."""
    found: dict[bytes, Box] = {}
    for box in boxes(data, meta.body + 4, meta.stop):
        if box.type in found:
            ledger.other(f"further box {box.name}", (box.start, box.stop))
        elif box.type in _LISTS:
            ledger.structure((box.start, box.stop))
        elif box.type in (b"idat", b"iprp", b"free"):
            ledger.structure((box.start, box.body))
        else:
            ledger.other(f"box {box.name}", (box.start, box.stop))
        found.setdefault(box.type, box)
    return found


def _enter_property_lists(ledger: Ledger, data: bytes, lists: Box) -> list[_Owned]:
    """Enter what of box `iprp` is in no property, and return the properties."""
    properties: list[Box] = []
    owners: list[dict[int, set[int]]] = []
    for box in boxes(data, lists.body, lists.stop):
        if box.type == b"ipco" and not properties:
            ledger.structure((box.start, box.body))
            for inner in boxes(data, box.body, box.stop):
                properties.append(inner)
                if len(properties) > items.COUNT_MAX:
                    raise ValueError("too many properties")
        elif box.type == b"ipma":
            ledger.structure((box.start, box.stop))
            owners.append(items.read_associations(data, box))
            if len(owners) > _ASSOCIATIONS_MAX:
                raise ValueError("too many associations")
        else:
            ledger.other(f"box {box.name}", (box.start, box.stop))
    return [
        (box, set().union(*(found.get(index, set()) for found in owners)))
        for index, box in enumerate(properties, 1)
    ]


class _Picture:
    """The primary item, and what belongs to it."""

    def __init__(self, ledger: Ledger, data: bytes, inner: dict[bytes, Box]) -> None:
        self._ledger = ledger
        self._data = data
        own, references = inner.get(b"idat"), inner.get(b"iref")
        own_content = (own.body, own.stop) if own else (0, 0)
        self._items = items.read_items(data, inner[b"iinf"])
        self._places = items.read_places(data, inner[b"iloc"], own_content)
        self._references = items.read_references(data, references) if references else []
        self._properties = _enter_property_lists(ledger, data, inner[b"iprp"])
        self._primary = items.read_primary(data, inner[b"pitm"])
        self._has_profile = any(
            box.type == b"colr"
            and self._primary in owners
            and data[box.body : box.body + 4] in (b"prof", b"rICC")
            for box, owners in self._properties
        )
        self._auxiliary = {
            owner: urn
            for box, owners in self._properties
            if box.type == b"auxC"
            for urn in [data[box.body + 4 : box.stop].split(b"\0")[0]]
            for owner in owners
        }
        """What each auxiliary picture is, as a URN."""
        self._pictures = self._made_of([self._primary])
        """Items that the picture is made of."""
        self._alpha = self._made_of(
            reference.source
            for reference in self._references
            if reference.type == b"auxl"
            and self._auxiliary.get(reference.source) in _ALPHA
            and self._pictures.intersection(reference.targets)
        )
        self.bits = 0
        self._unread = len(data)

    @property
    def format(self) -> str:
        """AVIF or HEIC."""
        av1 = any(self._items[number].type == b"av01" for number in self._pictures)
        return "AVIF" if av1 else "HEIC"

    def enter_items(self) -> None:
        """Enter the pictures and the metadata."""
        described = {r.source: r.targets for r in self._references if r.type == b"cdsc"}
        roles = {r.source: _ROLES[r.type] for r in reversed(self._references) if r.type in _ROLES}
        for number, item in self._items.items():
            spans = self._places.get(number, [])
            own = item.plain and self._primary in described.get(number, (self._primary,))
            if number in self._pictures:
                self._ledger.pixels(*spans)
            elif number in self._alpha:
                self._ledger.structure(*spans)
            elif own and item.type == b"mime" and item.content_type == b"application/rdf+xml":
                self._ledger.add_once("XMP", Kind.XMP, *spans, data=self._content(number))
            elif own and item.type == b"Exif" and (exif := _exif(self._content(number))):
                self._ledger.add_once("EXIF", Kind.EXIF, *spans, data=exif)
            elif number in roles:
                told = self._auxiliary.get(number, b"").decode("latin-1")
                self._ledger.other(f"{roles[number]} {told}".strip(), *spans)
            else:
                told = (item.content_type or item.type).decode("latin-1")
                self._ledger.other(f"item of type {told}", *spans)

    def enter_properties(self) -> None:
        """Enter what the pictures' properties say, and note the bits of their samples."""
        coloured = any(
            box.type == b"colr" and self._primary in owners for box, owners in self._properties
        )
        if not coloured:
            self._ledger.other("colours, which only the coded picture tells")
        for box, owners in self._properties:
            span = (box.start, box.stop)
            if owners & self._pictures:
                self.bits = max(self.bits, _bits(self._data, box))
            if self._primary in owners:
                self._enter_property(box)
            elif owners & (self._pictures | self._alpha) and box.type in _OF_PARTS:
                self._ledger.structure(span)
            else:
                self._ledger.other(f"property {box.name} of another picture", span)

    def _enter_property(self, box: Box) -> None:
        ledger, span = self._ledger, (box.start, box.stop)
        payload = self._data[box.body : box.stop]
        if box.type in _DECODING or (box.type == b"pasp" and payload[:4] == payload[4:]):
            ledger.structure(span)
        elif box.type == b"colr" and payload[:4] in (b"prof", b"rICC"):
            ledger.add_once("colour profile", Kind.ICC, span, data=payload[4:])
        elif box.type == b"colr" and payload[:4] == b"nclx" and len(payload) == 11:
            primaries, transfer = payload[4:6], payload[6:8]
            if primaries[0] or transfer[0]:
                ledger.other("unknown colours", span)
            elif self._has_profile or _is_srgb(primaries[1], transfer[1]):
                ledger.structure(span)  # a profile counts before it
            else:
                # Of RGB pixels, as they are decoded: no matrix, and the full range.
                cicp = bytes([primaries[1], transfer[1], 0, 1])
                ledger.add_once("colour space", Kind.CICP, span, data=cicp)
        else:
            ledger.other(f"property {box.name}", span)

    def _content(self, number: int) -> bytes:
        """Return an item's bytes. Raises ValueError if all that are read exceed the file's."""
        spans = self._places.get(number, [])
        self._unread -= sum(stop - start for start, stop in spans)
        if self._unread < 0:
            raise ValueError("items overlap")
        return b"".join(self._data[start:stop] for start, stop in spans)

    def _made_of(self, roots: Iterable[int]) -> set[int]:
        """Return pictures and those that they are made of.

        Raises ValueError if one is missing, or coded in an unknown way.
        """
        parts = {r.source: r.targets for r in self._references if r.type == b"dimg"}
        found = set[int]()
        waiting = list(roots)
        while waiting:
            number = waiting.pop()
            if number in found:
                continue
            found.add(number)
            item = self._items.get(number)
            if item is None or not item.plain or item.type not in _CODED | _DERIVED:
                raise ValueError("a picture is coded in an unknown way")
            if item.type in _DERIVED:
                waiting += parts.get(number, ())
        return found


def _exif(content: bytes) -> bytes:
    """Return the EXIF block in an item, from its TIFF header on; empty if it is not known."""
    start = 4 + int.from_bytes(content[:4], "big")
    return content[start:] if content[4:start] in (b"", b"Exif\0\0") else b""


def _bits(data: bytes, box: Box) -> int:
    """Return how many bits a property says that samples have, 0 if it says nothing of it."""
    payload = data[box.body : box.stop]
    if box.type == b"pixi":
        return max(payload[5:])
    if box.type == b"av1C":
        high, twelve = payload[2] & 0x40, payload[2] & 0x20
        return (12 if twelve else 10) if high else 8
    if box.type == b"hvcC":
        return 8 + max(payload[17] & 7, payload[18] & 7)
    return 0


def _is_srgb(primaries: int, transfer: int) -> bool:
    return primaries in (_BT709, _UNSPECIFIED) and transfer in (_SRGB, _UNSPECIFIED)
