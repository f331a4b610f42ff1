"""Fixed-point layers: exact integer arithmetic carried by floating-point arrays.

A float32 array whose values are integers below 2^24 in magnitude adds and multiplies
exactly as long as every partial sum stays below 2^24, whatever the order of summation
or the number of threads (float64: 2^53). So a plain matrix product is an exact integer
product, provided that

    sum_i |w_i| * 127 + |b| < 2^24        for every output channel,

which `check_bound` proves from the weights. A layer maps activations with `fraction_in`
fractional bits to a number with `fraction_out` of them: weight row c is an 8-bit integer
times 2^-p[c], and

    y[c] = floor((W[c] . a + b[c]) / 2^shift[c]),  shift[c] = p[c] + fraction_in - fraction_out,

b[c] holding 2^(shift[c] - 1) for rounding.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from vqcodec.errors import ModelCorruptError
from vqcodec.prior import units

Floats: TypeAlias = NDArray[np.floating[Any]]
"""Integers in a floating dtype, float32 or float64."""
Float: TypeAlias = "type[np.float32] | type[np.float64]"
Tensors: TypeAlias = Mapping[str, NDArray[Any]]
"""Tensors of a model file by their names there, less a prefix."""


@dataclass(frozen=True, slots=True, eq=False)
class Layer:
    """One integer layer: as it is stored, and as NumPy computes with it."""

    weight: NDArray[np.int8]
    """(outputs, inputs), -127..127."""
    bias: NDArray[np.int32]
    """(outputs,), in units of the sums, rounding included."""
    shift: NDArray[np.uint8]
    """(outputs,)"""
    matrix: Floats
    """The weights, (inputs, outputs)."""
    scale: Floats
    """(outputs,), 2^-shift."""

    @classmethod
    def read(
        cls, tensors: Tensors, name: str, inputs: int, outputs: int, dtype: Float = np.float32
    ) -> Layer:
        """Take a layer out of a file's tensors; `dtype` is that of NumPy's arithmetic.

        Raises ModelCorruptError if a tensor is missing, has another shape or dtype, or could
        make a sum leave the exact range.
        """
        weight = take(tensors, f"{name}.weight", np.int8, (outputs, inputs))
        bias = take(tensors, f"{name}.bias", np.int32, (outputs,))
        shift = take(tensors, f"{name}.shift", np.uint8, (outputs,))
        check_bound(weight, bias, shift, name)
        matrix: Floats = np.ascontiguousarray(weight.T, dtype=dtype)
        scale: Floats = np.ldexp(1.0, -shift.astype(np.int32)).astype(dtype)
        return cls(weight, bias, shift, matrix, scale)

    def __call__(self, activations: Floats) -> Floats:
        """Map integers (P, inputs) to integers (P, outputs)."""
        sums: Floats = activations @ self.matrix
        sums += self.bias.astype(sums.dtype)
        sums *= self.scale
        return np.floor(sums, out=sums)


def check_bound(
    weight: NDArray[np.int8], bias: NDArray[np.int32], shift: NDArray[np.uint8], name: str
) -> int:
    """Return the largest magnitude that a partial sum of the layer can reach.

    Raises ModelCorruptError if it is 2^24 or more, or a shift or weight is out of range.
    """
    # int64, as the magnitude of an integer type's least value is none of its own values.
    magnitudes = np.abs(weight.astype(np.int64))
    reach = magnitudes.sum(1) * units.ACTIVATION_MAX + np.abs(bias.astype(np.int64))
    largest = int(reach.max())
    if largest >= units.EXACT_BOUND:
        raise ModelCorruptError(
            f"{name}: a sum can reach {largest}, the limit is {units.EXACT_BOUND}"
        )
    if int(shift.max()) > units.SHIFT_MAX or int(magnitudes.max(initial=0)) > units.WEIGHT_MAX:
        raise ModelCorruptError(f"{name}: a shift or weight is out of range")
    return largest


def take(tensors: Tensors, name: str, dtype: type[Any], shape: tuple[int, ...]) -> NDArray[Any]:
    """Take a prior's tensor out of a file's. Raises ModelCorruptError if it is not as expected."""
    found = tensors.get(name)
    if found is None:
        raise ModelCorruptError(f"prior tensor {name} is missing, or not of integers")
    if found.dtype != dtype or found.shape != shape:
        raise ModelCorruptError(
            f"prior tensor {name} is {found.dtype} {found.shape}, not {dtype.__name__} {shape}"
        )
    return found


def within(values: NDArray[Any], largest: int) -> bool:
    """Return whether integers are -largest..largest."""
    # Not by abs(): that of an integer type's least value is negative.
    return bool(-largest <= values.min(initial=0) and values.max(initial=0) <= largest)


def activate(stream: Floats) -> Floats:
    """ReLU: stream integers to activations 0..127."""
    active = stream * stream.dtype.type(2.0 ** (units.FRACTION_ACTIVATION - units.FRACTION_STREAM))
    np.floor(active, out=active)
    return np.clip(active, 0, units.ACTIVATION_MAX, out=active)


def limit(stream: Floats) -> Floats:
    """Clamp the residual stream, in place."""
    return np.clip(stream, -units.STREAM_MAX, units.STREAM_MAX, out=stream)
