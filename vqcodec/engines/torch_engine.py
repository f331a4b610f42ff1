"""Networks run by torch: on CUDA and MPS, and on CPUs that ONNX Runtime has no wheel for."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from functools import reduce

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor

from vqcodec.engines import torch_integers as integers
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
    crop_boxes,
)
from vqcodec.engines.precision import full_precision
from vqcodec.grid import Box


class TorchEngine:
    """A network on a device of torch's; see `engine.Engine`."""

    def __init__(self, network: Network, weights: Mapping[str, NDArray], device: str) -> None:
        """`weights` are those of `engine.make_engine`."""
        self._network = network
        self._device = torch.device(device)
        self._weights = {name: self._tensor(values) for name, values in weights.items()}

    @property
    def is_concurrent(self) -> bool:
        """No: one input fills a GPU, and several would need its memory several times."""
        return False

    @torch.inference_mode()
    @full_precision()
    def run(self, values: NDArray[np.float32], *, inner: Box | None = None) -> NDArray[np.float32]:
        """Map (channels, rows, columns) to what the network makes of it, (channels, r, c)."""
        rows, columns = values.shape[1:]
        inner = inner or (slice(0, rows), slice(0, columns))
        crops = iter(crop_boxes(self._network, (rows, columns), inner))
        x = torch.from_numpy(np.ascontiguousarray(values)).to(self._device)[None]
        result: NDArray[np.float32] = self._apply(self._network.layers, x, crops)[0].cpu().numpy()
        return result

    def _tensor(self, values: NDArray) -> Tensor:
        tensor = torch.from_numpy(values.astype(np.float32)).to(self._device)
        four = tensor.dim() == 4
        return tensor.contiguous(memory_format=torch.channels_last) if four else tensor

    def _apply(self, layers: Sequence[Layer], x: Tensor, crops: Iterator[Box]) -> Tensor:
        for layer in layers:
            x = self._layer(layer, x, crops)
        return x

    def _layer(self, layer: Layer, x: Tensor, crops: Iterator[Box]) -> Tensor:
        match layer:
            case Conv(name=name, stride=stride, padding=padding):
                weight, bias = self._weights[f"{name}.weight"], self._weights.get(f"{name}.bias")
                return F.conv2d(x, weight, bias, stride, padding)
            case TransposedConv(name=name):
                weight, bias = self._weights[f"{name}.weight"], self._weights[f"{name}.bias"]
                return F.conv_transpose2d(x, weight, bias, stride=2, padding=1)
            case WideConv():
                return integers.wide_convolution(layer, self._weights, x)
            case IntegerBlock():
                return integers.block(layer, self._weights, x)
            case Levels(fraction=fraction):
                return integers.levels(fraction, x)
            case Depthwise(name=name, channels=channels, size=size):
                weight, bias = self._weights[f"{name}.weight"], self._weights[f"{name}.bias"]
                return F.conv2d(x, weight, bias, padding=(0, size // 2), groups=channels)
            case RowConv(name=name, stride=stride, padding=padding):
                weight, bias = self._weights[f"{name}.weight"], self._weights[f"{name}.bias"]
                return F.conv2d(x, weight, bias, (1, stride), (0, padding))
            case ChannelNorm(channels=channels):
                last = F.layer_norm(x.permute(0, 2, 3, 1), (channels,), eps=NORM_EPSILON)
                return last.permute(0, 3, 1, 2)
            case Gelu():
                return F.gelu(x)
            case Rectifier(slope=slope):
                return F.leaky_relu(x, slope)
            case Affine(scale=scale, offset=offset):
                return scale * x + offset
            case Shuffle(factor=factor):
                return F.pixel_shuffle(x, factor)
            case Channels(first=first, stop=stop):
                return x[:, first:stop]
            case Crop() | Seam():
                rows, columns = next(crops)
                return x[:, :, rows, columns]
            case Sum(branches=branches):
                return reduce(torch.add, [self._apply(branch, x, crops) for branch in branches])
            case Concatenation(branches=branches):
                return torch.cat([self._apply(branch, x, crops) for branch in branches], dim=1)
