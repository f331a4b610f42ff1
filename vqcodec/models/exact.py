"""The synthesis of `photo-2`: a network of integers (format/SPEC.md, section 9, "Exact
synthesis").

As `transform.synthesis`, with integer layers in place of real ones. Every sum stays below 2^24
in magnitude, which is proved of the weights when a model is written and when it is read.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from vqcodec.engines.layers import (
    WIDE_FRACTION,
    WIDE_STEP,
    Affine,
    Channels,
    Crop,
    IntegerBlock,
    Layer,
    Levels,
    Network,
    Seam,
    Shuffle,
    Sum,
    WideConv,
    cropped,
    tensor_shapes,
)
from vqcodec.errors import ModelCorruptError
from vqcodec.models.config import TransformConfig
from vqcodec.prior.units import FRACTION_VECTOR

FRACTION = 6
"""Bits behind the point of the samples' sums."""
LATENT_MIN, LATENT_MAX = -16384, 16383
"""Range of the integers that the synthesis reads."""
SCALE_FRACTION = 16
"""Bits behind the point of scales."""
DIGIT_MAX = 64
"""Weights are -64..64."""
STREAM_SHIFT_MAX, WIDE_SHIFT_MAX, SUM_SHIFT_MAX = 16, 9, 20
"""Largest shifts: of a block's input and output, of a wide layer's input, of sums."""

_LIMIT = 1 << 24
_SIGNED_MAX, _UNSIGNED_MAX = 128, 255
_TYPES = {
    "high": np.int8,
    "low": np.int8,
    "weight": np.int8,
    "bias": np.int32,
    "shift": np.uint8,
    "input": np.uint8,
    "output": np.uint8,
}


def synthesis(config: TransformConfig) -> Network:
    """Make the network from integer latents (D, N, M) to pixels (3, 16N, 16M): 0..255 / 255."""
    (fine, middle, coarse), (a, b, c) = config.widths, config.depths
    first_detail = config.latents - config.details
    transform = (
        Channels(0, first_detail),
        WideConv("layers.0", first_detail, coarse, 3),
        *cropped(_blocks(1, c, coarse)),
        Seam(coarse),
        WideConv(f"layers.{c + 1}", coarse, 4 * middle, 1),
        Shuffle(2),
        *cropped(_blocks(c + 3, b, middle)),
        WideConv(f"layers.{c + b + 3}", middle, 4 * fine, 1),
        Shuffle(2),
        *_blocks(c + b + 5, a, fine),
        WideConv(f"layers.{c + b + a + 5}", fine, 3 * 16, 3),
        Crop(),
        Shuffle(4),
    )
    details = (
        Channels(first_detail, config.latents),
        Seam(config.details),
        WideConv("details.0", config.details, 3 * 16 * 16, 1),
        Shuffle(16),
    )
    samples = (Levels(FRACTION), Affine(1.0 / 255.0, 0.0))
    return Network(config.latents, 3, (Sum((transform, details)), *samples))


def latents(scaled: NDArray[np.float32], scales: NDArray[np.int32]) -> NDArray[np.float32]:
    """Map codewords (..., D), multiples of 1/32, to integer latents by scales (D,)."""
    codewords = (scaled * np.float32(2.0**FRACTION_VECTOR)).astype(np.int64)
    half = 1 << (SCALE_FRACTION - 1)
    products = codewords * scales + half >> SCALE_FRACTION
    return products.clip(LATENT_MIN, LATENT_MAX).astype(np.float32)


def check(network: Network, tensors: Mapping[str, NDArray]) -> None:
    """Check an integer network's tensors, and that no sum of theirs can reach 2^24.

    Raises ModelCorruptError.
    """
    for name, shape in tensor_shapes(network).items():
        dtype = _TYPES[name.rpartition(".")[2]]
        tensor = tensors.get(name)
        if tensor is None or tensor.shape != shape or tensor.dtype != dtype:
            raise ModelCorruptError(f"tensor {name} is not {np.dtype(dtype).name} {shape}")
        if dtype == np.int8 and (np.abs(tensor.astype(np.int16)) > DIGIT_MAX).any():
            raise ModelCorruptError(f"tensor {name} is not within -{DIGIT_MAX}..{DIGIT_MAX}")
    _bound(network.layers, np.full(network.inputs, LATENT_MAX + 1, np.int64), tensors)


