"""Clips for training: folders of frames, and the actions between them.

A clip is a folder of pictures of one size, in the order of their names. A text `actions.txt` beside
them, if there is one, has a line for each frame: the action that led to it from the frame before,
by its name in the recipe, or nothing where it is not known, as of the first frame.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path
from typing import TypeAlias

import numpy as np
import torch
from numpy.typing import NDArray

from vqcodec.counting import counted
from vqcodec.models.clip import UNKNOWN_ACTION
from vqcodec.models.config_clip import ClipConfig
from vqcodec.models.steady import spacing, steady
from vqcodec.training.autoencoder import Autoencoder
from vqcodec.training.config_clip import ClipRecipe
from vqcodec.training.data import picture_size, read_rgb
from vqcodec.training.index_cache import cached_indices, origin_of
from vqcodec.training.prior import picture_latents

ACTIONS_FILE = "actions.txt"
Frames: TypeAlias = "NDArray[np.uint16]"
"""Indices of a clip's frames, (T, N, M)."""


@dataclass(frozen=True, slots=True)
class ClipFiles:
    """A clip on disk."""

    frames: tuple[Path, ...]
    """At least two pictures of one size."""
    actions: tuple[int, ...]
    """Which action led to each frame, 0 where it is not known."""


def clips_of(pictures: Iterable[Path], config: ClipConfig, side: int) -> list[ClipFiles]:
    """Gather pictures, sorted, to the clips that their folders are; folders of one picture are
    none.

    Raises ValueError if there is no clip, for one whose frames are of several sizes or have less
    than `side` pixels along an axis, and for actions that are not those of the frames.
    """
    clips = []
    for folder, inside in groupby(pictures, key=lambda path: path.parent):
        frames = tuple(inside)
        if len(frames) < 2:
            continue
        sizes = {picture_size(path) for path in frames}
        if len(sizes) > 1 or min(min(sizes)) < side:
            raise ValueError(f"{folder}: frames are not of one size of at least {side} pixels")
        clips.append(ClipFiles(frames, _actions(folder, len(frames), config)))
    if not clips:
        raise ValueError("there are no clips: none of the folders has two frames")
    return clips


def index_clips(
    autoencoder: Autoencoder, recipe: ClipRecipe, clips: Sequence[ClipFiles], device: torch.device
) -> list[Frames]:
    """Index the frames of clips as they are. Raises ValueError for one that cannot be read."""
    margin = _margin(autoencoder, recipe)
    return [_index(autoencoder, recipe, clip, device, margin) for clip in clips]


def index_clips_once(
    autoencoder: Autoencoder,
    recipe: ClipRecipe,
    clips: Sequence[ClipFiles],
    cache: Path,
    device: torch.device,
    progress: Callable[[int], None],
) -> tuple[list[Frames], bool]:
    """Index the frames of clips, and keep the result in the file `cache`.

    `progress` is told the number of clips done. Also returns whether the indices are those of the
    cache: of the same frames by the same autoencoder. Process 0 does the work and the others take
    its file.

    Raises: ValueError in a process that cannot, and for a frame that cannot be read.
    """

    def make() -> dict[str, Frames]:
        indexed, margin = {}, _margin(autoencoder, recipe)
        for number, clip in enumerate(clips):
            indexed[str(number)] = _index(autoencoder, recipe, clip, device, margin)
            progress(number + 1)
        return indexed

    networks = (autoencoder.encoder, autoencoder.codebook)
    # Frames of several clips have one name: what tells the clips apart is their folders'.
    names = [path.relative_to(path.parent.parent) for clip in clips for path in clip.frames]
    told = (Path("-".join(name.parts)) for name in names)
    origin = origin_of(told, networks, f"steadiness {recipe.train.prior.steadiness}")
    named, known = cached_indices(cache, origin, make, "clips")
    return [named[str(number)] for number in range(len(clips))], known


def _index(
    autoencoder: Autoencoder,
    recipe: ClipRecipe,
    clip: ClipFiles,
    device: torch.device,
    margin: float,
) -> Frames:
    """Index the frames of a clip, one after the other, as files of the model will."""
    codebook = autoencoder.codebook.vectors.cpu().numpy()
    frames: list[Frames] = []
    for path in clip.frames:
        latents = picture_latents(autoencoder, recipe, read_rgb(path), device).cpu().numpy()
        before = frames[-1] if frames else None
        frames.append(steady(codebook, latents, before, margin).astype(np.uint16))
    return np.stack(frames)


def _margin(autoencoder: Autoencoder, recipe: ClipRecipe) -> float:
    codebook = autoencoder.codebook.vectors.detach().cpu().numpy()
    return recipe.train.prior.steadiness * spacing(codebook)


def _actions(folder: Path, count: int, config: ClipConfig) -> tuple[int, ...]:
    """Read the actions of a clip of so many frames."""
    path = folder / ACTIONS_FILE
    if not path.exists():
        return (UNKNOWN_ACTION,) * count
    try:
        names = path.read_text(encoding="utf-8").split("\n")
    except UnicodeDecodeError as error:
        raise ValueError(f"{path}: not a text") from error
    if names[-1] == "":  # the last line ends too
        names.pop()
    if len(names) != count:
        raise ValueError(f"{path}: {counted(len(names), 'action')} of {counted(count, 'frame')}")
    numbers = {"": UNKNOWN_ACTION} | {name: 1 + at for at, name in enumerate(config.actions)}
    for name in names:
        if name not in numbers:
            raise ValueError(f"{path}: {name!r:.80} is none of clip.actions")
    return tuple(numbers[name] for name in names)
