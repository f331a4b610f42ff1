"""The arithmetic of integer layers while they train (`prior.layer` defines the integers).

The same numbers on real ones, rounding with straight-through gradients, and the way from
trained weights to integers and back.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

from vqcodec.prior.layer import check_bound
from vqcodec.prior.units import (
    ACTIVATION_MAX,
    EXACT_BOUND,
    FRACTION_ACTIVATION,
    FRACTION_STREAM,
    SHIFT_MAX,
    STREAM_MAX,
    WEIGHT_MAX,
)


def exponents(weight: Tensor, bias: Tensor, fraction_in: int, fraction_out: int) -> Tensor:
    """Return p: the largest exponents for which every row of weight * 2^p fits 8 bits, and the
    bias takes half of a sum's range at most.

    `weight` is (outputs, ...), `bias` (outputs,); p is kept where the layer's shift is 0..20.
    """
    largest = weight.detach().abs().flatten(1).amax(1).clamp_min(2.0**-20)
    room = 0.5 * EXACT_BOUND * 2.0**-fraction_in / bias.detach().abs().clamp_min(2.0**-20)
    p = torch.floor(torch.log2(torch.minimum(WEIGHT_MAX / largest, room)))
    low = fraction_out - fraction_in
    return p.clamp(low, low + SHIFT_MAX)


def fake_layer(
    weight: Tensor, bias: Tensor, fraction_in: int, fraction_out: int
) -> tuple[Tensor, Tensor]:
    """Round a layer's weights and biases to their integer grids; gradients pass."""
    p = exponents(weight, bias, fraction_in, fraction_out)
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


def fake_table(table: Tensor, fraction: int, largest: int) -> Tensor:
    """Round numbers that are stored as they are, and clamp them to integers of -largest..largest;
    gradients pass.
    """
    reach = largest * 2.0**-fraction
    return fake_round(table, fraction).clamp(-reach, reach)


def fake_limit(stream: Tensor, *, integer: bool) -> Tensor:
    """Clamp the residual stream, if `integer`."""
    reach = STREAM_MAX * 2.0**-FRACTION_STREAM
    return stream.clamp(-reach, reach) if integer else stream


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
    p = exponents(weight, bias, fraction_in, fraction_out)
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
    weight8, bias32, shift8 = (each.cpu().numpy() for each in integers)
    check_bound(weight8, bias32, shift8, name)
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
