"""Fixed-point layers: exact integer arithmetic carried by floating-point tensors.

A float32 tensor whose values are integers below 2^24 in magnitude adds and
multiplies exactly as long as every partial sum stays below 2^24, whatever the
order of summation, the number of threads or the device (float64: 2^53). So a
plain matrix product is an exact integer product, provided that

    sum_i |w_i| * max|a| + |b| < 2^24        for every output channel,

which `Fixed.check` proves from the weights. Convolution kernels (Winograd,
FFT) round on the way and are never used here; a convolution is a gather of
slices and a matrix product. TF32 and bfloat16 shortcuts are switched off for
the same reason (`precision`), though 8-bit operands would survive them.

A layer maps activations with `fraction_in` fractional bits to a number with
`fraction_out` of them: weight row c is an 8-bit integer times 2^-p[c], and

    y[c] = floor((W[c] . a + b[c]) / 2^shift[c]),  shift[c] = p[c] + fraction_in - fraction_out,

b[c] holding 2^(shift[c] - 1) for rounding. The same numbers, with gradients
passed straight through the rounding, train the network (`fake_*`).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from vqcodec.errors import ModelCorruptError

EXACT_BOUND = 1 << 24
"""Every partial sum stays below this: the integers that float32 holds exactly."""
WEIGHT_MAX = 127
ACTIVATION_MAX = 127
"""Activations are integers 0..127 (after ReLU), embeddings -127..127."""
SHIFT_MAX = 20

FRACTION_EMBEDDING = 5
FRACTION_ACTIVATION = 4
FRACTION_STREAM = 8
FRACTION_LOGIT = 4
"""Logits are in units of 1/16 bit."""
STREAM_MAX = (1 << 15) - 1
"""The residual stream is clamped to -32767..32767."""


@dataclass(frozen=True, slots=True)
class Fixed:
    """One integer layer. All tensors hold integers in a floating dtype."""

    weight: Tensor
    """(inputs, outputs), -127..127."""
    bias: Tensor
    """(outputs,), in units of the accumulator, rounding included."""
    scale: Tensor
    """(outputs,), 2^-shift."""

    @classmethod
    def from_integers(
        cls,
        weight: Tensor,
        bias: Tensor,
        shift: Tensor,
        *,
        name: str,
        device: torch.device,
        dtype: torch.dtype,
    ) -> Fixed:
        """Check stored integers and make the layer.

        `weight` is int8 (outputs, inputs), `bias` int32 (outputs,), `shift`
        uint8 (outputs,). Raises ModelCorruptError if a sum could leave the
        exact range.
        """
        check_bound(weight, bias, shift, name)
        return cls(
            weight.T.to(device=device, dtype=dtype).contiguous(),
            bias.to(device=device, dtype=dtype),
            torch.pow(2.0, -shift.double()).to(device=device, dtype=dtype),
        )

    def __call__(self, activations: Tensor) -> Tensor:
        """Map integers (..., inputs) to integers (..., outputs)."""
        flat = activations.reshape(-1, activations.shape[-1])
        out = torch.addmm(self.bias, flat, self.weight).mul_(self.scale).floor_()
        return out.view(*activations.shape[:-1], -1)


def check_bound(weight: Tensor, bias: Tensor, shift: Tensor, name: str) -> int:
    """Return the largest magnitude that a partial sum of the layer can reach.

    Raises ModelCorruptError if it is 2^24 or more, or a shift is out of range.
    """
    reach = weight.long().abs().sum(1) * ACTIVATION_MAX + bias.long().abs()
    largest = int(reach.max())
    if largest >= EXACT_BOUND:
        raise ModelCorruptError(f"{name}: a sum can reach {largest}, the limit is {EXACT_BOUND}")
    if int(shift.max()) > SHIFT_MAX or int(weight.long().abs().max()) > WEIGHT_MAX:
        raise ModelCorruptError(f"{name}: a shift or weight is out of range")
    return largest


def activate(stream: Tensor) -> Tensor:
    """ReLU: stream integers to activations 0..127."""
    shrink = 2.0 ** (FRACTION_ACTIVATION - FRACTION_STREAM)
    return (stream * shrink).floor_().clamp_(0, ACTIVATION_MAX)


def limit(stream: Tensor) -> Tensor:
    """Clamp the residual stream, in place."""
    return stream.clamp_(-STREAM_MAX, STREAM_MAX)


def tensor(
    tensors: Mapping[str, Tensor], name: str, dtype: torch.dtype, shape: tuple[int, ...]
) -> Tensor:
    """Take a prior's tensor out of a file's. Raises ModelCorruptError if it is not as expected."""
    found = tensors.get(name)
    if found is None:
        raise ModelCorruptError(f"prior tensor {name} is missing")
    if found.dtype != dtype or tuple(found.shape) != shape:
        raise ModelCorruptError(
            f"prior tensor {name} is {found.dtype} {tuple(found.shape)}, not {dtype} {shape}"
        )
    return found


# Training: the same arithmetic on real numbers, rounding with straight-through gradients.


def exponents(weight: Tensor, fraction_in: int, fraction_out: int) -> Tensor:
    """Return p: the largest exponents for which every row of weight * 2^p fits 8 bits.

    `weight` is (outputs, ...); p is kept where the layer's shift is 0..20.
    """
    largest = weight.detach().abs().flatten(1).amax(1).clamp_min(2.0**-20)
    p = torch.floor(torch.log2(WEIGHT_MAX / largest))
    low = fraction_out - fraction_in
    return p.clamp(low, low + SHIFT_MAX)


def fake_layer(
    weight: Tensor, bias: Tensor, fraction_in: int, fraction_out: int
) -> tuple[Tensor, Tensor]:
    """Round a layer's weights and biases to their integer grids; gradients pass."""
    p = exponents(weight, fraction_in, fraction_out)
    unit = torch.pow(2.0, -p).view(-1, *[1] * (weight.dim() - 1))
    rounded = (weight.detach() / unit).round().clamp(-WEIGHT_MAX, WEIGHT_MAX) * unit
    sums = torch.pow(2.0, -p - fraction_in)
    level = (bias.detach() / sums).round() * sums
    return weight + (rounded - weight).detach(), bias + (level - bias).detach()


