"""A model of clips for tests: the vectors', with codewords that its encoder makes use of."""

from __future__ import annotations

import hashlib
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
from changed_models import Tensors, changed

from vqcodec.engines.samples import to_unit
from vqcodec.grid import whole
from vqcodec.models.clip import ClipVqVae, parse_model

ACTIONS = ("left", "h\u00f8jre", "so 3")
_VECTORS = Path(__file__).parent.parent / "format" / "vectors"


def walk(count: int, height: int = 20, width: int = 28, seed: int = 0) -> np.ndarray:
    """A pattern that moves: frames (count, height, width, 3)."""
    rng = np.random.default_rng(seed)
    sides = -(-height // 4), -(-width // 4)
    pattern = rng.integers(0, 256, (*sides, 3), np.uint8).repeat(4, 0).repeat(4, 1)
    moved = [np.roll(pattern, 3 * number, 1)[:height, :width] for number in range(count)]
    return np.stack(moved)


def steps(count: int) -> list[str]:
    """Actions of so many frames, of which some are not known."""
    return [("", *ACTIONS)[number % 4] for number in range(count)]


@cache
def model_bytes() -> bytes:
    """Return the model's file."""
    data = (_VECTORS / "models" / "clips.safetensors").read_bytes()
    model = parse_model(data, sha256="")
    frame = walk(1, 64, 64)[0]
    latents = model.fine_features(to_unit(frame), whole(frame.shape[:2]))
    flat = latents.reshape(len(latents), -1).T

    def change(tensors: Tensors, metadata: dict[str, Any]) -> None:
        picked = np.random.default_rng(0).choice(len(flat), model.codebook_size, replace=False)
        tensors["codebook"] = flat[picked].astype(np.float32)

    return changed(data, change)


def tiny_clip() -> ClipVqVae:
    """Return the model."""
    data = model_bytes()
    return parse_model(data, sha256=hashlib.sha256(data).hexdigest())
