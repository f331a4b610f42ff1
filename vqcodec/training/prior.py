"""Stage 2: the prior, on indices that the frozen autoencoder gives.

Every training picture is indexed a few times at random scales, once and for all;
the prior then sees random tiles of these grids, with nothing around them, as it
will when it codes. For the last part of the steps it runs on its integer grid.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from safetensors import safe_open
from safetensors.numpy import load_file, save
from torch import Tensor

from vqcodec.networks.codebook import nearest
from vqcodec.networks.model_files import VqVaeParts
from vqcodec.networks.pixelcnn import PixelCNN, bits_per_index
from vqcodec.storage import write_whole
from vqcodec.training.autoencoder import Autoencoder
from vqcodec.training.config import Recipe
from vqcodec.training.data import Pictures, Pixels, draws, read_rgb
from vqcodec.training.distributed import rank, share, wait
from vqcodec.training.precision import autocast
from vqcodec.training.quantisation import usage

Grid = NDArray[np.uint16]
"""Indices (N, M) of one picture."""


_VALIDATION_TILES = 96


class PriorStage:
    """See the module's docstring."""

    name = "prior"

    def __init__(
        self,
        recipe: Recipe,
        grids: list[list[Grid]],
        pictures: Pictures,
        validation: list[Grid],
        codebook: Tensor,
        device: torch.device,
        start: VqVaeParts | None = None,
    ) -> None:
        """`grids` holds, for each of the pictures, its views; `codebook` is (K, D).

        The first weights are those of `start`, or else come from the codebook.
        """
        self.schedule = recipe.train.prior
        self._share = share(self.schedule.batch, "train.prior.batch")
        self._recipe = recipe
        self._grids = grids
        self._pictures = pictures
        self._device = device
        torch.manual_seed(recipe.seed + 1)
        self.module = PixelCNN(recipe.prior).to(device)
        if start is not None:
            self.module.load_state_dict(start.prior.state_dict())
        else:
            self.module.start_from(codebook)
        crop = self.schedule.crop
        tiles = np.stack([tile for grid in validation for tile in _tiles(grid, crop)])
        spread = tiles[:: -(-len(tiles) // _VALIDATION_TILES)]
        self._validation = torch.from_numpy(spread.astype(np.int64))

    def batch(self, step: int) -> Tensor:
        """Draw tiles: int64 (B, crop, crop)."""
        rng = draws(self._recipe.seed, 2, step)
        side = self.schedule.crop
        tiles = []
        for _ in range(self._share):
            views = self._grids[self._pictures.draw(rng)]
            grid = views[int(rng.integers(len(views)))]
            top = int(rng.integers(grid.shape[0] - side + 1))
            left = int(rng.integers(grid.shape[1] - side + 1))
            tiles.append(grid[top : top + side, left : left + side])
        return torch.from_numpy(np.stack(tiles).astype(np.int64))

    def loss(self, batch: Tensor, step: int) -> tuple[Tensor, dict[str, float]]:
        """Mean bits per index of one batch."""
        integer = step >= self.schedule.integer_from * self.schedule.steps
        indices = batch.to(self._device)
        with autocast(self._device, self._recipe.train.precision):
            logits = self.module(indices, integer=integer)
        bits = bits_per_index(logits, indices)
        return bits, {"bits": float(bits.detach())}

    def after(self, batch: Tensor, step: int) -> None:
        """Nothing follows a step."""

    @torch.inference_mode()
    def validate(self) -> dict[str, float]:
        """Bits per index on validation tiles: in real numbers, in integers, and unigram."""
        totals = {"float_bits": 0.0, "integer_bits": 0.0}
        parts = torch.split(self._validation, 8)
        for part in parts:
            indices = part.to(self._device)
            for name in totals:
                logits = self.module(indices, integer=name == "integer_bits")
                totals[name] += float(bits_per_index(logits, indices)) * len(part)
        size = self._recipe.prior.codebook_size
        figures = {name: total / len(self._validation) for name, total in totals.items()}
        return figures | {"unigram_bits": usage(self._validation, size)["unigram_bits"]}


def index_pictures(
    autoencoder: Autoencoder,
    recipe: Recipe,
    pictures: Pictures,
    cache: Path,
    device: torch.device,
    progress: Callable[[int], None],
) -> tuple[list[list[Grid]], bool]:
    """Index every picture `views` times; keep the result in the file `cache`.

    `progress` is told the number of pictures done. Also returns whether the indices
    are those of the cache: of the same pictures by the same autoencoder. Process 0 does
    the work and the others take its file.

    Raises: ValueError in a process that cannot.
    """
    views = recipe.train.prior.views
    origin = _origin(autoencoder, pictures, views)
    stored = _stored(cache, origin, len(pictures), views)
    wait()  # until all have looked for what only then may change
    if stored is not None:
        return stored, True
    if rank() == 0:
        stored = _index(autoencoder, recipe, pictures, device, progress)
        named = {f"{p}.{v}": g for p, row in enumerate(stored) for v, g in enumerate(row)}
        write_whole(cache, save(named, metadata={"origin": origin}), overwrite=True)
    wait()
    stored = stored or _stored(cache, origin, len(pictures), views)
    if stored is None:
        raise ValueError(
            f"{cache}: process {rank()} finds no indices by process 0 of its own pictures: on "
            "every machine processes need the same pictures, and one folder for the run"
        )
    return stored, False


def _stored(cache: Path, origin: str, count: int, views: int) -> list[list[Grid]] | None:
    """Read the indices of `count` pictures, if the file is there and of that origin."""
    if not cache.exists():
        return None
    with safe_open(cache, framework="numpy") as file:
        if file.metadata() != {"origin": origin}:
            return None
    stored = load_file(cache)
    return [[stored[f"{p}.{v}"] for v in range(views)] for p in range(count)]


def _index(
    autoencoder: Autoencoder,
    recipe: Recipe,
    pictures: Pictures,
    device: torch.device,
    progress: Callable[[int], None],
) -> list[list[Grid]]:
    least = recipe.train.prior.crop * recipe.autoencoder.stride
    grids = []
    for number, path in enumerate(pictures.paths):
        rng = np.random.default_rng([recipe.seed, 3, number])
        scaled = [pictures.view(path, least, rng) for _ in range(recipe.train.prior.views)]
        grids.append([index_pixels(autoencoder, recipe, pixels, device) for pixels in scaled])
        progress(number + 1)
    return grids


def _origin(autoencoder: Autoencoder, pictures: Pictures, views: int) -> str:
    digest = hashlib.sha256(f"{views}".encode())
    for path in pictures.paths:
        digest.update(path.name.encode())
    for part in (autoencoder.encoder, autoencoder.codebook):
        for value in part.state_dict().values():
            digest.update(value.detach().cpu().contiguous().numpy().tobytes())
    return digest.hexdigest()


def index_files(
    autoencoder: Autoencoder, recipe: Recipe, paths: list[Path], device: torch.device
) -> list[Grid]:
    """Index pictures as they are, for validation; those smaller than a tile are left out."""
    least = recipe.train.prior.crop * recipe.autoencoder.stride
    pixels = (read_rgb(path) for path in paths)
    return [
        index_pixels(autoencoder, recipe, p, device) for p in pixels if min(p.shape[:2]) >= least
    ]


@torch.inference_mode()
def index_pixels(
    autoencoder: Autoencoder, recipe: Recipe, pixels: Pixels, device: torch.device
) -> Grid:
    """Index one picture (H, W, 3), cut to whole indices."""
    stride = recipe.autoencoder.stride
    rows, columns = pixels.shape[0] // stride, pixels.shape[1] // stride
    cut = pixels[: rows * stride, : columns * stride].copy()
    image = torch.from_numpy(cut).to(device).permute(2, 0, 1)[None].float() / 255.0
    with autocast(device, recipe.train.precision):
        latents = autoencoder.encoder(image)
    flat = latents.float().permute(0, 2, 3, 1).reshape(rows * columns, -1)
    indices = nearest(autoencoder.codebook.vectors, flat).view(rows, columns)
    return indices.cpu().numpy().astype(np.uint16)


def _tiles(grid: Grid, side: int) -> list[Grid]:
    rows, columns = grid.shape[0] // side, grid.shape[1] // side
    return [
        grid[i * side : (i + 1) * side, j * side : (j + 1) * side]
        for i in range(rows)
        for j in range(columns)
    ]
