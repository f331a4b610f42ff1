"""What the stages of `photo-2` begin with: models, weights, networks of the stage before."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from vqcodec.errors import ModelCorruptError
from vqcodec.models import photo, photo2
from vqcodec.models.file import read_metadata, under
from vqcodec.networks.exact import ExactSynthesis
from vqcodec.networks.model_files import PhotoParts, read_photo, read_photo2, round_analysis
from vqcodec.networks.product import Codebooks
from vqcodec.networks.transform import Gains, Synthesis
from vqcodec.prior.units import FRACTION_VECTOR, VECTOR_MAX
from vqcodec.registry.store import find, read_verified
from vqcodec.training.codebooks import from_tensors
from vqcodec.training.config_deep import DeepPhotoRecipe
from vqcodec.training.data import Pictures, draws
from vqcodec.training.exact import to_integers, to_reals
from vqcodec.training.growth import blank, grow
from vqcodec.training.start import other_architecture
from vqcodec.training.transform import Photo, rate_weights
from vqcodec.training.weights import holds_weights, read_weights

_CROPS = 256
"""From which growth and calibration learn."""
_CHUNK = 8
"""Crops that pass through the analysis at once."""
_REACH = 0.8 * VECTOR_MAX * 2.0**-FRACTION_VECTOR
"""Largest scaled latents to begin with: codewords and means end at 128."""


@dataclass(frozen=True, slots=True)
class Learnt:
    """What a stage goes on from."""

    networks: Photo[Any]
    """Their synthesis is a `Synthesis` or an `ExactSynthesis`."""
    codebooks: list[Codebooks] | None = None


def learnt_of(recipe: DeepPhotoRecipe, weights: Mapping[str, Tensor], dtype: torch.dtype) -> Learnt:
    """Make networks, and codebooks if there are any, of tensors named as in `weights`.

    Raises ModelCorruptError if they are of other networks.
    """
    networks = _blank(recipe, dtype, exact="synthesis.unit" in weights)
    coded = under(weights, "codebooks.")
    try:
        networks.load_state_dict(
            {name: value for name, value in weights.items() if not name.startswith("codebooks.")}
        )
        return Learnt(networks, from_tensors(coded, recipe) if coded else None)
    except (RuntimeError, KeyError) as error:
        raise ModelCorruptError(f"weights are those of another recipe: {error}") from error


def begin(recipe: DeepPhotoRecipe, pictures: Pictures, dtype: torch.dtype) -> Learnt:
    """Make what the recipe's start stands for.

    Raises: ValueError if it is of another architecture; ModelError if it cannot be read.
    """
    folder = Path(recipe.start)
    if holds_weights(folder):
        return learnt_of(recipe, read_weights(folder), dtype)
    data = read_verified(find(recipe.start))
    architecture = read_metadata(data).get("architecture")
    if architecture == photo.ARCHITECTURE:
        return Learnt(_grown(recipe, read_photo(data), pictures, dtype))
    if architecture != photo2.ARCHITECTURE:
        raise other_architecture(recipe.start)
    parts = read_photo2(data)
    known = (parts.config, parts.prior.config)
    larger = parts.product.codebook_size > recipe.product.codebook_size
    if known != (recipe.transform, recipe.latent_prior) or larger:
        raise other_architecture(recipe.start)
    networks = _blank(recipe, dtype, exact=True)
    for name in ("analysis", "synthesis", "gains", "prior"):
        getattr(networks, name).load_state_dict(getattr(parts, name).state_dict())
    return Learnt(networks, parts.codebooks)


def advance(
    recipe: DeepPhotoRecipe, stage: str, learnt: Learnt, pictures: Pictures, dtype: torch.dtype
) -> Learnt:
    """Make what a stage, by its name, trains, on the CPU.

    The stages before codebooks move latents: they begin with gains that leave these within the
    codewords' reach, and forget codebooks. `product` takes the analysis as a model file will hold
    it.

    Raises ValueError if `product` is given a synthesis of real numbers.
    """
    networks = learnt.networks.cpu()
    exact = isinstance(networks.synthesis, ExactSynthesis)
    if stage == "product":
        if not exact:
            raise ValueError("train.exact: missing, or start: without a synthesis of integers")
        round_analysis(networks.analysis)
        return Learnt(networks, learnt.codebooks)
    crop = recipe.train.stages[stage].crop
    crops = pictures.crops(_CROPS, crop, draws(recipe.seed, 8))
    limit_gains(networks.gains, networks.analysis, crops)
    if stage == "transform" and exact:
        networks = to_reals(recipe.transform, networks, dtype)
    elif stage == "exact" and not exact:
        networks = to_integers(recipe.transform, networks, crops)
    return Learnt(networks)


@torch.no_grad()
def limit_gains(gains: Gains, analysis: nn.Module, crops: Tensor) -> None:
    """Lower gains at which latents of crops, uint8 (B, 3, H, W), or of flat black, white, red and
    so on would leave what codewords reach.

    At the highest qualities some of the latents that photo-1 begins with do: their steps become
    coarser, which costs a few tenths of a decibel there until training has spread them.
    """
    ends = torch.tensor([0, 255], dtype=torch.uint8)
    flat = torch.cartesian_prod(ends, ends, ends)[:, :, None, None].expand(-1, *crops.shape[1:])
    chunks = (*torch.split(crops, _CHUNK), flat)
    found = [analysis(chunk.float() / 255.0).abs().amax((0, 2, 3)) for chunk in chunks]
    largest = torch.stack(found).amax(0).clamp_min(1e-6)
    gains.octaves.copy_(torch.minimum(gains.octaves, torch.log2(_REACH / largest)))


def _blank(recipe: DeepPhotoRecipe, dtype: torch.dtype, *, exact: bool) -> Photo[Any]:
    """Make networks with random weights; `dtype` is that inside blocks of real numbers."""
    made = blank(recipe.transform, recipe.latent_prior, dtype)
    if not exact:
        return made
    synthesis = ExactSynthesis(recipe.transform.synthesis)
    return Photo(made.analysis, synthesis, made.gains, made.prior)


def _grown(
    recipe: DeepPhotoRecipe, start: PhotoParts, pictures: Pictures, dtype: torch.dtype
) -> Photo[Synthesis]:
    settings = recipe.train.transform
    if settings is None:
        raise ValueError(f"train.transform: missing, and {recipe.start} is of photo-1")
    drawn = pictures.crops(_CROPS, settings.crop, draws(recipe.seed, 6))
    lambdas = rate_weights(settings.lambdas, recipe.transform.qualities, torch.device("cpu"))
    torch.manual_seed(recipe.seed)
    pixels = drawn.float() / 255.0
    return grow(recipe.transform, recipe.latent_prior, start, pixels, lambdas, dtype)
