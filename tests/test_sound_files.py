"""Files of sound: read and written by libsndfile, resampled by soxr."""

from __future__ import annotations

import io
import struct
import sys
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from conftest import TinySound
from numpy.typing import NDArray
from sound_files import KINDS, written
from test_sound import babble

import vqcodec
from vqcodec.audio.formats import FORMATS, is_sound_name
from vqcodec.audio.reading import SoundFile, open_sound
from vqcodec.audio.writing import write_sound
from vqcodec.codec.beginnings import is_sound
from vqcodec.errors import MissingPackageError, SoundError, SoundSizeError, VqcError

soundfile = pytest.importorskip("soundfile")
pytest.importorskip("soxr")

pytestmark = pytest.mark.filterwarnings("ignore:it does not look like speech")
LOSSLESS = {".wav", ".flac"}
TAGS = (("TITLE", "Süße Rede"), ("ARTIST", "someone"), ("COMMENT", "a = b"))


@pytest.fixture
def opened() -> Iterator[Any]:
    """Opens a file of these bytes."""
    with ExitStack() as files:

        def open_(data: bytes, max_samples: int = 1 << 24) -> SoundFile:
            file = files.enter_context(tempfile.TemporaryFile())
            file.write(data)
            file.flush()
            return open_sound(file, max_samples=max_samples)

        yield open_


def samples_of(sound: SoundFile) -> NDArray[np.float32]:
    return np.concatenate(list(sound.blocks(1000))).T


@pytest.mark.parametrize("suffix", sorted(FORMATS))
@pytest.mark.parametrize("channels", [1, 2])
def test_what_is_written_is_read(opened: Any, suffix: str, channels: int) -> None:
    samples = babble(16001, channels).clip(-1, 1)
    with tempfile.TemporaryFile() as file:
        cut = write_sound(file, suffix, [samples.T], rate=16000, channels=channels, tags=TAGS[1:])
        file.seek(0)
        data = file.read()
    assert not cut
    assert is_sound(data[:12])
    assert is_sound_name(Path("a" + suffix))
    found = opened(data)
    assert (found.rate, found.channels, found.length) == (16000, channels, 16001)
    assert set(TAGS[1:]) <= set(found.tags)
    for _ in range(2):  # it can be read again
        decoded = samples_of(found)
        assert decoded.shape == samples.shape
        if suffix in LOSSLESS:
            assert np.abs(decoded - samples).max() < 1e-4


def test_tags_survive_any_number_of_files(opened: Any) -> None:
    """libsndfile adds its own name to that of the software whenever it writes a file."""
    tags = (*TAGS, ("ENCODER", "a program"))
    for suffix in (".flac", ".ogg", ".wav") * 2:
        with tempfile.TemporaryFile() as file:
            write_sound(file, suffix, [babble(100).T], rate=16000, channels=1, tags=tags)
            file.seek(0)
            tags = opened(file.read()).tags
    assert set(tags) == {*TAGS, ("ENCODER", "a program")}


@pytest.mark.parametrize("rate", [8000, 11025, 16000, 22050, 44100, 48000, 96000])
@pytest.mark.parametrize("count", [1, 2, 319, 320, 321, 9999])
def test_rate_and_length_come_back_exactly(sound: TinySound, rate: int, count: int) -> None:
    samples = babble(count, 2)
    data = vqcodec.compress_audio(samples, rate, model=sound)
    decoded, found = vqcodec.decompress_audio(data, model=sound)
    assert found == rate
    assert decoded.shape == samples.shape
    assert np.isfinite(decoded).all()


@pytest.mark.parametrize("rate", [8000, 44100, 48000, 96000])
def test_a_part_of_another_rate_is_what_it_is_in_the_whole(sound: TinySound, rate: int) -> None:
    data = vqcodec.compress_audio(babble(5 * rate), rate, model=sound)
    whole, _ = vqcodec.decompress_audio(data, model=sound)
    for start, stop in ((0, 5), (0, 0.1), (2.3, 2.7), (4.9, 5)):
        part, _ = vqcodec.decompress_audio(data, model=sound, crop=(start, stop))
        expected = whole[:, round(start * rate) : round(stop * rate)]
        assert part.shape == expected.shape
        assert np.allclose(part, expected, atol=1e-5)


def test_resampling_keeps_what_is_in_both_bands() -> None:
    from vqcodec.audio.resampling import part, resampled

    for rate in (8000, 44100, 96000):
        tone = np.sin(2 * np.pi * 440 * np.arange(rate) / rate).astype(np.float32)[:, None]
        blocks = [tone[start : start + 777] for start in range(0, rate, 777)]
        there = np.concatenate(list(part(resampled(blocks, rate, 16000), 0, 16000, 1)))
        expected = np.sin(2 * np.pi * 440 * np.arange(16000) / 16000)
        assert np.abs(there[500:-500, 0] - expected[500:-500]).max() < 1e-3
        back = np.concatenate(list(part(resampled([there], 16000, rate), 0, rate, 1)))
        assert np.abs(back[2000:-2000] - tone[2000:-2000]).max() < 2e-3


def with_length(data: bytes, told: int) -> bytes:
    """Change the length that the header of a WAV file tells of."""
    at = data.index(b"data") + 4
    return data[:at] + struct.pack("<I", told) + data[at + 4 :]


