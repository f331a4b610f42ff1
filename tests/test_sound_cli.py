"""The command line, of sound and of sound beside pictures."""

from __future__ import annotations

import io
import json
import re
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from conftest import Run, TinySound, one_line_error, photo
from PIL import Image
from test_sound import babble
from test_vectors import VECTORS

import vqcodec
from vqcodec.audio.waveform import Tags
from vqcodec.cli.running import EXIT_SALVAGED

soundfile = pytest.importorskip("soundfile")
pytest.importorskip("soxr")
VOICE = VECTORS / "models" / "voice.safetensors"
"""A model of speech-1, which processes that are started can read, too."""
WARNING = "vqcodec: warning: .*: it does not look like speech"


@pytest.fixture(autouse=True)
def models(no_shipped_sound: None, run: Run, sound_data: bytes, model_data: bytes) -> None:
    """A model of each medium is installed."""
    for name, data in (("sound", sound_data), ("random", model_data)):
        path = Path(f"../{name}.safetensors")
        path.write_bytes(data)
        assert run("models", "install", path).code == 0


def save(path: str, seconds: float = 1.0, rate: int = 16000, tags: Tags = (), **more: Any) -> None:
    samples = babble(round(seconds * rate), **more)
    with soundfile.SoundFile(path, "w", rate, len(samples)) as file:
        for name, text in tags:
            setattr(file, name, text)
        file.write(samples.T)


@pytest.mark.parametrize("suffix", ["wav", "flac", "ogg", "mp3"])
def test_compress_and_decompress(run: Run, suffix: str) -> None:
    save(f"talk.{suffix}", 1.5, 44100, (("title", "A talk"),), channels=2)
    result = run("compress", f"talk.{suffix}")
    assert result.code == 0
    assert re.search(rf"talk.{suffix} -> talk.vqc: .* smaller, 1.50 s at [\d.]+ kbit/s", result.out)
    result = run("decompress", "talk.vqc", "-o", f"back.{suffix}")
    assert result.code == 0
    found = soundfile.SoundFile(f"back.{suffix}")
    assert (found.samplerate, found.channels, found.frames) == (44100, 2, 66150)
    assert found.title == "A talk"
    assert Path(f"back.{suffix}").stat().st_mtime_ns == Path(f"talk.{suffix}").stat().st_mtime_ns


def test_sound_becomes_wav_unless_another_format_is_asked_for(run: Run) -> None:
    save("talk.flac")
    run("compress", "talk.flac")
    assert run("decompress", "talk.vqc").code == 0
    assert soundfile.SoundFile("talk.wav").subtype == "PCM_16"
    assert run("decompress", "talk.vqc", "--format", "flac", "-d", "there").code == 0
    assert soundfile.SoundFile("there/talk.flac").format == "FLAC"
    result = run("decompress", "talk.vqc", "--format", "ogg", "-d", "there")
    assert "warning: .ogg is lossy" in result.err
    for name in ("talk.png", "talk.xyz"):
        one_line_error(run("decompress", "talk.vqc", "-o", name), 2)
    one_line_error(run("decompress", "talk.vqc", "-o", "a.wav", "--format", "flac"), 2)


def test_the_medium_is_found_from_the_bytes(run: Run) -> None:
    save("talk.wav")
    photo(30, 20).save("photo.png")
    Path("talk.wav").rename("talk.png")
    Path("photo.png").rename("photo.wav")
    assert run("compress", "talk.png").code == 0
    assert run("compress", "photo.wav", "--model", "random").code == 0
    assert vqcodec.inspect("talk.vqc").medium == "sound"
    assert vqcodec.inspect("photo.vqc").medium == "picture"


@pytest.mark.parametrize("jobs", [1, 2])
def test_folders_hold_both(run: Run, jobs: int) -> None:
    assert run("models", "install", VOICE).code == 0
    Path("in/deep").mkdir(parents=True)
    save("in/talk.flac")
    save("in/deep/note.ogg", seed=1)
    Path("in/deep/text.txt").write_text("neither")
    result = run("compress", "in", "-d", "out", "-j", jobs, "--model", "voice")
    assert result.code == 0
    assert "left out: 1 .txt" in result.err
    assert "2 of 2 files done" in result.out
    photo(30, 20).save("photo.png")
    assert run("compress", "photo.png", "-d", "out", "--model", "random").code == 0
    assert run("decompress", "out", "-d", "back", "-j", jobs).code == 0
    found = {str(path.relative_to("back")) for path in Path("back").rglob("*.*")}
    assert found == {"talk.wav", str(Path("deep") / "note.wav"), "photo.png"}
    again = run("decompress", "out", "-d", "back", "--skip-existing")
    assert "3 of 3 skipped" in again.err


