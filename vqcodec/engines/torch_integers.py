"""Integer layers by torch, exact on any device: matrix products of float32 integers.

All sums are below 2^24 in magnitude, so float32 holds them, in any order of summation, as long
as products are computed in full precision (`precision`). Convolutions of libraries are not used:
some compute by other means than sums of products, which round.
"""

from __future__ import annotations

from collections.abc import Mapping

import torch
import torch.nn.functional as F
from torch import Tensor

from vqcodec.engines.layers import WIDE_FRACTION, WIDE_STEP, IntegerBlock, WideConv

Tensors = Mapping[str, Tensor]


def block(layer: IntegerBlock, tensors: Tensors, x: Tensor) -> Tensor:
    """Map the stream (1, channels, n, m) to what the block makes of it."""
    name = layer.name
    a = _rounded(x, -tensors[f"{name}.input"]).clamp_(-128.0, 127.0)
    h = _convolution(f"{name}.first", tensors, a).clamp_(0.0, 255.0)
    u = _convolution(f"{name}.second", tensors, h).clamp_(-128.0, 127.0)
    return x + u * _power(tensors[f"{name}.output"])


def wide_convolution(layer: WideConv, tensors: Tensors, x: Tensor) -> Tensor:
    """Map integers (1, inputs, n, m) to (1, outputs, n, m)."""
    name = layer.name
    shift = tensors[f"{name}.input"]
    first = _rounded(x, -shift - WIDE_STEP).clamp_(-128.0, 127.0)
    left = x - first * _power(shift + WIDE_STEP)
    second = _rounded(left, -shift).clamp_(-128.0, 127.0)
    high, low = (tensors[f"{name}.{digit}"] for digit in ("high", "low"))
    crossed = _correlate(first, low).add_(_correlate(second, high))
    rest = torch.round(crossed * 2.0 ** (WIDE_FRACTION - WIDE_STEP))
    total = _correlate(first, high) * 2.0**WIDE_FRACTION + rest + _column(tensors[f"{name}.bias"])
    return _rounded(total, -tensors[f"{name}.shift"])


def levels(fraction: int, x: Tensor) -> Tensor:
    """Map units of 2^-fraction to the nearest of 0..255."""
    return torch.round(x * 2.0**-fraction).clamp_(0.0, 255.0)


def _convolution(name: str, tensors: Tensors, x: Tensor) -> Tensor:
    sums = _correlate(x, tensors[f"{name}.weight"]).add_(_column(tensors[f"{name}.bias"]))
    return _rounded(sums, -tensors[f"{name}.shift"])


def _correlate(x: Tensor, weight: Tensor) -> Tensor:
    """Cross-correlate x (1, inputs, n, m) with weight (outputs, inputs, size, size), zeros
    around it, one position of the kernel after another.
    """
    size, (rows, columns) = weight.shape[2], x.shape[2:]
    padded = F.pad(x[0], (size // 2,) * 4)
    total = x.new_zeros(len(weight), rows * columns)
    for top in range(size):
        for left in range(size):
            seen = padded[:, top : top + rows, left : left + columns].flatten(1)
            total.addmm_(weight[:, :, top, left], seen)
    return total.view(1, -1, rows, columns)


def _rounded(x: Tensor, exponents: Tensor) -> Tensor:
    """Round x times 2^exponent of each channel; ties to even."""
    return torch.round(x * _power(exponents))


def _power(exponents: Tensor) -> Tensor:
    """Make float32 numbers of their bits: a device's own powers may be off by the last one."""
    bits = (exponents.to(torch.int32) + 127) << 23
    return bits.view(torch.float32)[:, None, None]


def _column(values: Tensor) -> Tensor:
    return values[:, None, None]
