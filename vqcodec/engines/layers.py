"""The layers that networks are lists of, and how far they reach. Standard library only.

A network is data: what runs it, and what its weights are, lies elsewhere. All layers map
one picture (channels, rows, columns) to another; outside of a picture there are zeros.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TypeAlias

from vqcodec.grid import Box, Size


@dataclass(frozen=True, slots=True)
class Conv:
    """Cross-correlation, size x size.

    Tensors: `name`.weight (outputs, inputs, size, size) and, with `bias`, `name`.bias (outputs,).
    """

    name: str
    inputs: int
    outputs: int
    size: int
    stride: int = 1
    padding: int = 0
    """Rows and columns of zeros that are added on each side."""
    bias: bool = True


@dataclass(frozen=True, slots=True)
class TransposedConv:
    """Transpose of a 4x4 `Conv` with stride 2 and padding 1: doubles rows and columns.

    Tensors: `name`.weight (inputs, outputs, 4, 4) and `name`.bias (outputs,).
    """

    name: str
    inputs: int
    outputs: int


@dataclass(frozen=True, slots=True)
class WideConv:
    """Convolution of integers whose inputs and weights have two digits each, with `size` // 2
    rows and columns of zeros on each side.

    What it computes and which values are allowed says format/SPEC.md, section 9, "Exact
    synthesis". Tensors: `name`.input (1,) and `name`.shift (outputs,) uint8, `name`.high and
    `name`.low (outputs, inputs, size, size) int8, `name`.bias (outputs,) int32.
    """

    name: str
    inputs: int
    outputs: int
    size: int


@dataclass(frozen=True, slots=True)
class IntegerBlock:
    """Residual block of integers: two 3x3 convolutions, see "Exact synthesis" too.

    Tensors: `name`.input (1,) and `name`.output (channels,) uint8; for the parts first and second
    `name`.`part`.weight (channels, channels, 3, 3) int8, .bias (channels,) int32 and .shift
    (channels,) uint8.
    """

    name: str
    channels: int


@dataclass(frozen=True, slots=True)
class Levels:
    """Integers in units of 2^-`fraction` to the nearest of 0..255; ties to even."""

    fraction: int


@dataclass(frozen=True, slots=True)
class Depthwise:
    """Cross-correlation of each channel's rows with a row of its own, zeros around them.

    Tensors: `name`.weight (channels, 1, 1, size), its size odd, and `name`.bias (channels,).
    """

    name: str
    channels: int
    size: int


@dataclass(frozen=True, slots=True)
class RowConv:
    """Cross-correlation along rows, 1 x size, in steps of `stride` columns.

    It makes a column of each stride of columns, which must be whole ones. A network with it
    leaves `Crop` to other networks, as rows and columns differ. Tensors: `name`.weight (outputs,
    inputs, 1, size) and `name`.bias (outputs,).
    """

    name: str
    inputs: int
    outputs: int
    stride: int

    @property
    def size(self) -> int:
        """Two strides of columns, of an odd stride one column less: as many on both sides."""
        return 2 * self.stride - self.stride % 2

    @property
    def padding(self) -> int:
        """Columns of zeros that are added on each side."""
        return self.stride // 2


@dataclass(frozen=True, slots=True)
class ChannelNorm:
    """At each place: the channels less their mean, over their standard deviation.

    The deviation is the root of the variance plus `NORM_EPSILON` (Ba et al., arXiv 1607.06450,
    eq. 3). There are no weights: those of the layer that follows can do what they would do.
    """

    channels: int


@dataclass(frozen=True, slots=True)
class Gelu:
    """v times the standard normal's mass below v (Hendrycks and Gimpel, arXiv 1606.08415)."""


@dataclass(frozen=True, slots=True)
class Rectifier:
    """v where v is not negative, `slope` times v elsewhere."""

    slope: float = 0.0


@dataclass(frozen=True, slots=True)
class Affine:
    """`scale` times v plus `offset`."""

    scale: float
    offset: float


