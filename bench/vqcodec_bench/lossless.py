"""Sizes without loss: PNG, WebP and vqcodec, of drawn pictures and of folders of others.

    python -m vqcodec_bench.lossless [FOLDER ...]

prints a table in Markdown. PNG and WebP are written by Pillow with their greatest effort, PNG
with a palette where the picture has at most 256 colours. The last column is a file at the
default quality, whatever it came out as.
"""

from __future__ import annotations

import io
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw, ImageFont

import vqcodec

_WORDS = (
    *("the", "of", "and", "to", "a", "in", "is", "that", "for", "it", "as", "was", "with", "be"),
    *("by", "on", "not", "he", "this", "are", "or", "his", "from", "at", "which", "but", "have"),
    *("an", "had", "they", "you", "were", "their", "one", "all", "we", "can", "her", "has"),
    *("there", "been", "if", "more", "when", "will", "would", "picture", "codec", "index"),
    *("prior", "table", "stream", "header", "length", "quality", "file", "pixel", "colour"),
)


def drawn() -> Iterator[tuple[str, Image.Image]]:
    """Yield a page of text, a screen with windows, an icon and a sheet of pixel art."""
    rng = np.random.default_rng(0)
    yield "page of text, 1240x1754", _page(rng, (1240, 1754), 22)
    yield "screen with windows, 1600x1000", _screen(rng)
    yield "icon, 256x256", _icon()
    yield "pixel art, 320x240", _sprites(rng)


def _page(rng: np.random.Generator, size: tuple[int, int], height: int) -> Image.Image:
    image = Image.new("RGB", size, "white")
    pen, font = ImageDraw.Draw(image), ImageFont.load_default(height)
    for y in range(2 * height, size[1] - 2 * height, round(1.4 * height)):
        text = " ".join(rng.choice(_WORDS, 40))
        while font.getlength(text) > size[0] - 4 * height:
            text = text.rpartition(" ")[0]
        pen.text((2 * height, y), text, "black", font)
    return image


def _screen(rng: np.random.Generator) -> Image.Image:
    image = Image.new("RGB", (1600, 1000), (58, 110, 165))
    pen, font = ImageDraw.Draw(image), ImageFont.load_default(13)
    for x, y, width, height in ((40, 30, 900, 640), (760, 240, 800, 700), (120, 480, 560, 460)):
        pen.rounded_rectangle((x, y, x + width, y + height), 8, (236, 236, 236), (90, 90, 90))
        pen.text((x + 60, y + 6), " ".join(rng.choice(_WORDS, 4)), (40, 40, 40), font)
        for number, colour in enumerate(((255, 95, 87), (254, 188, 46), (40, 200, 64))):
            pen.ellipse((x + 10 + 16 * number, y + 8, x + 20 + 16 * number, y + 18), colour)
        image.paste(_page(rng, (width - 12, height - 36), 13), (x + 6, y + 28))
    return image


def _icon() -> Image.Image:
    image = Image.new("RGB", (1024, 1024), "white")
    pen = ImageDraw.Draw(image)
    pen.rounded_rectangle((64, 64, 960, 960), 180, (32, 99, 155))
    pen.ellipse((240, 240, 784, 784), (246, 213, 92))
    pen.polygon([(512, 330), (680, 640), (344, 640)], (237, 85, 59))
    return image.resize((256, 256), Image.Resampling.LANCZOS)


def _sprites(rng: np.random.Generator) -> Image.Image:
    colours = rng.integers(0, 256, (8, 3), dtype=np.uint8)
    pixels = np.full((60, 80, 3), colours[0], dtype=np.uint8)
    for y in range(2, 52, 12):
        for x in range(2, 72, 12):
            half = rng.integers(0, 8, (8, 4))
            pixels[y : y + 8, x : x + 8] = colours[np.hstack([half, half[:, ::-1]])]
    return Image.fromarray(pixels).resize((320, 240), Image.Resampling.NEAREST)


def sizes(image: Image.Image) -> dict[str, int]:
    """Return the bytes of an RGB picture in each form."""
    plain = {"PNG": image}
    if image.getcolors(256) is not None:
        plain["PNG of a palette"] = image.quantize(256, dither=Image.Dither.NONE)
    png = min(len(_saved(each, "PNG", optimize=True)) for each in plain.values())
    exact = vqcodec.compress(image, lossless=True)
    if not np.array_equal(np.asarray(vqcodec.decompress(exact)), np.asarray(image)):
        raise ValueError("the lossless file shows other pixels")
    return {
        "PNG": png,
        "WebP": len(_saved(image, "WEBP", lossless=True, quality=100, method=6)),
        "vqcodec --lossless": len(exact),
        "vqcodec": len(vqcodec.compress(image)),
    }


def _saved(image: Image.Image, format_name: str, **options: object) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, format_name, **options)
    return buffer.getvalue()


def _row(name: str, found: Mapping[str, int]) -> str:
    return f"| {name} | " + " | ".join(f"{size:,}" for size in found.values()) + " |"


def main() -> None:
    """Print the table."""
    header = False
    for name, image in drawn():
        found = sizes(image)
        if not header:
            print(f"| bytes | {' | '.join(found)} |\n| --- |{' ---: |' * len(found)}")
            header = True
        print(_row(name, found), flush=True)
    for folder in sys.argv[1:]:
        paths = sorted(path for path in Path(folder).iterdir() if path.is_file())
        every = [sizes(Image.open(path).convert("RGB")) for path in paths]
        total = {key: sum(each[key] for each in every) for key in every[0]}
        print(_row(f"{folder}, {len(every)} pictures", total), flush=True)


if __name__ == "__main__":
    main()
