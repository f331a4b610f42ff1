"""The prior as it trains: a wedge-masked PixelCNN in real numbers.

A PixelCNN (arXiv 1601.06759; arXiv 1711.00937, section 3.3) whose receptive
field is a wedge: no layer reaches further right than it reaches up, so the
index at row i, column j depends only on indices with a smaller j + 2i. All
positions of equal j + 2i can then be decoded at once (see `prior.wavefront`).

The network is a residual stream: every layer reads the rectified stream and
adds to it. With `integer` set it computes on the grid of the fixed-point
network, rounding with straight-through gradients, and `export` gives the
integers; format/SPEC.md, section "Prior", defines them.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from vqcodec.models.config import PriorConfig
from vqcodec.networks import fixedpoint as fx
from vqcodec.prior import units
from vqcodec.prior.taps import FIRST_TAPS, INNER_TAPS, Taps


class WedgeConv(nn.Module):
    """A convolution over the offsets of a wedge, weights (outputs, taps, inputs)."""

    def __init__(self, taps: Taps, inputs: int, outputs: int, fraction_in: int) -> None:
        super().__init__()
        self.radius = max(max(abs(di), abs(dj)) for di, dj in taps)
        self.fraction_in = fraction_in
        self.fraction_out = units.FRACTION_STREAM
        self._rows = [di + self.radius for di, _ in taps]
        self._columns = [dj + self.radius for _, dj in taps]
        bound = (3.0 / (len(taps) * inputs)) ** 0.5
        self.weight = nn.Parameter(torch.empty(outputs, len(taps), inputs).uniform_(-bound, bound))
        self.bias = nn.Parameter(torch.zeros(outputs))

    def forward(self, x: Tensor, *, integer: bool) -> Tensor:
        """Map (B, inputs, N, M) to (B, outputs, N, M); outside the grid is 0."""
        weight: Tensor = self.weight
        bias: Tensor = self.bias
        if integer:
            weight, bias = fx.fake_layer(weight, bias, self.fraction_in, self.fraction_out)
        side = 2 * self.radius + 1
        # Channels last, as the features are, or every convolution would reorder both.
        kernel = weight.new_zeros(weight.shape[0], side, side, weight.shape[2])
        kernel[:, self._rows, self._columns] = weight
        out = F.conv2d(x, kernel.permute(0, 3, 1, 2), bias, padding=self.radius)
        return fx.fake_round(out, self.fraction_out) if integer else out


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
        """Map (B, inputs, N, M) to (B, outputs, N, M)."""
        weight: Tensor = self.weight
        bias: Tensor = self.bias
        if integer:
            weight, bias = fx.fake_layer(weight, bias, self.fraction_in, self.fraction_out)
        out = F.conv2d(x, weight[:, :, None, None], bias)
        return fx.fake_round(out, self.fraction_out) if integer else out


class PixelCNN(nn.Module):
    """Logits of every index given the indices before it in wavefront order."""

    def __init__(self, config: PriorConfig) -> None:
        super().__init__()
        self.config = config
        channels = config.channels
        self.embedding = nn.Parameter(torch.randn(config.codebook_size, config.embedding) * 0.5)
        self.first = WedgeConv(FIRST_TAPS, config.embedding, channels, units.FRACTION_EMBEDDING)
        self.layers = nn.ModuleList(
            WedgeConv(INNER_TAPS, channels, channels, units.FRACTION_ACTIVATION)
            for _ in range(config.layers)
        )
        self.hidden = Pointwise(channels, channels, units.FRACTION_STREAM)
        self.output = Pointwise(channels, config.codebook_size, units.FRACTION_LOGIT)

    def forward(self, indices: Tensor, *, integer: bool = False) -> Tensor:
        """Map int64 indices (B, N, M) to logits (B, K, N, M) in bits: p ~ 2^logit."""
        embedding = self._embedding() if integer else self.embedding
        x = F.embedding(indices, embedding).permute(0, 3, 1, 2)  # (B, E, N, M)
        dtype = embedding.dtype  # under autocast layers answer in bfloat16
        reach = units.STREAM_MAX * 2.0**-units.FRACTION_STREAM
        stream = self.first(x, integer=integer).to(dtype).clamp(-reach, reach)  # (B, C, N, M)
        for layer in self.layers:
            active = fx.fake_activate(stream, integer=integer)
            stream = stream + layer(active, integer=integer)
            stream = stream.clamp(-reach, reach) if integer else stream
        hidden = self.hidden(fx.fake_activate(stream, integer=integer), integer=integer)
        active = fx.fake_activate(hidden.to(dtype), integer=integer)
        logits: Tensor = self.output(active, integer=integer)
        return logits

    @torch.no_grad()
    def start_from(self, vectors: Tensor) -> None:
        """Let like codewords begin alike: `vectors` is the codebook, (K, D).

        The embedding starts as the codewords' principal components, and the output
        layer as a random map of them.
        """
        size = min(self.config.embedding, *vectors.shape)
        centred = vectors.float() - vectors.float().mean(0)
        left, strengths, _ = torch.linalg.svd(centred, full_matrices=False)
        components = left[:, :size] * strengths[:size]
        components /= components.square().mean().sqrt()
        self.embedding[:, :size] = components
        mix = torch.randn(size, self.config.channels, device=vectors.device)
        self.output.weight.copy_(components @ mix / (size * self.config.channels) ** 0.5)

    def _embedding(self) -> Tensor:
        rounded = fx.fake_round(self.embedding, units.FRACTION_EMBEDDING)
        reach = units.ACTIVATION_MAX * 2.0**-units.FRACTION_EMBEDDING
        return rounded.clamp(-reach, reach)

    @torch.no_grad()
    def export(self) -> dict[str, Tensor]:
        """Return the integer prior's tensors by the names that SPEC.md gives them.

        Raises ModelCorruptError if a layer could leave the exact range.
        """
        out = {"embedding": (self._embedding() * 2.0**units.FRACTION_EMBEDDING).to(torch.int8)}
        for name, layer in self._parts():
            out |= fx.export_layer(
                name, layer.weight, layer.bias, layer.fraction_in, layer.fraction_out
            )
        return {key: value.contiguous() for key, value in out.items()}

    @torch.no_grad()
    def load_integers(self, tensors: Mapping[str, Tensor]) -> None:
        """Undo `export`: take the weights that the tensors of an integer prior stand for.

        They must be of a prior of this configuration.
        """
        self.embedding.copy_(tensors["embedding"] * 2.0**-units.FRACTION_EMBEDDING)
        for name, layer in self._parts():
            fx.load_layer(
                tensors, name, layer.weight, layer.bias, layer.fraction_in, layer.fraction_out
            )

    def _parts(self) -> Iterator[tuple[str, WedgeConv | Pointwise]]:
        """Every layer by its name in SPEC.md."""
        yield "first", self.first
        for number, layer in enumerate(self.layers):
            assert isinstance(layer, WedgeConv)
            yield f"layers.{number}", layer
        yield "hidden", self.hidden
        yield "output", self.output


def bits_per_index(logits: Tensor, indices: Tensor) -> Tensor:
    """Mean cost in bits of indices (B, N, M) under logits (B, K, N, M), in the logits' dtype."""
    flat = logits.permute(0, 2, 3, 1).reshape(-1, logits.shape[1])
    return F.cross_entropy(flat * math.log(2.0), indices.flatten()) / math.log(2.0)
