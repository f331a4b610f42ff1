"""The stages of architecture vqvae-clip-1: autoencoder, then the prior over space and time."""

from __future__ import annotations

from vqcodec.networks.model_files import ClipParts, write_clip
from vqcodec.training.autoencoder import AutoencoderStage
from vqcodec.training.clip_prior import ClipPriorStage, IndexedClips
from vqcodec.training.clips import clips_of, index_clips, index_clips_once
from vqcodec.training.config_clip import ClipRecipe
from vqcodec.training.data import open_pictures
from vqcodec.training.distributed import share
from vqcodec.training.loop import Trainer
from vqcodec.training.start import Run

RECIPE = ClipRecipe


def train_stages(recipe: ClipRecipe, run: Run) -> bytes:
    """Train autoencoder, then prior."""
    # Errors now, not after the first stage.
    share(recipe.train.prior.batch, "train.prior.batch")
    if run.validation is None:
        raise ValueError("clips are validated on a folder of others")
    pictures, held_out = open_pictures(run.data, run.validation, recipe.data)
    least = recipe.train.prior.crop * recipe.autoencoder.stride
    clips = clips_of(pictures.paths, recipe.clip, least)
    others = clips_of(held_out, recipe.clip, least)

    first = AutoencoderStage(recipe, pictures, held_out, run.device)
    Trainer(first, run.folder, run.reporter).run(resume=run.resume)
    pictures.forget()

    run.reporter.start("indexing", 0, len(clips))
    frames, known = index_clips_once(
        first.module,
        recipe,
        clips,
        run.folder / "indices.safetensors",
        run.device,
        lambda done: run.reporter.step("indexing", done, {}),
    )
    checked = index_clips(first.module, recipe, others, run.device)
    codebook = first.module.codebook.vectors
    second = ClipPriorStage(
        recipe,
        IndexedClips(frames, [clip.actions for clip in clips]),
        IndexedClips(checked, [clip.actions for clip in others]),
        codebook,
        run.device,
    )
    # A prior of other indices, as after more steps of the autoencoder, is of no use.
    Trainer(second, run.folder, run.reporter).run(resume=run.resume and known)
    parts = ClipParts(
        autoencoder=recipe.autoencoder,
        encoder=first.module.encoder,
        codebook=codebook,
        decoder=first.module.decoder,
        prior=recipe.prior,
        temporal=recipe.temporal,
        clip=recipe.clip,
        network=second.module,
    )
    return write_clip(
        parts, name=recipe.name, licence=recipe.licence, description=recipe.description
    )
