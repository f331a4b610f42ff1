"""A whole training run: recipe and pictures to a model file."""

from __future__ import annotations

import os
from pathlib import Path

import torch

from vqcodec.models import photo, vqvae
from vqcodec.models.file import read_metadata
from vqcodec.models.product import Codebooks
from vqcodec.registry.load import read_model
from vqcodec.registry.store import find, read_verified
from vqcodec.training.autoencoder import AutoencoderStage
from vqcodec.training.codebooks import start_all
from vqcodec.training.config import PhotoRecipe, Recipe
from vqcodec.training.data import Pictures, find_pictures, picture_size
from vqcodec.training.distributed import rank, share, wait
from vqcodec.training.loop import Reporter, Trainer, heard
from vqcodec.training.prior import PriorStage, index_files, index_pictures
from vqcodec.training.product import ProductStage
from vqcodec.training.transform import Photo, TransformStage

_HELD_OUT = 16
_HELD_OUT_MAX = 32


def train(
    recipe: Recipe | PhotoRecipe,
    *,
    data: Path,
    validation: Path | None = None,
    out: Path,
    run: Path,
    resume: bool,
    device: torch.device,
    reporter: Reporter,
) -> None:
    """Train the recipe's stages, one after the other, and write the model to `out`.

    `validation` is a folder of pictures; without it one of 16 pictures (at
    least one, at most 32) is held out of `data`. Checkpoints and logs go to the
    folder `run`; `resume` continues from them. Of several processes (`distributed`)
    all must call this alike, and process 0 writes.

    Raises: ValueError for unusable data, a start of another architecture or batches that
    the processes cannot share; ModelError for a start that cannot be read;
    InterruptedRunError after SIGINT or SIGTERM, with a checkpoint written.
    """
    reporter = heard(reporter)
    run.mkdir(parents=True, exist_ok=True)
    paths = find_pictures(data)
    if validation is not None:
        held_out = find_pictures(validation)
    else:
        if len(paths) < 2:
            raise ValueError(f"{data}: training needs at least two pictures")
        held_out = paths[:: max(_HELD_OUT, len(paths) // _HELD_OUT_MAX + 1)]
        paths = [path for path in paths if path not in set(held_out)]
    pictures = Pictures(paths, recipe.data)
    stages = _train_photo if isinstance(recipe, PhotoRecipe) else _train_vqvae
    model = stages(recipe, pictures, held_out, run, resume, device, reporter)  # type: ignore[arg-type]
    if rank() == 0:
        out.parent.mkdir(parents=True, exist_ok=True)
        partial = out.with_name(out.name + ".partial")
        partial.write_bytes(model)
        os.replace(partial, out)
    wait()


def _train_vqvae(
    recipe: Recipe,
    pictures: Pictures,
    held_out: list[Path],
    run: Path,
    resume: bool,
    device: torch.device,
    reporter: Reporter,
) -> bytes:
    """Train autoencoder, then prior."""
    share(recipe.train.prior.batch, "train.prior.batch")  # an error now, not after the first stage
    start = _start(recipe, device) if recipe.start else None
    least = recipe.train.prior.crop * recipe.autoencoder.stride
    if not any(min(picture_size(path)) >= least for path in held_out):
        raise ValueError(f"no validation picture is at least {least} pixels high and wide")

    first = AutoencoderStage(recipe, pictures, held_out, device, start)
    Trainer(first, run, reporter).run(resume=resume)

    cache = run / "indices.safetensors"
    reporter.start("indexing", 0, len(pictures))
    grids, known = index_pictures(
        first.module, recipe, pictures, cache, device, lambda n: reporter.step("indexing", n, {})
    )
    pictures.forget()
    checked = index_files(first.module, recipe, held_out, device)
    codebook = first.module.codebook.vectors
    second = PriorStage(recipe, grids, pictures, checked, codebook, device, start)
    # A prior of other indices, as after more steps of the autoencoder, is of no use.
    Trainer(second, run, reporter).run(resume=resume and known)
    return vqvae.model_bytes(
        name=recipe.name,
        licence=recipe.licence,
        description=recipe.description,
        config=recipe.autoencoder,
        encoder=first.module.encoder,
        codebook=codebook,
        decoder=first.module.decoder,
        prior=second.module,
    )


def _train_photo(
    recipe: PhotoRecipe,
    pictures: Pictures,
    held_out: list[Path],
    run: Path,
    resume: bool,
    device: torch.device,
    reporter: Reporter,
) -> bytes:
    """Train the transform with noise, then everything with codebooks."""
    share(recipe.train.product.batch, "train.product.batch")
    cache = run / "codebooks.safetensors"
    if not resume and rank() == 0:
        cache.unlink(missing_ok=True)
    given: list[Codebooks] | None = None
    if recipe.start:
        parts = _photo_start(recipe)
        module = Photo(parts.analysis, parts.synthesis, parts.gains, parts.prior).to(device)
        given = [codebooks.to(device) for codebooks in parts.codebooks]
    else:
        first = TransformStage(recipe, pictures, held_out, device)
        Trainer(first, run, reporter).run(resume=resume)
        module = first.module
    reporter.start("codebooks", 0, recipe.transform.qualities)
    codebooks = start_all(
        recipe, module, given, pictures, cache, device, lambda n: reporter.step("codebooks", n, {})
    )
    second = ProductStage(recipe, module, codebooks, pictures, held_out, device)
    Trainer(second, run, reporter).run(resume=resume)
    return photo.model_bytes(
        name=recipe.name,
        licence=recipe.licence,
        description=recipe.description,
        parts=photo.Parts(
            config=recipe.transform,
            product=recipe.product,
            analysis=module.analysis,
            synthesis=module.synthesis,
            gains=module.gains,
            prior=module.prior,
            codebooks=codebooks,
        ),
    )


def _photo_start(recipe: PhotoRecipe) -> photo.Parts:
    file = find(recipe.start)
    data = read_verified(file)
    if read_metadata(data).get("architecture") == photo.ARCHITECTURE:
        parts = photo.model_parts(data)
        if (parts.config, parts.prior.config) == (recipe.transform, recipe.latent_prior):
            return parts
    raise ValueError(f"start: {recipe.start} has another architecture than the recipe")


def _start(recipe: Recipe, device: torch.device) -> vqvae.VqVae:
    start = read_model(find(recipe.start), device)
    if not isinstance(start, vqvae.VqVae) or (
        (start.config, start.prior.config) != (recipe.autoencoder, recipe.prior)
    ):
        raise ValueError(f"start: {recipe.start} has another architecture than the recipe")
    return start
