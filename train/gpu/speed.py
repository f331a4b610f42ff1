"""Time compressing and decompressing on a GPU beside the CPU, and compare the pixels.

    PYTHONPATH=. python3 train/gpu/speed.py PICTURE

Prints a line per size and device: the picture as it is, and repeated to 4 and 16 times its
pixels. The first call, which loads the model, is stated apart; of the others the median counts.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import TypeVar

import numpy as np
import torch
from numpy.typing import NDArray

import vqcodec
from vqcodec.training.data import Pixels, read_rgb

_CALLS = 3
_REPEATS = (1, 2, 4)

_T = TypeVar("_T")


@dataclass(frozen=True, slots=True)
class Times:
    """Of one picture on one device, seconds."""

    first: float
    """Of the first compression, with loading."""
    compress: float
    decompress: float
    size: int
    """Bytes of the file."""
    pixels: NDArray[np.uint8]
    """What was decompressed, (H, W, 3)."""

    def line(self, device: str, other: NDArray[np.uint8]) -> str:
        """Return a line of text; `other` is what another device decompressed."""
        millions = self.pixels.shape[0] * self.pixels.shape[1] / 1e6
        difference = np.abs(self.pixels.astype(np.int16) - other).max()
        return (
            f"{millions:6.2f} Mpixel, {device:4}: first {self.first:6.2f} s, "
            f"compress {self.compress:6.3f} s, decompress {self.decompress:6.3f} s, "
            f"{self.size} bytes, pixels differ by {difference}"
        )


def measure(picture: Pixels, device: str, model: str | None, data: bytes | None = None) -> Times:
    """Time a picture (H, W, 3), uint8. `data` is the file to decompress; None: its own."""
    first, compressed = _timed(lambda: vqcodec.compress(picture, model=model, device=device))
    given = compressed if data is None else data
    encode = [
        _timed(lambda: vqcodec.compress(picture, model=model, device=device))[0]
        for _ in range(_CALLS)
    ]
    # The first call loads the model for decoding.
    decode = [
        _timed(lambda: vqcodec.decompress(given, model=model, device=device))
        for _ in range(_CALLS + 1)
    ][1:]
    seconds = median(taken for taken, _ in decode)
    return Times(first, median(encode), seconds, len(compressed), np.asarray(decode[0][1]))


def _timed(call: Callable[[], _T]) -> tuple[float, _T]:
    began = time.perf_counter()
    result = call()
    return time.perf_counter() - began, result


def main() -> None:
    """Time as the command line says."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("picture", type=Path)
    parser.add_argument("--model", help="name or path; default: the codec's default")
    parser.add_argument("--device", default="cuda")
    options = parser.parse_args()
    picture = read_rgb(options.picture)
    for count in _REPEATS:
        large = np.tile(picture, (count, count, 1))
        expected: Times | None = None
        # Both decompress the CPU's file: what an encoder finds may differ where it rounds.
        data = vqcodec.compress(large, model=options.model)
        for device in ("cpu", options.device):
            found = measure(large, device, options.model, data)
            expected = expected or found
            print(found.line(device, expected.pixels), flush=True)
    if options.device == "cuda":
        print(f"{torch.cuda.get_device_name()}: {torch.cuda.max_memory_allocated() >> 20} MiB")


if __name__ == "__main__":
    main()
