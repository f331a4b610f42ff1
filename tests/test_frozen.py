"""Files of version 1 decode for ever, to the same indices (format/SPEC.md, section 12)."""

from __future__ import annotations

import hashlib
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import vqcodec

FROZEN = Path(__file__).parent / "frozen"
INDICES = {
    "paper.vqc": "b85c4263f7a79e881bd6d73020b174db00a11c6609d6ac3752f42047ad9c77a0",
    "paper-fixed.vqc": "b85c4263f7a79e881bd6d73020b174db00a11c6609d6ac3752f42047ad9c77a0",
    "photo.vqc": "95a0c8f5076287a42d5ea8c475404c8010748835258b1c008742e07e80493679",
    "photo-low.vqc": "5eeb7bdda5e1881487f1d52505330887f264a047258f318f247769aaa5697020",
    "photo-fixed.vqc": "c6d4706d3b929966572fdf9bfcb17ab9106a9ab7cf555716f694f741ad6fd84e",
}
"""SHA-256 of the indices, row by row, group by group, as 16-bit little-endian integers."""


@pytest.mark.parametrize("name", INDICES)
def test_frozen_files_keep_their_indices(name: str) -> None:
    grid = vqcodec.indices((FROZEN / name).read_bytes(), device="cpu")
    assert hashlib.sha256(grid.astype("<u2").tobytes()).hexdigest() == INDICES[name]


@pytest.mark.parametrize("name", ["paper", "photo"])
def test_frozen_files_look_as_they_did(name: str) -> None:
    out = np.asarray(vqcodec.decompress((FROZEN / f"{name}.vqc").read_bytes(), device="cpu"))
    expected = np.asarray(Image.open(FROZEN / f"{name}.png"))
    assert np.abs(out.astype(int) - expected).max() <= 1


@pytest.mark.parametrize("model", ["paper", "photo"])
def test_shipped_models_compress_well(model: str) -> None:
    """The picture compressed anew: far below fixed length, and near what was decoded."""
    image = Image.open(FROZEN / "paper.png")
    data = vqcodec.compress(image, model=model, device="cpu")
    fixed = vqcodec.compress(image, model=model, device="cpu", prior=False)
    assert len(data) < 0.5 * len(fixed)
    error = np.asarray(vqcodec.decompress(data, device="cpu")).astype(float) - np.asarray(image)
    assert np.square(error).mean() < 255**2 / 10**3  # 30 dB
