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
}
"""SHA-256 of the indices, row by row, as 16-bit little-endian integers."""


@pytest.mark.parametrize("name", INDICES)
def test_frozen_files_keep_their_indices(name: str) -> None:
    grid = vqcodec.indices((FROZEN / name).read_bytes(), device="cpu")
    assert hashlib.sha256(grid.astype("<u2").tobytes()).hexdigest() == INDICES[name]


def test_frozen_file_looks_as_it_did() -> None:
    out = np.asarray(vqcodec.decompress((FROZEN / "paper.vqc").read_bytes(), device="cpu"))
    expected = np.asarray(Image.open(FROZEN / "paper.png"))
    assert np.abs(out.astype(int) - expected).max() <= 1


def test_the_shipped_model_compresses_well() -> None:
    """The picture compressed anew: far below fixed length, and near what was decoded."""
    image = Image.open(FROZEN / "paper.png")
    data = vqcodec.compress(image, device="cpu")
    assert len(data) < 0.5 * len(vqcodec.compress(image, device="cpu", prior=False))
    error = np.asarray(vqcodec.decompress(data, device="cpu")).astype(float) - np.asarray(image)
    assert np.square(error).mean() < 255**2 / 10**3  # 30 dB
