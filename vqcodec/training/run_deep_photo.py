"""The stages of architecture photo-2: the transform in real numbers, then with a synthesis of
integers, then everything with codebooks.
"""

from __future__ import annotations

from pathlib import Path
from typing import TypeAlias

from vqcodec.engines.precision import lower_dtype
from vqcodec.errors import ModelCorruptError
from vqcodec.networks.model_files import Photo2Parts, write_photo2
from vqcodec.networks.product import Codebooks
from vqcodec.training.canvas import find_fonts
from vqcodec.training.codebooks import start_all
from vqcodec.training.config_deep import DeepPhotoRecipe, DeepTransformTraining
from vqcodec.training.data import Pictures, open_pictures
from vqcodec.training.deep import DeepTransformStage
from vqcodec.training.deep_medium import DeepPhotoMedium
from vqcodec.training.deep_start import Learnt, advance, begin, learnt_of
from vqcodec.training.distributed import rank, share
from vqcodec.training.loop import Reporter, Trainer
from vqcodec.training.product import ProductStage
from vqcodec.training.start import Run
from vqcodec.training.weights import read_average

RECIPE = DeepPhotoRecipe
DeepStage: TypeAlias = "DeepTransformStage | ProductStage"
CODEBOOKS = "codebooks.safetensors"
"""In a run's folder: how its codebooks begin."""


def train_stages(recipe: DeepPhotoRecipe, run: Run) -> bytes | Path:
    """Train the stages that the recipe has, on resumption from the last one that was begun.

    Returns a model's file; or, if the last stage is one before codebooks, its checkpoint.
    """
    return train_on(recipe, run, *open_pictures(run.data, run.validation, recipe.data))


def train_on(
    recipe: DeepPhotoRecipe, run: Run, pictures: Pictures, held_out: list[Path]
) -> bytes | Path:
    """Do what `train_stages` does on pictures that are open."""
    stages = recipe.train.stages
    for name, settings in stages.items():
        share(settings.batch, f"train.{name}.batch")
    checkpoints = {name: run.folder / f"{name}.safetensors" for name in stages}
    if not run.resume and rank() == 0:
        for path in (run.folder / CODEBOOKS, *checkpoints.values()):
            path.unlink(missing_ok=True)  # or a later resumption would take it
    dtype = lower_dtype(run.device, recipe.train.precision)
    fonts = find_fonts()
    begun = [name for name, path in checkpoints.items() if run.resume and path.exists()]
    left = list(stages)[list(stages).index(begun[-1]) if begun else 0 :]
    learnt: Learnt | None = None
    for name in left:
        settings, resumed = stages[name], name in begun
        if resumed:
            learnt = learnt_of(recipe, read_average(checkpoints[name]), dtype)
        else:
            learnt = learnt or begin(recipe, pictures, dtype)
            learnt = advance(recipe, name, learnt, pictures, dtype)
        medium = DeepPhotoMedium(
            recipe, settings, learnt.networks, pictures, fonts, held_out, run.device
        )
        cache = None if resumed else run.folder / CODEBOOKS
        stage, learnt = open_stage(recipe, name, learnt, medium, cache, run.reporter)
        trainer = Trainer(stage, run.folder, run.reporter)
        if not resumed:
            trainer.log.note("fonts", {"fonts": fonts})
        trainer.run(resume=run.resume)
    assert learnt is not None
    return checkpoints[name] if learnt.codebooks is None else _model(recipe, learnt)


def open_stage(
    recipe: DeepPhotoRecipe,
    name: str,
    learnt: Learnt,
    medium: DeepPhotoMedium,
    cache: Path | None,
    reporter: Reporter,
) -> tuple[DeepStage, Learnt]:
    """Make a stage by its name, and return what it trains: the medium's networks, and from
    `product` on codebooks. These are as learnt; those of `product` begin in `cache`, if there is
    one (`codebooks.start_all`).

    Raises ModelCorruptError if there are none where they should have been learnt.
    """
    settings, device = recipe.train.stages[name], medium.device
    if isinstance(settings, DeepTransformTraining):
        return DeepTransformStage(name, settings, recipe.seed, medium, device), learnt
    if cache is None:
        return ProductStage(recipe, settings, medium, _codebooks(name, learnt), device), learnt
    given = learnt.codebooks and [books.to(device) for books in learnt.codebooks]
    reporter.start("codebooks", 0, recipe.transform.qualities)
    codebooks = start_all(
        recipe,
        settings,
        medium,
        given,
        cache,
        lambda done: reporter.step("codebooks", done, {}),
    )
    stage = ProductStage(recipe, settings, medium, codebooks, device)
    return stage, Learnt(learnt.networks, codebooks)


def _codebooks(stage: str, learnt: Learnt) -> list[Codebooks]:
    if learnt.codebooks is None:
        raise ModelCorruptError(f"the checkpoint of the stage {stage} has no codebooks")
    return learnt.codebooks


def _model(recipe: DeepPhotoRecipe, learnt: Learnt) -> bytes:
    networks = learnt.networks
    assert learnt.codebooks is not None
    parts = Photo2Parts(
        config=recipe.transform,
        product=recipe.product,
        analysis=networks.analysis,
        synthesis=networks.synthesis,
        gains=networks.gains,
        prior=networks.prior,
        codebooks=learnt.codebooks,
    )
    return write_photo2(
        parts, name=recipe.name, licence=recipe.licence, description=recipe.description
    )
