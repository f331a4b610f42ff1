"""Pictures for training and validation.

Every draw is a pure function of (seed, stage, step, process), so a resumed run sees
the crops that the uninterrupted one would have seen.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor

from vqcodec.container import Limits
from vqcodec.counting import counted
from vqcodec.errors import PictureError, VqcWarning
from vqcodec.image.opening import is_picture
from vqcodec.image.pixels import has_range
from vqcodec.image.reading import read_picture
from vqcodec.training.config import DataConfig
from vqcodec.training.distributed import rank

Pixels = NDArray[np.uint8]
"""(H, W, 3), 0..255."""
_HELD_OUT = 16
_HELD_OUT_MAX = 32


def draws(*key: int) -> np.random.Generator:
    """Return this process's random numbers for a key, such as (seed, stage, step).

    Process 0 has those of a process on its own.
    """
    return np.random.default_rng([*key, rank()] if rank() else key)


class Chances:
    """Numbers drawn by their probabilities: those that `Generator.choice` draws, which adds all
    probabilities up again at each draw.
    """

    def __init__(self, probabilities: NDArray[np.float64]) -> None:
        """`probabilities`, (n,), are of 0..n - 1, and add up to 1."""
        sums = np.cumsum(probabilities)
        self._sums = sums / sums[-1]

    def draw(self, rng: np.random.Generator) -> int:
        """Draw one."""
        return int(self._sums.searchsorted(rng.random(), side="right"))


def find_pictures(folder: Path, least_side: int = 1) -> list[Path]:
    """List the pictures under `folder`, sorted; unreadable ones, and those with a side of less
    than `least_side` pixels, are left out with a warning.

    Raises ValueError if there is none.
    """
    found = []
    for path in sorted(folder.rglob("*")):
        if not is_picture(path) or not path.is_file():
            continue
        try:
            with Image.open(path) as image:
                trouble = "" if has_range(image) else "has no known range of values"
                if min(image.size) < least_side:
                    trouble = f"has a side of less than {least_side} pixels"
        except (OSError, SyntaxError, Image.DecompressionBombError):
            trouble = "is not a readable picture"
        if trouble:
            warnings.warn(f"{path.name} {trouble} and is left out", VqcWarning, stacklevel=2)
        else:
            found.append(path)
    if not found:
        large = f" with sides of at least {least_side} pixels" if least_side > 1 else ""
        raise ValueError(f"no pictures{large} under {folder}")
    return found


def picture_size(path: Path) -> tuple[int, int]:
    """Return width and height as stored, without decoding."""
    with Image.open(path) as image:
        return image.size


def read_rgb(path: Path) -> Pixels:
    """Read a picture as the codec does. Raises ValueError if it cannot be read."""
    try:
        return read_picture(path.read_bytes(), max_pixels=Limits().pixels).picture.pixels
    except (OSError, PictureError) as error:
        raise ValueError(f"{path}: {error}") from error


def centre(pixels: Pixels, side: int, stride: int) -> Tensor:
    """Cut out the middle, at most `side` high and wide and whole strides: (1, 3, h, w)."""
    height = min(side, pixels.shape[0] // stride * stride)
    width = min(side, pixels.shape[1] // stride * stride)
    top, left = (pixels.shape[0] - height) // 2, (pixels.shape[1] - width) // 2
    cut = pixels[top : top + height, left : left + width].copy()
    return torch.from_numpy(cut).permute(2, 0, 1)[None]


def split(
    folders: Sequence[Path],
    validation: Path | None,
    find: Callable[[Path], list[Path]],
    least: int = 1,
) -> tuple[list[Path], list[Path]]:
    """List the files of the folders to train on, and those to validate on.

    Without a folder of these, one file of 16 is held out of the others (at least `least`, at most
    32). Raises ValueError if there are not enough.
    """
    paths = [path for folder in folders for path in find(folder)]
    if validation is not None:
        return paths, find(validation)
    if len(paths) <= least:
        raise ValueError(f"{folders[0]}: training needs at least {counted(least + 1, 'file')}")
    every = max(_HELD_OUT, len(paths) // _HELD_OUT_MAX + 1)
    held_out = paths[:: min(every, len(paths) // least)]
    return [path for path in paths if path not in set(held_out)], held_out


def open_pictures(
    folders: Sequence[Path], validation: Path | None, config: DataConfig
) -> tuple[Pictures, list[Path]]:
    """Return the pictures to train on, and the files of those to validate on (see `split`)."""
    paths, held_out = split(
        folders, validation, partial(find_pictures, least_side=config.least_side), config.held_out
    )
    return Pictures(paths, config, folders), held_out


class Pictures:
    """Pictures of one or several folders, drawn by the weight of their source, decoded once."""

    def __init__(self, paths: list[Path], config: DataConfig, folders: Sequence[Path] = ()) -> None:
        """Of each of the `folders` that hold the pictures, none inside another, equally many
        are drawn; without them all pictures are those of one folder.
        """
        self.paths = paths
        self._config = config
        self._probabilities = _shared(paths, config.weights, folders)
        self._chances = Chances(self._probabilities)
        self._cache: dict[Path, Pixels] = {}
        self._room = config.cache_mib << 20

    def __len__(self) -> int:
        return len(self.paths)

    def joined(self, others: list[Path], share: float) -> Pictures:
        """Return these and others, which are drawn in `share` of the cases, all alike."""
        both = Pictures(self.paths + others, self._config)
        parts = (1.0 - share) * self._probabilities, np.full(len(others), share / len(others))
        both._probabilities = np.concatenate(parts)
        both._chances = Chances(both._probabilities)
        return both

    def pixels(self, path: Path) -> Pixels:
        """Return the decoded picture, from memory where there is room for it."""
        if path in self._cache:
            return self._cache[path]
        pixels = read_rgb(path)
        if pixels.nbytes <= self._room:
            self._room -= pixels.nbytes
            self._cache[path] = pixels
        return pixels

    def draw(self, rng: np.random.Generator) -> int:
        """Draw the number of a picture by the weight of its source."""
        return self._chances.draw(rng)

    def forget(self) -> None:
        """Give back the memory of decoded pictures."""
        self._room += sum(pixels.nbytes for pixels in self._cache.values())
        self._cache.clear()

    def crop(self, side: int, rng: np.random.Generator) -> Pixels:
        """Draw a (side, side, 3) crop of a randomly scaled and flipped picture."""
        pixels = self.pixels(self.paths[self.draw(rng)])
        height, width = pixels.shape[:2]
        scale = max(rng.uniform(*self._config.scale), side / min(height, width))
        window = min(height, width, round(side / scale))
        top = int(rng.integers(height - window + 1))
        left = int(rng.integers(width - window + 1))
        cut = pixels[top : top + window, left : left + window]
        if window != side:
            # A triangle filter keeps noise and edges nearer to a camera's than
            # Lanczos, whose ringing the codebook would learn.
            resized = Image.fromarray(cut).resize((side, side), Image.Resampling.BILINEAR)
            cut = np.asarray(resized)
        return cut[:, ::-1] if rng.integers(2) else cut

    def crops(self, count: int, side: int, rng: np.random.Generator) -> Tensor:
        """Draw a batch: uint8 (count, 3, side, side), channels last in memory."""
        drawn = np.stack([self.crop(side, rng) for _ in range(count)])
        return torch.from_numpy(drawn).permute(0, 3, 1, 2)

    def view(self, path: Path, least: int, rng: np.random.Generator) -> Pixels:
        """Scale and flip the whole picture at random; no side falls below `least`."""
        pixels = self.pixels(path)
        height, width = pixels.shape[:2]
        scale = max(rng.uniform(*self._config.scale), least / min(height, width))
        size = (max(least, round(width * scale)), max(least, round(height * scale)))
        resized = Image.fromarray(pixels).resize(size, Image.Resampling.BILINEAR)
        view = np.asarray(resized)
        return view[:, ::-1] if rng.integers(2) else view


def prefetch(make: Callable[[int], Tensor], start: int, stop: int) -> Iterator[Tensor]:
    """Yield make(start), ..., make(stop - 1), each made while the one before is used."""
    with ThreadPoolExecutor(max_workers=1) as pool:
        pending = pool.submit(make, start) if start < stop else None
        for step in range(start, stop):
            assert pending is not None
            batch = pending.result()
            pending = pool.submit(make, step + 1) if step + 1 < stop else None
            yield batch


def _shared(
    paths: list[Path], weights: dict[str, float], folders: Sequence[Path]
) -> NDArray[np.float64]:
    """Return each picture's probability, every folder having the same in all."""
    if not folders:
        return _probabilities(paths, weights)
    found = np.zeros(len(paths))
    for folder in folders:
        inside = [number for number, path in enumerate(paths) if path.is_relative_to(folder)]
        if not inside:
            raise ValueError(
                f"{folder}: no picture is left to train on, as some are held out to choose by; "
                "more pictures help, or a folder of others to validate on"
            )
        found[inside] = _probabilities([paths[number] for number in inside], weights)
    probabilities: NDArray[np.float64] = found / found.sum()
    return probabilities


def _probabilities(paths: list[Path], weights: dict[str, float]) -> NDArray[np.float64]:
    if not weights:
        return np.full(len(paths), 1.0 / len(paths))
    sources = [path.name.split("-")[0] for path in paths]
    groups = [source if source in weights else "*" for source in sources]
    sizes = {group: groups.count(group) for group in set(groups)}
    share = np.array([weights.get(group, 0.0) / sizes[group] for group in groups])
    if not share.sum() > 0.0:
        raise ValueError("data.weights: no picture of the folder has a weight above 0")
    probabilities: NDArray[np.float64] = share / share.sum()
    return probabilities
