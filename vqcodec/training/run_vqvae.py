"""The stages of architecture vqvae-pixelcnn-1: autoencoder, then prior."""

from __future__ import annotations

from vqcodec.models import vqvae
from vqcodec.networks.model_files import VqVaeParts, read_vqvae, write_vqvae
from vqcodec.training.autoencoder import AutoencoderStage
from vqcodec.training.config import Recipe
from vqcodec.training.data import Pictures, open_pictures, picture_size
from vqcodec.training.distributed import share
from vqcodec.training.labelled_prior import LabelledPriorStage
from vqcodec.training.loop import Trainer
from vqcodec.training.path_names import Labels
from vqcodec.training.prior import PriorStage, index_files, index_pictures
from vqcodec.training.start import Run, model_data, other_architecture

RECIPE = Recipe


def train_stages(recipe: Recipe, run: Run) -> bytes:
    """Train autoencoder, then prior."""
    share(recipe.train.prior.batch, "train.prior.batch")  # an error now, not after the first stage
    start = _start(recipe) if recipe.start else None
    pictures, held_out = open_pictures(run.data, run.validation, recipe.data)
    least = recipe.train.prior.crop * recipe.autoencoder.stride
    whole = [path for path in held_out if min(picture_size(path)) >= least]
    if not whole:
        raise ValueError(f"no validation picture is at least {least} pixels high and wide")
    labels = _labels(recipe, run, pictures)

    first = AutoencoderStage(recipe, pictures, held_out, run.device, start)
    Trainer(first, run.folder, run.reporter).run(resume=run.resume)

    cache = run.folder / "indices.safetensors"
    run.reporter.start("indexing", 0, len(pictures))
    grids, known = index_pictures(
        first.module,
        recipe,
        pictures,
        cache,
        run.device,
        lambda done: run.reporter.step("indexing", done, {}),
    )
    pictures.forget()
    checked = index_files(first.module, recipe, whole, run.device)
    codebook = first.module.codebook.vectors
    if labels is None:
        second = PriorStage(recipe, grids, pictures, checked, codebook, run.device, start)
    else:
        second = LabelledPriorStage(
            recipe,
            grids,
            pictures,
            labels.numbers,
            list(zip(checked, map(labels.number_of, whole), strict=True)),
            codebook,
            run.device,
        )
    # A prior of other indices, as after more steps of the autoencoder, is of no use.
    Trainer(second, run.folder, run.reporter).run(resume=run.resume and known)
    parts = VqVaeParts(
        config=recipe.autoencoder,
        encoder=first.module.encoder,
        codebook=codebook,
        decoder=first.module.decoder,
        prior=second.module,
        labels=() if labels is None else labels.names,
    )
    return write_vqvae(
        parts, name=recipe.name, licence=recipe.licence, description=recipe.description
    )


def _labels(recipe: Recipe, run: Run, pictures: Pictures) -> Labels | None:
    """Return of what class pictures are; None if there are no classes."""
    if not recipe.train.prior.label:
        return None
    folders = [*run.data, run.validation] if run.validation else run.data
    return Labels(pictures.paths, folders, recipe.train.prior.label)


def _start(recipe: Recipe) -> VqVaeParts:
    parts = read_vqvae(model_data(recipe.start, vqvae.ARCHITECTURE))
    if (parts.config, parts.prior.config) != (recipe.autoencoder, recipe.prior):
        raise other_architecture(recipe.start)
    return parts
