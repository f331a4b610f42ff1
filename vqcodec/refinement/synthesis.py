"""The synthesis of `photo-2` as refinement runs it: without rounding, its weights fixed.

The integer network makes the pixels. Its gradients are those of its layers in real numbers,
which go through rounding as if it were not there (`networks.exact`). So these layers suffice:
what is cut at the ends of a range is cut here too, the two digits of a wide layer are one number,
and units and shifts are part of the weights. Pixels differ from the file's by .4 of 255.

Blocks, most of the arithmetic, may convolve in bfloat16, whose steps are those of their integers
of 8 bits. The stream that they add to stays in float32.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from vqcodec.engines.layers import WIDE_FRACTION, WIDE_STEP
from vqcodec.models.exact import FRACTION
from vqcodec.networks.exact import SIGNED, UNSIGNED, ExactBlock, ExactSynthesis, WideConv


class SmoothBlock(nn.Module):
    """What an `ExactBlock` computes on integers, but for rounding; it convolves in `dtype`."""

    output: Tensor
    """2^output of each channel, (channels, 1, 1)."""

    def __init__(self, source: ExactBlock, dtype: torch.dtype) -> None:
        super().__init__()
        self._dtype = dtype
        self._step = 2.0 ** float(source.input)
        self.first, self.second = (
            _convolution(source.grid(part).round(), source.sums(part), source.shift[part], dtype)
            for part in (0, 1)
        )
        self.register_buffer("output", torch.exp2(source.output)[:, None, None])

    def forward(self, x: Tensor) -> Tensor:
        """Map (B, channels, n, m) to the same, in units of the stream."""
        a = F.hardtanh((x / self._step).to(self._dtype), *SIGNED)
        h = F.hardtanh(self.first(a), *UNSIGNED)
        u = F.hardtanh(self.second(h), *SIGNED)
        return torch.addcmul(x, u.to(x.dtype), self.output)


class SmoothSynthesis(nn.Module):
    """Latents to pixels, as `ExactSynthesis` but for rounding; blocks convolve in `dtype`."""

    unit: Tensor
    """Value of a unit of each latent, (D, 1, 1)."""

    def __init__(self, source: ExactSynthesis, dtype: torch.dtype) -> None:
        super().__init__()
        self._parts = source.parts
        self.register_buffer("unit", source.unit[:, None, None])
        self.layers, self.details = (
            nn.Sequential(*(_smooth(layer, dtype) for layer in layers))
            for layers in (source.layers, source.details)
        )
        self.requires_grad_(False)

    def forward(self, latents: Tensor) -> Tensor:
        """Map latents (B, D, N, M) to pixels (B, 3, 16N, 16M), about 0..1, neither clamped nor
        rounded to samples.
        """
        coarse, details = torch.split(latents / self.unit, self._parts, dim=1)
        pixels: Tensor = self.layers(coarse) + self.details(details)
        return pixels * (2.0**-FRACTION / 255.0)


def _smooth(layer: nn.Module, dtype: torch.dtype) -> nn.Module:
    match layer:
        case ExactBlock():
            return SmoothBlock(layer, dtype)
        case WideConv():
            high, low = layer.digits()
            step = 2.0 ** (float(layer.input) + WIDE_STEP)
            weight = (high + low * 2.0**-WIDE_STEP) * (2.0**WIDE_FRACTION / step)
            convolution = _convolution(weight, layer.sums(), layer.shift, torch.float32)
            least, most = SIGNED
            return nn.Sequential(nn.Hardtanh(least * step, most * step), convolution)
    return layer


def _convolution(weight: Tensor, bias: Tensor, shift: Tensor, dtype: torch.dtype) -> nn.Conv2d:
    """Make a convolution whose sums are those of the weights and the bias over 2^shift."""
    outputs, inputs, size, _ = weight.shape
    layer = nn.Conv2d(inputs, outputs, size, padding=size // 2, dtype=dtype)
    unit = torch.exp2(-shift)
    with torch.no_grad():
        layer.weight.copy_(weight * unit[:, None, None, None])
        layer.bias.copy_(bias * unit)  # type: ignore[union-attr]
    return layer
