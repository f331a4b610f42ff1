"""The stages of architecture speech-1: the transform in real numbers, then everything with
codebooks, then the synthesis against discriminators.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from vqcodec.networks.model_files import SpeechParts, write_speech
from vqcodec.networks.product import Codebooks
from vqcodec.training.adversarial import AdversarialStage
from vqcodec.training.config_speech import SpeechRecipe
from vqcodec.training.distributed import rank, share
from vqcodec.training.loop import Trainer
from vqcodec.training.product import train_product
from vqcodec.training.sounds import open_recordings
from vqcodec.training.speech import SpeechTransformStage
from vqcodec.training.speech_medium import SpeechMedium
from vqcodec.training.start import Run
from vqcodec.training.weights import load_weights

RECIPE = SpeechRecipe


def train_stages(recipe: SpeechRecipe, run: Run) -> bytes:
    """Train the transform, then everything with codebooks, then the synthesis if the recipe says
    so.
    """
    for name, settings in recipe.train.stages.items():
        share(settings.batch, f"train.{name}.batch")
    cache = run.folder / "codebooks.safetensors"
    if not run.resume and rank() == 0:
        cache.unlink(missing_ok=True)
    recordings, held_out = open_recordings(run.data, run.validation, recipe.data, run.folder)
    medium = SpeechMedium(recipe, recordings, held_out, run.device)
    first = SpeechTransformStage(recipe, medium, run.device)
    resumed = run.resume and (run.folder / f"{first.name}.safetensors").exists()
    if recipe.start and not resumed:
        load_weights(medium.networks, Path(recipe.start))
    Trainer(first, run.folder, run.reporter).run(resume=run.resume)
    codebooks = train_product(recipe, medium, None, cache, run)
    if recipe.train.adversarial:
        last = AdversarialStage(recipe, recipe.train.adversarial, medium, codebooks, run.device)
        Trainer(last, run.folder, run.reporter).run(resume=run.resume)
        last.settle()
    return write_model(recipe, medium, codebooks)


def write_model(
    recipe: SpeechRecipe, medium: SpeechMedium, codebooks: Sequence[Codebooks]
) -> bytes:
    """Return the file of a model of the medium's networks and codebooks of qualities 1..Q."""
    networks = medium.networks
    parts = SpeechParts(
        config=recipe.transform,
        product=recipe.product,
        analysis=networks.analysis,
        synthesis=networks.synthesis,
        gains=networks.gains,
        prior=networks.prior,
        codebooks=list(codebooks),
    )
    return write_speech(
        parts, name=recipe.name, licence=recipe.licence, description=recipe.description
    )
