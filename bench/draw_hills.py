"""Draws hills.jpg, the picture that the README's first command compresses."""

from __future__ import annotations

import sys

import numpy as np
from PIL import Image, ImageDraw, ImageFilter

WIDTH, HEIGHT = 768, 512


def octaves(rng: np.random.Generator, width: int, height: int, roughness: float) -> np.ndarray:
    """Fractal noise, (height, width), about -1..1."""
    total = np.zeros((height, width))
    for k in range(2, 9):
        grid = rng.normal(size=(max(2, height >> (9 - k)), max(2, width >> (9 - k))))
        layer = Image.fromarray(grid.astype(np.float32)).resize((width, height), Image.BICUBIC)
        total += np.asarray(layer) * roughness ** (k - 2)
    return total / np.abs(total).max()


def main(path: str) -> None:
    """Draw the picture."""
    rng = np.random.default_rng(2026)
    y = np.linspace(0.0, 1.0, HEIGHT)[:, None, None]
    sky = (1 - y) * np.array([70, 120, 190]) + y * np.array([250, 215, 170])
    clouds = np.clip(octaves(rng, WIDTH, HEIGHT, 0.62), 0, 1)[..., None] * (1 - y) ** 0.5
    picture = sky * (1 - 0.7 * clouds) + np.array([250, 245, 240]) * 0.7 * clouds
    rows = np.arange(HEIGHT)[:, None]
    for depth in range(6):
        far = 1 - depth / 5
        ridge = octaves(rng, WIDTH, 4, 0.55)[1]
        top = HEIGHT * (0.42 + 0.1 * depth) - ridge * HEIGHT * (0.05 + 0.03 * depth)
        texture = octaves(rng, WIDTH, HEIGHT, 0.8)[..., None]
        green = np.array([52, 78, 36]) + texture * np.array([34, 38, 22]) * (1.1 - far)
        colour = green * (1 - 0.75 * far) + np.array([165, 175, 195]) * 0.75 * far
        edge = np.clip(rows - top[None], 0, 1)[..., None]
        picture = picture * (1 - edge) + colour * edge
    image = Image.fromarray(picture.clip(0, 255).astype(np.uint8))
    draw = ImageDraw.Draw(image)
    for _ in range(60):
        x, base = rng.integers(WIDTH), int(rng.integers(int(HEIGHT * 0.86), HEIGHT + 30))
        tall = int((base - HEIGHT * 0.7) * rng.uniform(0.35, 0.6))
        shade = int(rng.integers(-12, 18))
        for k in range(0, tall, 2):
            half = (k / tall) ** 1.1 * tall * 0.22 * rng.uniform(0.7, 1.1)
            colour = (24 + shade + k // 9, 44 + shade + k // 7, 26 + shade)
            level = base - tall + k
            draw.line((x - half, level, x + half, level), fill=colour, width=2)
    image = image.filter(ImageFilter.GaussianBlur(0.6))
    grain = np.asarray(image) + rng.normal(scale=2.0, size=(HEIGHT, WIDTH, 3))
    Image.fromarray(grain.clip(0, 255).astype(np.uint8)).save(path, quality=90, subsampling=0)


if __name__ == "__main__":
    main(sys.argv[1] if len(sys.argv) > 1 else "hills.jpg")
