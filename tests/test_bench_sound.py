"""`vqcodec bench` on sound: what its figures mean, and that peers are treated as they deserve."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest
import tiny_sound
from conftest import Run, photo
from numpy.typing import NDArray
from test_sound import babble
from test_vectors import VECTORS

pytest.importorskip("soundfile", reason="needs the extra 'audio'")
pytest.importorskip("soxr", reason="needs the extra 'audio'")
pytest.importorskip("bjontegaard", reason="needs the extra 'bench'")
pytest.importorskip("pystoi", reason="needs the extra 'bench'")
pytest.importorskip("ssimulacra2", reason="needs the extra 'bench'")

import soundfile
from vqcodec_bench import alignment, sound_metrics
from vqcodec_bench import run as runs
from vqcodec_bench.codec import Codec, MissingPeerError
from vqcodec_bench.command import medium_of
from vqcodec_bench.measure import Cache, measure
from vqcodec_bench.pictures import Pictures
from vqcodec_bench.reached import reached
from vqcodec_bench.sound_peers import PEERS, OpusSoundfile, VqcodecSound
from vqcodec_bench.sounds import Sounds
from vqcodec_bench.speed import time_codecs
from vqcodec_bench.summary import summarise

from vqcodec.errors import MissingPackageError, SoundError

tiny_sound.register()  # processes that measure import this module

SOUNDS = Sounds()
RATE = 16000
VOICE = VECTORS / "models" / "voice.safetensors"


def speech(seconds: float, seed: int = 0) -> NDArray[np.float32]:
    """Noise of many bands, each of which comes and goes by itself as a voice's do: (n,)."""
    rng = np.random.default_rng(seed)
    count = round(seconds * RATE)
    spectrum = np.fft.rfft(rng.normal(size=count))
    hertz = np.linspace(0, RATE / 2, len(spectrum))
    times = np.linspace(0, seconds, count)
    sound = np.zeros(count)
    for low in range(100, 4000, 400):
        band = np.fft.irfft(np.where((hertz > low) & (hertz < low + 400), spectrum, 0), count)
        sound += band * np.maximum(0, np.sin(times * rng.uniform(8, 25) + rng.uniform(0, 6)))
    return (0.3 * sound / np.abs(sound).max()).astype(np.float32)


def save(path: Path, samples: NDArray, rate: int = RATE) -> Path:
    soundfile.write(path, samples, rate)
    return path


def test_sound_is_made_mono_at_16_khz(tmp_path: Path) -> None:
    times = np.arange(44100) / 44100
    left, right = (np.sin(2 * np.pi * hertz * times) for hertz in (500, 1000))
    read = SOUNDS.read(save(tmp_path / "a.flac", 0.4 * np.stack([left, right], 1), 44100))
    assert read.shape == (RATE,)
    assert read.dtype == np.float32
    spectrum = np.abs(np.fft.rfft(read)) / (RATE / 2)
    assert np.flatnonzero(spectrum > 0.1).tolist() == [500, 1000]
    assert spectrum[500] == pytest.approx(0.2, abs=0.01)
    (tmp_path / "b.wav").write_bytes(b"RIFF\0\0\0\0WAVE and no more")
    with pytest.raises(SoundError):
        SOUNDS.read(tmp_path / "b.wav")


def test_the_rate_is_that_of_the_whole_file() -> None:
    samples = speech(2.5)
    codec = OpusSoundfile()
    point, shown = measure(SOUNDS, codec, 9, samples)
    assert shown.startswith(b"OggS")
    assert point["bytes"] == len(shown)
    assert point["kbps"] == pytest.approx(8 * len(shown) / 1000 / 2.5)


@pytest.mark.parametrize("milliseconds", [0, 1, 7, 20, 45, 60])
def test_delays_are_undone(milliseconds: int) -> None:
    samples = speech(3.0)
    delay = RATE // 1000 * milliseconds
    late = np.pad(samples, (delay, 0)) + 0.01 * babble(len(samples) + delay)[0]
    there = SOUNDS.fit(samples, late.astype(np.float32), delayed=True)
    assert len(there) == len(samples)
    assert np.abs(there - samples).mean() < 0.02
    kept = SOUNDS.fit(samples, late.astype(np.float32), delayed=False)
    assert np.array_equal(kept, late[: len(samples)])


