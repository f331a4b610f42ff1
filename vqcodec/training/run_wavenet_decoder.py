"""The stage of architecture wavenet-decoder-1: the paper's decoder beside a model of
`paper-speech`.
"""

from __future__ import annotations

from pathlib import Path

from vqcodec.models import sound_vqvae
from vqcodec.networks.model_files import read_sound_vqvae
from vqcodec.training.config_sound_vqvae import WaveNetDecoderRecipe
from vqcodec.training.loop import Trainer
from vqcodec.training.path_names import Speakers
from vqcodec.training.sounds import open_recordings
from vqcodec.training.start import Run, model_data
from vqcodec.training.wavenet_decoder import WaveNetDecoderStage

RECIPE = WaveNetDecoderRecipe


def train_stages(recipe: WaveNetDecoderRecipe, run: Run) -> Path:
    """Train the decoder, and return its checkpoint: it is part of no model."""
    parts = read_sound_vqvae(model_data(recipe.start, sound_vqvae.ARCHITECTURE))
    hop = parts.config.hop
    if recipe.train.decoder.crop % hop or recipe.train.decoder.crop < hop:
        raise ValueError(f"train.decoder.crop must be a multiple of {hop}")
    recordings, held_out = open_recordings(run.data, run.validation, recipe.data, run.folder)
    folders = [*run.data, run.validation] if run.validation else run.data
    speakers = Speakers(recordings.paths, folders, recipe.data.speaker, parts.speakers)
    stage = WaveNetDecoderStage(recipe, recordings, speakers, held_out, parts, run.device)
    Trainer(stage, run.folder, run.reporter).run(resume=run.resume)
    return run.folder / f"{stage.name}.safetensors"
