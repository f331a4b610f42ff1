"""What the stages of every architecture begin with."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import torch

from vqcodec.models.file import read_metadata
from vqcodec.registry.store import find, read_verified
from vqcodec.training.loop import Reporter


@dataclass(frozen=True, slots=True, kw_only=True)
class Run:
    """A training run, but for its recipe."""

    data: list[Path]
    """Folders of pictures or of sound to train on."""
    validation: Path | None
    """Folder of those that are validated on; without it some of `data` are held out."""
    folder: Path
    """Of checkpoints and logs."""
    resume: bool
    """Go on from the checkpoints."""
    device: torch.device
    reporter: Reporter


def model_data(start: str, architecture: str) -> bytes:
    """Return the bytes of a model's file.

    Raises: ValueError if it is of another architecture; ModelError if it cannot be read.
    """
    data = read_verified(find(start))
    if read_metadata(data).get("architecture") != architecture:
        raise other_architecture(start)
    return data


def other_architecture(start: str) -> ValueError:
    """Make the error of a start whose weights do not fit the recipe's networks."""
    return ValueError(f"start: {start} has another architecture than the recipe")
