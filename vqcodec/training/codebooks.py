"""Between the stages of `photo`: codebooks for every quality, on the first stage's latents."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import torch
from safetensors.torch import load_file, save
from torch import Tensor

from vqcodec.networks.latent_prior import precision_of
from vqcodec.networks.product import Block, Codebooks, take
from vqcodec.storage import write_whole
from vqcodec.training.cells import match_marginals, prices, start_codebooks
from vqcodec.training.config import PhotoRecipe
from vqcodec.training.data import Pictures
from vqcodec.training.distributed import rank, wait
from vqcodec.training.precision import autocast
from vqcodec.training.transform import Photo

_START_BATCHES = 16


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
    recipe: PhotoRecipe,
    photo: Photo,
    given: list[Codebooks] | None,
    pictures: Pictures,
    cache: Path,
    device: torch.device,
    progress: Callable[[int], None],
) -> list[Codebooks]:
    """Start every quality's codebooks on crops of the training pictures; if they are `given`,
    only what their codewords cost without context is found out there.

    Keeps them in the file `cache`, and takes them from there if it exists: another
    machine's latents may round otherwise. `progress` is told the number of qualities done.
    """
    done = cache.exists()
    wait()  # until all have looked for what only then may change
    if not done and rank() == 0:
        tensors = {
            f"{quality}.{name}": value.contiguous()
            for quality, made in enumerate(_start(recipe, photo, given, pictures, device, progress))
            for name, value in made.state_dict().items()
        }
        write_whole(cache, save(tensors), overwrite=True)
    wait()
    return _from_tensors(load_file(cache), recipe)


def _start(
    recipe: PhotoRecipe,
    photo: Photo,
    given: list[Codebooks] | None,
    pictures: Pictures,
    device: torch.device,
    progress: Callable[[int], None],
) -> Iterator[Codebooks]:
    """Make the codebooks, quality by quality."""
    settings = recipe.train.product
    photo.eval()
    latents = []
    for number in range(_START_BATCHES):
        rng = np.random.default_rng([recipe.seed, 5, number])
        crop = pictures.crops(settings.batch, settings.crop, rng)
        with autocast(device, recipe.train.precision):
            latents.append(photo.analysis(crop.to(device).float() / 255.0).float())
    for quality in range(1, recipe.transform.qualities + 1):
        at = torch.full((settings.batch,), quality, device=device)
        gains = photo.gains(at.float())
        scaled = [part * gains for part in latents]
        flat = torch.cat([part.permute(0, 2, 3, 1).flatten(0, 2) for part in scaled])
        if given is None:
            codebooks = start_codebooks(
                flat.cpu(),
                recipe.latent_prior.slices,
                recipe.product.codebook_size,
                settings.group_bits,
            ).to(device)
            _match(photo, codebooks, scaled, at, recipe, device)
        else:
            codebooks = given[quality - 1]
            count_codewords(codebooks, flat, recipe.product.distance_bits)
        progress(quality)
        yield codebooks


def _match(
    photo: Photo,
    codebooks: Codebooks,
    scaled: list[Tensor],
    at: Tensor,
    recipe: PhotoRecipe,
    device: torch.device,
) -> None:
    """Match the biases of one quality's codebooks to the indices they give."""
    indices, means, precisions = [], [], []
    distance_bits = recipe.product.distance_bits
    for part in scaled:
        flat = part.permute(0, 2, 3, 1).flatten(0, 2)
        picked = [cheapest(block, flat, distance_bits) for block in codebooks.blocks()]
        parts = [take(b.embedding, k) for b, k in zip(codebooks.blocks(), picked, strict=True)]
        seen = codebooks.place(parts, torch.zeros_like(flat))
        image = seen.view(len(part), *part.shape[2:], -1).permute(0, 3, 1, 2)
        with autocast(device, recipe.train.precision):
            mean, scale = photo.prior(image, at)
        indices.append(picked)
        means.append(mean.permute(0, 2, 3, 1).flatten(0, 2))
        precisions.append(precision_of(scale).permute(0, 2, 3, 1).flatten(0, 2))
    mean, precision = torch.cat(means), torch.cat(precisions)
    for number, block in enumerate(codebooks.blocks()):
        every = torch.cat([row[number] for row in indices], dim=1)
        match_marginals(block, every, block.of(mean), block.of(precision))


def _from_tensors(tensors: dict[str, Tensor], recipe: PhotoRecipe) -> list[Codebooks]:
    made = []
    for quality in range(recipe.transform.qualities):
        slices = []
        for s in range(len(recipe.latent_prior.slices)):
            blocks: list[Block] = []
            while f"{quality}.slices.{s}.{len(blocks)}.channels" in tensors:
                start = f"{quality}.slices.{s}.{len(blocks)}."
                parts = ("channels", "vectors", "bias", "embedding", "unigram")
                blocks.append(Block(*(tensors[start + part] for part in parts)))
            slices.append(blocks)
        made.append(Codebooks(slices, tensors[f"{quality}.rest"]))
    return made
