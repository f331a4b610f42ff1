"""The bridge to the C kernel, which codes a tile at a time: the same bits as NumPy, faster.

The kernel has levels for different processors. The environment variable VQCODEC_KERNEL names
one of them, or `numpy`; without it the fastest that the processor has is taken. Where the
extension was not built NumPy serves. All numbers of a prior have been checked when it was
read, so that no sum in the kernel can leave its range.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from vqcodec.counting import counted
from vqcodec.entropy.tables import POWERS
from vqcodec.errors import CorruptError
from vqcodec.grid import Size
from vqcodec.prior.chooser import Chooser, LeastCost
from vqcodec.prior.codebooks import Block
from vqcodec.prior.heads import Categorical, Gaussian, Head
from vqcodec.prior.layer import Layer
from vqcodec.prior.taps import Taps
from vqcodec.prior.trunk import Trunk
from vqcodec.prior.wavefront import rows_and_columns

try:
    from vqcodec._kernel import native as native  # explicitly: literal pixels go by it too
except ImportError:  # there was no compiler at installation
    native = None  # type: ignore[assignment]

Network: TypeAlias = "native.Network"
"""A prior as the kernel keeps it."""
VARIABLE = "VQCODEC_KERNEL"
NUMPY = "numpy"


def levels() -> tuple[str, ...]:
    """Return what can be named here, the fastest first and NumPy last."""
    return (*(() if native is None else native.levels()), NUMPY)


def level() -> str:
    """Return the level to run. Raises ValueError if VQCODEC_KERNEL names none that is here."""
    wanted, here = os.environ.get(VARIABLE, ""), levels()
    if wanted and wanted not in here:
        raise ValueError(f"{VARIABLE}={wanted}: this machine has {', '.join(here)}")
    return wanted or here[0]


@dataclass(frozen=True, slots=True)
class Kernel:
    """A prior at one level of the kernel; may be used by several threads at once."""

    network: Network
    level: str
    groups: int
    """Indices of a position, G."""
    offsets: NDArray[np.int32] | None = None
    """(positions, C), instead of the prior's own offset, of the only tile that is then coded."""

    def decode(self, stream: bytes, indices: NDArray[np.int32]) -> None:
        """Put the indices of a tile into an array (..., G).

        Raises CorruptError if the stream is not one that an encoder writes.
        """
        rows, columns = rows_and_columns(indices.shape[:-1])
        whole = np.ascontiguousarray(indices)  # no copy where the tile is all of a grid
        if not self.network.decode(self.level, rows, columns, stream, whole, self.offsets):
            raise CorruptError("a range-coded stream is none that an encoder writes")
        if whole is not indices:
            indices[:] = whole

    def next_tile(self, coder: native.Coder, indices: NDArray[np.int32]) -> None:
        """Read the next tile of a stream of several into an array (rows, columns, G), or write it.

        Raises CorruptError if the stream is not one that an encoder writes.
        """
        rows, columns = indices.shape[:-1]
        whole = np.ascontiguousarray(indices)
        if not self.network.code(self.level, rows, columns, coder, whole, self.offsets):
            raise CorruptError("a range-coded stream is none that an encoder writes")
        if whole is not indices:
            indices[:] = whole

    def encode(self, chooser: Chooser, size: Size) -> tuple[bytes, NDArray[np.int32]]:
        """Return the stream of one tile of a size, and its indices (..., G)."""
        rows, columns = rows_and_columns(size)
        if isinstance(chooser, LeastCost):
            indices = np.empty((*size, self.groups), dtype=np.int32)
            latents = np.ascontiguousarray(chooser.latents)
            weight = float(chooser.per_logit)
            stream = self.network.encode(
                self.level, rows, columns, indices, latents, weight, self.offsets
            )
            return stream, indices
        indices = np.array(chooser.indices, dtype=np.int32, order="C")
        indices = indices.reshape(*size, self.groups)
        stream = self.network.encode(self.level, rows, columns, indices, None, 0.0, self.offsets)
        return stream, indices


def coder(stream: bytes | None, symbols: int) -> native.Coder:
    """Begin to read a stream of several tiles or, with None, to write one of so many symbols.

    Raises CorruptError if a stream is not made of 32-bit words.
    """
    if stream is not None and len(stream) % 4:
        size = counted(len(stream), "byte")
        raise CorruptError(f"a range-coded stream has {size}, not a multiple of 4")
    return native.Coder(stream, symbols)


def pack(trunk: Trunk, head: Head) -> Network:
    """Hand a prior to the kernel, which copies it."""
    parts = _categorical(head) if isinstance(head, Categorical) else _gaussian(head)
    starts, hidden, output, precisions, blocks = parts
    return native.Network(
        trunk.channels,
        trunk.reads,
        _taps(trunk.taps.first),
        tuple(_taps(taps) for taps in trunk.taps.layers),
        _layer(trunk.first),
        tuple(_layer(layer) for layer in trunk.layers),
        trunk.offset.astype(np.int32),
        np.array(starts, dtype=np.int32),
        tuple(_layer(layer) for layer in hidden),
        tuple(_layer(layer) for layer in output),
        precisions,
        blocks,
        np.array(POWERS, dtype=np.int32),
    )


_Parts: TypeAlias = (
    "tuple[list[int], tuple[Layer, ...], tuple[Layer, ...], NDArray[np.int32] | None, "
    "tuple[native.Block, ...]]"
)
"""Starts of slices, their hidden and output layers, precisions and blocks."""


def _categorical(head: Categorical) -> _Parts:
    size, numbers = map(int, head.embedding.shape)
    places = np.arange(numbers, dtype=np.int32)
    table = np.ascontiguousarray(head.embedding)
    block = (0, 1, size, numbers, places, table, None, None, None)
    return [0, numbers], (head.hidden,), (head.output,), None, (block,)


def _gaussian(head: Gaussian) -> _Parts:
    slices = head.slices
    starts = [0, *np.cumsum(slices.widths).tolist()]
    blocks = tuple(_block(block) for block in head.codebooks.blocks)
    return starts, slices.hidden, slices.output, slices.precisions, blocks


def _block(block: Block) -> native.Block:
    groups, size = block.shape
    return (
        block.slice,
        groups,
        size,
        int(block.channels.shape[1]),
        block.places.astype(np.int32),
        np.ascontiguousarray(block.embedding),
        np.ascontiguousarray(block.vectors.transpose(0, 2, 1)),
        np.ascontiguousarray(block.bias),
        np.ascontiguousarray(block.norms),
    )


def _layer(layer: Layer) -> native.Layer:
    outputs, inputs = map(int, layer.weight.shape)
    weight, bias, shift = map(np.ascontiguousarray, (layer.weight, layer.bias, layer.shift))
    return inputs, outputs, weight, bias, shift


def _taps(taps: Taps) -> native.Taps:
    return len(taps), np.array(taps, dtype=np.int32)