@pytest.mark.parametrize("count", [1, 100, 900])
def test_silence_and_scraps_of_sound_can_be_aligned(count: int) -> None:
    silence = np.zeros(count, np.float32)
    assert len(SOUNDS.fit(silence, np.zeros(count + 500, np.float32), delayed=True)) == count
    assert len(SOUNDS.fit(silence, silence[:0], delayed=True)) == count


def test_what_is_much_too_short_is_no_result() -> None:
    samples = speech(1.0)
    assert len(alignment.fitted(samples, len(samples) + 900)) == len(samples) + 900
    with pytest.raises(ValueError, match="came back as"):
        alignment.fitted(samples, len(samples) + 1000)


@pytest.mark.parametrize("name", PEERS)
def test_peers_lose_less_at_more_bytes_and_nothing_of_time(name: str) -> None:
    codec = PEERS[name]()
    try:
        assert codec.version()
    except MissingPeerError as error:
        pytest.skip(str(error))
    samples = speech(3.0)[:47999]
    found = []
    for quality in (codec.qualities[1], codec.qualities[-1]):
        data = codec.encode(samples, quality)
        decoded = SOUNDS.fit(samples, codec.decode(data), delayed=codec.delayed)
        assert decoded.shape == samples.shape
        assert decoded.dtype == np.float32
        # A second time there is nothing to undo.
        again = alignment.aligned(samples, decoded)
        assert len(decoded) - len(again) <= RATE // 1000
        both = [alignment._loudness(sound) for sound in (samples, decoded)]
        found.append((len(data), float(np.corrcoef(both[0].ravel(), both[1].ravel())[0, 1])))
    assert found[0][0] < found[1][0]
    assert 0.3 < found[0][1] < found[1][1] + 0.02


def test_a_peer_that_is_not_installed_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "")
    for name in ("opus", "opus-60", "speex", "speex-nb", "codec2"):
        with pytest.raises(MissingPeerError, match=r"is not installed \(apt install"):
            PEERS[name]().version()
    monkeypatch.setitem(sys.modules, "soundfile", None)
    with pytest.raises(MissingPeerError, match="soundfile"):
        OpusSoundfile().version()


def test_a_program_that_fails_is_a_failed_point(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    if sys.platform == "win32":
        pytest.skip("shell scripts")
    for program in ("c2enc", "c2dec"):
        path = tmp_path / program
        path.write_text("#!/bin/sh\necho 'no such mode' >&2\nexit 3\n")
        path.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}{os.pathsep}{os.environ['PATH']}")
    with pytest.raises(ValueError, match="c2enc failed: no such mode"):
        PEERS["codec2"]().encode(speech(1.0), 1300)


@pytest.fixture
def _anew() -> object:
    sound_metrics.lacking.cache_clear()
    yield
    sound_metrics.lacking.cache_clear()


@pytest.mark.parametrize("metric", sound_metrics.METRICS)
def test_metrics_fall_with_noise(metric: str) -> None:
    if metric in sound_metrics.lacking():
        pytest.skip(sound_metrics.lacking()[metric])
    samples = speech(3.0)
    noise = babble(len(samples))[0]
    levels = [
        sound_metrics.compare(samples, samples + np.float32(factor) * noise)[metric]
        for factor in (0.0, 0.1, 1.0)
    ]
    assert None not in levels
    if metric != "distillmos":  # which knows nothing but voices
        assert levels[0] == max(levels) > levels[2]


@pytest.mark.parametrize("seconds", [0.01, 0.3, 2.0])
def test_metrics_have_nothing_to_say_of_silence(seconds: float) -> None:
    silence = np.zeros(round(seconds * RATE), np.float32)
    found = sound_metrics.compare(silence, silence)
    assert found["pesq"] is found["visqol"] is None


@pytest.fixture
def packages() -> Iterator[None]:
    """Packages are looked for again, before and after."""
    sound_metrics.lacking.cache_clear()
    yield
    sound_metrics.lacking.cache_clear()


