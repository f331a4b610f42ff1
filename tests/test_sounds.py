"""Recordings for training: found, decoded once, and drawn."""

from __future__ import annotations

from pathlib import Path
from threading import Event

import numpy as np
import pytest

from vqcodec.errors import VqcWarning
from vqcodec.models.stft import RATE
from vqcodec.training import sounds
from vqcodec.training.config_speech import SoundConfig
from vqcodec.training.sounds import Recordings, find_recordings, loudness, open_recordings

soundfile = pytest.importorskip("soundfile")
pytest.importorskip("soxr")

EXPECTED = 10.0 ** (-26.0 / 20.0)
"""Root mean square of speech as models see it."""
STEADY = SoundConfig(levels=(6.0, 6.0), speeds=(1.0, 1.0))


def tone(seconds: float, frequency: float = 440.0, rate: int = RATE) -> np.ndarray:
    times = np.arange(round(seconds * rate)) / rate
    return (0.2 * np.sin(2.0 * np.pi * frequency * times)).astype(np.float32)


def write(path: Path, samples: np.ndarray, rate: int = RATE) -> None:
    path.parent.mkdir(exist_ok=True)
    soundfile.write(path, samples, rate)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    folder = tmp_path / "data"
    folder.mkdir()
    write(folder / "many/a.wav", tone(3.0))
    write(folder / "many/b.flac", tone(1.0))
    write(folder / "few/c.wav", tone(0.5, 300.0))
    return folder


def opened(folder: Path, config: SoundConfig = STEADY) -> Recordings:
    return Recordings(find_recordings(folder), config, [folder], folder.parent)


def test_recordings_are_found(folder: Path) -> None:
    (folder / "notes.txt").write_text("no sound")
    assert [path.name for path in find_recordings(folder)] == ["c.wav", "a.wav", "b.flac"]


@pytest.mark.parametrize("data", [b"", b"RIFF", b"no sound at all"])
def test_what_is_no_sound_is_left_out(folder: Path, data: bytes) -> None:
    (folder / "bad.wav").write_bytes(data)
    with pytest.warns(VqcWarning, match=r"bad\.wav"):
        assert len(find_recordings(folder)) == 3


def test_a_recording_without_samples_is_left_out(folder: Path) -> None:
    write(folder / "empty.wav", np.zeros(0, dtype=np.float32))
    with pytest.warns(VqcWarning, match=r"empty\.wav"):
        assert len(find_recordings(folder)) == 3


def test_a_folder_without_sound_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="no recordings"):
        find_recordings(tmp_path)


def test_what_is_not_installed_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sounds, "find_spec", lambda _: None)
    with pytest.raises(ValueError, match=r"vqcodec\[audio\]"):
        find_recordings(tmp_path)


@pytest.mark.parametrize("rate", [8000, 16000, 44100])
def test_recordings_are_mono_at_one_rate(tmp_path: Path, rate: int) -> None:
    both = np.stack([tone(1.0, rate=rate), np.zeros(rate, dtype=np.float32)], axis=1)
    write(tmp_path / "stereo.wav", both, rate)
    samples = sounds.read_recording(tmp_path / "stereo.wav")
    assert samples.shape == (RATE,)
    spectrum = np.abs(np.fft.rfft(samples))
    assert spectrum.argmax() == 440
    assert loudness(samples) == pytest.approx(0.1 / 2.0**0.5 / EXPECTED, rel=0.1)


def test_silence_does_not_count_for_the_level() -> None:
    padded = np.concatenate([tone(1.0), np.zeros(3 * RATE, dtype=np.float32)])
    assert loudness(padded) == loudness(tone(1.0)) > 1.0


