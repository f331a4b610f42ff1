"""A model of pictures, made one's own: codebooks, prior and synthesis go on training on pictures
of one kind.

Analysis and gains stay as they are (`product` says why). So that the model does not forget all
other pictures, a share of the crops are pictures that it draws by itself (`replay`), and in the
end synthesis and prior go a part of the way back (`between`). What is saved is measured on pictures
held out: while training goes on by the bits of the integer prior, in the end by files. Where it is
too little, no model is made.
"""

from __future__ import annotations

import hashlib
from dataclasses import replace
from itertools import count
from pathlib import Path
from typing import Any, TypedDict, cast

from vqcodec.counting import counted
from vqcodec.metrics import Pixels
from vqcodec.models import photo, photo2
from vqcodec.models.config import (
    DeepTransformConfig,
    LatentPriorConfig,
    ProductConfig,
    TransformConfig,
)
from vqcodec.models.file import read_config, read_metadata
from vqcodec.models.photo_model import PhotoModel
from vqcodec.registry.load import load_model, parse_model
from vqcodec.registry.store import ModelFile, find, read_verified
from vqcodec.training import run_deep_photo, run_photo
from vqcodec.training.between import between
from vqcodec.training.config import (
    DataConfig,
    PhotoRecipe,
    PhotoTrainConfig,
    ProductTraining,
    TransformTraining,
)
from vqcodec.training.config_custom import CustomRecipe
from vqcodec.training.config_deep import (
    DeepPhotoRecipe,
    DeepPhotoTrainConfig,
    DeepProductTraining,
)
from vqcodec.training.data import Pictures, centre, open_pictures, read_rgb
from vqcodec.training.distributed import rank
from vqcodec.training.gain import GainReporter, Judge, check_use
from vqcodec.training.loop import LOG_FILE, Log
from vqcodec.training.replay import draw_samples
from vqcodec.training.start import Run

RECIPE = CustomRecipe
_FEWEST = 12
"""Pictures to train on."""
_SIDE = 768
"""Of each picture that is compared the middle, at most this wide and high, counts, pixels."""
_STRIDE = 16
"""Of what both architectures code, pixels."""
_SAMPLES, _DRAWN = "samples", 144
"""Folder in the run's of what the start draws, and how many."""
_FILES = "files"
"""The stage that compares."""
_VALIDATED, _COMPARED = 6, 16
"""Pictures held out, at most, that training validates on and that files are compared on; of
samples so many are compared too."""


class _Shared(TypedDict):
    """What recipes of both architectures have."""

    name: str
    licence: str
    description: str
    seed: int
    start: str
    latent_prior: LatentPriorConfig
    product: ProductConfig
    data: DataConfig


def train_stages(recipe: CustomRecipe, run: Run) -> bytes:
    """Train a model on, and compare it with what it was.

    Raises: ValueError for too few pictures, or a start of an architecture that the recipe has no
    lambdas for; ModelError for a start that cannot be read; NoGainError if too little is saved.
    """
    start = find(recipe.start or None)
    settings = recipe.train.product
    architecture = read_metadata(read_verified(start)).get("architecture")
    if architecture not in settings.lambdas:
        known = " or ".join(settings.lambdas)
        raise ValueError(f"start: {start.name} is of architecture {architecture}, not {known}")
    pictures, held_out = open_pictures(run.data, run.validation, recipe.data)
    if len(pictures) < _FEWEST:
        told = counted(len(pictures), "picture")
        raise ValueError(f"{told}, too few to train on: {_FEWEST} are needed")
    model = cast(PhotoModel, load_model(start))
    compared = [_middle(path) for path in _spread(held_out, _COMPARED)]
    check_use(model, compared)
    samples = draw_samples(
        model, run.folder / _SAMPLES, _DRAWN, seed=recipe.seed, resume=run.resume
    )
    others = [read_rgb(path) for path in samples[:_COMPARED]]
    judge = Judge(compared, others, model, settings.least_percent)
    schedule = settings.schedule(len(pictures))
    reporter = GainReporter(run.reporter, judge, schedule["steps"], run.folder / LOG_FILE)
    watched = replace(run, reporter=reporter)
    if settings.samples > 0.0:
        pictures = pictures.joined(samples[_COMPARED:], settings.samples)
    end = _train(recipe, start, schedule, watched, pictures, _spread(held_out, _VALIDATED))
    made = between(read_verified(start), end, synthesis=settings.synthesis, prior=settings.prior)
    if rank() == 0:
        _compare(judge, made, run)
    return made


def _train(
    recipe: CustomRecipe,
    start: ModelFile,
    schedule: dict[str, Any],
    run: Run,
    pictures: Pictures,
    held_out: list[Path],
) -> bytes:
    """Run the last stage of the start's architecture, its settings read off the start's file."""
    metadata = read_metadata(read_verified(start))
    settings = recipe.train.product
    shared: _Shared = {
        "name": recipe.name,
        "licence": recipe.licence or start.licence,
        "description": recipe.description or f"{start.name}, trained on with pictures of one kind",
        "seed": recipe.seed,
        "start": str(start.path),
        "latent_prior": read_config(LatentPriorConfig, metadata["latent_prior"]),
        "product": read_config(ProductConfig, metadata["product"]),
        "data": recipe.data,
    }
    lambdas = settings.lambdas[metadata["architecture"]]
    if metadata["architecture"] == photo.ARCHITECTURE:
        first = TransformTraining(  # whose steps are not taken, as there is a start
            steps=1, crop=settings.crop, lambdas=lambdas, ms_ssim=settings.ms_ssim
        )
        train = PhotoTrainConfig(
            transform=first,
            product=ProductTraining(**schedule),
            precision=recipe.train.precision,
        )
        transform = read_config(TransformConfig, metadata["transform"])
        shallow = PhotoRecipe(
            architecture=photo.ARCHITECTURE, transform=transform, train=train, **shared
        )
        return run_photo.train_on(shallow, run, pictures, held_out)
    product = DeepProductTraining(**schedule, lambdas=lambdas, ms_ssim=settings.ms_ssim, pages=0.0)
    deep = DeepPhotoRecipe(
        architecture=photo2.ARCHITECTURE,
        transform=read_config(DeepTransformConfig, metadata["transform"]),
        train=DeepPhotoTrainConfig(product=product, precision=recipe.train.precision),
        **shared,
    )
    made = run_deep_photo.train_on(deep, run, pictures, held_out)
    assert isinstance(made, bytes)  # as the recipe has the stage that makes a model
    return made


def _compare(judge: Judge, made: bytes, run: Run) -> None:
    """Report and log what files of the new model save. Raises NoGainError if it is too little."""
    own = parse_model(made, sha256=hashlib.sha256(made).hexdigest())
    rounds = judge.rounds
    run.reporter.start(_FILES, 0, rounds)
    done = count(1)
    found = judge.compare(
        cast(PhotoModel, own),
        len(made),
        lambda: run.reporter.step(_FILES, next(done), {}),
    )
    Log(run.folder, _FILES).note("gain", found)
    run.reporter.validation(_FILES, rounds, found)
    judge.check(found["percent_saved"])


def _spread(paths: list[Path], most: int) -> list[Path]:
    """Take at most so many, evenly."""
    return paths[:: -(-len(paths) // most)]


def _middle(path: Path) -> Pixels:
    """Read the middle of a picture, in whole strides."""
    return centre(read_rgb(path), _SIDE, _STRIDE)[0].permute(1, 2, 0).contiguous().numpy()