@pytest.mark.usefixtures("packages")
def test_metrics_that_are_not_installed_are_left_out(monkeypatch: pytest.MonkeyPatch) -> None:
    for module in ("pesq", "visqol", "distillmos"):
        monkeypatch.setitem(sys.modules, module, None)
    monkeypatch.setitem(sys.modules, "pystoi", ModuleType("pystoi"))
    monkeypatch.setattr(sound_metrics, "_stoi", lambda *_: 0.5)
    assert set(SOUNDS.requirements()) == {"PESQ", "ViSQOL", "DistillMOS"}
    found = sound_metrics.compare(speech(1.0), speech(1.0))
    assert found == {"pesq": None, "stoi": 0.5, "visqol": None, "distillmos": None}


@pytest.mark.usefixtures("packages")
def test_without_any_metric_nothing_is_measured(monkeypatch: pytest.MonkeyPatch) -> None:
    for module in ("pesq", "pystoi", "visqol", "distillmos"):
        monkeypatch.setitem(sys.modules, module, None)
    with pytest.raises(MissingPackageError, match="no measure of sound"):
        SOUNDS.requirements()


class Tiny(VqcodecSound):
    """vqcodec with the model of tests."""


def test_vqcodec_is_measured_with_its_indices(tmp_path: Path, sound_data: bytes) -> None:
    path = tmp_path / "tiny.safetensors"
    path.write_bytes(sound_data)
    codecs: list[Codec[NDArray]] = [Tiny(str(path)), Tiny(str(path), prior=False)]
    save(tmp_path / "a.wav", speech(1.3))
    run = runs.plan(SOUNDS, [tmp_path / "a.wav"], codecs)
    assert run.files[0]["seconds"] == pytest.approx(1.3)
    points = runs.execute(run, Cache(tmp_path / "cache"), 1, lambda *_: None)
    assert run.failed == []
    assert [p["quality"] for p in points] == 2 * list(codecs[0].qualities)
    found = summarise(SOUNDS, points, codecs, 1)
    learned, fixed = found["curves"][0], found["curves"][len(codecs[0].qualities)]
    assert learned["prior_bits"] > 0
    assert fixed["prior_bits"] is None
    assert 0 < learned["unigram_bits"] <= learned["fixed_bits"] == fixed["fixed_bits"]


class Named(Codec[NDArray]):
    """A codec of which only the name counts."""

    settings = ""

    def __init__(self, name: str) -> None:
        self.name = self.label = name

    def version(self) -> str:
        return "1"

    def encode(self, content: NDArray, quality: float) -> bytes:
        raise NotImplementedError

    def decode(self, data: bytes) -> NDArray:
        raise NotImplementedError


def test_rates_at_equal_quality_are_read_off_the_curves() -> None:
    def rows(name: str, pairs: list[tuple[float, float]]) -> list[dict[str, object]]:
        lacking = dict.fromkeys(sound_metrics.METRICS)
        return [
            {"codec": name, "quality": n, "kbps": kbps, **lacking, "pesq": pesq}
            for n, (kbps, pesq) in enumerate(pairs)
        ]

    curves = [
        *rows("anchor", [(6.0, 2.0), (9.0, 3.0), (20.0, 4.5)]),
        *rows("half", [(3.0, 2.0), (4.5, 3.0), (10.0, 4.5)]),
        *rows("fine", [(2.0, 2.5), (8.0, 4.0)]),
        *rows("single", [(5.0, 2.0)]),
    ]
    codecs = [Named(name) for name in ("anchor", "half", "fine", "single")]
    found = {
        row["quality"]: row for row in reached(SOUNDS, codecs, curves) if row["codec"] == "anchor"
    }
    assert [(row["metric"], row["value"]) for row in found.values()] == [
        *(("pesq", 2.0), ("pesq", 3.0), ("pesq", 4.5)),
    ]
    assert found[0]["at"]["half"] == pytest.approx(3.0)
    assert found[1]["at"]["half"] == pytest.approx(4.5)
    # Its lowest rate is better, so less may do; and its highest is not as good.
    assert found[0]["at"]["fine"] == 2.0
    assert found[0]["at_most"] == ["fine"]
    assert found[1]["at_most"] == []
    assert 2.0 < found[1]["at"]["fine"] < 8.0
    assert "fine" not in found[2]["at"]
    assert all("single" not in row["at"] for row in found.values())


