"""The stages of architecture vqvae-wavenet-1: autoencoder, then prior."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from vqcodec.models import sound_vqvae
from vqcodec.networks.model_files import SoundVqVaeParts, read_sound_vqvae, write_sound_vqvae
from vqcodec.training.config_sound_vqvae import SoundVqVaeRecipe
from vqcodec.training.distributed import share
from vqcodec.training.loop import Reporter, Stage, Trainer
from vqcodec.training.path_names import Speakers
from vqcodec.training.sound_autoencoder import SoundAutoencoderStage
from vqcodec.training.sound_prior import Indexer, SoundPriorStage
from vqcodec.training.sounds import open_recordings
from vqcodec.training.start import Run, model_data, other_architecture

RECIPE = SoundVqVaeRecipe


def train_stages(
    recipe: SoundVqVaeRecipe,
    run: Run,
    trainer: Callable[[Stage, Path, Reporter], Trainer] = Trainer,
) -> bytes:
    """Train autoencoder, then prior; `trainer` makes what runs a stage."""
    share(recipe.train.prior.batch, "train.prior.batch")  # an error now, not after the first stage
    start = _start(recipe) if recipe.start else None
    recordings, held_out = open_recordings(run.data, run.validation, recipe.data, run.folder)
    folders = [*run.data, run.validation] if run.validation else run.data
    names = None if start is None else start.speakers
    speakers = Speakers(recordings.paths, folders, recipe.data.speaker, names)
    first = SoundAutoencoderStage(recipe, recordings, speakers, held_out, run.device, start)
    trainer(first, run.folder, run.reporter).run(resume=run.resume)

    run.reporter.start("indexing", 0, len(recordings))
    indexer = Indexer(first.module, recipe, run.device)
    rows, known = indexer.recordings(
        recordings,
        run.folder / "indices.safetensors",
        lambda done: run.reporter.step("indexing", done, {}),
    )
    checked = indexer.files(held_out)
    codebook = first.module.codebook.vectors
    second = SoundPriorStage(recipe, rows, recordings, checked, codebook, run.device, start)
    # A prior of other indices, as after more steps of the autoencoder, is of no use.
    trainer(second, run.folder, run.reporter).run(resume=run.resume and known)
    parts = SoundVqVaeParts(
        config=recipe.autoencoder,
        encoder=first.module.encoder,
        codebook=codebook,
        decoder=first.module.decoder,
        speakers=speakers.names,
        voices=first.module.speaker_embedding,
        prior=second.module,
    )
    return write_sound_vqvae(
        parts, name=recipe.name, licence=recipe.licence, description=recipe.description
    )


def _start(recipe: SoundVqVaeRecipe) -> SoundVqVaeParts:
    parts = read_sound_vqvae(model_data(recipe.start, sound_vqvae.ARCHITECTURE))
    if (parts.config, parts.prior.config) != (recipe.autoencoder, recipe.prior):
        raise other_architecture(recipe.start)
    return parts
