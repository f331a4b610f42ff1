"""What the integers of `exact.ExactSynthesis` are worth: set by the range of real numbers.

The range of a channel is what all but a few of its magnitudes lie within, over pictures that
calibrate. A channel of the stream has one unit from the layer that begins it to the layer that
ends it. Shifts are the largest that keep weights within their digits and sums below 2^24.

The largest weight of a row decides how finely the others are rounded. So channels whose weights
are small beside it get a larger unit, up to `_EQUAL` times, which makes these weights larger
(after Nagel et al., arXiv 1906.04721, section 4.1).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TypeAlias

import torch
from torch import Tensor, nn

from vqcodec.engines.layers import WIDE_FRACTION, WIDE_STEP
from vqcodec.models.exact import DIGIT_MAX, FRACTION, LATENT_MAX, SUM_SHIFT_MAX
from vqcodec.networks.exact import SIGNED, UNSIGNED, ExactBlock, ExactSynthesis, WideConv

Ranges: TypeAlias = dict[nn.Module, Tensor]
Stage: TypeAlias = tuple[WideConv, nn.PixelShuffle | None, list[ExactBlock]]

_KEPT = 0.9999
"""Part of a channel's magnitudes that lie within its range."""
_HEADROOM = 4.0
"""Range of latents over the largest seen."""
_STREAM_BITS = 5
"""Bits of the stream below a unit of the activations that blocks read of it."""
_FILL = 2.0**0.5
"""Inner units become so much larger at most, for weights that use their digit up."""
_EQUAL = 4.0
"""Units of channels with small weights become so much larger at most."""
_QUIET = 2.0**-10
"""Least range of a channel, in parts of the largest one of its layer."""
_LIMIT = float(1 << 24)


@torch.no_grad()
def calibrate(synthesis: ExactSynthesis, latents: Sequence[Tensor]) -> None:
    """Set all units and shifts by what batches of latents (B, D, N, M) give in real numbers."""
    ranges = _ranges(synthesis, latents)
    largest = torch.stack([x.abs().amax((0, 2, 3)) for x in latents]).amax(0)
    synthesis.unit.copy_(_loud(largest) * _HEADROOM / LATENT_MAX)
    final = torch.tensor(2.0**-FRACTION / 127.5)
    unit = synthesis.unit[: -synthesis.detail_layer.in_channels]
    for wide, shuffle, blocks in _stages(synthesis):
        factor = shuffle.upscale_factor**2 if shuffle else 1
        if wide is synthesis.layers[-2]:
            written = final.expand(wide.out_channels)
        else:
            spread = _loud(torch.stack([ranges[layer] for layer in (wide, *blocks)]).amax(0))
            readers = [_equaliser(block.first.weight, spread) for block in blocks]
            spread = spread * torch.stack(readers).amin(0) if readers else spread
            written = spread / (SIGNED[1] * 2.0**_STREAM_BITS)
            written = written.repeat_interleave(factor)
        _set_wide(wide, unit, written)
        unit = written[::factor]
        for before, block in zip((wide, *blocks), blocks, strict=False):
            _set_block(block, unit, _loud(ranges[before]), ranges)
    details = synthesis.detail_layer
    _set_wide(details, synthesis.unit[-details.in_channels :], final.expand(details.out_channels))


def _stages(synthesis: ExactSynthesis) -> Iterator[Stage]:
    """Yield each wide layer with the shuffle after it, if any, and the blocks on its stream."""
    layers = list(synthesis.layers)
    starts = [k for k, layer in enumerate(layers) if isinstance(layer, WideConv)]
    for start, stop in zip(starts, [*starts[1:], len(layers)], strict=True):
        wide, rest = layers[start], layers[start + 1 : stop]
        assert isinstance(wide, WideConv)
        shuffle = next((layer for layer in rest if isinstance(layer, nn.PixelShuffle)), None)
        yield wide, shuffle, [layer for layer in rest if isinstance(layer, ExactBlock)]