class _FloorThrough(torch.autograd.Function):
    """floor(x * 2^fraction + offset) * 2^-fraction; its gradient is that of x."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, fraction: int, offset: float) -> Tensor:
        return (x * 2.0**fraction).add_(offset).floor_().mul_(2.0**-fraction)

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor, None, None]:
        return grads[0], None, None


def fake_round(x: Tensor, fraction: int) -> Tensor:
    """Round half up to `fraction` fractional bits; gradients pass."""
    rounded: Tensor = _FloorThrough.apply(x, fraction, 0.5)  # type: ignore[no-untyped-call]
    return rounded


def fake_activate(stream: Tensor, *, integer: bool) -> Tensor:
    """ReLU with the integer network's ceiling, and its grid if `integer`."""
    out = stream.clamp(0.0, ACTIVATION_MAX * 2.0**-FRACTION_ACTIVATION)
    if integer:
        out = _FloorThrough.apply(out, FRACTION_ACTIVATION, 0.0)  # type: ignore[no-untyped-call]
    return out


def to_integers(
    weight: Tensor, bias: Tensor, fraction_in: int, fraction_out: int
) -> tuple[Tensor, Tensor, Tensor]:
    """Turn trained (outputs, inputs) weights and biases into int8, int32 and uint8 shifts."""
    p = exponents(weight, fraction_in, fraction_out)
    integer = (weight.double() * torch.pow(2.0, p.double())[:, None]).round()
    integer = integer.clamp(-WEIGHT_MAX, WEIGHT_MAX)
    shift = p + (fraction_in - fraction_out)
    half = torch.where(shift > 0, torch.pow(2.0, shift.double() - 1.0), 0.0)
    scaled = bias.double() * torch.pow(2.0, p.double() + fraction_in)
    return integer.to(torch.int8), (scaled.round() + half).to(torch.int32), shift.to(torch.uint8)


def export_layer(
    name: str, weight: Tensor, bias: Tensor, fraction_in: int, fraction_out: int
) -> dict[str, Tensor]:
    """Return a trained layer's integers as `name.weight`, `name.bias` and `name.shift`.

    Raises ModelCorruptError if the layer could leave the exact range.
    """
    integers = to_integers(weight.flatten(1), bias, fraction_in, fraction_out)
    check_bound(*integers, name)
    keys = (f"{name}.weight", f"{name}.bias", f"{name}.shift")
    return dict(zip(keys, integers, strict=True))


def from_integers(
    weight: Tensor, bias: Tensor, shift: Tensor, fraction_in: int, fraction_out: int
) -> tuple[Tensor, Tensor]:
    """Undo `to_integers`: the float32 weights and biases that lie on its grid."""
    p = shift.double() - (fraction_in - fraction_out)
    half = torch.where(shift > 0, torch.pow(2.0, shift.double() - 1.0), 0.0)
    reals = weight.double() * torch.pow(2.0, -p)[:, None]
    return reals.float(), ((bias.double() - half) * torch.pow(2.0, -p - fraction_in)).float()


def load_layer(
    tensors: Mapping[str, Tensor],
    name: str,
    weight: Tensor,
    bias: Tensor,
    fraction_in: int,
    fraction_out: int,
) -> None:
    """Undo `export_layer`: write the weights and biases that the integers stand for."""
    integer, sums, shift = (tensors[f"{name}.{key}"] for key in ("weight", "bias", "shift"))
    reals = from_integers(integer, sums, shift, fraction_in, fraction_out)
    weight.copy_(reals[0].view_as(weight))
    bias.copy_(reals[1])
