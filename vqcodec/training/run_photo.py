"""The stages of architecture photo-1: the transform with noise, then everything with codebooks."""

from __future__ import annotations

from pathlib import Path

from vqcodec.models import photo
from vqcodec.networks.model_files import PhotoParts, read_photo, write_photo
from vqcodec.networks.product import Codebooks
from vqcodec.training.config import PhotoRecipe
from vqcodec.training.data import Pictures, open_pictures
from vqcodec.training.distributed import rank, share
from vqcodec.training.loop import Trainer
from vqcodec.training.photo_medium import PhotoMedium
from vqcodec.training.product import train_product
from vqcodec.training.start import Run, model_data, other_architecture
from vqcodec.training.transform import Photo, TransformStage, rate_weights

RECIPE = PhotoRecipe


def train_stages(recipe: PhotoRecipe, run: Run) -> bytes:
    """Train the transform with noise, then everything with codebooks."""
    return train_on(recipe, run, *open_pictures(run.data, run.validation, recipe.data))


def train_on(recipe: PhotoRecipe, run: Run, pictures: Pictures, held_out: list[Path]) -> bytes:
    """Do what `train_stages` does on pictures that are open."""
    share(recipe.train.product.batch, "train.product.batch")
    cache = run.folder / "codebooks.safetensors"
    if not run.resume and rank() == 0:
        cache.unlink(missing_ok=True)
    given: list[Codebooks] | None = None
    if recipe.start:
        parts = _start(recipe)
        module = Photo(parts.analysis, parts.synthesis, parts.gains, parts.prior)
        given = [codebooks.to(run.device) for codebooks in parts.codebooks]
        weights = recipe.train.transform.lambdas
        lambdas = rate_weights(weights, recipe.transform.qualities, run.device)
        medium = PhotoMedium(recipe, module, lambdas, pictures, held_out, run.device)
    else:
        first = TransformStage(recipe, pictures, held_out, run.device)
        Trainer(first, run.folder, run.reporter).run(resume=run.resume)
        medium, module = first.medium, first.module
    codebooks = train_product(recipe, medium, given, cache, run)
    parts = PhotoParts(
        config=recipe.transform,
        product=recipe.product,
        analysis=module.analysis,
        synthesis=module.synthesis,
        gains=module.gains,
        prior=module.prior,
        codebooks=codebooks,
    )
    return write_photo(
        parts, name=recipe.name, licence=recipe.licence, description=recipe.description
    )


def _start(recipe: PhotoRecipe) -> PhotoParts:
    parts = photo_parts(recipe.start)
    if (parts.config, parts.prior.config) != (recipe.transform, recipe.latent_prior):
        raise other_architecture(recipe.start)
    return parts


def photo_parts(start: str) -> PhotoParts:
    """Read a model of architecture photo-1. Raises: as `model_data`."""
    return read_photo(model_data(start, photo.ARCHITECTURE))