def test_speed_is_that_of_one_thread_over_all_sounds(tmp_path: Path) -> None:
    paths = {
        name: save(tmp_path / name, speech(seconds))
        for name, seconds in (("a.wav", 0.5), ("b.wav", 1.0))
    }
    codec = OpusSoundfile()
    rows = list(time_codecs(SOUNDS, [(codec, 12)], paths))
    assert codec.threads == 1
    assert [row["direction"] for row in rows] == ["encode", "decode"]
    for row in rows:
        assert row["amount"] == pytest.approx(1.5)
        assert row["real_time"] == pytest.approx(1.5 / row["seconds"])
        assert set(row["files"]) == set(paths)
        seconds = sum(a / row["files"][n] for n, a in (("a.wav", 0.5), ("b.wav", 1.0)))
        assert seconds == pytest.approx(row["seconds"])


def bench(*arguments: object, **options: object) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "vqcodec", "bench", *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, check=False, **options)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    data = tmp_path / "data"
    data.mkdir()
    save(data / "a.wav", speech(1.5))
    save(data / "b.flac", speech(2.0, seed=1))
    return data


def test_the_command_writes_a_whole_report(folder: Path, tmp_path: Path) -> None:
    (folder / "broken.wav").write_bytes(b"RIFF\0\0\0\0WAVE and no more")
    out, away = tmp_path / "report", tmp_path / "away"
    away.mkdir()
    (away / "pystoi.py").write_text("raise ImportError('no STOI today')")
    path = os.pathsep.join([str(away), *sys.path])
    options = ("--peers", "opus-sndfile", "--qualities", "opus-sndfile=6,12", "--models", VOICE)
    more = ("--out", out, "--jobs", 1, "--speed", "--page-files", 1)
    done = bench(folder, *options, *more, env=os.environ | {"PYTHONPATH": path})
    assert "Traceback" not in done.stderr
    assert done.returncode == 1
    assert "broken.wav" in done.stderr
    assert "vqcodec: STOI is left out: no STOI today" in done.stderr
    assert "Opus of libsndfile" in done.stdout
    results = json.loads((out / "results.json").read_text())
    assert results["medium"] == "sound"
    assert [s["name"] for s in results["sounds"]] == ["a.wav", "b.flac"]
    assert [f["sound"] for f in results["failed"]] == ["broken.wav"]
    assert {p["codec"] for p in results["points"]} == {"opus-sndfile", "voice"}
    assert all(p["stoi"] is None for p in results["points"])
    assert {row["direction"] for row in results["speed"]} == {"encode", "decode"}
    assert {row["codec"] for row in results["reached"]} <= {"opus-sndfile", "voice"}
    page = (out / "report.html").read_text()
    assert "audio/flac" in page
    assert page.count("data-key=") > 3
    assert (out / "summary.csv").read_text().startswith("codec,quality,kbps,pesq,stoi,")


@pytest.mark.parametrize(
    ("arguments", "named"),
    [
        (["--peers", "jpeg"], "jpeg"),
        (["--qualities", "codec2=1000"], "some of 700, 1200"),
        (["--qualities", "opus=5"], "numbers 6 to 256"),
        (["--qualities", "speex=2.5"], "whole numbers 0 to 10"),
    ],
)
def test_wrong_options_are_named(run: Run, folder: Path, arguments: list[str], named: str) -> None:
    done = run("bench", folder, "--models", "none", *arguments)
    assert done.code == 2
    assert named in done.err


def test_a_model_of_the_other_medium_is_refused(run: Run, folder: Path) -> None:
    done = run("bench", folder, "--models", VECTORS / "models" / "photo.safetensors")
    assert done.code == 1
    assert "is a model of pictures, not of sound" in done.err


def test_pictures_and_sound_are_not_measured_together(run: Run, folder: Path) -> None:
    photo(64, 64).save(folder / "c.png")
    done = run("bench", folder, "--models", "none")
    assert done.code == 2
    assert "c.png is a picture" in done.err
    assert "give them to two runs" in done.err


def test_the_medium_is_what_files_hold(folder: Path) -> None:
    """Their names count where that says nothing, or they cannot be read."""
    named = folder / "a.png"
    (folder / "a.wav").rename(named)
    assert isinstance(medium_of([named]), Sounds)
    photo(8, 8).save(folder / "picture", "PNG")
    assert isinstance(medium_of([folder / "picture"]), Pictures)
    assert isinstance(medium_of([folder / "gone.wav"]), Sounds)
    assert isinstance(medium_of([folder / "gone.png"]), Pictures)
