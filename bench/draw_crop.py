"""Draw README's comparison: a part of a picture as it is, by vqcodec, and by AVIF at equal size.

python bench/draw_crop.py PICTURE X,Y,W,H QUALITY OUT.webp
"""

from __future__ import annotations

import io
import sys
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw, ImageFont

import vqcodec
from vqcodec_bench.peers import Avif

SCALE = 2
MARGIN = 26


def closest_avif(pixels: np.ndarray, size: int) -> bytes:
    """Return the AVIF file whose size is nearest to `size`."""
    files = [Avif().encode(pixels, quality) for quality in range(1, 80, 2)]
    return min(files, key=lambda data: abs(len(data) - size))


def main(picture: str, crop: str, quality: str, out: str) -> None:
    """Compress, cut, label, save."""
    image = Image.open(picture).convert("RGB")
    x, y, width, height = map(int, crop.split(","))
    data = vqcodec.compress(image, quality=float(quality))
    peer = closest_avif(np.asarray(image), len(data))
    original = Path(picture).stat().st_size
    columns = [
        (f"original, PNG: {original / 1000:.0f} kB", image),
        (f"vqcodec: {len(data) / 1000:.1f} kB", vqcodec.decompress(data)),
        (f"AVIF: {len(peer) / 1000:.1f} kB", Image.open(io.BytesIO(peer)).convert("RGB")),
    ]
    sheet = Image.new(
        "RGB", (len(columns) * (width * SCALE + 6) - 6, height * SCALE + MARGIN), "white"
    )
    font = ImageFont.load_default(16)
    for number, (title, column) in enumerate(columns):
        left = number * (width * SCALE + 6)
        part = column.crop((x, y, x + width, y + height))
        part = part.resize((width * SCALE, height * SCALE), Image.Resampling.LANCZOS)
        sheet.paste(part, (left, MARGIN))
        ImageDraw.Draw(sheet).text((left + 4, 3), title, fill="black", font=font)
    sheet.save(out, quality=90)
    print(f"{len(data)} and {len(peer)} bytes")


if __name__ == "__main__":
    main(*sys.argv[1:])
