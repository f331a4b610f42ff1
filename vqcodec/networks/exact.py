"""The synthesis of `photo-2` while it trains for integers (format/SPEC.md, section 9, "Exact
synthesis").

Every layer computes either in real numbers or, with `integer`, on the grid: then what passes
between layers are the integers themselves, in float32, and gradients pass through rounding as
if it were not there (Bengio et al., arXiv 1308.3432). Weights stay real numbers in the unit of
the first stage; buffers say what a unit of each integer is worth, and are set once
(`calibration`).

Tensors have the names of `deep`'s. What blocks read of the stream is cut on both sides by the
range of the integers.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from vqcodec.engines.layers import WIDE_FRACTION, WIDE_STEP
from vqcodec.models.config import TransformConfig
from vqcodec.models.exact import DIGIT_MAX, FRACTION, LATENT_MAX, LATENT_MIN
from vqcodec.networks.transform import Synthesis

SIGNED, UNSIGNED = (-128.0, 127.0), (0.0, 255.0)
"""Ranges of activations."""


_UNITS = ("unit", "read", "written", "stream", "inner")
"""Last parts of the names of buffers that say what a unit is worth; the others are shifts."""


class _RoundThrough(torch.autograd.Function):
    """Round half to even; the gradient is that of the identity."""

    @staticmethod
    def forward(ctx: Any, x: Tensor) -> Tensor:
        return x.round()

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> Tensor:
        return grads[0]


def nearest(x: Tensor) -> Tensor:
    """Round half to even; gradients pass."""
    rounded: Tensor = _RoundThrough.apply(x)  # type: ignore[no-untyped-call]
    return rounded


class WideConv(nn.Conv2d):
    """Convolution of the stream, or of latents, with two digits for inputs and weights."""

    read: Tensor
    """Value of a unit of each input, (inputs,)."""
    written: Tensor
    """Value of a unit of each output, (outputs,)."""
    input: Tensor
    """Bits that the input is shifted by, ()."""
    shift: Tensor
    """Bits that the sums are shifted by, (outputs,)."""

    def __init__(self, inputs: int, outputs: int, size: int) -> None:
        super().__init__(inputs, outputs, size, padding=size // 2)
        self.register_buffer("read", torch.ones(inputs))
        self.register_buffer("written", torch.ones(outputs))
        self.register_buffer("input", torch.zeros(()))
        self.register_buffer("shift", torch.zeros(outputs))

    def forward(self, x: Tensor, integer: bool = False) -> Tensor:
        """Map (B, inputs, n, m) to (B, outputs, n, m), both integers or both real."""
        if not integer:
            return super().forward(x)
        high, low = self.digits()
        first, second = self._input_digits(x)
        crossed = self._conv_forward(first, low, None) + self._conv_forward(second, high, None)
        total = 2.0**WIDE_FRACTION * self._conv_forward(first, high, None)
        total = total + nearest(crossed * 2.0 ** (WIDE_FRACTION - WIDE_STEP))
        return nearest((total + self.sums()[:, None, None]) * _power(-self.shift))

    def grid(self) -> Tensor:
        """Return the weights in units of the high digit, not rounded."""
        scaled = self.weight * self._scale()[:, :, None, None]
        return scaled.clamp(-DIGIT_MAX, DIGIT_MAX)

    def digits(self) -> tuple[Tensor, Tensor]:
        """Return the high and the low digit of the weights, the low one -64..63; gradients pass
        through the high.
        """
        grid = self.grid()
        whole = (grid.detach() * 2.0**WIDE_STEP).round()
        # A quarter more, so that no digit lies halfway: weights have one pair of digits only.
        upward = (whole + 0.25) * 2.0**-WIDE_STEP - grid.detach()
        high = nearest(grid + upward)
        return high, whole - 2.0**WIDE_STEP * high.detach()

    def sums(self) -> Tensor:
        """Return the bias as an integer, in the unit of the sums."""
        assert self.bias is not None
        return nearest(self.bias / self.written * torch.exp2(self.shift))

    def export(self) -> dict[str, Tensor]:
        """Return the integers by the names of `layers.WideConv`."""
        high, low = self.digits()
        return {
            "input": self.input.to(torch.uint8).view(1),
            "high": high.to(torch.int8),
            "low": low.to(torch.int8),
            "bias": self.sums().to(torch.int32),
            "shift": self.shift.to(torch.uint8),
        }

    def load_integers(self, tensors: Mapping[str, Tensor]) -> None:
        """Undo `export`: take the weights that the integers stand for in the layer's units."""
        self.input.copy_(tensors["input"][0])
        self.shift.copy_(tensors["shift"])
        weight = tensors["high"] + tensors["low"] * 2.0**-WIDE_STEP
        self.weight.copy_(weight / self._scale()[:, :, None, None])
        assert self.bias is not None
        self.bias.copy_(tensors["bias"] * self.written * torch.exp2(-self.shift))

    def _scale(self) -> Tensor:
        """Return a unit of the weights in units of the high digit, (outputs, inputs)."""
        exponents = self.shift + self.input + (WIDE_STEP - WIDE_FRACTION)
        return torch.exp2(exponents)[:, None] * self.read / self.written[:, None]

    def _input_digits(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Return the two digits; gradients pass through the first alone, as their sum's would."""
        unit = torch.exp2(self.input)
        step = unit * 2.0**WIDE_STEP
        first = nearest(x / step).clamp(*SIGNED)
        second = ((x - first * step) / unit).detach().round().clamp(*SIGNED)
        return first, second


class ExactBlock(nn.Module):
    """x + second(relu(first(x))), two 3x3 convolutions."""

    stream: Tensor
    """Value of a unit of each channel of the stream, (channels,)."""
    inner: Tensor
    """Value of a unit of each channel between the convolutions, (channels,)."""
    input: Tensor
    """Bits that the stream is shifted by before it is read, ()."""
    output: Tensor
    """Bits that what is added to the stream is shifted by, (channels,)."""
    shift: Tensor
    """Bits that the sums of both convolutions are shifted by, (2, channels)."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.first = nn.Conv2d(channels, channels, 3, padding=1)
        self.second = nn.Conv2d(channels, channels, 3, padding=1)
        self.register_buffer("stream", torch.ones(channels))
        self.register_buffer("inner", torch.ones(channels))
        self.register_buffer("input", torch.zeros(()))
        self.register_buffer("output", torch.zeros(channels))
        self.register_buffer("shift", torch.zeros(2, channels))

    def forward(self, x: Tensor, integer: bool = False) -> Tensor:
        """Map (B, channels, n, m) to the same, integers or real numbers."""
        if not integer:
            out: Tensor = self.second(F.relu(self.first(x)))
            return x + out
        a = nearest(x * torch.exp2(-self.input)).clamp(*SIGNED)
        h = self._convolution(0, a).clamp(*UNSIGNED)
        u = self._convolution(1, h).clamp(*SIGNED)
        return x + u * _power(self.output)

    def grid(self, part: int) -> Tensor:
        """Return a convolution's weights on the integers' scale, not rounded."""
        layer, _, _ = self._part(part)
        scaled = layer.weight * self._scale(part)[:, :, None, None]
        return scaled.clamp(-DIGIT_MAX, DIGIT_MAX)

    def export(self) -> dict[str, Tensor]:
        """Return the integers by the names of `layers.IntegerBlock`."""
        tensors = {
            "input": self.input.to(torch.uint8).view(1),
            "output": self.output.to(torch.uint8),
        }
        for part, name in enumerate(("first", "second")):
            tensors[f"{name}.weight"] = self.grid(part).round().to(torch.int8)
            tensors[f"{name}.bias"] = self.sums(part).to(torch.int32)
            tensors[f"{name}.shift"] = self.shift[part].to(torch.uint8)
        return tensors

    def load_integers(self, tensors: Mapping[str, Tensor]) -> None:
        """Undo `export`: take the weights that the integers stand for in the block's units."""
        self.input.copy_(tensors["input"][0])
        self.output.copy_(tensors["output"])
        for part, name in enumerate(("first", "second")):
            self.shift[part] = tensors[f"{name}.shift"]
            layer, _, written = self._part(part)
            assert layer.bias is not None
            layer.weight.copy_(tensors[f"{name}.weight"] / self._scale(part)[:, :, None, None])
            layer.bias.copy_(tensors[f"{name}.bias"] * written * torch.exp2(-self.shift[part]))

    def sums(self, part: int) -> Tensor:
        """Return a convolution's bias as integers, in the unit of its sums."""
        layer, _, written = self._part(part)
        assert layer.bias is not None
        return nearest(layer.bias / written * torch.exp2(self.shift[part]))

    def _part(self, part: int) -> tuple[nn.Conv2d, Tensor, Tensor]:
        """Return a convolution, and what units of its inputs and outputs are worth."""
        if part == 0:
            return self.first, self.stream * torch.exp2(self.input), self.inner
        return self.second, self.inner, self.stream * torch.exp2(self.output)

    def _scale(self, part: int) -> Tensor:
        """Return a unit of a convolution's weights on the integers' scale, (outputs, inputs)."""
        _, read, written = self._part(part)
        return torch.exp2(self.shift[part])[:, None] * read / written[:, None]

    def _convolution(self, part: int, x: Tensor) -> Tensor:
        sums = F.conv2d(x, nearest(self.grid(part)), padding=1) + self.sums(part)[:, None, None]
        return nearest(sums * _power(-self.shift[part]))


class ExactSynthesis(nn.Module):
    """Latents to pixels."""

    unit: Tensor
    """Value of a unit of each latent, (D,)."""

    def __init__(self, config: TransformConfig) -> None:
        super().__init__()
        fine, middle, coarse = config.widths
        few, some, many = config.depths
        self.parts = [config.latents - config.details, config.details]
        """Latents that are read by each of the two branches."""
        self.layers = nn.Sequential(
            WideConv(self.parts[0], coarse, 3),
            *(ExactBlock(coarse) for _ in range(many)),
            WideConv(coarse, 4 * middle, 1),
            nn.PixelShuffle(2),
            *(ExactBlock(middle) for _ in range(some)),
            WideConv(middle, 4 * fine, 1),
            nn.PixelShuffle(2),
            *(ExactBlock(fine) for _ in range(few)),
            WideConv(fine, 3 * 16, 3),
            nn.PixelShuffle(4),
        )
        self.details = nn.Sequential(WideConv(config.details, 3 * 16 * 16, 1), nn.PixelShuffle(16))
        self.register_buffer("unit", torch.ones(config.latents))

    def forward(self, latents: Tensor, integer: bool = True) -> Tensor:
        """Map latents (B, D, N, M) to pixels (B, 3, 16N, 16M), about 0..1, neither clamped nor
        rounded to samples.
        """
        if integer:
            latents = nearest(latents / self.unit[:, None, None]).clamp(LATENT_MIN, LATENT_MAX)
        coarse, details = torch.split(latents, self.parts, dim=1)
        pixels = _run(self.layers, coarse, integer) + _run(self.details, details, integer)
        return pixels * (2.0**-FRACTION / 255.0) if integer else 0.5 * pixels

    def export(self) -> dict[str, Tensor]:
        """Return the integers by the names that the network's tensors have in a model file.

        Whether all sums keep to their range is for `models.exact.check` to say.
        """
        return {
            f"{name}.{key}": tensor.detach()
            for name, layer in self.integer_layers()
            for key, tensor in layer.export().items()
        }

    def units(self) -> dict[str, Tensor]:
        """Return what units of the integers are worth, by the names of the buffers that say it."""
        return {
            name: buffer
            for name, buffer in self.named_buffers()
            if name.rpartition(".")[2] in _UNITS
        }

    @torch.no_grad()
    def load_integers(self, tensors: Mapping[str, Tensor], units: Mapping[str, Tensor]) -> None:
        """Undo `export` and `units`, of a network of this configuration."""
        for name, unit in self.units().items():
            unit.copy_(units[name])
        for name, layer in self.integer_layers():
            start = f"{name}."
            layer.load_integers(
                {key[len(start) :]: t for key, t in tensors.items() if key.startswith(start)}
            )

    @property
    def detail_layer(self) -> WideConv:
        """The layer that reads the last latents."""
        layer = self.details[0]
        assert isinstance(layer, WideConv)
        return layer

    def integer_layers(self) -> Iterator[tuple[str, WideConv | ExactBlock]]:
        """Yield the layers with weights, by name."""
        for name, layer in self.named_modules():
            if isinstance(layer, WideConv | ExactBlock):
                yield name, layer

    @torch.no_grad()
    def take(self, source: Synthesis) -> None:
        """Take the weights of a synthesis of `deep`.

        The 1/2 of pixels that are 0..1 becomes part of the last bias, as they are twice that here.
        """
        weights = source.state_dict()
        last = f"layers.{len(self.layers) - 2}.bias"
        weights[last] = weights[last] + 1.0
        weights["details.0.bias"] = torch.zeros_like(weights["details.0.weight"][:, 0, 0, 0])
        own = self.state_dict()
        own.update(weights)
        self.load_state_dict(own)

    @torch.no_grad()
    def give(self, target: Synthesis) -> None:
        """Undo `take`. The target's details have no bias: the mean of theirs over each square of
        4x4 pixels becomes part of the last bias, and the rest is lost.
        """
        own, weights = self.state_dict(), target.state_dict()
        last = f"layers.{len(self.layers) - 2}.bias"
        squares = own["details.0.bias"].view(3, 4, 4, 4, 4)  # colour, square, place, square, place
        spread = squares.mean((1, 3)).flatten()
        weights.update({name: own[name] for name in weights})
        weights[last] = weights[last] + spread - 1.0
        target.load_state_dict(weights)


def _run(layers: nn.Sequential, x: Tensor, integer: bool) -> Tensor:
    for layer in layers:
        x = layer(x) if isinstance(layer, nn.PixelShuffle) else layer(x, integer)
    return x


def _power(exponents: Tensor) -> Tensor:
    return torch.exp2(exponents)[:, None, None]