def test_recordings_are_decoded_once(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    decoded: list[str] = []
    read = sounds.read_recording
    monkeypatch.setattr(
        sounds, "read_recording", lambda path: decoded.append(path.name) or read(path)
    )
    first = opened(folder).crops(3, 800, np.random.default_rng(0))
    again = opened(folder).crops(3, 800, np.random.default_rng(0))
    assert sorted(decoded) == ["a.wav", "b.flac", "c.wav"]
    assert np.array_equal(first, again)
    write(folder / "few/c.wav", tone(0.6))
    opened(folder)
    assert len(decoded) == 6


def test_recordings_keep_their_order(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whichever is decoded first."""
    read, second = sounds.read_recording, Event()

    def in_turn(path: Path) -> np.ndarray:
        if path.name == "a.wav":
            second.set()
        elif path.name == "c.wav":
            second.wait(5.0)
        return read(path)

    monkeypatch.setattr(sounds, "granted", lambda: 2)
    monkeypatch.setattr(sounds, "read_recording", in_turn)
    recordings = opened(folder)
    assert [len(recordings.whole(n)) / RATE for n in range(3)] == [0.5, 3.0, 1.0]


def test_an_interrupted_decoding_is_not_used(folder: Path) -> None:
    whole = opened(folder).crops(3, 800, np.random.default_rng(0))
    (folder.parent / "sounds.json").unlink()
    (folder.parent / "sounds.int16").write_bytes(b"cut")
    assert np.array_equal(opened(folder).crops(3, 800, np.random.default_rng(0)), whole)


def test_silence_stays_silent(tmp_path: Path) -> None:
    write(tmp_path / "silence.wav", np.zeros(RATE, dtype=np.float32))
    recordings = Recordings(find_recordings(tmp_path), STEADY, [tmp_path], tmp_path)
    assert not recordings.crop(800, np.random.default_rng(0)).any()


def test_crops_have_the_level_asked_for(folder: Path) -> None:
    crops = opened(folder).crops(8, 4000, np.random.default_rng(0))
    assert crops.shape == (8, 4000)
    assert crops.dtype == np.float32
    for crop in crops:
        assert np.sqrt(np.square(crop).mean()) == pytest.approx(2.0 * EXPECTED, rel=0.1)


def test_crops_are_faster_or_slower(folder: Path) -> None:
    config = SoundConfig(levels=(6.0, 6.0), speeds=(1.25, 1.25), weights={"many": 1.0})
    crop = opened(folder, config).crop(RATE // 2, np.random.default_rng(0))
    assert 2 * np.abs(np.fft.rfft(crop)).argmax() == 550


def test_short_recordings_lie_in_silence(folder: Path) -> None:
    config = SoundConfig(levels=(6.0, 6.0), speeds=(1.0, 1.0), weights={"few": 1.0})
    recordings = opened(folder, config)
    rng = np.random.default_rng(0)
    starts = set()
    for _ in range(5):
        crop = recordings.crop(RATE, rng)
        heard = np.flatnonzero(np.abs(crop) > 0.01)
        starts.add(int(heard[0]))
        assert 0.49 * RATE < heard[-1] - heard[0] < 0.51 * RATE
    assert len(starts) == 5


def test_sources_are_drawn_by_weight(folder: Path) -> None:
    config = SoundConfig(levels=(6.0, 6.0), speeds=(1.0, 1.0), weights={"few": 0.5, "*": 0.5})
    recordings = opened(folder, config)
    rng = np.random.default_rng(0)
    crops = [recordings.crop(1600, rng) for _ in range(200)]
    few = sum(int(np.abs(np.fft.rfft(crop)).argmax()) == 30 for crop in crops)
    assert 70 < few < 130


def test_weights_that_leave_nothing_are_refused(folder: Path) -> None:
    with pytest.raises(ValueError, match=r"data\.weights"):
        opened(folder, SoundConfig(weights={"elsewhere": 1.0}))


def test_some_are_held_out(folder: Path, tmp_path: Path) -> None:
    recordings, held_out = open_recordings([folder], None, STEADY, tmp_path)
    assert len(recordings) == 2
    assert [path.name for path in held_out] == ["c.wav"]
    recordings, held_out = open_recordings([folder], folder / "few", STEADY, tmp_path)
    assert len(recordings) == 3
    assert [path.name for path in held_out] == ["c.wav"]
