"""A whole training run: recipe and pictures or sound to a model file."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import torch

from vqcodec.storage import write_whole
from vqcodec.training.architectures import AnyRecipe, stages_of
from vqcodec.training.distributed import rank, wait
from vqcodec.training.loop import Reporter, heard
from vqcodec.training.start import Run


def train(
    recipe: AnyRecipe,
    *,
    data: Path | Sequence[Path],
    validation: Path | None = None,
    out: Path,
    run: Path,
    resume: bool,
    device: torch.device,
    reporter: Reporter,
) -> Path:
    """Train the recipe's stages, one after the other, and write the model to `out`.

    `data` is a folder of pictures, or of sound if the recipe is of that, or several; of each
    folder of pictures equally many are drawn. `validation` is one too; without it one file of 16
    (at least one, or as many pictures as the recipe says; at most 32) is held out of `data`.
    Checkpoints and logs go to the folder `run`; `resume` continues from them, exactly
    if the number of threads is that of before (see `loop`). Of several processes (`distributed`)
    all must call this alike, and process 0 writes.

    Returns `out`; or, of a recipe whose stages make no model (of photo-2 some, and the paper's
    decoder of sound, which is part of no model), the checkpoint of the last stage.

    Raises: ValueError for unusable data, a start of another architecture or batches that
    the processes cannot share; ModelError for a start that cannot be read; NoGainError
    if a model of one's own saves too little;
    InterruptedRunError after SIGINT or SIGTERM, with a checkpoint written.
    """
    run.mkdir(parents=True, exist_ok=True)
    made = stages_of(recipe)(
        recipe,
        Run(
            data=[data] if isinstance(data, Path) else list(data),
            validation=validation,
            folder=run,
            resume=resume,
            device=device,
            reporter=heard(reporter),
        ),
    )
    if isinstance(made, Path):
        return made
    if rank() == 0:
        write_whole(out, made, overwrite=True)
    wait()
    return out