@pytest.mark.parametrize("told", [0, 0x7FFFFFFF, 0x80000000, 0xFFFFFFFF, 0x7FFFF000])
def test_wav_from_a_pipe_has_no_length(opened: Any, told: int) -> None:
    data = written(babble(5000, 2), 44100, format="WAV")
    found = opened(with_length(data, told))
    assert found.length == 5000
    assert np.array_equal(samples_of(found), samples_of(opened(data)))


def test_wav_that_ends_early_is_damaged(opened: Any) -> None:
    data = written(babble(5000), 16000, format="WAV")
    for end in (len(data) - 1, len(data) // 2, 45):
        with pytest.raises(SoundError, match="ends early"):
            opened(data[:end])


@pytest.mark.parametrize("kind", KINDS)
def test_sound_is_known_by_its_beginning(opened: Any, kind: str) -> None:
    data = written(babble(4000), 16000, **KINDS[kind])
    assert is_sound(data[:12])
    assert samples_of(opened(data)).shape[0] == 1


def test_other_files_are_not_sound(opened: Any) -> None:
    for head in (b"", b"\xff", b"\xff\xd8\xff\xe0", b"\x89PNG\r\n\x1a\n", b"RIFF....WEBP", b"text"):
        assert not is_sound(head.ljust(12, b"\0")[: max(len(head), 1)])
        with pytest.raises(SoundError, match="not sound that can be read"):
            opened(head + bytes(2000))


@pytest.mark.parametrize("kind", KINDS)
def test_damaged_files_are_read_or_refused(opened: Any, kind: str) -> None:
    """Whatever is cut off or changed: a SoundError, or samples that are finite."""
    data = written(babble(4000, 2), 16000, **KINDS[kind])
    random = np.random.default_rng(3)
    variants = [data[: len(data) * k // 9] for k in range(9)]
    for _ in range(40):
        changed = bytearray(data)
        for at in random.integers(0, len(data), 5):
            changed[at] = random.integers(0, 256)
        variants.append(bytes(changed))
    for _ in range(20):
        changed = bytearray(data)
        changed[random.integers(0, 64)] ^= 1 << random.integers(0, 8)
        variants.append(bytes(changed))
    for variant in variants:
        try:
            assert np.isfinite(samples_of(opened(variant))).all()
        except SoundError:
            continue


def test_what_is_not_finite_is_refused(opened: Any) -> None:
    for value in (np.nan, np.inf, -np.inf):
        samples = babble(500)
        samples[0, 333] = value
        found = opened(written(samples, 16000, format="WAV", subtype="FLOAT"))
        with pytest.raises(SoundError, match="not finite"):
            samples_of(found)


def test_sound_without_samples_is_refused(opened: Any) -> None:
    for kind in ("wav", "aiff", "caf"):
        with pytest.raises(SoundError, match="no samples"):
            opened(written(np.zeros((1, 0)), 16000, **KINDS[kind]))
    with pytest.raises(SoundError):  # libsndfile takes it for no FLAC file
        opened(written(np.zeros((1, 0)), 16000, format="FLAC"))


def test_too_much_sound_is_refused_before_it_is_read(opened: Any) -> None:
    data = written(babble(1000, 2), 16000, format="FLAC")
    assert opened(data, 2000).length == 1000
    with pytest.raises(SoundSizeError, match="1000 samples in 2 channels"):
        opened(data, 1999)


def test_samples_beyond_full_scale_are_counted_and_cut() -> None:
    block = np.array([[0.5], [1.5], [-1.5], [1.0], [-1.0]], np.float32)
    with tempfile.TemporaryFile() as file:
        assert write_sound(file, ".wav", [block], rate=16000, channels=1) == 2
        file.seek(0)
        found, _ = soundfile.read(io.BytesIO(file.read()))
    assert np.abs(found - block[:, 0].clip(-1, 1)).max() < 1e-4


def test_a_format_without_so_many_channels_says_so() -> None:
    with tempfile.TemporaryFile() as file, pytest.raises(SoundError, match=r"\.mp3 .* 3 channels"):
        write_sound(file, ".mp3", [babble(10, 3).T], rate=16000, channels=3)


@pytest.mark.parametrize("name", ["soundfile", "soxr"])
def test_a_package_that_is_not_there_is_named_in_one_line(
    sound: TinySound, opened: Any, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    monkeypatch.setitem(sys.modules, name, None)
    use = {
        "soxr": lambda: vqcodec.compress_audio(babble(10), 8000, model=sound),
        "soundfile": lambda: opened(b"RIFF"),
    }
    with pytest.raises(MissingPackageError, match=f"needs {name}$") as caught:
        use[name]()
    assert isinstance(caught.value, VqcError)
    assert caught.value.hint == "pip install 'vqcodec[audio]'"


def test_sound_of_the_models_rate_that_is_in_memory_takes_neither_package(
    sound: TinySound, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("soundfile", "soxr"):
        monkeypatch.setitem(sys.modules, name, None)
    data = vqcodec.compress_audio(babble(1000), 16000, model=sound)
    assert vqcodec.decompress_audio(data, model=sound)[0].shape == (1, 1000)
