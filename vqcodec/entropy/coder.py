"""Range coding of symbols under given frequency tables, in one interface for two directions.

An encoder takes symbols and hands them back; a decoder ignores what it is
given and hands back what the file says. The coding loop is therefore written
once. The coder is constriction's range coder (32-bit words, 64-bit state,
24-bit frequencies); format/SPEC.md, section "Range coder", defines its bits.
"""

from __future__ import annotations

from contextlib import suppress
from typing import Protocol

import constriction
import numpy as np
from numpy.typing import NDArray

from vqcodec.counting import counted
from vqcodec.errors import CorruptError

Symbols = NDArray[np.int32]
Surpluses = NDArray[np.float64]

# `perfect=False` and rows of f - 1: constriction adds 1 to each entry and scales
# the rest to fill 2^24, and as the rest already fills it, the scale is exactly 1.
_FAMILY = constriction.stream.model.Categorical(perfect=False)


class Coder(Protocol):
    """One direction of coding."""

    @property
    def lost(self) -> bool:
        """Whether nothing that follows counts, since the stream is none that an encoder writes."""
        ...

    def code(self, surpluses: Surpluses, symbols: Symbols) -> Symbols:
        """Code P symbols under tables (P, K) as `tables.surpluses` makes them."""
        ...


class Encoder:
    """Writes symbols."""

    lost = False

    def __init__(self) -> None:
        self._coder = constriction.stream.queue.RangeEncoder()

    def code(self, surpluses: Surpluses, symbols: Symbols) -> Symbols:
        """Append `symbols`, int32 (P,), each below K, and return them."""
        self._coder.encode(symbols, _FAMILY, surpluses)
        return symbols

    def finish(self) -> bytes:
        """Return the stream: little-endian 32-bit words."""
        words: NDArray[np.uint32] = self._coder.get_compressed()
        return words.astype("<u4", copy=False).tobytes()


class Decoder:
    """Reads symbols."""

    lost = False

    def __init__(self, stream: bytes) -> None:
        """Take a whole stream. Raises CorruptError if it is not made of 32-bit words."""
        if len(stream) % 4:
            size = counted(len(stream), "byte")
            raise CorruptError(f"a range-coded stream has {size}, not a multiple of 4")
        self._words = np.frombuffer(stream, dtype="<u4").astype(np.uint32, copy=False)
        self._coder = constriction.stream.queue.RangeDecoder(self._words)
        # Encoding again costs little and leaves one way to write given symbols.
        self._again = constriction.stream.queue.RangeEncoder()

    def code(self, surpluses: Surpluses, symbols: Symbols) -> Symbols:
        """Read as many symbols as there are tables, int32 (P,).

        `symbols` is not looked at. Raises CorruptError if no encoder writes such a stream, also
        as soon as its words have run out, however many symbols are still wanted.
        """
        try:
            decoded: Symbols = self._coder.decode(_FAMILY, surpluses)
        except AssertionError as error:
            raise CorruptError("a range-coded stream does not decode") from error
        self._again.encode(decoded, _FAMILY, surpluses)
        # The stream that would end here has `num_words` words, and no further symbol makes it
        # shorter: a symbol narrows the encoder's interval. If less than 2^32 is left of it, a
        # word leaves it, and one or two more follow at the end, which is no fewer than before.
        # Else the end is one word, or two: two if the interval has a single multiple of 2^32
        # and ends before the next. A narrower interval of 2^32 or more has the same multiple
        # and ends no later, so two do not become one.
        if self._again.num_words() > len(self._words):
            raise CorruptError("a range-coded stream ends before its last symbol")
        return decoded

    def finish(self) -> None:
        """Check the whole stream. Raises CorruptError if no encoder writes it."""
        if not np.array_equal(self._again.get_compressed(), self._words):
            raise CorruptError("a range-coded stream is not the one of its symbols")


class LenientDecoder:
    """Reads symbols, and zeros from where no encoder writes such a stream: then it is `lost`."""

    def __init__(self, stream: bytes) -> None:
        """Take a whole stream, or any bytes."""
        self._decoder: Decoder | None = None
        with suppress(CorruptError):
            self._decoder = Decoder(stream)

    @property
    def lost(self) -> bool:
        """Whether the stream was found to be wrong."""
        return self._decoder is None

    def code(self, surpluses: Surpluses, symbols: Symbols) -> Symbols:
        """Read as many symbols as there are tables, int32 (P,), zeros if lost."""
        if self._decoder is not None:
            try:
                return self._decoder.code(surpluses, symbols)
            except CorruptError:
                self._decoder = None
        return np.zeros(len(surpluses), dtype=np.int32)

    def finish(self) -> None:
        """Check the whole stream."""
        if self._decoder is not None:
            try:
                self._decoder.finish()
            except CorruptError:
                self._decoder = None


_RUN = 1 << 16
"""Indices that are packed at a time, a multiple of 8 so that runs begin with a byte."""


def pack_fixed(symbols: Symbols, codebook_size: int) -> bytes:
    """Code symbols at fixed length: ceil(log2 K) bits each, high bit first, zero-padded."""
    width = fixed_bits(codebook_size)
    shifts = np.arange(width - 1, -1, -1, dtype=np.int32)
    runs = (symbols[start : start + _RUN, None] for start in range(0, len(symbols), _RUN))
    return b"".join(np.packbits(((run >> shifts) & 1).astype(np.uint8)).tobytes() for run in runs)


def unpack_fixed(stream: bytes, count: int, codebook_size: int) -> Symbols:
    """Undo `pack_fixed`.

    Raises CorruptError if the length is wrong, a symbol is not below K or the
    padding is not 0.
    """
    width = fixed_bits(codebook_size)
    if len(stream) != (count * width + 7) // 8:
        raise CorruptError(f"{count} indices of {width} bits do not make {len(stream)} bytes")
    packed = np.frombuffer(stream, dtype=np.uint8)
    weights = 1 << np.arange(width - 1, -1, -1, dtype=np.int32)
    symbols = np.empty(count, dtype=np.int32)
    for start in range(0, count, _RUN):
        run = symbols[start : start + _RUN]
        bits = np.unpackbits(packed[start * width // 8 : (start + _RUN) * width // 8])
        if bits[len(run) * width :].any():
            raise CorruptError("padding after the last index is not 0")
        run[:] = bits[: len(run) * width].reshape(-1, width).astype(np.int32) @ weights
    if count and int(symbols.max()) >= codebook_size:
        raise CorruptError(f"index {int(symbols.max())} in a codebook of {codebook_size}")
    return symbols


def fixed_bits(codebook_size: int) -> int:
    """Bits of an index at fixed length."""
    return (codebook_size - 1).bit_length()
