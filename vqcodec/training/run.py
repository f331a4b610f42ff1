"""A whole training run: recipe and pictures to a model file."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

import torch

from vqcodec.models import photo, vqvae
from vqcodec.models.file import read_metadata
from vqcodec.networks.model_files import (
    PhotoParts,
    VqVaeParts,
    read_photo,
    read_vqvae,
    write_photo,
    write_vqvae,
)
from vqcodec.networks.product import Codebooks
from vqcodec.registry.store import find, read_verified
from vqcodec.training.autoencoder import AutoencoderStage
from vqcodec.training.canvas import find_fonts
from vqcodec.training.codebooks import start_all
from vqcodec.training.config import AnyRecipe, DeepPhotoRecipe, PhotoRecipe, Recipe
from vqcodec.training.data import Pictures, draws, find_pictures, picture_size
from vqcodec.training.deep import DeepTransformStage
from vqcodec.training.distributed import rank, share, wait
from vqcodec.training.exact import ExactTransformStage, begin_exact, blank_exact
from vqcodec.training.growth import blank, grow
from vqcodec.training.loop import Reporter, Trainer, heard
from vqcodec.training.precision import lower_dtype
from vqcodec.training.prior import PriorStage, index_files, index_pictures
from vqcodec.training.product import ProductStage
from vqcodec.training.transform import Photo, TransformStage, rate_weights
from vqcodec.training.weights import holds_weights, load_weights

_HELD_OUT = 16
_HELD_OUT_MAX = 32
_GROWTH_CROPS = 256


def train(
    recipe: AnyRecipe,
    *,
    data: Path | Sequence[Path],
    validation: Path | None = None,
    out: Path,
    run: Path,
    resume: bool,
    device: torch.device,
    reporter: Reporter,
) -> Path:
    """Train the recipe's stages, one after the other, and write the model to `out`.

    `data` is a folder of pictures, or several, of which equally many are drawn.
    `validation` is one too; without it one of 16 pictures (at
    least one, at most 32) is held out of `data`. Checkpoints and logs go to the
    folder `run`; `resume` continues from them. Of several processes (`distributed`)
    all must call this alike, and process 0 writes.

    Returns `out`; or, of photo-2, of which there is no model yet, the checkpoint of the last
    stage.

    Raises: ValueError for unusable data, a start of another architecture or batches that
    the processes cannot share; ModelError for a start that cannot be read;
    InterruptedRunError after SIGINT or SIGTERM, with a checkpoint written.
    """
    reporter = heard(reporter)
    run.mkdir(parents=True, exist_ok=True)
    folders = [data] if isinstance(data, Path) else list(data)
    paths = [path for folder in folders for path in find_pictures(folder)]
    if validation is not None:
        held_out = find_pictures(validation)
    else:
        if len(paths) < 2:
            raise ValueError(f"{folders[0]}: training needs at least two pictures")
        held_out = paths[:: max(_HELD_OUT, len(paths) // _HELD_OUT_MAX + 1)]
        paths = [path for path in paths if path not in set(held_out)]
    pictures = Pictures(paths, recipe.data, folders)
    if isinstance(recipe, DeepPhotoRecipe):
        return _train_deep_photo(recipe, pictures, held_out, run, resume, device, reporter)
    stages = _train_photo if isinstance(recipe, PhotoRecipe) else _train_vqvae
    model = stages(recipe, pictures, held_out, run, resume, device, reporter)  # type: ignore[arg-type]
    if rank() == 0:
        out.parent.mkdir(parents=True, exist_ok=True)
        partial = out.with_name(out.name + ".partial")
        partial.write_bytes(model)
        os.replace(partial, out)
    wait()
    return out


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
    start = _vqvae_start(recipe) if recipe.start else None
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
    parts = VqVaeParts(
        config=recipe.autoencoder,
        encoder=first.module.encoder,
        codebook=codebook,
        decoder=first.module.decoder,
        prior=second.module,
    )
    return write_vqvae(
        parts, name=recipe.name, licence=recipe.licence, description=recipe.description
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


def _train_deep_photo(
    recipe: DeepPhotoRecipe,
    pictures: Pictures,
    held_out: list[Path],
    run: Path,
    resume: bool,
    device: torch.device,
    reporter: Reporter,
) -> Path:
    """Train the stages that there are; return the checkpoint of the last."""
    checkpoint = run / f"{DeepTransformStage.name}.safetensors"
    resumed = resume and checkpoint.exists()
    dtype = lower_dtype(device, recipe.train.precision)
    module = (
        blank(recipe.transform, recipe.latent_prior, dtype)
        if resumed
        else _begin(recipe, pictures, dtype)
    )
    fonts = find_fonts()
    stage = DeepTransformStage(recipe, module, pictures, fonts, held_out, device)
    trainer = Trainer(stage, run, reporter)
    if not resumed:
        trainer.log.note("fonts", {"fonts": fonts})
    trainer.run(resume=resume)
    if recipe.train.exact is None:
        return checkpoint
    checkpoint = run / f"{ExactTransformStage.name}.safetensors"
    module.cpu()
    if resume and checkpoint.exists():
        integer = blank_exact(recipe, module)
    else:
        drawn = pictures.crops(_GROWTH_CROPS, recipe.train.exact.crop, draws(recipe.seed, 8))
        integer = begin_exact(recipe, module, drawn)
    last = ExactTransformStage(recipe, integer, pictures, fonts, held_out, device)
    Trainer(last, run, reporter).run(resume=resume)
    return checkpoint


def _begin(recipe: DeepPhotoRecipe, pictures: Pictures, dtype: torch.dtype) -> Photo:
    """Make the networks that the recipe's start stands for."""
    if holds_weights(Path(recipe.start)):
        module = blank(recipe.transform, recipe.latent_prior, dtype)
        load_weights(module, Path(recipe.start))
        return module
    settings = recipe.train.transform
    drawn = pictures.crops(_GROWTH_CROPS, settings.crop, draws(recipe.seed, 6))
    lambdas = rate_weights(settings.lambdas, recipe.transform.qualities, torch.device("cpu"))
    start = _photo_parts(recipe.start)
    torch.manual_seed(recipe.seed)
    pixels = drawn.float() / 255.0
    return grow(recipe.transform, recipe.latent_prior, start, pixels, lambdas, dtype)


def _photo_start(recipe: PhotoRecipe) -> PhotoParts:
    parts = _photo_parts(recipe.start)
    if (parts.config, parts.prior.config) != (recipe.transform, recipe.latent_prior):
        raise _other_architecture(recipe.start)
    return parts


def _photo_parts(start: str) -> PhotoParts:
    return read_photo(_model_data(start, photo.ARCHITECTURE))


def _vqvae_start(recipe: Recipe) -> VqVaeParts:
    parts = read_vqvae(_model_data(recipe.start, vqvae.ARCHITECTURE))
    if (parts.config, parts.prior.config) != (recipe.autoencoder, recipe.prior):
        raise _other_architecture(recipe.start)
    return parts


def _model_data(start: str, architecture: str) -> bytes:
    """Return the bytes of a model's file. Raises ValueError if it is of another architecture."""
    data = read_verified(find(start))
    if read_metadata(data).get("architecture") != architecture:
        raise _other_architecture(start)
    return data


def _other_architecture(start: str) -> ValueError:
    return ValueError(f"start: {start} has another architecture than the recipe")
