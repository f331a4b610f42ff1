"""Files of version 1 decode for ever, to the same indices (format/SPEC.md, section 12).

`python tests/frozen/renew.py MODEL` renews them where a model is replaced before its release, and
`python tests/frozen/renew.py --sizes MODEL` alone says that other sizes are meant.
"""

from __future__ import annotations

import numpy as np
import pytest
from frozen.renew import (
    FROZEN,
    PICTURES,
    SETTINGS,
    SOUNDS,
    drawn_sound,
    indices_sha256,
    size,
    sizes,
    sums,
)
from PIL import Image

import vqcodec


@pytest.mark.parametrize("name", sorted(sums()))
def test_frozen_files_keep_their_indices(name: str) -> None:
    assert indices_sha256((FROZEN / name).read_bytes()) == sums()[name]


@pytest.mark.parametrize(("name", "most"), [("paper", 1), ("photo", 1), ("photo-2", 0)])
def test_frozen_files_look_as_they_did(name: str, most: int) -> None:
    """Within `most` of 255."""
    out = np.asarray(vqcodec.decompress((FROZEN / f"{name}.vqc").read_bytes(), device="cpu"))
    expected = np.asarray(Image.open(FROZEN / f"{name}.png"))
    assert np.abs(out.astype(int) - expected).max() <= most


@pytest.mark.parametrize("model", ["paper", "photo", "photo-2"])
def test_shipped_models_compress_well(model: str) -> None:
    """The picture compressed anew: far below fixed length, and near what was decoded."""
    image = Image.open(FROZEN / "paper.png")
    data = vqcodec.compress(image, model=model, device="cpu")
    fixed = vqcodec.compress(image, model=model, device="cpu", prior=False)
    assert len(data) < 0.5 * len(fixed)
    error = np.asarray(vqcodec.decompress(data, device="cpu")).astype(float) - np.asarray(image)
    assert np.square(error).mean() < 255**2 / 10**3  # 30 dB


@pytest.mark.parametrize("model", SOUNDS)
def test_shipped_models_of_sound_compress_well(model: str) -> None:
    """What they draw themselves: well below fixed length, and as loud in the same places."""
    samples, rate = drawn_sound(model, seed=3)
    data, fixed = (
        vqcodec.compress_audio(samples, rate, model=model, prior=prior, **SOUNDS[model])
        for prior in (True, False)
    )
    assert len(data) < 0.9 * len(fixed)
    decoded, _ = vqcodec.decompress_audio(data)
    frames = [sound[0, : 50 * 1600].reshape(50, 1600) for sound in (samples, decoded)]
    levels = [np.log(np.square(frame).mean(1) + 1e-6) for frame in frames]
    assert np.corrcoef(levels)[0, 1] > 0.8


SIZES = [(model, setting) for model, settings in SETTINGS.items() for setting in settings]
_WORDS = 8
"""Bytes of the two words that a stream ends with, in files of which 1 % is less."""


@pytest.mark.parametrize(("model", "setting"), SIZES, ids=map(" ".join, SIZES))
def test_pictures_keep_their_sizes(model: str, setting: str) -> None:
    """Within 1 %: another machine's rounding moves an index here and there."""
    kept = sizes()[model][setting]
    assert kept.keys() == PICTURES.keys()
    for picture, expected in kept.items():
        found = size(model, setting, picture)
        assert abs(found - expected) <= max(0.01 * expected, _WORDS), picture


@pytest.mark.parametrize(("model", "qualities"), [("photo", 8), ("photo-2", 12)])
def test_each_quality_has_its_size(model: str, qualities: int) -> None:
    for picture in PICTURES:
        by_quality = [sizes()[model][f"quality {q}"][picture] for q in range(1, qualities + 1)]
        assert by_quality == sorted(set(by_quality))
    assert vqcodec.load_model(model).qualities == qualities
