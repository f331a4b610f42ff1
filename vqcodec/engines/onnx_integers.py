"""Integer layers as ONNX nodes, exact on every machine.

Activations are uint8 with 128 for 0 where they are signed, weights int8 of -64..64. Two products
of them fit 16 bits, which is all that AVX2's instruction for such pairs has. The operators
round half to even. Between layers the integers are float32 numbers below 2^24 in magnitude;
scales are powers of two. So no operation rounds but where format/SPEC.md rounds.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from vqcodec.engines import onnx_messages as onnx
from vqcodec.engines.layers import WIDE_FRACTION, WIDE_STEP, IntegerBlock, WideConv

Tensors = Mapping[str, NDArray]

_SIGNED_ZERO, _UNSIGNED_ZERO = np.uint8(128), np.uint8(0)
_ONE = np.float32(1.0)
_END = np.iinfo(np.int64).max


class Writer(Protocol):
    """Collects nodes and constants, as `graph` does."""

    def node(
        self,
        operator: str,
        inputs: list[str],
        output: str | None = None,
        **attributes: onnx.Attribute,
    ) -> str:
        """Add a node, and return the name of what it makes."""
        ...

    def constant(self, values: NDArray | np.generic) -> str:
        """Add a tensor, and return its name."""
        ...


def block(to: Writer, layer: IntegerBlock, tensors: Tensors, x: str) -> str:
    """Add an integer block that reads the float32 stream `x`."""
    name = layer.name
    a = _quantise(to, x, _shift(tensors[f"{name}.input"]))
    h = _convolution(to, f"{name}.first", tensors, a, _SIGNED_ZERO, _UNSIGNED_ZERO)
    u = _convolution(to, f"{name}.second", tensors, h, _UNSIGNED_ZERO, _SIGNED_ZERO)
    shifts = tensors[f"{name}.output"]
    grid = [to.constant(_powers(shifts)), to.constant(np.full(shifts.shape, _SIGNED_ZERO))]
    return to.node("Add", [x, to.node("DequantizeLinear", [u, *grid], axis=1)])


def wide_convolution(to: Writer, layer: WideConv, tensors: Tensors, x: str) -> str:
    """Add a wide convolution of the float32 integers `x`, as products of matrices.

    A row of the left matrix has what one position of the result looks at, channels last.
    """
    name = layer.name
    shift = _shift(tensors[f"{name}.input"])
    first = _quantise(to, x, shift + WIDE_STEP)
    left = to.node("Sub", [x, _dequantise(to, first, shift + WIDE_STEP)])
    second = _quantise(to, left, shift)
    high, low = (_matrix(tensors[f"{name}.{digit}"]) for digit in ("high", "low"))
    rows = [_rows(to, digit, layer.size) for digit in (first, second)]
    upper, *crossed = (
        _product(to, *pair) for pair in ((rows[0], high), (rows[0], low), (rows[1], high))
    )
    cross = to.node("Add", crossed)
    scaled = to.node("Mul", [upper, to.constant(np.float32(2.0**WIDE_FRACTION))])
    rest = _rounded(to, cross, np.float32(2.0 ** (WIDE_FRACTION - WIDE_STEP)))
    bias = to.constant(tensors[f"{name}.bias"].astype(np.float32))
    total = to.node("Add", [to.node("Add", [scaled, rest]), bias])
    shifted = _rounded(to, total, _powers(-tensors[f"{name}.shift"].astype(np.int64)))
    return to.node("Transpose", [shifted], perm=[0, 3, 1, 2])


def levels(to: Writer, fraction: int, x: str) -> str:
    """Add what turns units of 2^-fraction to 0..255."""
    rounded = _rounded(to, x, np.float32(2.0**-fraction))
    return to.node("Clip", [rounded, to.constant(np.float32(0.0)), to.constant(np.float32(255.0))])


def _quantise(to: Writer, x: str, shift: int) -> str:
    """Round x / 2^shift to -128..127, stored as 0..255."""
    return to.node("QuantizeLinear", [x, *_grid(to, shift)])


def _dequantise(to: Writer, x: str, shift: int) -> str:
    """Undo `_quantise` but for its rounding."""
    return to.node("DequantizeLinear", [x, *_grid(to, shift)])


def _grid(to: Writer, shift: int) -> tuple[str, str]:
    return to.constant(np.float32(2.0**shift)), to.constant(_SIGNED_ZERO)


def _shift(tensor: NDArray) -> int:
    return int(tensor[0])


def _convolution(
    to: Writer, name: str, tensors: Tensors, x: str, zero_in: np.uint8, zero_out: np.uint8
) -> str:
    """Add a 3x3 convolution from uint8 to uint8; around the picture there is `zero_in`."""
    weight, bias, shift = (tensors[f"{name}.{key}"] for key in ("weight", "bias", "shift"))
    one = to.constant(_ONE)
    source = [x, one, to.constant(zero_in)]
    scales = to.constant(_powers(-shift.astype(np.int64)))
    kernel = [to.constant(weight), scales, to.constant(np.zeros(len(weight), np.int8))]
    result = [one, to.constant(zero_out), to.constant(bias)]
    return to.node("QLinearConv", [*source, *kernel, *result], pads=[1] * 4)


def _rows(to: Writer, x: str, size: int) -> str:
    """Collect around every position the channels of size x size positions, and put them last."""
    last = to.node("Transpose", [x], perm=[0, 2, 3, 1])
    if size == 1:
        return last
    margin = size // 2
    pads = to.constant(np.array([0, margin, margin, 0] * 2, dtype=np.int64))
    padded = to.node("Pad", [last, pads, to.constant(_SIGNED_ZERO)])
    axes = to.constant(np.array([1, 2], dtype=np.int64))
    taps = []
    for tap in np.ndindex(size, size):
        starts = np.array(tap, dtype=np.int64)
        stops = starts - (size - 1)  # counted from the end, where 0 is none
        stops[stops == 0] = _END
        taps.append(to.node("Slice", [padded, to.constant(starts), to.constant(stops), axes]))
    return to.node("Concat", taps, axis=3)


def _matrix(weight: NDArray) -> NDArray:
    """Lay out (outputs, inputs, size, size) as `_rows` has its columns."""
    outputs = len(weight)
    return np.ascontiguousarray(weight.transpose(2, 3, 1, 0).reshape(-1, outputs))


def _product(to: Writer, rows: str, matrix: NDArray) -> str:
    """Multiply uint8 rows, 128 meaning 0, by an int8 matrix; the result is float32."""
    inputs = [rows, to.constant(matrix), to.constant(_SIGNED_ZERO)]
    return to.node("Cast", [to.node("MatMulInteger", inputs)], to=onnx.FLOAT)


def _rounded(to: Writer, x: str, scale: NDArray | np.float32) -> str:
    """Multiply by powers of two, along the last axis, and round half to even."""
    return to.node("Round", [to.node("Mul", [x, to.constant(scale)])])


def _powers(exponents: NDArray) -> NDArray[np.float32]:
    return np.ldexp(np.float32(1.0), exponents.astype(np.int32))
