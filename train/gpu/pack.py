"""Pack what a rented GPU trains on: checkpoint, pictures, pages, in folders of limited size.

    python train/gpu/pack.py train/photo-2.toml --run runs/photo-2.run --data pictures/train \
        --data pictures/train2 --validation pictures/val --out runs/gpu

makes runs/gpu/1, runs/gpu/2 and so on: one for each transfer, which together, copied into one
folder, are what `lease.py` takes. Pictures travel as the files that they are. What does not fit
is left out: of every folder of pictures the same part, drawn by chance.
"""

from __future__ import annotations

import argparse
import shutil
import sys
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
from PIL import Image
from safetensors import safe_open
from slim import save_slim, slim_files

from vqcodec.errors import ModelCorruptError
from vqcodec.training.architectures import load_recipe
from vqcodec.training.canvas import find_fonts
from vqcodec.training.config_deep import DeepPhotoRecipe
from vqcodec.training.data import centre, find_pictures, read_rgb
from vqcodec.training.deep_medium import VALIDATION_SIDE
from vqcodec.training.pages import page
from vqcodec.training.weights import read_average

CHECKPOINT, PICTURES, PAGES, VALIDATION = "checkpoint", "pictures", "pages", "validation"
"""Folders of a parcel. In that of pictures each --data has one of its own, `0`, `1` ..."""
_BLOCK = 4096
"""Files count in whole blocks of so many bytes: thousands of pages are small, and not everything
that limits a transfer counts their bytes alone.
"""
_PAGE_MARGIN = 64
"""Pixels by which a page is larger than the largest crop of it."""


class Transfers:
    """Folders `1`, `2` ... that each have room for so many bytes."""

    def __init__(self, out: Path, count: int, room: int) -> None:
        self._folders = [out / str(number + 1) for number in range(count)]
        self._left = [room] * count

    def add(self, path: Path, name: Path) -> bool:
        """Copy a file, under a relative name, to the first folder with room; tell if one had."""
        size = -(-path.stat().st_size // _BLOCK) * _BLOCK
        for number, folder in enumerate(self._folders):
            if size <= self._left[number]:
                self._left[number] -= size
                target = folder / name
                target.parent.mkdir(parents=True, exist_ok=True)
                shutil.copyfile(path, target)
                return True
        return False

    def require(self, path: Path, name: Path) -> None:
        """Copy a file that must not be missing. Raises ValueError if there is no room for it."""
        if not self.add(path, name):
            raise ValueError(f"no room for {name}: allow more transfers")


def pack(
    recipe: DeepPhotoRecipe,
    run: Path,
    data: Sequence[Path],
    validation: Path,
    transfers: Transfers,
    pages: int,
) -> str:
    """Fill the transfers; return a line on what is in them.

    Raises: ModelCorruptError if the run's checkpoint is none; ValueError if it has none, the
    transfers have no room for more than the checkpoint, or folders hold no pictures.
    """
    with tempfile.TemporaryDirectory() as folder:
        scratch = Path(folder)
        stage, step = slim_checkpoint(recipe, run, scratch / CHECKPOINT)
        for path in slim_files(scratch / CHECKPOINT):
            transfers.require(path, path.relative_to(scratch))
        for path in crop_validation(recipe, validation, scratch / VALIDATION):
            transfers.require(path, path.relative_to(scratch))
        for path in draw_pages(recipe, stage, pages, scratch / PAGES):
            transfers.require(path, path.relative_to(scratch))
    listed = list(evenly(data, recipe.seed))
    packed = sum(transfers.add(path, name) for path, name in listed)
    if not packed:
        raise ValueError("no room for a single picture: allow more transfers")
    return f"{stage}, step {step}, {packed} of {len(listed)} pictures, {pages} pages"


def slim_checkpoint(recipe: DeepPhotoRecipe, run: Path, folder: Path) -> tuple[str, int]:
    """Write the checkpoint of the stage that the run is in, in its small form; return the stage
    and the step.
    """
    begun = [name for name in recipe.train.stages if (run / f"{name}.safetensors").exists()]
    if not begun:
        raise ValueError(f"{run}: no checkpoint")
    checkpoint = run / f"{begun[-1]}.safetensors"
    weights = read_average(checkpoint)
    with safe_open(checkpoint, framework="pt") as file:
        step = int((file.metadata() or {})["step"])
    save_slim(weights, folder, stage=begun[-1], start=step, step=step)
    return begun[-1], step


def crop_validation(recipe: DeepPhotoRecipe, folder: Path, out: Path) -> Iterator[Path]:
    """Write of each validation picture what the stage looks at, without loss."""
    stride = recipe.transform.analysis.stride
    for number, path in enumerate(find_pictures(folder)):
        crop = centre(read_rgb(path), VALIDATION_SIDE, stride)[0].permute(1, 2, 0).numpy()
        yield _write(crop, out / f"{number:05}.webp")


def draw_pages(recipe: DeepPhotoRecipe, stage: str, count: int, out: Path) -> Iterator[Path]:
    """Write pages, drawn in this machine's fonts: the other one may have none. They are large
    enough for this stage and those that follow.
    """
    fonts, stages = find_fonts(), list(recipe.train.stages)
    left = [recipe.train.stages[name] for name in stages[stages.index(stage) :]]
    side = max(side for settings in left for side in settings.sides.values()) + _PAGE_MARGIN
    for number in range(count):
        rng = np.random.default_rng([recipe.seed, 8, number])
        yield _write(page(rng, side, fonts), out / f"{number:05}.webp")


def evenly(data: Sequence[Path], seed: int) -> Iterator[tuple[Path, Path]]:
    """Yield pictures and their names in the parcel, in an order whose every beginning holds
    about the same part of each folder.
    """
    rng = np.random.default_rng([seed, 9])
    ranked: list[tuple[float, Path, Path]] = []
    for number, folder in enumerate(data):
        paths = find_pictures(folder)
        places = rng.permutation(len(paths)) / len(paths)
        names = [Path(PICTURES) / str(number) / path.relative_to(folder) for path in paths]
        ranked += zip(places.tolist(), paths, names, strict=True)
    for _, path, name in sorted(ranked):
        yield path, name


def _write(pixels: np.ndarray, path: Path) -> Path:
    path.parent.mkdir(exist_ok=True)
    Image.fromarray(pixels).save(path, lossless=True)
    return path


def main() -> None:
    """Pack as the command line says."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("recipe", type=Path)
    parser.add_argument("--run", type=Path, required=True, help="folder with the checkpoint")
    parser.add_argument("--data", type=Path, required=True, action="append")
    parser.add_argument("--validation", type=Path, required=True)
    parser.add_argument("--out", type=Path, required=True, help="a folder that is not there yet")
    parser.add_argument("--transfers", type=int, default=4, help="folders to make")
    parser.add_argument("--room", type=float, default=54.0, help="MiB in each of them")
    parser.add_argument("--pages", type=int, default=3000, help="drawn pages")
    options = parser.parse_args()
    recipe = load_recipe(options.recipe)
    if not isinstance(recipe, DeepPhotoRecipe):
        parser.error(f"{options.recipe} is not a recipe of photo-2")
    if options.out.exists():
        parser.error(f"{options.out} is there already")
    transfers = Transfers(options.out, options.transfers, int(options.room * 2**20))
    try:
        told = pack(recipe, options.run, options.data, options.validation, transfers, options.pages)
    except (OSError, ModelCorruptError, ValueError) as error:
        sys.exit(str(error))
    print(f"{options.out}: {told}")


if __name__ == "__main__":
    main()