def _blocks(first: int, count: int, channels: int) -> tuple[Layer, ...]:
    return tuple(
        IntegerBlock(f"layers.{number}", channels) for number in range(first, first + count)
    )


def _bound(
    layers: Sequence[Layer], largest: NDArray[np.int64], tensors: Mapping[str, NDArray]
) -> NDArray[np.int64]:
    """Return how large each channel can become, given how large those are that the layers read.

    Raises ModelCorruptError if a sum on the way can reach 2^24.
    """
    for layer in layers:
        match layer:
            case WideConv(name=name):
                largest = _wide_bound(name, tensors)
            case IntegerBlock(name=name):
                _check_shifts(f"{name}.input", STREAM_SHIFT_MAX, tensors)
                _convolution_bound(f"{name}.first", _SIGNED_MAX, tensors)
                _convolution_bound(f"{name}.second", _UNSIGNED_MAX, tensors)
                _check_shifts(f"{name}.output", STREAM_SHIFT_MAX, tensors)
                largest = largest + (_SIGNED_MAX << tensors[f"{name}.output"].astype(np.int64))
                _check_sums(f"the stream after {name}", largest)
            case Shuffle(factor=factor):
                largest = largest.reshape(-1, factor**2).max(1)
            case Channels(first=first, stop=stop):
                largest = largest[first:stop]
            case Sum(branches=branches):
                several = [_bound(branch, largest, tensors) for branch in branches]
                largest = np.sum(several, axis=0)
                _check_sums("the pixels", largest)
    return largest


def _wide_bound(name: str, tensors: Mapping[str, NDArray]) -> NDArray[np.int64]:
    high, low = (_magnitude(tensors[f"{name}.{digit}"]) for digit in ("high", "low"))
    _check_shifts(f"{name}.input", WIDE_SHIFT_MAX, tensors)
    _check_shifts(f"{name}.shift", SUM_SHIFT_MAX, tensors)
    crossed = _SIGNED_MAX * (high + low)
    _check_sums(name, crossed)
    rest = (crossed >> (WIDE_STEP - WIDE_FRACTION)) + 1
    total = (_SIGNED_MAX << WIDE_FRACTION) * high + rest + _size(tensors[f"{name}.bias"])
    _check_sums(name, total)
    shifted: NDArray[np.int64] = (total >> tensors[f"{name}.shift"].astype(np.int64)) + 1
    return shifted


def _convolution_bound(name: str, largest: int, tensors: Mapping[str, NDArray]) -> None:
    _check_shifts(f"{name}.shift", SUM_SHIFT_MAX, tensors)
    weights = _magnitude(tensors[f"{name}.weight"])
    _check_sums(name, largest * weights + _size(tensors[f"{name}.bias"]))


def _magnitude(weight: NDArray) -> NDArray[np.int64]:
    """Return the sum of the magnitudes of each output's weights."""
    sums: NDArray[np.int64] = _size(weight).reshape(len(weight), -1).sum(1)
    return sums


def _size(values: NDArray) -> NDArray[np.int64]:
    size: NDArray[np.int64] = np.abs(values.astype(np.int64))
    return size


def _check_shifts(name: str, most: int, tensors: Mapping[str, NDArray]) -> None:
    if (tensors[name] > most).any():
        raise ModelCorruptError(f"tensor {name} is not within 0..{most}")


def _check_sums(name: str, sums: NDArray[np.int64]) -> None:
    if (sums >= _LIMIT).any():
        raise ModelCorruptError(f"{name}: sums could reach 2^24")
