"""Training of speech on a rented GPU (train/gpu/README.md), rehearsed on the CPU."""

from __future__ import annotations

import json
import shutil
import sys
from pathlib import Path

import numpy as np
import pytest
import slim
import sound_lease
import torch
from sound_shelf import SoundShelf
from test_speech import CPU, RECIPE, recipe, stage, voice
from test_speech import place as place

from vqcodec.models.speech import parse_model
from vqcodec.models.stft import RATE
from vqcodec.training.sounds import Recordings, find_recordings

LEVELS = (-6.0, 6.0)


@pytest.fixture
def parcel(place: Path) -> Path:
    """What travels: recordings, and weights of the first stage as it begins."""
    folder = place / "parcel"
    shutil.copytree(place / "data", folder / "sounds")
    (folder / "validation").mkdir()
    shutil.copy(place / "data/0.wav", folder / "validation")
    networks = stage(recipe(place), place).module
    weights = networks.state_dict()
    slim.save_slim(weights, folder / "checkpoint", stage="transform", start=2, step=2)
    return folder


def lease(parcel: Path, monkeypatch: pytest.MonkeyPatch, *given: str) -> Path:
    out = parcel.parent / "out"
    (parcel.parent / "tiny.toml").write_text(RECIPE)
    arguments = [str(parcel.parent / "tiny.toml"), str(parcel), "--out", str(out), *given]
    monkeypatch.setattr(sys, "argv", ["sound_lease.py", *arguments, "--device", "cpu"])
    sound_lease.main()
    return out


def test_a_lease_trains_all_stages_and_writes_the_model(
    parcel: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    given = ("--minutes", "5", "5", "5", "--steps", "2", "--batch", "3")
    out = lease(parcel, monkeypatch, *given)
    told = capsys.readouterr().out
    assert "transform: steps 2 to 6, 2 taken" in told
    assert "product: steps 0 to 4, 2 taken" in told
    assert "adversarial: steps 0 to 4, 2 taken" in told
    for name in ("product", "adversarial"):
        model = parse_model((out / name / "model.safetensors").read_bytes(), sha256="")
        assert model.qualities == 3
    rows = [json.loads(row) for row in (out / "adversarial/log.jsonl").read_text().splitlines()]
    stages = [row["stage"] for row in rows if row["kind"] == "validation"]
    assert stages == 2 * ["transform"] + 2 * ["product"] + 2 * ["adversarial"]
    _, weights = slim.load_slim(out / "adversarial")
    assert {name.partition(".")[0] for name in weights} == {
        *("analysis", "synthesis", "gains", "prior", "codebooks")
    }


def test_the_first_stage_goes_on_from_its_weights(
    parcel: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    given = ("--minutes", "5", "--steps", "1", "--batch", "3", "--start", "4")
    out = lease(parcel, monkeypatch, *given)
    _, before = slim.load_slim(parcel / "checkpoint")
    manifest, after = slim.load_slim(out / "transform")
    assert (manifest.start, manifest.step) == (4, 6)
    assert not list(out.rglob("model.safetensors"))
    changes = [float((after[name] - before[name]).abs().max()) for name in before]
    assert 0.0 < max(changes) < 0.1


def test_without_recordings_it_says_so(parcel: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    shutil.rmtree(parcel / "sounds")
    (parcel / "sounds").mkdir()
    with pytest.raises(SystemExit, match="no recordings"):
        lease(parcel, monkeypatch, "--minutes", "1")


# --- crops ---


def shelf(place: Path, speeds: tuple[float, float] = (1.0, 1.0)) -> tuple[Recordings, SoundShelf]:
    paths = find_recordings(place / "data")
    recordings = Recordings(paths, recipe(place).data, [place / "data"], place)
    return recordings, SoundShelf(recordings, speeds, CPU)


def test_a_crop_is_a_part_of_its_recording(place: Path) -> None:
    recordings, sounds = shelf(place)
    numbers = np.array([2, 0, 2, 3, 1, 1])
    crops = sounds.crops(numbers, 3200, (0.0, 0.0), np.random.default_rng(0)).numpy()
    assert crops.shape == (6, 3200)
    assert crops.dtype == np.float32
    signs = set()
    for number, crop in zip(numbers, crops, strict=True):
        whole = recordings.whole(int(number)).clip(-1.0, 1.0)
        views = np.lib.stride_tricks.sliding_window_view(whole, 3200)
        nearest = {sign: float(np.abs(views - sign * crop).max(1).min()) for sign in (-1.0, 1.0)}
        assert min(nearest.values()) < 1e-3
        signs.add(min(nearest, key=lambda sign: nearest[sign]))
    assert signs == {-1.0, 1.0}


def test_a_short_recording_lies_somewhere_in_silence(place: Path) -> None:
    recordings, sounds = shelf(place)
    length = 2 * RATE
    crops = sounds.crops(np.arange(4).repeat(8), length, LEVELS, np.random.default_rng(1))
    starts = set()
    for number, crop in zip(np.arange(4).repeat(8), crops.numpy(), strict=True):
        heard = np.flatnonzero(crop)
        assert heard[-1] - heard[0] < len(recordings.whole(int(number)))
        starts.add(int(heard[0]))
    assert len(starts) > 16


def test_speeds_change_the_length(place: Path) -> None:
    recordings, sounds = shelf(place, (0.8, 1.25))
    lengths = {round(len(recordings.whole(0)) / speed) for speed in np.linspace(0.8, 1.25, 5)}
    numbers = np.zeros(64, np.int64)
    crops = sounds.crops(numbers, 2 * RATE, LEVELS, np.random.default_rng(2)).numpy()
    heard = {int(np.ptp(np.flatnonzero(crop))) for crop in crops}
    assert all(min(abs(one - other) for other in lengths) < 400 for one in heard)
    assert max(heard) - min(heard) > 4000


def test_levels_are_those_of_the_range(place: Path) -> None:
    _, sounds = shelf(place)
    numbers = np.zeros(200, np.int64)
    loud = sounds.crops(numbers, 2 * RATE, LEVELS, np.random.default_rng(3)).square().sum(1)
    decibels = 10.0 * torch.log10(loud)
    assert 9.0 < float(decibels.max() - decibels.min()) <= 12.1


def test_all_of_a_recording_is_drawn(place: Path) -> None:
    recordings, sounds = shelf(place)
    numbers = np.full(400, 1)
    crops = sounds.crops(numbers, 3200, (0.0, 0.0), np.random.default_rng(4)).abs().numpy()
    whole = np.abs(voice(1))
    assert len(recordings.whole(1)) == len(whole)
    assert crops.max() == pytest.approx(np.abs(recordings.whole(1)).clip(0, 1).max(), abs=1e-3)
