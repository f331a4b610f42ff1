"""The stages of architecture photo-2 that there are: the transform in real numbers, then with a
synthesis of integers.
"""

from __future__ import annotations

from pathlib import Path

import torch

from vqcodec.training.canvas import find_fonts
from vqcodec.training.config import DeepPhotoRecipe
from vqcodec.training.data import Pictures, draws, open_pictures
from vqcodec.training.deep import DeepTransformStage
from vqcodec.training.exact import ExactTransformStage, begin_exact, blank_exact
from vqcodec.training.growth import blank, grow
from vqcodec.training.loop import Trainer
from vqcodec.training.precision import lower_dtype
from vqcodec.training.run_photo import photo_parts
from vqcodec.training.start import Run
from vqcodec.training.transform import Photo, rate_weights
from vqcodec.training.weights import holds_weights, load_weights

RECIPE = DeepPhotoRecipe
_GROWTH_CROPS = 256


def train_stages(recipe: DeepPhotoRecipe, run: Run) -> Path:
    """Train the stages; return the checkpoint of the last."""
    pictures, held_out = open_pictures(run.data, run.validation, recipe.data)
    checkpoint = run.folder / f"{DeepTransformStage.name}.safetensors"
    resumed = run.resume and checkpoint.exists()
    dtype = lower_dtype(run.device, recipe.train.precision)
    module = (
        blank(recipe.transform, recipe.latent_prior, dtype)
        if resumed
        else _begin(recipe, pictures, dtype)
    )
    fonts = find_fonts()
    stage = DeepTransformStage(recipe, module, pictures, fonts, held_out, run.device)
    trainer = Trainer(stage, run.folder, run.reporter)
    if not resumed:
        trainer.log.note("fonts", {"fonts": fonts})
    trainer.run(resume=run.resume)
    if recipe.train.exact is None:
        return checkpoint
    checkpoint = run.folder / f"{ExactTransformStage.name}.safetensors"
    module.cpu()
    if run.resume and checkpoint.exists():
        integer = blank_exact(recipe, module)
    else:
        drawn = pictures.crops(_GROWTH_CROPS, recipe.train.exact.crop, draws(recipe.seed, 8))
        integer = begin_exact(recipe, module, drawn)
    last = ExactTransformStage(recipe, integer, pictures, fonts, held_out, run.device)
    Trainer(last, run.folder, run.reporter).run(resume=run.resume)
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
    start = photo_parts(recipe.start)
    torch.manual_seed(recipe.seed)
    pixels = drawn.float() / 255.0
    return grow(recipe.transform, recipe.latent_prior, start, pixels, lambdas, dtype)