def test_one_name_of_two_media_becomes_two_files(run: Run) -> None:
    Path("in").mkdir()
    save("in/a.wav")
    save("in/a.flac", seed=1)
    assert run("compress", "in").code == 0
    assert {path.name for path in Path("in").glob("*.vqc")} == {"a.wav.vqc", "a.flac.vqc"}
    assert run("decompress", "in", "-d", "back").code == 0
    assert {path.name for path in Path("back").iterdir()} == {"a.wav", "a.flac.wav"}


def test_pipes(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    save("talk.wav", channels=2)
    data = bytearray(Path("talk.wav").read_bytes())
    assert run("compress", "talk.wav", "-o", "expected.vqc", "--no-mtime").code == 0
    at = data.index(b"data") + 4
    for told in (b"\0\0\0\0", b"\xff\xff\xff\xff"):
        data[at : at + 4] = told
        monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(bytes(data))))
        assert run("compress", "-", "-o", "piped.vqc", "-f").code == 0
        assert Path("piped.vqc").read_bytes() == Path("expected.vqc").read_bytes()
    assert run("decompress", "piped.vqc").code == 0
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(Path("piped.vqc").read_bytes())))
    out = io.TextIOWrapper(io.BytesIO())
    monkeypatch.setattr(sys, "stdout", out)
    assert run("decompress", "-", "-o", "-").code == 0
    assert out.buffer.getvalue() == Path("piped.wav").read_bytes()


def test_parts_in_seconds(run: Run) -> None:
    save("talk.wav", 3.0)
    run("compress", "talk.wav")
    run("decompress", "talk.vqc", "-o", "whole.wav")
    assert run("decompress", "talk.vqc", "-o", "part.wav", "--crop", "0.5,1.25").code == 0
    whole, _ = soundfile.read("whole.wav")
    part, _ = soundfile.read("part.wav")
    assert np.abs(part - whole[8000:20000]).max() < 1e-4
    error = one_line_error(run("decompress", "talk.vqc", "-o", "b.wav", "--crop", "1,2,3,4"), 2)
    assert "FROM,TO in seconds of sound" in error
    error = one_line_error(run("decompress", "talk.vqc", "-o", "b.wav", "--crop", "9,10"), 2)
    assert "not inside 3 seconds" in error
    for text in ("1", "a,b", "1,2,3", "1.5,2,3,4"):
        one_line_error(run("decompress", "talk.vqc", "-o", "b.wav", "--crop", text), 2)


def test_parts_in_seconds_are_none_of_pictures(run: Run) -> None:
    photo(30, 20).save("photo.png")
    run("compress", "photo.png", "--model", "random")
    error = one_line_error(run("decompress", "photo.vqc", "-o", "b.png", "--crop", "1,2"), 2)
    assert "X,Y,W,H in pixels of a picture" in error


def test_bitrates(run: Run) -> None:
    save("talk.wav", 5.0)
    for text, most in (("3k", 3000), ("2500", 2500), ("2.75k", 2750)):
        assert run("compress", "talk.wav", "--target-bitrate", text, "-f").code == 0
        assert 0.7 * most < 1000 * vqcodec.inspect("talk.vqc").kbps <= most
    one_line_error(run("compress", "talk.wav", "--target-bitrate", "much", "-f"), 2)
    error = one_line_error(run("compress", "talk.wav", "--target-bpp", "1", "-f"), 2)
    assert "--target-bpp cannot be had of sound" in error
    photo(30, 20).save("photo.png")
    arguments = ["compress", "photo.png", "--model", "random", "--target-bitrate", "3k"]
    assert "of a picture" in one_line_error(run(*arguments), 2)


