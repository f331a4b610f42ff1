"""Networks to ONNX graphs."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from functools import reduce
from itertools import count

import numpy as np
from numpy.typing import NDArray

from vqcodec.engines import onnx_integers as integers
from vqcodec.engines import onnx_messages as onnx
from vqcodec.engines.layers import (
    NORM_EPSILON,
    Affine,
    ChannelNorm,
    Channels,
    Concatenation,
    Conv,
    Crop,
    Depthwise,
    Gelu,
    IntegerBlock,
    Layer,
    Levels,
    Network,
    Rectifier,
    RowConv,
    Seam,
    Shuffle,
    Sum,
    TransposedConv,
    WideConv,
)

INPUT, OUTPUT = "input", "output"
"""Names of what a graph reads and makes, float32 (1, channels, rows, columns)."""


def crop_inputs(number: int) -> tuple[str, str]:
    """Return the names of the graph's inputs that tell crop `number` what to keep.

    Each is int64 (2,): the row and column to begin with, and those to end before.
    """
    return f"crop.{number}.starts", f"crop.{number}.stops"


def onnx_model(network: Network, tensors: Mapping[str, NDArray]) -> bytes:
    """Write a network, with its weights, as an ONNX model for any number of rows and columns.

    `tensors` are those of `tensor_shapes`, of floating-point numbers but for integer layers.
    """
    writer = _Writer(tensors)
    last = writer.apply(network.layers, INPUT)
    writer.node("Identity", [last], OUTPUT)
    sides = ("rows", "columns")
    crops = [
        onnx.value_info(name, np.int64, [2])
        for number in range(writer.crops)
        for name in crop_inputs(number)
    ]
    source = onnx.value_info(INPUT, np.float32, [1, network.inputs, *sides])
    result = onnx.value_info(
        OUTPUT, np.float32, [1, network.outputs, *(f"output {side}" for side in sides)]
    )
    return onnx.model(onnx.graph(writer.nodes, [source, *crops], [result], writer.initializers))


class _Writer:
    """Collects the nodes and the constants of a graph."""

    def __init__(self, tensors: Mapping[str, NDArray]) -> None:
        self.nodes: list[onnx.Message] = []
        self.initializers: list[onnx.Message] = []
        self.crops = 0
        self._tensors = tensors
        self._numbers: Iterator[int] = count()

    def node(
        self,
        operator: str,
        inputs: Sequence[str],
        output: str | None = None,
        **attributes: onnx.Attribute,
    ) -> str:
        """Add a node, and return the name of what it makes."""
        output = output or f"value.{next(self._numbers)}"
        self.nodes.append(onnx.node(operator, inputs, output, attributes))
        return output

    def apply(self, layers: Sequence[Layer], x: str) -> str:
        """Add layers that read x, and return the name of what the last one makes."""
        for layer in layers:
            x = self._layer(layer, x)
        return x

    def _layer(self, layer: Layer, x: str) -> str:
        match layer:
            case Conv():
                return self._convolution(layer, x)
            case TransposedConv():
                return self._transposed(layer, x)
            case WideConv():
                return integers.wide_convolution(self, layer, self._tensors, x)
            case IntegerBlock():
                return integers.block(self, layer, self._tensors, x)
            case Levels(fraction=fraction):
                return integers.levels(self, fraction, x)
            case Depthwise(name=name, channels=channels, size=size):
                margin = size // 2
                parameters = [self._tensor(f"{name}.{key}") for key in ("weight", "bias")]
                pads = [0, margin, 0, margin]
                return self.node("Conv", [x, *parameters], pads=pads, group=channels)
            case RowConv(name=name, stride=stride, padding=padding):
                parameters = [self._tensor(f"{name}.{key}") for key in ("weight", "bias")]
                pads = [0, padding, 0, padding]
                return self.node("Conv", [x, *parameters], pads=pads, strides=[1, stride])
            case ChannelNorm(channels=channels):
                return self._norm(channels, x)
            case Gelu():
                return self._gelu(x)
            case Rectifier(slope=0.0):
                return self.node("Relu", [x])
            case Rectifier(slope=slope):
                return self.node("LeakyRelu", [x], alpha=slope)
            case Affine(scale=scale, offset=offset):
                scaled = self.node("Mul", [x, self.constant(np.float32(scale))])
                return self.node("Add", [scaled, self.constant(np.float32(offset))])
            case Shuffle(factor=factor):
                return self.node("DepthToSpace", [x], blocksize=factor, mode="CRD")
            case Channels(first=first, stop=stop):
                return self._slice(x, self._integers([first]), self._integers([stop]), [1])
            case Crop() | Seam():
                return self._crop(x)
            case Sum(branches=branches):
                terms = [self.apply(branch, x) for branch in branches]
                return reduce(lambda one, other: self.node("Add", [one, other]), terms)
            case Concatenation(branches=branches):
                return self.node("Concat", [self.apply(b, x) for b in branches], axis=1)

    def _convolution(self, layer: Conv, x: str) -> str:
        parameters = [self._tensor(f"{layer.name}.weight")]
        if layer.bias:
            parameters.append(self._tensor(f"{layer.name}.bias"))
        return self._conv(x, parameters, pads=[layer.padding] * 4, stride=layer.stride)

    def _transposed(self, layer: TransposedConv, x: str) -> str:
        """Make the even and the odd rows and columns of the result, each by a 2x2 convolution.

        The operator ConvTranspose takes longer, and memory for 16 times its result's channels;
        but a convolution computes at least 16 channels, whatever it is asked for.
        """
        bias = self._tensor(f"{layer.name}.bias")
        if layer.outputs < 16:
            weights = self._tensor(f"{layer.name}.weight")
            return self.node("ConvTranspose", [x, weights, bias], pads=[1] * 4, strides=[2] * 2)
        weight = self._tensors[f"{layer.name}.weight"].swapaxes(0, 1)
        phases = [
            self._conv(
                x,
                [self._weights(weight[:, :, 3 - row :: -2, 3 - column :: -2]), bias],
                pads=[1 - row, 1 - column, row, column],
            )
            for row in (0, 1)
            for column in (0, 1)
        ]
        phase_by_phase = self.node("Concat", phases, axis=1)
        return self.node("DepthToSpace", [phase_by_phase], blocksize=2, mode="DCR")

    def _conv(
        self, x: str, parameters: Sequence[str], *, pads: Sequence[int], stride: int = 1
    ) -> str:
        """Convolve x; `pads` are the zeros above, on the left, below and on the right."""
        return self.node("Conv", [x, *parameters], pads=pads, strides=[stride] * 2)

    def _norm(self, channels: int, x: str) -> str:
        """Normalise over channels; the operator wants them last."""
        last = self.node("Transpose", [x], perm=[0, 2, 3, 1])
        ones = self.constant(np.ones(channels, dtype=np.float32))
        normal = self.node("LayerNormalization", [last, ones], axis=3, epsilon=NORM_EPSILON)
        return self.node("Transpose", [normal], perm=[0, 3, 1, 2])

    def _gelu(self, x: str) -> str:
        """Write x / 2 (1 + erf(x / sqrt(2))), in the order that ONNX Runtime makes one node of."""
        scaled = self.node("Div", [x, self.constant(np.float32(2.0**0.5))])
        raised = self.node("Add", [self.node("Erf", [scaled]), self.constant(np.float32(1.0))])
        product = self.node("Mul", [x, raised])
        return self.node("Mul", [product, self.constant(np.float32(0.5))])

    def _crop(self, x: str) -> str:
        starts, stops = crop_inputs(self.crops)
        self.crops += 1
        return self._slice(x, starts, stops, [2, 3])

    def _slice(self, x: str, starts: str, stops: str, axes: Sequence[int]) -> str:
        return self.node("Slice", [x, starts, stops, self._integers(axes)])

    def _integers(self, values: Sequence[int]) -> str:
        return self.constant(np.array(values, dtype=np.int64))

    def _tensor(self, name: str) -> str:
        return self._weights(self._tensors[name])

    def _weights(self, values: NDArray) -> str:
        return self.constant(values.astype(np.float32))

    def constant(self, values: NDArray | np.generic) -> str:
        """Add a tensor of one of the types of `onnx_messages.tensor`, and return its name."""
        name = f"constant.{next(self._numbers)}"
        self.initializers.append(onnx.tensor(name, np.asarray(values)))
        return name
