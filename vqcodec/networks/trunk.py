"""The trunk of a prior as it trains: features of each position from the positions before it.

The same network as `prior.trunk`, in real numbers and for all positions at once: a residual
stream, to which every layer adds what it reads of the rectified stream. With `integer` set it
computes on the grid of the fixed-point network, rounding with straight-through gradients, and
exports the integers; format/SPEC.md, section "Prior", defines them.

Shapes: grids of N rows by M columns, or of one dimension with M positions, "..." standing for
either; B of them, and C features of a position.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping
from typing import ClassVar

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from vqcodec.networks import fixedpoint as fx
from vqcodec.prior import units
from vqcodec.prior.taps import Taps, TrunkTaps


class TapConv(nn.Module, ABC):
    """A convolution over the offsets of taps, weights (outputs, taps, inputs)."""

    def __init__(self, taps: Taps, inputs: int, outputs: int, fraction_in: int) -> None:
        super().__init__()
        self.fraction_in = fraction_in
        self.fraction_out = units.FRACTION_STREAM
        bound = (3.0 / (len(taps) * inputs)) ** 0.5
        self.weight = nn.Parameter(torch.empty(outputs, len(taps), inputs).uniform_(-bound, bound))
        self.bias = nn.Parameter(torch.zeros(outputs))

    def forward(self, x: Tensor, *, integer: bool) -> Tensor:
        """Map (B, inputs, ...) to (B, outputs, ...); outside the grid is 0."""
        weight: Tensor = self.weight
        bias: Tensor = self.bias
        if integer:
            weight, bias = fx.fake_layer(weight, bias, self.fraction_in, self.fraction_out)
        out = self._convolve(x, weight, bias)
        return fx.fake_round(out, self.fraction_out) if integer else out

    @abstractmethod
    def _convolve(self, x: Tensor, weight: Tensor, bias: Tensor) -> Tensor: ...


class WedgeConv(TapConv):
    """Over a wedge in two dimensions, (B, inputs, N, M)."""

    places: Tensor
    """Of the taps in the square around them, row by row, (taps,)."""

    def __init__(self, taps: Taps, inputs: int, outputs: int, fraction_in: int) -> None:
        super().__init__(taps, inputs, outputs, fraction_in)
        self.radius = max(max(abs(di), abs(dj)) for di, dj in taps)
        self._side = 2 * self.radius + 1
        places = [(di + self.radius) * self._side + dj + self.radius for di, dj in taps]
        self.register_buffer("places", torch.tensor(places), persistent=False)

    def _convolve(self, x: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
        # Channels last, as the features are, or every convolution would reorder both.
        square = weight.new_zeros(weight.shape[0], self._side**2, weight.shape[2])
        square = square.index_copy(1, self.places, weight)
        kernel = square.view(-1, self._side, self._side, weight.shape[2]).permute(0, 3, 1, 2)
        return F.conv2d(x, kernel, bias, padding=self.radius)


class DilatedConv(TapConv):
    """Over positions before the own one, equally far apart, or also that: (B, inputs, M).

    A causal dilated convolution (WaveNet, arXiv 1609.03499, section 2.1).
    """

    def __init__(self, taps: Taps, inputs: int, outputs: int, fraction_in: int) -> None:
        super().__init__(taps, inputs, outputs, fraction_in)
        offsets = [column for _, column in taps]
        self._back = -offsets[0]
        self._dilation = offsets[1] - offsets[0] if len(offsets) > 1 else 1

    def _convolve(self, x: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
        kernel = weight.transpose(1, 2)
        out = F.conv1d(x, kernel, bias, padding=self._back, dilation=self._dilation)
        return out[..., : x.shape[-1]]


class Pointwise(nn.Module):
    """A linear map at each position, weights (outputs, inputs)."""

    def __init__(self, inputs: int, outputs: int, fraction_out: int) -> None:
        super().__init__()
        self.fraction_in = units.FRACTION_ACTIVATION
        self.fraction_out = fraction_out
        bound = (3.0 / inputs) ** 0.5
        self.weight = nn.Parameter(torch.empty(outputs, inputs).uniform_(-bound, bound))
        self.bias = nn.Parameter(torch.zeros(outputs))

    def forward(self, x: Tensor, *, integer: bool) -> Tensor:
        """Map (B, inputs, ...) to (B, outputs, ...)."""
        weight: Tensor = self.weight
        bias: Tensor = self.bias
        if integer:
            weight, bias = fx.fake_layer(weight, bias, self.fraction_in, self.fraction_out)
        if x.dim() == 4:
            out = F.conv2d(x, weight[:, :, None, None], bias)
        else:
            out = F.conv1d(x, weight[:, :, None], bias)
        return fx.fake_round(out, self.fraction_out) if integer else out


class Trunk(nn.Module):
    """What priors share: a first layer, residual layers, and their way to integers and back."""

    convolution: ClassVar[type[TapConv]]
    """What the layers are."""
    first: TapConv
    layers: nn.ModuleList

    def add_layers(self, taps: TrunkTaps, reads: int, channels: int, fraction_in: int) -> None:
        """Make the layers: the first one reads `reads` numbers of `fraction_in` fractional bits
        of a position, all have `channels` outputs.
        """
        self.first = self.convolution(taps.first, reads, channels, fraction_in)
        self.layers = nn.ModuleList(
            self.convolution(own, channels, channels, units.FRACTION_ACTIVATION)
            for own in taps.layers
        )

    def features(self, read: Tensor, offset: Tensor | None = None, *, integer: bool) -> Tensor:
        """Map what is read of positions, (B, reads, ...), to what is known of each before it is
        coded, (B, C, ...).

        `offset`, (B, C, 1, ..) or (B, C, ...), is added to the output of the first layer.
        """
        # Under autocast layers answer in bfloat16, which is too coarse for the stream.
        stream = self.first(read, integer=integer).to(read.dtype)
        if offset is not None:
            stream = stream + offset
        stream = fx.fake_limit(stream, integer=integer)
        for layer in self.layers:
            active = fx.fake_activate(stream, integer=integer)
            stream = fx.fake_limit(stream + layer(active, integer=integer), integer=integer)
        return fx.fake_activate(stream, integer=integer)

    def parts(self) -> Iterator[tuple[str, TapConv | Pointwise]]:
        """Yield every layer by its name in SPEC.md."""
        yield "first", self.first
        for number, layer in enumerate(self.layers):
            assert isinstance(layer, TapConv)
            yield f"layers.{number}", layer

    @torch.no_grad()
    def export(self) -> dict[str, Tensor]:
        """Return the integer prior's tensors by the names that SPEC.md gives them.

        Raises ModelCorruptError if a layer could leave the exact range.
        """
        out: dict[str, Tensor] = {}
        for name, layer in self.parts():
            out |= fx.export_layer(
                name, layer.weight, layer.bias, layer.fraction_in, layer.fraction_out
            )
        return out

    @torch.no_grad()
    def load_integers(self, tensors: Mapping[str, Tensor]) -> None:
        """Undo `export`: take the weights that the tensors of an integer prior stand for.

        They must be of a prior of this configuration.
        """
        for name, layer in self.parts():
            fx.load_layer(
                tensors, name, layer.weight, layer.bias, layer.fraction_in, layer.fraction_out
            )