def test_what_is_out_of_reach_is_told_as_it_was_asked_for(run: Run) -> None:
    """And rounded so that what is told can be had."""
    save("talk.wav", 5.0)
    for option, wrong, unit, letter in (
        ("--target-bitrate", "0.1k", "kbit/s", "k"),
        ("--target-size", "10", "bytes", ""),
    ):
        arguments = ["compress", "talk.wav", "-f", option]
        error = run(*arguments, wrong).err
        told = re.search(rf"the least that can be had is ([\d.]+) {unit}\n", error)
        assert told is not None
        assert run(*arguments, told[1] + letter).code == 0


@pytest.mark.parametrize("slip", ["2.4", "8", "64"])
def test_bitrates_without_their_k_are_answered_with_a_hint(run: Run, slip: str) -> None:
    save("talk.wav", 5.0)
    error = run("compress", "talk.wav", "--target-bitrate", slip).err
    meant = re.search(rf"kbit/s, not {slip} bit/s; {slip} kbit/s would be (\d+)\n", error)
    assert meant is not None
    assert float(meant[1]) == pytest.approx(1000 * float(slip))
    assert run("compress", "talk.wav", "--target-bitrate", meant[1]).code == 0


def test_inspect(run: Run) -> None:
    save("talk.flac", 2.0, 48000, (("title", "A talk"),), channels=2)
    run("compress", "talk.flac")
    result = run("inspect", "--verify", "talk.vqc")
    assert result.code == 0
    assert "sound         2.00 s, 2 channels, at 48000 Hz" in result.out
    assert "kbit/s" in result.out
    assert "title         A talk" in result.out
    assert result.out.count("signature") == 1
    assert "every checksum holds" in result.out
    facts = json.loads(run("inspect", "--json", "talk.vqc").out)
    assert (facts["medium"], facts["samples"], facts["tags"]) == (
        "sound",
        96000,
        [["TITLE", "A talk"]],
    )
    result = run("inspect", "talk.flac")
    assert "sound         2.00 s, 2 channels at 48000 Hz" in result.out
    assert "FLAC, PCM_16" in result.out
    assert json.loads(run("inspect", "--json", "talk.flac").out)["seconds"] == 2.0
    Path("other").write_bytes(b"something")
    error = one_line_error(run("inspect", "other"), 1)
    assert "neither a .vqc file nor sound, video or a picture" in error


def test_sources_of_sound_are_kept_unless_that_is_allowed(run: Run) -> None:
    Path("in").mkdir()
    save("in/a.wav")
    result = run("compress", "in", "--remove-source", "--dry-run")
    assert result.code == 0
    assert "kept: the result of sound is lossy" in result.err
    result = run("compress", "in/a.wav", "--remove-source")
    assert result.code == 1
    assert "in/a.wav: kept: the result of sound is lossy" in result.err
    assert Path("in/a.wav").exists()
    vqcodec.verify("in/a.vqc")
    result = run("compress", "in/a.wav", "--remove-source", "--skip-existing", "--allow-lossy")
    assert result.code == 0
    assert [path.name for path in Path("in").iterdir()] == ["a.vqc"]


