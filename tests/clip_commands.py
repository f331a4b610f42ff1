"""What tests of clips at the command line share."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

import vqcodec

TAKES = ["--model", "clips"]
posix = pytest.mark.skipif(os.name == "nt", reason="Windows has no such programs and permissions")


def save(path: str, frames: np.ndarray, **more: Any) -> None:
    first, *others = map(Image.fromarray, frames)
    first.save(path, save_all=True, append_images=others, **more)


def save_folder(path: str, frames: np.ndarray, actions: list[str] | None = None) -> None:
    Path(path).mkdir()
    for number, frame in enumerate(frames):
        Image.fromarray(frame).save(f"{path}/frame{number}.png")
    if actions is not None:
        Path(path, "actions.txt").write_text("".join(f"{name}\n" for name in actions))


def names_in(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def load(path: str) -> tuple[np.ndarray, list[float]]:
    """Frames and milliseconds of an animated picture."""
    with Image.open(path) as image:
        frames, durations = [], []
        for number in range(image.n_frames):
            image.seek(number)
            frames.append(np.asarray(image.convert("RGB")))
            durations.append(image.info["duration"])
    return np.stack(frames), durations


def indices_of(frames: np.ndarray, actions: list[str]) -> np.ndarray:
    return vqcodec.indices(vqcodec.compress_clip(frames, model="clips", actions=actions))