@dataclass(frozen=True, slots=True)
class Shuffle:
    """Turns factor^2 n channels into n at `factor` times the rows and columns.

    Channel factor^2 k + factor y + x becomes the sample at row y, column x of each square of
    channel k.
    """

    factor: int


@dataclass(frozen=True, slots=True)
class Channels:
    """The channels `first` to `stop` - 1 alone."""

    first: int
    stop: int


@dataclass(frozen=True, slots=True)
class Crop:
    """Drops what later layers do not look at when only part of the result is wanted.

    It changes nothing that is wanted, and saves the arithmetic on all else.
    """


@dataclass(frozen=True, slots=True)
class Seam:
    """A `Crop` of `channels` at which a network may be cut in two (`halves.halves`)."""

    channels: int


@dataclass(frozen=True, slots=True)
class Sum:
    """The sum of what each branch makes of the same picture; an empty branch leaves it as it is."""

    branches: tuple[tuple[Layer, ...], ...]


@dataclass(frozen=True, slots=True)
class Concatenation:
    """The channels of what each branch makes of the same picture, one branch after another."""

    branches: tuple[tuple[Layer, ...], ...]


Layer: TypeAlias = (
    "Conv | TransposedConv | WideConv | IntegerBlock | Depthwise | RowConv | ChannelNorm | Gelu"
    " | Rectifier | Levels | Affine | Shuffle | Channels | Crop | Seam | Sum"
    " | Concatenation"
)


@dataclass(frozen=True, slots=True)
class Network:
    """Layers that map `inputs` channels to `outputs`."""

    inputs: int
    outputs: int
    layers: tuple[Layer, ...]


WIDE_STEP = 7
"""Bits from the low digit of a `WideConv` to its high one."""
WIDE_FRACTION = 3
"""Bits behind the point that are kept of sums of its high digits."""

NORM_EPSILON = 1e-6
"""Added to a variance before its root is divided by."""
TO_SIGNED = Affine(2.0, -1.0)
"""0..1 to -1..1."""
FROM_SIGNED = Affine(0.5, 0.5)
"""And back."""


def residual(*body: Layer) -> Sum:
    """Make a block that adds to a picture what the body makes of it."""
    return Sum(((), body))


def cropped(layers: Sequence[Layer]) -> tuple[Layer, ...]:
    """Follow each layer with a crop: where pictures are small, surroundings are much of them."""
    return tuple(one for layer in layers for one in (layer, Crop()))


def flat(layers: Sequence[Layer]) -> Iterator[Layer]:
    """Yield the layers that have no branches, in the order in which they are written."""
    for layer in layers:
        if isinstance(layer, (Sum, Concatenation)):
            for branch in layer.branches:
                yield from flat(branch)
        else:
            yield layer


def tensor_shapes(network: Network) -> dict[str, tuple[int, ...]]:
    """Return the shapes of all tensors by name."""
    shapes: dict[str, tuple[int, ...]] = {}
    for layer in flat(network.layers):
        match layer:
            case Conv(name=name, inputs=inputs, outputs=outputs, size=size):
                shapes[f"{name}.weight"] = (outputs, inputs, size, size)
                if layer.bias:
                    shapes[f"{name}.bias"] = (outputs,)
            case TransposedConv(name=name, inputs=inputs, outputs=outputs):
                shapes[f"{name}.weight"] = (inputs, outputs, 4, 4)
                shapes[f"{name}.bias"] = (outputs,)
            case WideConv(name=name, inputs=inputs, outputs=outputs, size=size):
                shapes[f"{name}.input"] = (1,)
                for digit in ("high", "low"):
                    shapes[f"{name}.{digit}"] = (outputs, inputs, size, size)
                shapes |= {f"{name}.bias": (outputs,), f"{name}.shift": (outputs,)}
            case IntegerBlock(name=name, channels=channels):
                shapes |= {f"{name}.input": (1,), f"{name}.output": (channels,)}
                for part in ("first", "second"):
                    shapes[f"{name}.{part}.weight"] = (channels, channels, 3, 3)
                    shapes |= {f"{name}.{part}.{key}": (channels,) for key in ("bias", "shift")}
            case Depthwise(name=name, channels=channels, size=size):
                shapes[f"{name}.weight"] = (channels, 1, 1, size)
                shapes[f"{name}.bias"] = (channels,)
            case RowConv(name=name, inputs=inputs, outputs=outputs, size=size):
                shapes[f"{name}.weight"] = (outputs, inputs, 1, size)
                shapes[f"{name}.bias"] = (outputs,)
    return shapes


