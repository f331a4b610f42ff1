"""Learned codecs with an autoregressive prior, timed with untrained weights.

Their coding loop costs the same whatever the weights are, and no weights need be
downloaded; rates and pictures mean nothing, so only speed is reported.
"""

from __future__ import annotations

import struct
from functools import lru_cache
from typing import Any

import numpy as np

from vqcodec.metrics import Pixels
from vqcodec_bench.codec import Codec, MissingPeerError, package

_STEP = 64
"""Networks take sides that are multiples of this."""


class CompressAi(Codec[Pixels]):
    """A network of CompressAI's zoo, at its lowest quality's size."""

    scale = "size of the network"
    qualities = (1,)
    settings = "untrained weights, so for speed alone"

    def __init__(self, name: str) -> None:
        self.name = name
        self.label = f"{name} (CompressAI, untrained)"

    def version(self) -> str:
        try:
            import compressai
        except ImportError as error:
            raise MissingPeerError(f"compressai cannot be imported: {error}") from error
        del compressai
        return package("compressai")

    def encode(self, pixels: Pixels, quality: float) -> bytes:
        import torch

        height, width = pixels.shape[:2]
        edges = ((0, -height % _STEP), (0, -width % _STEP), (0, 0))
        padded = np.pad(pixels, edges, mode="edge")
        x = torch.from_numpy(padded).permute(2, 0, 1)[None].float() / 255.0
        with torch.inference_mode():
            out = _network(self.name, int(quality)).compress(x)
        strings = [string[0] for string in out["strings"]]
        sizes = [len(string) for string in strings]
        head = struct.pack("<6I", height, width, *out["shape"], *sizes)
        return head + b"".join(strings)

    def decode(self, data: bytes) -> Pixels:
        import torch

        height, width, rows, columns, first, _ = struct.unpack_from("<6I", data)
        body = data[24:]
        strings = [[body[:first]], [body[first:]]]
        with torch.inference_mode():
            out = _network(self.name, 1).decompress(strings, (rows, columns))["x_hat"]
        pixels = out[0, :, :height, :width].permute(1, 2, 0).clamp(0.0, 1.0) * 255.0
        return np.asarray(pixels.round().byte())


LEARNED = ("mbt2018", "cheng2020-anchor")


@lru_cache
def _network(name: str, quality: int) -> Any:
    import torch
    from compressai.zoo import image_models

    torch.manual_seed(0)
    network = image_models[name](quality=quality, pretrained=False).eval()
    network.update(force=True)
    return network
