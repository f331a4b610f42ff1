"""Several grids in one range-coded stream, each under a prior of its own, as frames of a clip."""

from __future__ import annotations

from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from vqcodec.codec.coding import code_tiles
from vqcodec.entropy.coder import Decoder, Encoder
from vqcodec.errors import CorruptError
from vqcodec.grid import whole
from vqcodec.prior.chooser import KnownIndices
from vqcodec.prior.context import Prior
from vqcodec.prior.kernel import coder


class SequenceCoder(Protocol):
    """One direction of coding."""

    def code(self, prior: Prior, grid: NDArray[np.int32]) -> None:
        """Write the next grid of indices, (N, M), or read it. Raises CorruptError, as `finish`."""
        ...

    def finish(self) -> bytes:
        """Return the stream. Raises CorruptError if what was read is not what an encoder writes."""
        ...


def writer(prior: Prior, indices: int) -> SequenceCoder:
    """Begin a stream of at most so many indices. `prior` is one of those that they have."""
    return _PortableWriter() if prior.kernel() is None else _Fast(None, indices)


def reader(prior: Prior, stream: bytes) -> SequenceCoder:
    """Begin to read a stream. Raises CorruptError if it is not made of 32-bit words."""
    return _PortableReader(stream) if prior.kernel() is None else _Fast(stream, 0)


class _PortableWriter:
    def __init__(self) -> None:
        self._encoder = Encoder()

    def code(self, prior: Prior, grid: NDArray[np.int32]) -> None:
        known = KnownIndices(prior.parts, grid.reshape(-1, 1).copy())
        code_tiles(prior, [self._encoder], [whole(grid.shape)], grid[:, :, None], known)

    def finish(self) -> bytes:
        return self._encoder.finish()


class _PortableReader:
    def __init__(self, stream: bytes) -> None:
        self._stream, self._decoder = stream, Decoder(stream)

    def code(self, prior: Prior, grid: NDArray[np.int32]) -> None:
        code_tiles(prior, [self._decoder], [whole(grid.shape)], grid[:, :, None])

    def finish(self) -> bytes:
        self._decoder.finish()
        return self._stream


class _Fast:
    """The kernel's, of both directions."""

    def __init__(self, stream: bytes | None, indices: int) -> None:
        self._coder = coder(stream, indices)

    def code(self, prior: Prior, grid: NDArray[np.int32]) -> None:
        kernel = prior.kernel()
        assert kernel is not None  # as when the stream began
        kernel.next_tile(self._coder, grid[:, :, None])

    def finish(self) -> bytes:
        stream = self._coder.finish()
        if stream is None:
            raise CorruptError("a range-coded stream is not the one of its symbols")
        return stream
