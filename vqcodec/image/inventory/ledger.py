"""The ledger in which a parser enters what each byte of a file belongs to."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TypeAlias

from vqcodec.image.inventory.parts import Contents, Density, Kind, Part, Unit

Span: TypeAlias = "tuple[int, int]"
"""First byte and the one behind the last."""

_LINE_END_MAX = 2
"""Bytes of a line's end, which programs that take files for texts put behind them."""
PARTS_MAX = 1 << 16
"""Most parts of a file."""
SPANS_MAX = 1 << 18
"""Most entries in a ledger."""
TEXT_MAX = 1 << 24
"""Most bytes of unpacked texts in a file; they may be much larger than the file."""

_NAMELESS = frozenset({Kind.PIXELS, Kind.STRUCTURE, Kind.OTHER})
"""Kinds without data: entries of the same name are one part."""


def name_of(code: bytes) -> str:
    """Return the type of a chunk or box as people read it."""
    text = code.decode("latin-1")
    return text.strip() if text.isascii() and text.isprintable() else code.hex()


@dataclass(slots=True)
class _Account:
    name: str
    kind: Kind
    data: bytes
    key: str
    spans: list[Span] = field(default_factory=list)


class Ledger:
    """Takes down parts of a file, and finds the bytes that are in none of them.

    Every method raises ValueError for a span outside the file, and where a file has more
    parts or metadata than any honest one.
    """

    def __init__(self, data: bytes) -> None:
        self._file = data
        self._accounts: list[_Account] = []
        self._by_name: dict[tuple[str, Kind], _Account] = {}
        self._kinds = set[Kind]()
        self._spans = 0
        self._kept = 0

    def add(
        self, name: str, kind: Kind, *spans: Span, data: bytes | memoryview = b"", key: str = ""
    ) -> None:
        """Enter a part, or bytes of a part without data that has been entered before."""
        account = self._by_name.get((name, kind))
        if account is None:
            self._kept += len(data)
            if len(self._accounts) >= PARTS_MAX or self._kept > len(self._file) + TEXT_MAX:
                raise ValueError("too many parts")
            account = _Account(name, kind, bytes(data), key)
            self._accounts.append(account)
            self._kinds.add(kind)
            if kind in _NAMELESS:
                self._by_name[name, kind] = account
        for start, stop in spans:
            self._enter(account, start, stop)

    def add_once(
        self, name: str, kind: Kind, *spans: Span, data: bytes | memoryview = b"", key: str = ""
    ) -> None:
        """Enter a part of which a file has one; any further one is not kept."""
        if kind in self._kinds:
            self.other(f"further {name}", *spans)
        else:
            self.add(name, kind, *spans, data=data, key=key)

    def pixels(self, *spans: Span) -> None:
        """Enter samples of the picture."""
        self.add("pixels", Kind.PIXELS, *spans)

    def structure(self, *spans: Span) -> None:
        """Enter headers, tables and the like."""
        self.add("headers and tables", Kind.STRUCTURE, *spans)

    def other(self, name: str, *spans: Span) -> None:
        """Enter what is not kept."""
        self.add(name, Kind.OTHER, *spans)

    def density(self, density: Density, *spans: Span) -> None:
        """Enter a density; as structure if it says no more than that pixels are square."""
        (x, x_unit), (y, y_unit) = density.x, density.y
        if density.unit is Unit.NONE and x * y_unit == y * x_unit:
            self.structure(*spans)
        else:
            self.add_once("pixel density", Kind.DENSITY, *spans, data=density.pack())

    def contents(
        self,
        name: str,
        *,
        bits: int = 8,
        real: bool = False,
        signed: bool = False,
        inverted: bool = False,
    ) -> Contents:
        """Close the ledger of a file of that format.

        Bytes in no part are padding if they are zeros, or a single one between two parts;
        otherwise they are not kept. Bytes in several parts count for one of them.
        """
        for start, stop in self._gaps():
            last = stop == len(self._file)
            if (
                (last and stop - start <= _LINE_END_MAX and not self._file[start:stop].strip())
                or self._file.count(0, start, stop) == stop - start
                or (stop - start == 1 and not last)
            ):
                self.add("padding", Kind.STRUCTURE, (start, stop))
            elif last:
                self.other("video or other data after the picture's end", (start, stop))
            else:
                self.other("data that no part of the file refers to", (start, stop))
        if not 1 <= bits <= 64:
            raise ValueError(f"samples of {bits} bits")
        return Contents(
            format=name,
            parts=tuple(
                Part(account.name, account.kind, size, account.data, account.key)
                for account, size in zip(self._accounts, self._sizes(), strict=True)
            ),
            bits=bits,
            real=real,
            signed=signed,
            inverted=inverted,
        )

    def _enter(self, account: _Account, start: int, stop: int) -> None:
        if not 0 <= start <= stop <= len(self._file):
            raise ValueError("a part is outside the file")
        self._spans += 1
        if self._spans > SPANS_MAX:
            raise ValueError("too many parts")
        if account.spans and account.spans[-1][1] == start:
            start = account.spans.pop()[0]
        account.spans.append((start, stop))

    def _in_order(self) -> list[tuple[int, int, int]]:
        """Return starts, stops and the parts' numbers, by place in the file."""
        return sorted(
            (start, stop, number)
            for number, account in enumerate(self._accounts)
            for start, stop in account.spans
        )

    def _gaps(self) -> list[Span]:
        gaps, covered = [], 0
        end = len(self._file)
        for start, stop, _ in (*self._in_order(), (end, end, 0)):
            if start > covered:
                gaps.append((covered, start))
            covered = max(covered, stop)
        return gaps

    def _sizes(self) -> list[int]:
        sizes, covered = [0] * len(self._accounts), 0
        for start, stop, number in self._in_order():
            sizes[number] += max(0, stop - max(start, covered))
            covered = max(covered, stop)
        return sizes
