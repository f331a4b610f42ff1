"""What `--effort` gains: bytes at equal quality against effort 1, of files and decoded pixels.

    python -m vqcodec_bench.effort PICTURE ... -q 5 --effort 2 --effort 9 [--crop 256] [--tune psnr]

prints a table in Markdown, the mean over the pictures. What a step of quality costs is taken from
effort 1's own files half a step below and above. A crop is cut out of each picture's middle.
"""

from __future__ import annotations

import argparse
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image

import vqcodec
from vqcodec.codec.effort import TUNES
from vqcodec.metrics import Pixels, decibels, ms_ssim, psnr, ssimulacra2

METRICS: Mapping[str, Callable[[Pixels, Pixels], float]] = {
    "PSNR": psnr,
    "MS-SSIM": lambda original, decoded: decibels(ms_ssim(original, decoded)),
    "SSIMULACRA2": ssimulacra2,
}


@dataclass(frozen=True, slots=True)
class Coded:
    """A file's size in nats, and how near its pixels are by each metric."""

    log_bytes: float
    figures: tuple[float, ...]


def gains(
    pixels: Pixels, quality: float, efforts: Sequence[int], tune: str, model: str | None = None
) -> list[list[float]]:
    """Return nats of the file's size that each effort saves, by each metric; below 0 is less."""

    def coded(quality: float, effort: int = 1) -> Coded:
        tuned = tune if effort > 1 else "both"
        data = vqcodec.compress(pixels, quality=quality, effort=effort, tune=tuned, model=model)
        decoded = np.asarray(vqcodec.decompress(data, model=model))
        figures = tuple(metric(pixels, decoded) for metric in METRICS.values())
        return Coded(math.log(len(data)), figures)

    below, plain, above = (coded(quality + step) for step in (-0.5, 0.0, 0.5))
    found = []
    for effort in efforts:
        refined = coded(quality, effort)
        row = []
        for less, own, more, figure in zip(
            below.figures, plain.figures, above.figures, refined.figures, strict=True
        ):
            slope = (above.log_bytes - below.log_bytes) / (more - less)
            row.append(refined.log_bytes - plain.log_bytes - slope * (figure - own))
        found.append(row)
    return found


def middle(path: Path, side: int | None) -> Pixels:
    """Return a picture's pixels, or the square of that side in its middle."""
    pixels = np.asarray(Image.open(path).convert("RGB"))
    if side is None:
        return pixels
    top, left = ((length - side) // 2 for length in pixels.shape[:2])
    return pixels[top : top + side, left : left + side]


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("pictures", nargs="+", type=Path)
    parser.add_argument("-q", "--quality", type=float, action="append", required=True)
    parser.add_argument("--effort", type=int, action="append", required=True)
    parser.add_argument("--crop", type=int, help="pixels of a side")
    parser.add_argument("--tune", choices=list(TUNES), default="both")
    parser.add_argument("--model")
    options = parser.parse_args()
    print("| `-q` | `--effort` |", " | ".join(METRICS), "|")
    print("| ---: | ---: |", " | ".join("---:" for _ in METRICS), "|", flush=True)
    for quality in options.quality:
        each = [
            gains(middle(path, options.crop), quality, options.effort, options.tune, options.model)
            for path in options.pictures
        ]
        for effort, row in zip(options.effort, np.mean(each, axis=0), strict=True):
            told = " | ".join(f"{100.0 * math.expm1(nats):+.1f} %" for nats in row)
            print(f"| {quality:g} | {effort} | {told} |", flush=True)


if __name__ == "__main__":
    main()
