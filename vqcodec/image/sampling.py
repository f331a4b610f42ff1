"""Pictures that a model draws by itself, and how it goes on below the upper part of a picture."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
from PIL import Image

from vqcodec.codec.coding import Indices
from vqcodec.codec.loading import ModelLike
from vqcodec.codec.progress import Progress, counter
from vqcodec.codec.sampling import sample_grids
from vqcodec.codec.search import Qualities
from vqcodec.codec.transform import decode_indices, measure_pixels
from vqcodec.container import Limits
from vqcodec.entropy.sampler import UNKNOWN
from vqcodec.grid import divided
from vqcodec.image.pipeline import picture_model
from vqcodec.image.reading import PictureLike, picture_of
from vqcodec.models.model import PictureModel, takes
from vqcodec.models.vqvae import VqVae
from vqcodec.prior.context import Prior

SIDE = 128
"""Width and height of samples in pixels unless others are asked for."""
_GAP = 2
"""Pixels between the pictures of a sheet."""


def sample(
    model: ModelLike = None,
    *,
    count: int = 1,
    size: tuple[int, int] | None = None,
    quality: float | None = None,
    seed: int = 0,
    temperature: float = 1.0,
    like: PictureLike | None = None,
    rows: int | None = None,
    label: str | None = None,
    max_pixels: int = Limits().pixels,
    device: str = "cpu",
    progress: Progress | None = None,
) -> list[Image.Image]:
    """Draw pictures from a model's prior; return `count` Pillow images, RGB.

    `size` is (width, height) in pixels, by default 128x128, or the model's largest. The indices
    that a seed draws are the same on every machine, and those of picture n do not depend on
    `count`. `temperature` divides the logits: below 1 samples are likelier and more alike.
    `quality` is as for `compress`.

    With a picture `like`, as `compress` takes it, samples have its size, keep the first `rows` rows
    of its indices (None: half of them), and are drawn from there on. With a `label`, the name of a
    class that the model knows, samples are of that class.

    Raises: ModelError; PictureError for a `like` that is no picture; ValueError for an argument
    that cannot be taken; OSError for a path that cannot be read.
    """
    loaded = picture_model(model, device)
    level = Qualities.of(loaded).setting(quality).quality
    known = None
    if like is not None:
        if size is not None:
            raise ValueError("samples have the size of the picture that they are like")
        pixels = picture_of(like, max_pixels=max_pixels).pixels
        size = (pixels.shape[1], pixels.shape[0])
        known = _upper(loaded, pixels, level, rows)
    elif rows is not None:
        raise ValueError("rows are those of a picture to be like, and none is given")
    largest = loaded.largest or (SIDE, SIDE)
    width, height = size or (largest[1], largest[0])
    if width < 1 or height < 1 or not takes(loaded, (height, width)):
        raise ValueError(f"pictures of {width}x{height} pixels cannot be drawn")
    if count * width * height > max_pixels:
        raise ValueError(f"{count} x {width}x{height} is more than {max_pixels} pixels, the limit")
    positions = divided((height, width), loaded.stride)
    grids = sample_grids(
        _prior(loaded, level, label),
        positions,
        count=count,
        seed=seed,
        temperature=temperature,
        known=known,
        progress=counter(progress, count * math.prod(positions)),
    )
    area = slice(0, height), slice(0, width)
    return [Image.fromarray(decode_indices(loaded, grid, level, area)) for grid in grids]


def _prior(model: PictureModel, quality: int, label: str | None) -> Prior:
    if label is None:
        return model.prior_of(quality)
    if not isinstance(model, VqVae):
        raise ValueError(f"{model.name} has no label {label!r}; it has none")
    return model.prior_of_label(label)


def _upper(model: PictureModel, pixels: np.ndarray, quality: int, rows: int | None) -> Indices:
    """Return the indices of a picture, UNKNOWN from row `rows` on."""
    grid = model.nearest(measure_pixels(model, pixels), quality).astype(np.int32)
    rows = len(grid) // 2 if rows is None else rows
    if not 0 <= rows <= len(grid):
        raise ValueError(f"rows is {rows}, not 0 to {len(grid)}, the rows of the picture's indices")
    grid[rows:] = UNKNOWN
    return grid


def sheet(pictures: Sequence[Image.Image]) -> Image.Image:
    """Lay pictures of one size out in rows, as many as there are columns or one fewer, in order."""
    columns = math.isqrt(len(pictures) - 1) + 1
    width, height = (side + _GAP for side in pictures[0].size)
    down = -(-len(pictures) // columns)
    whole = Image.new("RGB", (columns * width - _GAP, down * height - _GAP), "white")
    for number, picture in enumerate(pictures):
        whole.paste(picture, (number % columns * width, number // columns * height))
    return whole
