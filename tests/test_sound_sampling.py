"""Sound that priors draw, with the vectors' model of three speakers."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from conftest import Run, one_line_error
from test_vectors import VECTORS

import vqcodec

MODEL = VECTORS / "models" / "speakers.safetensors"
RATE = 16000


def test_a_seed_draws_the_same_whatever_the_number() -> None:
    one, rate = vqcodec.sample_audio(MODEL, seconds=0.25, seed=7)
    three, _ = vqcodec.sample_audio(MODEL, seconds=0.25, seed=7, count=3)
    other, _ = vqcodec.sample_audio(MODEL, seconds=0.25, seed=8)
    assert (rate, one.shape, three.shape) == (RATE, (1, RATE // 4), (3, RATE // 4))
    assert np.array_equal(one[0], three[0])
    assert not np.allclose(three[0], three[1])
    assert not np.allclose(one, other)


def test_all_that_is_drawn_is_made_into_sound_of_the_length_asked_for() -> None:
    """Lengths that are no whole number of frames, too."""
    for samples in (1, 99, 12345):
        drawn, _ = vqcodec.sample_audio(MODEL, seconds=samples / RATE, seed=1)
        assert drawn.shape == (1, samples)
        assert drawn.any()


def test_speakers_change_the_sound_of_the_same_indices() -> None:
    first, named, second = (
        vqcodec.sample_audio(MODEL, seconds=0.25, speaker=name)[0]
        for name in (None, "anna", "so 3")
    )
    assert np.array_equal(first, named)
    assert not np.allclose(first, second)


@pytest.mark.parametrize(
    "wrong",
    [
        {"seconds": 0.0},
        {"seconds": -1.0},
        {"seconds": float("nan")},
        {"seconds": float("inf")},
        {"seconds": 1.0, "max_samples": RATE - 1},
        {"seconds": 0.5, "count": 2, "max_samples": RATE - 1},
        {"count": 0},
        {"seed": -1},
        {"temperature": 0.0},
        {"quality": 2},
        {"speaker": "carl"},
    ],
)
def test_arguments_that_cannot_be(wrong: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=r".+"):
        vqcodec.sample_audio(MODEL, **wrong)


def test_command(run: Run) -> None:
    soundfile = pytest.importorskip("soundfile")
    line = ["sample", MODEL, "-n", "2", "--seconds", "0.25", "--seed", "7", "-o"]
    result = run(*line, "a.wav")
    assert "a.wav: 2 x 0.25 seconds" in result.out
    assert re.search("warning: a.wav: cut at full scale: [0-9]+ samples", result.err)
    drawn, _ = vqcodec.sample_audio(MODEL, count=2, seconds=0.25, seed=7)
    found, rate = soundfile.read("a.wav", dtype="float32")
    assert (rate, len(found)) == (RATE, RATE)  # half a second lies between the two
    np.testing.assert_allclose(found[: RATE // 4], np.clip(drawn[0], -1, 1), atol=1e-4)
    np.testing.assert_allclose(found[-RATE // 4 :], np.clip(drawn[1], -1, 1), atol=1e-4)
    assert not found[RATE // 4 : -RATE // 4].any()
    assert run(*line, "b.flac", "--speaker", "so 3").code == 0
    assert not np.allclose(soundfile.read("b.flac")[0], found)
    assert "a.wav" in one_line_error(run(*line, "a.wav", "--speaker", "so 3"), 1)


@pytest.mark.usefixtures("installed")
@pytest.mark.parametrize(
    "line",
    [
        (MODEL, "-o", "a.png"),
        (MODEL, "--size", "32x32", "-o", "a.wav"),
        (MODEL, "--rows", "1", "-o", "a.wav"),
        (MODEL, "--speaker", "carl", "-o", "a.wav"),
        (MODEL, "--seconds", "0", "-o", "a.wav"),
        ("random", "--seconds", "1", "-o", "a.png"),
        ("random", "--speaker", "anna", "-o", "a.png"),
        ("random", "-o", "a.wav"),
    ],
)
def test_wrong_commands_are_one_line(run: Run, line: tuple[Any, ...]) -> None:
    one_line_error(run("sample", *line), 2)
    assert not Path(line[-1]).exists()
