"""What the extension module offers. It releases the GIL while it codes a tile.

Arrays are read by the buffer protocol, in C order: weights int8, shifts uint8, `vectors`
and block biases int16, `norms` and latents float32, everything else int32. Their sizes are
checked (ValueError); what is in them is not, but for places, taps and shifts.
"""

from typing import Any, TypeAlias

from numpy.typing import NDArray

Array: TypeAlias = NDArray[Any]

Taps: TypeAlias = tuple[int, Array]
"""Their count, and (count, 2): rows and columns from the position that reads."""
Layer: TypeAlias = tuple[int, int, Array, Array, Array]
"""Inputs, outputs, weight (outputs, inputs), bias (outputs,), shift (outputs,)."""
Block: TypeAlias = tuple[int, int, int, int, Array, Array, Array | None, Array | None, Array | None]
"""Slice, groups G, codewords K, dimensions d, places (G, d), embedding (G, K, d), and of
Gaussian heads vectors (G, d, K), bias (G, K), norms (G, K)."""

def levels() -> tuple[str, ...]:
    """Return the names of the levels that this processor has, the fastest first."""

def decode_pixels(
    rows: int,
    columns: int,
    stream: bytes,
    pixels: Array,
    stretch: Array,
    squash: Array,
    /,
) -> bool:
    """Read a literal tile's stream into pixels uint8 (rows, columns, 3); the tables are int32.

    Returns whether an encoder writes such a stream; if not, the pixels mean nothing.
    """

def encode_pixels(
    rows: int, columns: int, pixels: Array, stretch: Array, squash: Array, /
) -> bytes:
    """Return the stream of pixels uint8 (rows, columns, 3); the tables are int32."""

class Coder:
    """A stream of several tiles, one after the other."""

    def __new__(cls, stream: bytes | None, symbols: int, /) -> Coder:
        """Begin to read a stream or, with None, to write one of at most so many symbols.

        Raises ValueError if a stream is not made of 32-bit words.
        """

    def finish(self) -> bytes | None:
        """Return the stream; None if one that was read is not what an encoder writes."""

class Network:
    """A prior, copied.

    `offsets`, (rows, columns, channels), are added to what the first layer gives at the positions
    of a tile, instead of the one offset of the prior.
    """

    def __new__(
        cls,
        channels: int,
        reads: int,
        first_taps: Taps,
        layer_taps: tuple[Taps, ...],
        first: Layer,
        layers: tuple[Layer, ...],
        offset: Array,
        starts: Array,
        hidden: tuple[Layer, ...],
        output: tuple[Layer, ...],
        precisions: Array | None,
        blocks: tuple[Block, ...],
        powers: Array,
        /,
    ) -> Network:
        """Raises ValueError if the sizes do not fit each other."""

    def code(
        self,
        level: str,
        rows: int,
        columns: int,
        coder: Coder,
        indices: Array,
        offsets: Array | None,
        /,
    ) -> bool:
        """Read the next tile of a stream into indices (rows, columns, G), or write them.

        Returns False if an encoder writes no such stream. Raises ValueError if an index has no
        codeword.
        """

    def decode(
        self,
        level: str,
        rows: int,
        columns: int,
        stream: bytes,
        indices: Array,
        offsets: Array | None,
        /,
    ) -> bool:
        """Read a tile's stream into indices (rows, columns, G).

        Returns whether an encoder writes such a stream; if not, the indices mean nothing.
        """

    def encode(
        self,
        level: str,
        rows: int,
        columns: int,
        indices: Array,
        latents: Array | None,
        per_logit: float,
        offsets: Array | None,
        /,
    ) -> bytes:
        """Write a tile's indices (rows, columns, G); with latents (rows, columns, D) those of
        least cost, which are put there.

        Raises ValueError if an index has no codeword.
        """

    def tables(
        self,
        level: str,
        rows: int,
        columns: int,
        indices: Array,
        logits: Array,
        frequencies: Array,
        offsets: Array | None,
        /,
    ) -> None:
        """Write all logits and frequencies of a tile's indices, each (rows, columns, logits of
        a position).

        Raises ValueError if an index has no codeword.
        """