def reach(layers: Sequence[Layer], wanted: int = 0) -> int:
    """Return how many rows around a part of a picture change what is made of that part.

    `wanted` is how many rows around the result are wanted too. Columns are as rows.
    """
    for layer in reversed(layers):
        match layer:
            case Conv() | RowConv():
                size, stride, padding = layer.size, layer.stride, layer.padding
                wanted = stride * wanted + max(padding, size - stride - padding)
            case TransposedConv():
                wanted = wanted // 2 + 1
            case WideConv(size=size):
                wanted += size // 2
            case IntegerBlock():
                wanted += 2
            case Depthwise(size=size):
                wanted += size // 2
            case Shuffle(factor=factor):
                wanted = -(-wanted // factor)
            case Sum(branches=branches) | Concatenation(branches=branches):
                wanted = max(reach(branch, wanted) for branch in branches)
    return wanted


def crop_boxes(network: Network, size: Size, inner: Box) -> list[Box]:
    """Return what each `Crop` or `Seam` keeps of what reaches it, in the order of `flat`.

    The network is given `size` rows and columns, of which those of `inner` are wanted. Both
    must be multiples of how many times smaller the network makes pictures.
    """
    sides = (
        _crops(network.layers, _Extent(s.start, s.stop, length), 0, 1)[0]
        for s, length in zip(inner, size, strict=True)
    )
    return list(zip(*sides, strict=True))


@dataclass(frozen=True, slots=True)
class _Extent:
    """Of `length` rows, those from `start` to `stop` - 1 are wanted in the end."""

    start: int
    stop: int
    length: int

    def kept(self, around: int) -> slice:
        """Return the rows to keep if so many around those that are wanted are looked at."""
        return slice(max(0, self.start - around), min(self.length, self.stop + around))

    def within(self, kept: slice) -> _Extent:
        first = kept.start
        return _Extent(self.start - first, self.stop - first, kept.stop - first)

    def times(self, factor: int) -> _Extent:
        return _Extent(factor * self.start, factor * self.stop, factor * self.length)

    def over(self, factor: int) -> _Extent:
        return _Extent(self.start // factor, self.stop // factor, self.length // factor)


def _crops(
    layers: Sequence[Layer], extent: _Extent, wanted: int, step: int
) -> tuple[list[slice], _Extent]:
    """Return the rows that each crop keeps, and those of the result.

    So many rows around the result are wanted too, and layers after it see every `step`-th.
    """
    kept: list[slice] = []
    for number, layer in enumerate(layers):
        after = layers[number + 1 :]
        around, later = reach(after, wanted), step * _stride(after)
        match layer:
            case Crop() | Seam():
                # Strides go on from a row that they would have come to without the crop.
                kept.append(extent.kept(later * -(-around // later)))
                extent = extent.within(kept[-1])
            case Conv(stride=factor):
                extent = extent.over(factor)
            case Shuffle(factor=factor):
                extent = extent.times(factor)
            case TransposedConv():
                extent = extent.times(2)
            case Sum(branches=branches) | Concatenation(branches=branches):
                results = [_crops(branch, extent, around, later) for branch in branches]
                kept += [crop for crops, _ in results for crop in crops]
                extent = results[0][1]  # branches make pictures of one size
    return kept, extent


def _stride(layers: Sequence[Layer]) -> int:
    """Return how many times smaller convolutions make a picture."""
    stride = 1
    for layer in layers:
        match layer:
            case Conv(stride=factor):
                stride *= factor
            case Sum(branches=branches) | Concatenation(branches=branches):
                stride *= max(map(_stride, branches))
    return stride
