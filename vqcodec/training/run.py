"""A whole training run: recipe and pictures to a model file."""

from __future__ import annotations

import os
from pathlib import Path

import torch

from vqcodec.models.vqvae import VqVae, model_bytes
from vqcodec.registry.load import read_model
from vqcodec.registry.store import find
from vqcodec.training.autoencoder import AutoencoderStage
from vqcodec.training.config import Recipe
from vqcodec.training.data import Pictures, find_pictures, picture_size
from vqcodec.training.loop import Reporter, Trainer
from vqcodec.training.prior import PriorStage, index_files, index_pictures

_HELD_OUT = 16
_HELD_OUT_MAX = 32


def train(
    recipe: Recipe,
    *,
    data: Path,
    validation: Path | None = None,
    out: Path,
    run: Path,
    resume: bool,
    device: torch.device,
    reporter: Reporter,
) -> None:
    """Train autoencoder, then prior, and write the model to `out`.

    `validation` is a folder of pictures; without it one of 16 pictures (at
    least one, at most 32) is held out of `data`. Checkpoints and logs go to the
    folder `run`; `resume` continues from them.

    Raises: ValueError for unusable data or a start of another architecture; ModelError
    for a start that cannot be read; InterruptedRunError after SIGINT or SIGTERM, with a
    checkpoint written.
    """
    start = _start(recipe, device) if recipe.start else None
    run.mkdir(parents=True, exist_ok=True)
    paths = find_pictures(data)
    if validation is not None:
        held_out = find_pictures(validation)
    else:
        if len(paths) < 2:
            raise ValueError(f"{data}: training needs at least two pictures")
        held_out = paths[:: max(_HELD_OUT, len(paths) // _HELD_OUT_MAX + 1)]
        paths = [path for path in paths if path not in set(held_out)]
    least = recipe.train.prior.crop * recipe.autoencoder.stride
    if not any(min(picture_size(path)) >= least for path in held_out):
        raise ValueError(f"no validation picture is at least {least} pixels high and wide")
    pictures = Pictures(paths, recipe.data)

    first = AutoencoderStage(recipe, pictures, held_out, device, start)
    Trainer(first, run, reporter).run(resume=resume)

    cache = run / "indices.safetensors"
    reporter.start("indexing", 0, len(pictures))
    grids, known = index_pictures(
        first.module, recipe, pictures, cache, device, lambda n: reporter.step("indexing", n, {})
    )
    pictures.forget()
    checked = index_files(first.module, recipe, held_out, device)
    codebook = first.module.codebook.vectors
    second = PriorStage(recipe, grids, pictures, checked, codebook, device, start)
    # A prior of other indices, as after more steps of the autoencoder, is of no use.
    Trainer(second, run, reporter).run(resume=resume and known)

    module = first.module
    model = model_bytes(
        name=recipe.name,
        licence=recipe.licence,
        description=recipe.description,
        config=recipe.autoencoder,
        encoder=module.encoder,
        codebook=module.codebook.vectors,
        decoder=module.decoder,
        prior=second.module,
    )
    out.parent.mkdir(parents=True, exist_ok=True)
    partial = out.with_name(out.name + ".partial")
    partial.write_bytes(model)
    os.replace(partial, out)


def _start(recipe: Recipe, device: torch.device) -> VqVae:
    start = read_model(find(recipe.start), device)
    if start.config != recipe.autoencoder or start.prior.config != recipe.prior:
        raise ValueError(f"start: {recipe.start} has another architecture than the recipe")
    return start
