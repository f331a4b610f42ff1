"""Between the stages of `photo` and of `speech`: codebooks for every quality, on the latents of
the first stage.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import TypeAlias

import numpy as np
import torch
from safetensors.torch import load_file, save
from torch import Tensor

from vqcodec.networks.latent_prior import precision_of
from vqcodec.networks.product import Block, Codebooks, take
from vqcodec.storage import write_whole
from vqcodec.training.cells import match_marginals, prices, start_codebooks
from vqcodec.training.config import PhotoRecipe, ProductTraining
from vqcodec.training.config_deep import DeepPhotoRecipe
from vqcodec.training.config_speech import SpeechRecipe
from vqcodec.training.distributed import rank, wait
from vqcodec.training.fine import finer, spacings
from vqcodec.training.medium import Medium

ProductRecipe: TypeAlias = "PhotoRecipe | DeepPhotoRecipe | SpeechRecipe"
_START_BATCHES, _START_CROPS = 16, 8
"""Crops on which codebooks start."""


def rows_of(latents: Tensor) -> Tensor:
    """Turn the latents of one crop, (D, ...), into rows (P, D)."""
    return latents.flatten(1).T


def grid_of(rows: Tensor, like: Tensor) -> Tensor:
    """Turn rows (..., D) of all positions of B crops into latents of the shape of `like`,
    (B, D, ...).
    """
    return rows.view(len(like), *like.shape[2:], -1).movedim(-1, 1)


def cheapest(block: Block, flat: Tensor, distance_bits: float) -> Tensor:
    """Assign latents (P, D) without knowing the context: indices (G, P)."""
    costs = block.distances(block.of(flat), distance_bits) + block.unigram[:, None]
    return costs.argmin(2)


@torch.no_grad()
def count_codewords(codebooks: Codebooks, latents: Tensor, distance_bits: float) -> None:
    """Price codewords by how often they occur in latents (P, D), themselves weighing the prices."""
    for block in codebooks.blocks():
        for _ in range(3):
            picked = cheapest(block, latents, distance_bits)
            ones = torch.ones_like(picked, dtype=latents.dtype)
            counts = torch.zeros_like(block.unigram).scatter_add_(1, picked, ones)
            block.unigram.copy_(prices(counts))


@torch.no_grad()
def start_all(
    recipe: ProductRecipe,
    settings: ProductTraining,
    medium: Medium,
    given: list[Codebooks] | None,
    cache: Path,
    progress: Callable[[int], None],
) -> list[Codebooks]:
    """Start every quality's codebooks on crops for training; if they are `given`, on the
    medium's device, only what their codewords cost without context is found out there.

    Keeps them in the file `cache`, and takes them from there if it exists: another
    machine's latents may round otherwise. `progress` is told the number of qualities done.
    """
    done = cache.exists()
    wait()  # until all have looked for what only then may change
    if not done and rank() == 0:
        tensors = {
            f"{quality}.{name}": value.contiguous()
            for quality, made in enumerate(_start(recipe, settings, medium, given, progress))
            for name, value in made.state_dict().items()
        }
        write_whole(cache, save(tensors), overwrite=True)
    wait()
    return from_tensors(load_file(cache), recipe)


def _start(
    recipe: ProductRecipe,
    settings: ProductTraining,
    medium: Medium,
    given: list[Codebooks] | None,
    progress: Callable[[int], None],
) -> Iterator[Codebooks]:
    """Make the codebooks, quality by quality."""
    medium.networks.eval()
    latents = []
    for number in range(_START_BATCHES):
        rng = np.random.default_rng([recipe.seed, 5, number])
        crops = medium.batch(_START_CROPS, settings.crop, rng)
        latents.append(medium.latents(medium.originals(crops)))
    spacing = None
    if settings.fine is not None:
        qualities = torch.arange(1, recipe.transform.qualities + 1, device=latents[0].device)
        gains = medium.gains(qualities).flatten(1)
        deviations = torch.cat([_all_rows(part) for part in latents]).std(0)
        spacing = spacings(settings.fine, gains, deviations)
    for quality in range(1, recipe.transform.qualities + 1):
        at = torch.full((_START_CROPS,), quality, device=latents[0].device)
        gains = medium.gains(at)
        scaled = [part * gains for part in latents]
        rows = torch.cat([_all_rows(part) for part in scaled])
        if given is None:
            codebooks = start_codebooks(
                rows.cpu(),
                recipe.latent_prior.slices,
                min(settings.codewords, recipe.product.codebook_size),
                settings.group_bits,
            ).to(rows.device)
        else:
            codebooks = given[quality - 1]
        if spacing is not None:
            codebooks = finer(codebooks, spacing[quality - 1])
        if given is not None or spacing is not None:
            count_codewords(codebooks, rows, recipe.product.distance_bits)
        if given is None:
            _match(medium, codebooks, scaled, at, recipe.product.distance_bits)
        progress(quality)
        yield codebooks


def _match(
    medium: Medium, codebooks: Codebooks, scaled: list[Tensor], at: Tensor, distance_bits: float
) -> None:
    """Match the biases of one quality's codebooks to the indices they give."""
    indices, means, precisions = [], [], []
    for part in scaled:
        rows = _all_rows(part)
        picked = [cheapest(block, rows, distance_bits) for block in codebooks.blocks()]
        parts = [take(b.embedding, k) for b, k in zip(codebooks.blocks(), picked, strict=True)]
        seen = codebooks.place(parts, torch.zeros_like(rows))
        mean, scale = medium.context(grid_of(seen, part), at)
        indices.append(picked)
        means.append(_all_rows(mean))
        precisions.append(_all_rows(precision_of(scale)))
    mean, precision = torch.cat(means), torch.cat(precisions)
    for number, block in enumerate(codebooks.blocks()):
        every = torch.cat([row[number] for row in indices], dim=1)
        match_marginals(block, every, block.of(mean), block.of(precision))


def _all_rows(latents: Tensor) -> Tensor:
    """Turn latents (B, D, ...) into rows (B P, D)."""
    return latents.movedim(1, -1).flatten(0, -2)


def from_tensors(tensors: Mapping[str, Tensor], recipe: ProductRecipe) -> list[Codebooks]:
    """Make every quality's codebooks of their tensors: `QUALITY.` and the name in `Codebooks`,
    qualities counted from 0.

    Raises KeyError if some are missing.
    """
    made = []
    for quality in range(recipe.transform.qualities):
        slices = []
        for s in range(len(recipe.latent_prior.slices)):
            blocks: list[Block] = []
            while f"{quality}.slices.{s}.{len(blocks)}.channels" in tensors:
                start = f"{quality}.slices.{s}.{len(blocks)}."
                parts = ("channels", "vectors", "bias", "embedding", "unigram", "counts")
                blocks.append(Block(*(tensors[start + part] for part in parts)))
            slices.append(blocks)
        made.append(Codebooks(slices, tensors[f"{quality}.rest"]))
    return made