def test_sources_that_others_change_are_kept(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    from vqcodec.audio import pipeline

    save("a.wav")
    encode = pipeline.encode

    def encode_then(*arguments: Any, **more: Any) -> pipeline.Encoded:
        encoded = encode(*arguments, **more)
        save("a.wav", seed=1)
        return encoded

    monkeypatch.setattr(pipeline, "encode", encode_then)
    result = run("compress", "a.wav", "--remove-source", "--allow-lossy")
    assert result.code == 1
    assert "kept: it changed after it was read" in result.err
    assert Path("a.wav").exists()


def test_what_does_not_decode_gets_no_name(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    from vqcodec.audio import pipeline

    encode = pipeline.encode

    def encode_wrongly(*arguments: Any, **more: Any) -> pipeline.Encoded:
        encoded = encode(*arguments, **more)
        encoded.indices[0, 0] ^= 1
        return encoded

    save("a.wav")
    monkeypatch.setattr(pipeline, "encode", encode_wrongly)
    result = run("compress", "a.wav", "--verify")
    assert result.code == 1
    assert "differs from what was coded: indices" in result.err
    assert not Path("a.vqc").exists()


def test_salvage(run: Run) -> None:
    save("talk.wav", 25.0)
    run("compress", "talk.wav")
    data = bytearray(Path("talk.vqc").read_bytes())
    data[-1] ^= 1
    Path("talk.vqc").write_bytes(data)
    one_line_error(run("decompress", "talk.vqc", "-o", "back.wav"), 1)
    result = run("decompress", "talk.vqc", "-o", "back.wav", "--salvage")
    assert result.code == EXIT_SALVAGED
    told = re.search(r"tile 2 is lost, seconds ([\d.]+) to ([\d.]+) are silent", result.err)
    assert told is not None
    samples, _ = soundfile.read("back.wav")
    start, stop = (round(float(number) * 16000) for number in told.groups())
    assert (len(samples), stop) == (400_000, 400_000)
    assert samples[: start - 400].any()
    assert not samples[start:].any()


def test_limits_say_which_option_helps(run: Run) -> None:
    save("talk.wav")
    error = one_line_error(run("compress", "talk.wav", "--max-samples", "15999"), 1)
    assert error.endswith("; --max-samples raises the limit\n")
    run("compress", "talk.wav")
    error = one_line_error(
        run("decompress", "talk.vqc", "-o", "b.wav", "--max-samples", "15999"), 1
    )
    assert error.endswith("; --max-samples raises the limit\n")


@pytest.mark.usefixtures("sound")
def test_without_a_model_of_sound_one_line_says_so(run: Run, no_installed_models: Path) -> None:
    save("talk.wav")
    for path in no_installed_models.iterdir():
        path.unlink()
    error = one_line_error(run("compress", "talk.wav"), 1)
    assert "no model of sound is installed" in error
    assert "vqcodec models install FILE" in error


def test_models_of_the_other_medium_are_refused(run: Run) -> None:
    save("talk.wav")
    error = one_line_error(run("compress", "talk.wav", "--model", "random"), 1)
    assert "random is a model of pictures, not of sound" in error
    photo(30, 20).save("photo.png")
    error = one_line_error(run("compress", "photo.png", "--model", "tiny-sound"), 1)
    assert "tiny-sound is a model of sound, not of pictures" in error


def test_without_the_packages_pictures_still_work(
    run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    save("talk.wav")
    photo(30, 20).save("photo.png")
    for name in ("soundfile", "soxr"):
        monkeypatch.setitem(sys.modules, name, None)
    error = one_line_error(run("compress", "talk.wav"), 1)
    assert "needs soundfile; pip install 'vqcodec[audio]'" in error
    assert run("compress", "photo.png", "--model", "random").code == 0
    assert run("decompress", "photo.vqc", "-o", "back.png").code == 0
    assert Image.open("back.png").size == (30, 20)


def test_damaged_sound_is_refused_in_one_line(run: Run) -> None:
    save("talk.flac")
    data = Path("talk.flac").read_bytes()
    Path("talk.flac").write_bytes(data[: len(data) // 2])
    assert "damaged" in one_line_error(run("compress", "talk.flac"), 1)
    Path("talk.wav").write_bytes(b"nothing")
    assert "not sound that can be read" in one_line_error(run("compress", "talk.wav"), 1)


def test_music_and_noise_are_warned_of(run: Run) -> None:
    noise = np.random.default_rng(0).normal(size=(64000, 1))
    soundfile.write("noise.wav", 0.05 * noise, 16000)
    result = run("compress", "noise.wav")
    assert result.code == 0
    assert re.search(WARNING, result.err)


def test_strip_drops_tags_and_date(run: Run) -> None:
    save("talk.flac", tags=(("title", "A talk"),))
    assert run("compress", "talk.flac", "--strip").code == 0
    assert vqcodec.inspect("talk.vqc").tags == ()
    names = {span.name for span in vqcodec.inspect("talk.vqc").spans}
    assert "chunk time" not in names


def test_decoded_as_in_python(run: Run, sound: TinySound) -> None:
    save("talk.wav", 1.3, 22050)
    run("compress", "talk.wav")
    samples, rate = vqcodec.decompress_audio("talk.vqc")
    run("decompress", "talk.vqc", "-o", "back.flac")
    found, found_rate = soundfile.read("back.flac", always_2d=True)
    assert rate == found_rate == 22050
    assert np.abs(found.T - samples.clip(-1, 1)).max() < 1e-4
