"""The stages of architecture speech-1, of which there is the first: the transform."""

from __future__ import annotations

from pathlib import Path

from vqcodec.training.config_speech import SpeechRecipe
from vqcodec.training.loop import Trainer
from vqcodec.training.sounds import open_recordings
from vqcodec.training.speech import SpeechTransformStage
from vqcodec.training.start import Run
from vqcodec.training.weights import load_weights

RECIPE = SpeechRecipe


def train_stages(recipe: SpeechRecipe, run: Run) -> Path:
    """Train the first stage; return its checkpoint."""
    recordings, held_out = open_recordings(run.data, run.validation, recipe.data, run.folder)
    stage = SpeechTransformStage(recipe, recordings, held_out, run.device)
    checkpoint = run.folder / f"{stage.name}.safetensors"
    if recipe.start and not (run.resume and checkpoint.exists()):
        load_weights(stage.module, Path(recipe.start))
    Trainer(stage, run.folder, run.reporter).run(resume=run.resume)
    return checkpoint
