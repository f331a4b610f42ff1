"""Stage 2: the prior, on indices that the frozen autoencoder gives.

Every training picture is indexed a few times at random scales, once and for all; the prior then
sees random tiles of these grids (`index_prior`).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TypeAlias

import numpy as np
import torch
from torch import Tensor

from vqcodec.networks.codebook import nearest
from vqcodec.networks.model_files import VqVaeParts
from vqcodec.networks.pixelcnn import PixelCNN
from vqcodec.training.autoencoder import Autoencoder
from vqcodec.training.config import Recipe
from vqcodec.training.data import Pictures, Pixels, draws, read_rgb
from vqcodec.training.index_cache import Indices, cached_indices, origin_of
from vqcodec.training.index_prior import IndexPriorStage
from vqcodec.training.precision import autocast

Drawn: TypeAlias = tuple[int, Indices]
"""The number of a picture, and a tile of it."""


class PriorStage(IndexPriorStage[PixelCNN]):
    """See the module's docstring."""

    def __init__(
        self,
        recipe: Recipe,
        grids: list[list[Indices]],
        pictures: Pictures,
        validation: list[Indices],
        codebook: Tensor,
        device: torch.device,
        start: VqVaeParts | None = None,
        network: Callable[..., PixelCNN] = PixelCNN,
    ) -> None:
        """`grids` holds, for each of the pictures, its views; `codebook` is (K, D); `network` makes
        what is trained of `recipe.prior`.

        The first weights are those of `start`, or else come from the codebook.
        """
        crop = recipe.train.prior.crop
        pieces = cut_tiles(validation, crop)
        super().__init__(recipe, network, pieces, codebook, device, start)
        self._grids = grids
        self._pictures = pictures

    def batch(self, step: int) -> Tensor:
        """Draw tiles: int64 (B, crop, crop)."""
        return stack(self.drawn(step))

    def drawn(self, step: int) -> list[Drawn]:
        """Draw what the batch of a step is made of."""
        rng = draws(self._seed, 2, step)
        return draw_tiles(self._grids, self._pictures, self._share, self.schedule.crop, rng)


def draw_tiles(
    grids: list[list[Indices]],
    pictures: Pictures,
    count: int,
    side: int,
    rng: np.random.Generator,
) -> list[Drawn]:
    """Draw tiles, (side, side) each, of the grids, the views of each of the pictures."""
    drawn = []
    for _ in range(count):
        picture = pictures.draw(rng)
        views = grids[picture]
        grid = views[int(rng.integers(len(views)))]
        top = int(rng.integers(grid.shape[0] - side + 1))
        left = int(rng.integers(grid.shape[1] - side + 1))
        drawn.append((picture, grid[top : top + side, left : left + side]))
    return drawn


def stack(drawn: Sequence[Drawn]) -> Tensor:
    """Return the tiles as a batch: int64 (B, side, side)."""
    return torch.from_numpy(np.stack([tile for _, tile in drawn]).astype(np.int64))


def index_pictures(
    autoencoder: Autoencoder,
    recipe: Recipe,
    pictures: Pictures,
    cache: Path,
    device: torch.device,
    progress: Callable[[int], None],
) -> tuple[list[list[Indices]], bool]:
    """Index every picture `views` times; keep the result in the file `cache`.

    `progress` is told the number of pictures done. Also returns whether the indices
    are those of the cache: of the same pictures by the same autoencoder. Process 0 does
    the work and the others take its file.

    Raises: ValueError in a process that cannot.
    """
    views = recipe.train.prior.views
    networks = (autoencoder.encoder, autoencoder.codebook)

    def make() -> dict[str, Indices]:
        grids = _index(autoencoder, recipe, pictures, device, progress)
        return {f"{p}.{v}": grid for p, row in enumerate(grids) for v, grid in enumerate(row)}

    named, known = cached_indices(
        cache, origin_of(pictures.paths, networks, how=f"{views}"), make, "pictures"
    )
    return [[named[f"{p}.{v}"] for v in range(views)] for p in range(len(pictures))], known


def _index(
    autoencoder: Autoencoder,
    recipe: Recipe,
    pictures: Pictures,
    device: torch.device,
    progress: Callable[[int], None],
) -> list[list[Indices]]:
    least = recipe.train.prior.crop * recipe.autoencoder.stride
    grids = []
    for number, path in enumerate(pictures.paths):
        rng = np.random.default_rng([recipe.seed, 3, number])
        scaled = [pictures.view(path, least, rng) for _ in range(recipe.train.prior.views)]
        grids.append([index_pixels(autoencoder, recipe, pixels, device) for pixels in scaled])
        progress(number + 1)
    return grids


def index_files(
    autoencoder: Autoencoder, recipe: Recipe, paths: list[Path], device: torch.device
) -> list[Indices]:
    """Index pictures as they are, for validation; those smaller than a tile are left out."""
    least = recipe.train.prior.crop * recipe.autoencoder.stride
    pixels = (read_rgb(path) for path in paths)
    return [
        index_pixels(autoencoder, recipe, p, device) for p in pixels if min(p.shape[:2]) >= least
    ]


@torch.inference_mode()
def index_pixels(
    autoencoder: Autoencoder, recipe: Recipe, pixels: Pixels, device: torch.device
) -> Indices:
    """Index one picture (H, W, 3), cut to whole indices."""
    latents = picture_latents(autoencoder, recipe, pixels, device)
    flat = latents.view(-1, latents.shape[-1])
    indices = nearest(autoencoder.codebook.vectors, flat).view(latents.shape[:-1])
    return indices.cpu().numpy().astype(np.uint16)


@torch.inference_mode()
def picture_latents(
    autoencoder: Autoencoder, recipe: Recipe, pixels: Pixels, device: torch.device
) -> Tensor:
    """Return the latents (rows, columns, D) of a picture (H, W, 3), cut to whole indices."""
    stride = recipe.autoencoder.stride
    rows, columns = pixels.shape[0] // stride, pixels.shape[1] // stride
    cut = pixels[: rows * stride, : columns * stride].copy()
    image = torch.from_numpy(cut).to(device).permute(2, 0, 1)[None].float() / 255.0
    with autocast(device, recipe.train.precision):
        latents = autoencoder.encoder(image)
    found: Tensor = latents[0].float().permute(1, 2, 0).contiguous()
    return found


def cut_tiles(grids: list[Indices], side: int) -> Indices:
    """Cut grids into tiles, as many as are whole: (tiles, side, side)."""
    return np.stack(
        [
            grid[i * side : (i + 1) * side, j * side : (j + 1) * side]
            for grid in grids
            for i in range(grid.shape[0] // side)
            for j in range(grid.shape[1] // side)
        ]
    )