def _ranges(synthesis: ExactSynthesis, latents: Sequence[Tensor]) -> Ranges:
    """Return the range of the channels of what each layer and convolution makes; of a wide layer
    before a shuffle, of the channels after it.
    """
    ranges: Ranges = {}
    shuffles: dict[nn.Module, nn.PixelShuffle | None] = {
        wide: shuffle for wide, shuffle, _ in _stages(synthesis)
    }

    def note(layer: nn.Module, _: object, result: Tensor) -> None:
        shuffle = shuffles.get(layer)
        made = shuffle(result) if shuffle else result
        values = made.transpose(0, 1).flatten(1).abs()
        place = max(1, int(_KEPT * values.shape[1]))
        found = values.kthvalue(place, 1).values
        ranges[layer] = torch.maximum(ranges[layer], found) if layer in ranges else found

    watched = [
        layer for layer in synthesis.layers.modules() if isinstance(layer, nn.Conv2d | ExactBlock)
    ]
    hooks = [layer.register_forward_hook(note) for layer in watched]
    for batch in latents:
        synthesis(batch, integer=False)
    for hook in hooks:
        hook.remove()
    return ranges


def _set_wide(layer: WideConv, read: Tensor, written: Tensor) -> None:
    layer.read.copy_(read)
    layer.written.copy_(written)
    layer.input.zero_()
    assert layer.bias is not None
    unit = read / written[:, None] * 2.0 ** (WIDE_STEP - WIDE_FRACTION)
    sums = -SIGNED[0] * 2.0**WIDE_FRACTION
    layer.shift.copy_(_shifts(layer.weight, unit, layer.bias / written, sums))


def _set_block(block: ExactBlock, unit: Tensor, spread: Tensor, ranges: Ranges) -> None:
    """Set a block on a stream of this unit, whose range before the block is `spread`."""
    block.stream.copy_(unit)
    block.input.copy_(_bits(spread / (SIGNED[1] * unit)))
    added = ranges[block.second] / (SIGNED[1] * unit)
    block.output.copy_(torch.log2(added.clamp_min(1.0)).ceil())
    read = unit * torch.exp2(block.input)
    weight, bias = block.first.weight, block.first.bias
    assert bias is not None
    inner = _loud(ranges[block.first]) / UNSIGNED[1]
    inner = inner * _equaliser(block.second.weight, inner)
    shift = _shifts(weight, read / inner[:, None], bias / inner, -SIGNED[0])
    used = (weight.abs() * read[:, None, None]).amax((1, 2, 3)) / inner * torch.exp2(shift)
    fill = 2.0 * used / DIGIT_MAX
    filled = (fill > 1.0) & (fill <= _FILL) & (shift < SUM_SHIFT_MAX)
    block.inner.copy_(torch.where(filled, inner * fill, inner))
    block.shift[0] = shift + filled
    written = unit * torch.exp2(block.output)
    weight, bias = block.second.weight, block.second.bias
    assert bias is not None
    scale = block.inner / written[:, None]
    block.shift[1] = _shifts(weight, scale, bias / written, UNSIGNED[1])


def _shifts(weight: Tensor, unit: Tensor, bias: Tensor, largest: float) -> Tensor:
    """Return the bits to shift sums by, (outputs,).

    `unit` (outputs, inputs) times weights are weights on the integers' scale, and `bias` the
    bias, both without a shift; `largest` is the largest activation, times what sums are scaled by.
    """
    scaled = weight.abs() * unit[:, :, None, None]
    digits = DIGIT_MAX / scaled.amax((1, 2, 3)).clamp_min(1e-30)
    sums = _LIMIT / (1.1 * largest * scaled.sum((1, 2, 3)) + bias.abs()).clamp_min(1e-30)
    return torch.log2(torch.minimum(digits, sums)).floor().clamp(0.0, SUM_SHIFT_MAX)


def _equaliser(weight: Tensor, read: Tensor) -> Tensor:
    """Return how much larger units of the inputs, now `read`, may become, (inputs,)."""
    sizes = weight.abs().amax((2, 3)) * read
    share = (sizes / sizes.amax(1, keepdim=True).clamp_min(1e-30)).amax(0)
    return share.reciprocal().clamp_max(_EQUAL)


def _bits(ratio: Tensor) -> Tensor:
    """Return the least shift that makes every ratio 1 or less."""
    return torch.log2(ratio.amax().clamp_min(1.0)).ceil()


def _loud(spread: Tensor) -> Tensor:
    return torch.maximum(spread, spread.amax() * _QUIET).clamp_min(1e-12)
