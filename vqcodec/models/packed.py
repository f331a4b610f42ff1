"""Weights of 6 bits: those inside blocks of photo-2's analysis, most of a model file otherwise.

A convolution's weights are integers -31..31 times a scale for each output. What an analysis
makes need not be the same everywhere, and rounding these weights costs it nothing that shows
(train/README.md). format/SPEC.md, section 10, says how they lie in a file.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import numpy as np
from numpy.typing import NDArray

from vqcodec.engines.layers import Network, tensor_shapes
from vqcodec.errors import ModelCorruptError
from vqcodec.models import file

LEVEL_MAX = 31
_ENDS = (".first.weight", ".second.weight")
_OFFSET = 32


def is_packed(name: str) -> bool:
    """Tell whether a tensor of the analysis, by its name, is packed."""
    return name.endswith(_ENDS)


def quantise(weights: NDArray[np.float32]) -> tuple[NDArray[np.int8], NDArray[np.float32]]:
    """Round weights (O, I, h, w) to levels times a scale, (O,)."""
    largest = np.abs(weights).max((1, 2, 3)) / np.float32(LEVEL_MAX)
    scales = np.maximum(largest, np.finfo(np.float32).tiny, dtype=np.float32)
    return np.rint(weights / scales[:, None, None, None]).astype(np.int8), scales


def restore(levels: NDArray[np.int8], scales: NDArray[np.float32]) -> NDArray[np.float32]:
    """Undo `quantise`."""
    return levels * scales[:, None, None, None]


def pack(levels: NDArray[np.int8]) -> NDArray[np.uint8]:
    """Put four levels after four into three bytes each, the first in the highest bits."""
    flat = np.full(-(-levels.size // 4) * 4, _OFFSET, np.uint32)
    flat[: levels.size] = levels.ravel().astype(np.int32) + _OFFSET
    a, b, c, d = flat.reshape(-1, 4).T
    words = a << 18 | b << 12 | c << 6 | d
    return np.stack([words >> 16, words >> 8, words], axis=1).astype(np.uint8).ravel()


def unpack(packed: NDArray[np.uint8], shape: tuple[int, ...]) -> NDArray[np.int8]:
    """Undo `pack`, of as many bytes as the shape needs."""
    a, b, c = packed.reshape(-1, 3).T
    levels = np.stack([a >> 2, a << 4 & 48 | b >> 4, b << 2 & 60 | c >> 6, c & 63], axis=1)
    flat: NDArray[np.int8] = levels.ravel()[: np.prod(shape)].astype(np.int8) - np.int8(_OFFSET)
    return flat.reshape(shape)


class AnalysisWeights(Mapping[str, NDArray]):
    """Weights of an analysis by the network's names, unpacked where they are asked for: decoding
    asks for none.
    """

    def __init__(self, network: Network, tensors: Mapping[str, NDArray]) -> None:
        """Take the tensors under `analysis.` of a model file.

        Raises ModelCorruptError if one is missing, has another shape or type, or is not finite.
        """
        self._shapes = tensor_shapes(network)
        self._read: dict[str, NDArray] = {}
        for name, shape in self._shapes.items():
            full = f"analysis.{name}"
            if not is_packed(name):
                self._read[name] = file.floats(tensors, full, np.float16, shape)
                continue
            size = (-(-int(np.prod(shape)) // 4) * 3,)
            packed = tensors.get(full)
            if packed is None or packed.shape != size or packed.dtype != np.uint8:
                raise ModelCorruptError(f"tensor {full} is not uint8 {size}")
            self._read[name] = packed
            self._read[name + file.SCALE] = file.floats(
                tensors, full + file.SCALE, np.float32, shape[:1]
            )

    def __getitem__(self, name: str) -> NDArray:
        if not is_packed(name):
            return self._read[name]
        levels = unpack(self._read[name], self._shapes[name])
        return restore(levels, self._read[name + file.SCALE])

    def __iter__(self) -> Iterator[str]:
        return iter(self._shapes)

    def __len__(self) -> int:
        return len(self._shapes)
