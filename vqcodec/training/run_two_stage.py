"""The stages of architecture vqvae-two-stage-1: autoencoder, then the second stage's networks."""

from __future__ import annotations

from vqcodec.networks.model_files import TwoStageParts, write_two_stage
from vqcodec.training.autoencoder import AutoencoderStage
from vqcodec.training.config_two_stage import TwoStageRecipe
from vqcodec.training.data import open_pictures, picture_size
from vqcodec.training.distributed import share
from vqcodec.training.loop import Trainer
from vqcodec.training.prior import index_files, index_pictures
from vqcodec.training.second_stage import SecondStage
from vqcodec.training.start import Run

RECIPE = TwoStageRecipe


def train_stages(recipe: TwoStageRecipe, run: Run) -> bytes:
    """Train the first stage, then the second."""
    # An error now, not after the first stage.
    share(recipe.train.prior.batch, "train.prior.batch")
    share(recipe.train.latents.pool, "train.latents.pool")
    pictures, held_out = open_pictures(run.data, run.validation, recipe.data)
    least = recipe.second.side * recipe.autoencoder.stride
    if not any(min(picture_size(path)) >= least for path in held_out):
        raise ValueError(f"no validation picture is at least {least} pixels high and wide")

    first = AutoencoderStage(recipe, pictures, held_out, run.device)
    Trainer(first, run.folder, run.reporter).run(resume=run.resume)

    run.reporter.start("indexing", 0, len(pictures))
    grids, known = index_pictures(
        first.module,
        recipe,
        pictures,
        run.folder / "indices.safetensors",
        run.device,
        lambda done: run.reporter.step("indexing", done, {}),
    )
    pictures.forget()
    checked = index_files(first.module, recipe, held_out, run.device)
    codebook = first.module.codebook.vectors
    second = SecondStage(recipe, grids, pictures, checked, codebook, run.device)
    # A second stage of other indices, as after more steps of the first, is of no use.
    Trainer(second, run.folder, run.reporter).run(resume=run.resume and known)
    parts = TwoStageParts(
        first=recipe.autoencoder,
        encoder=first.module.encoder,
        codebook=codebook,
        decoder=first.module.decoder,
        second=recipe.second,
        second_encoder=second.module.encoder,
        codebooks=second.module.vectors(),
        prior=recipe.prior,
        second_decoder=second.module.decoder,
    )
    return write_two_stage(
        parts, name=recipe.name, licence=recipe.licence, description=recipe.description
    )
