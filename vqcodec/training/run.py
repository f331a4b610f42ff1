"""A whole training run: recipe and pictures to a model file."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import torch

from vqcodec.storage import write_whole
from vqcodec.training.architectures import stages_of
from vqcodec.training.config import AnyRecipe
from vqcodec.training.data import Pictures, find_pictures
from vqcodec.training.distributed import rank, wait
from vqcodec.training.loop import Reporter, heard
from vqcodec.training.start import Run

_HELD_OUT = 16
_HELD_OUT_MAX = 32


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

    `data` is a folder of pictures, or several, of which equally many are drawn.
    `validation` is one too; without it one of 16 pictures (at
    least one, at most 32) is held out of `data`. Checkpoints and logs go to the
    folder `run`; `resume` continues from them. Of several processes (`distributed`)
    all must call this alike, and process 0 writes.

    Returns `out`; or, of photo-2, of which there is no model yet, the checkpoint of the last
    stage.

    Raises: ValueError for unusable data, a start of another architecture or batches that
    the processes cannot share; ModelError for a start that cannot be read;
    InterruptedRunError after SIGINT or SIGTERM, with a checkpoint written.
    """
    run.mkdir(parents=True, exist_ok=True)
    folders = [data] if isinstance(data, Path) else list(data)
    paths = [path for folder in folders for path in find_pictures(folder)]
    if validation is not None:
        held_out = find_pictures(validation)
    else:
        if len(paths) < 2:
            raise ValueError(f"{folders[0]}: training needs at least two pictures")
        held_out = paths[:: max(_HELD_OUT, len(paths) // _HELD_OUT_MAX + 1)]
        paths = [path for path in paths if path not in set(held_out)]
    made = stages_of(recipe)(
        recipe,
        Run(
            pictures=Pictures(paths, recipe.data, folders),
            held_out=held_out,
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
