"""Files of sound are written whole or not at all, and what they cannot hold is named."""

from __future__ import annotations

import errno
import io
import os
import re
import tempfile
import warnings
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from typing import IO, Any

import numpy as np
import pytest
from test_sound import babble

from vqcodec.audio.formats import FORMATS
from vqcodec.audio.inventory.parts import software_of
from vqcodec.audio.reading import TAG_NAMES, SoundFile, open_sound
from vqcodec.audio.waveform import Tags
from vqcodec.audio.writing import write_sound
from vqcodec.errors import VqcWarning

soundfile = pytest.importorskip("soundfile")
pytest.importorskip("soxr")
CAPACITIES = 40
"""Disks of so many sizes are tried."""


class Disk(io.BytesIO):
    """A file on a disk that has room for so many bytes."""

    def __init__(self, capacity: int) -> None:
        super().__init__()
        self.capacity = capacity

    def write(self, data: Any) -> int:
        if self.tell() + len(data) > self.capacity:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        return super().write(data)


class LazyDisk(Disk):
    """It takes all that is written, and finds when it is to be flushed that there is no room."""

    def write(self, data: Any) -> int:
        return io.BytesIO.write(self, data)

    def seek(self, offset: int, whence: int = 0) -> int:
        self.flush()
        return super().seek(offset, whence)

    def flush(self) -> None:
        if len(self.getvalue()) > self.capacity:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


def write(file: IO[bytes], suffix: str, **more: Any) -> None:
    write_sound(file, suffix, [babble(8000).T.clip(-1, 1)], rate=16000, channels=1, **more)


@pytest.mark.parametrize("kind", [Disk, LazyDisk])
@pytest.mark.parametrize("suffix", sorted(FORMATS))
def test_a_disk_that_is_full_is_told_wherever_it_is(suffix: str, kind: type[Disk]) -> None:
    """libsndfile itself does not tell of what it could not write when it closes a file."""
    tags = (("TITLE", "Süße Rede"), ("MOOD", "glad"))
    whole = io.BytesIO()
    write(whole, suffix, tags=tags)
    size = len(whole.getvalue())
    write(kind(size), suffix, tags=tags)
    for capacity in {*range(0, size, size // CAPACITIES), *range(size - 3, size)}:
        with pytest.raises(OSError, match=os.strerror(errno.ENOSPC)) as caught:
            write(kind(capacity), suffix, tags=tags)
        assert caught.value.errno == errno.ENOSPC


@pytest.fixture
def written() -> Iterator[Callable[..., tuple[SoundFile, list[str]]]]:
    """Writes silence with tags; returns it as it is read, and the warnings that there were."""
    with ExitStack() as files:

        def write(suffix: str, tags: Tags, rate: int = 16000) -> tuple[SoundFile, list[str]]:
            file = files.enter_context(tempfile.TemporaryFile())
            silence = np.zeros((rate, 1), np.float32)
            with warnings.catch_warnings(record=True) as caught:
                warnings.simplefilter("always")
                write_sound(file, suffix, [silence], rate=rate, channels=1, tags=tags)
            assert all(warning.category is VqcWarning for warning in caught)
            found = open_sound(file, max_samples=1 << 24)
            assert sum(map(len, found.blocks(1 << 16))) == found.length
            return found, [str(warning.message) for warning in caught]

        yield write


LONG = "of many words "
TAGS: dict[str, Tags] = {
    "short": tuple((name, name.lower()) for name in TAG_NAMES.values()),
    "a date": (("DATE", "2024-05-06"),),
    "of any letters": (("TITLE", "Süße Rede 日本語"), ("COMMENT", LONG * 10)),
    "twice": (("TITLE", "one"), ("title", "two"), ("ARTIST", "someone")),
    "of no known name": (("MOOD", "good"), ("TITLE", "one")),
    "cut by a zero": (("TITLE", "one\0two"),),
    "many that are long": tuple((name, LONG * 100) for name in TAG_NAMES.values()),
    **{f"of {n}": (("COMMENT", (LONG * n)[:n]), ("TITLE", "one")) for n in (2047, 4000, 64000)},
    "of millions": (("COMMENT", LONG * 150_000), ("ALBUM", "one")),
}


@pytest.mark.parametrize("kind", TAGS)
@pytest.mark.parametrize("suffix", sorted(FORMATS))
def test_tags_are_read_again_or_named_in_a_warning(
    written: Callable[..., tuple[SoundFile, list[str]]], suffix: str, kind: str
) -> None:
    """And whatever they are, the sound is read."""
    found, told = written(suffix, TAGS[kind])
    assert found.length == 16000
    for name, text in TAGS[kind]:
        is_whole = (name.upper(), text) in found.tags
        is_named = any(re.search(rf"\b{name.lower()}\b", line) for line in told)
        assert is_whole != is_named or kind == "twice"
    if kind == "twice":
        assert {("TITLE", "one"), ("ARTIST", "someone")} <= set(found.tags)
        assert ("TITLE", "two") in found.tags
        assert told == []


@pytest.mark.parametrize("suffix", [".flac", ".ogg", ".opus", ".mp3", ".wav"])
@pytest.mark.parametrize("length", [1, 2, 11, 12, 13, 200, 255, 3000, 30000])
def test_tags_of_any_name_are_written_as_they_are(
    written: Callable[..., tuple[SoundFile, list[str]]], suffix: str, length: int
) -> None:
    """Also where they go over several pages of Ogg, or take less room than libsndfile's own."""
    for tags in (
        (("T", "x" * length),),
        (("DESCRIPTION", "Béla 日本"), ("REPLAYGAIN_TRACK_GAIN", "-3 dB"), ("X", "y" * length)),
        (("ENCODER", "someone's"), ("LYRICS", "la\n" * (length // 3)), ("CUSTOM NAME", "a=b")),
        tuple((f"N{n}", "x") for n in range(length // 100)),
    ):
        found, told = written(suffix, tags)
        assert sorted(found.tags) == sorted(tag for tag in tags if tag[1])
        assert (found.losses, told) == ((), [])


@pytest.mark.parametrize("suffix", [".flac", ".ogg", ".opus", ".mp3", ".wav"])
def test_others_read_the_tags_that_are_written(suffix: str) -> None:
    """libsndfile does, and so do programs that look for one name, as it stands in files."""
    file = io.BytesIO()
    write(
        file,
        suffix,
        tags=(("TITLE", "Béla"), ("MOOD", "glad"), ("COMMENT", "no"), ("ENCODER", "me")),
    )
    data = file.getvalue()
    assert "Béla".encode() in data
    assert (b"libsndfile" in data) == (suffix == ".wav")
    assert b"xxxx" not in data
    file.seek(0)
    with soundfile.SoundFile(file) as sound:
        assert (sound.title, sound.comment) == ("Béla", "no")
        assert software_of(sound.software) in ("me", "")
        assert len(sound.read()) == sound.frames >= 8000


MASK = "WAVEFORMATEXTENSIBLE_CHANNEL_MASK"


@pytest.mark.parametrize("mask", ["0x0009", "0X9", "80000001"])
def test_masks_of_channels_are_written_to_wav(mask: str) -> None:
    with tempfile.TemporaryFile() as file, warnings.catch_warnings():
        warnings.simplefilter("error")
        tags = ((MASK.lower(), mask), ("TITLE", "one"))
        write_sound(file, ".wav", [babble(900, 2).T], rate=16000, channels=2, tags=tags)
        found = open_sound(file, max_samples=1 << 24)
        assert found.tags == ((MASK, f"0x{int(mask, 16):04X}"), ("TITLE", "one"))
        assert (found.losses, found.length) == ((), 900)


@pytest.mark.parametrize("mask", ["", "0", "x", "-1", "0x1FFFFFFFF"])
def test_masks_that_are_none_are_tags_as_others(
    written: Callable[..., tuple[SoundFile, list[str]]], mask: str
) -> None:
    found, told = written(".wav", ((MASK, mask),))
    assert found.tags == (((MASK, mask),) if mask else ())
    assert told == []


def test_warnings_are_short_whatever_tags_are(
    written: Callable[..., tuple[SoundFile, list[str]]],
) -> None:
    tags = tuple((letter * length, "x" * 70000) for letter in "ABCD" for length in (1, 500))
    _, told = written(".opus", tags)
    assert len(told) == 1
    assert len(told[0]) < 300


@pytest.mark.parametrize("rate", [1000, 7999, 11025, 16000, 44100, 48000, 96000, 192000])
@pytest.mark.parametrize("suffix", [".opus", ".mp3"])
def test_formats_of_few_rates_get_one_that_they_have(
    written: Callable[..., tuple[SoundFile, list[str]]], suffix: str, rate: int
) -> None:
    found, told = written(suffix, (), rate)
    assert found.rate == min(found.rate, 48000)
    assert (found.rate >= rate) or rate > 48000
    assert abs(found.length - found.rate) <= 1  # a second
    assert bool(told) == (found.rate != rate)
    assert all(f"the rate becomes {found.rate} Hz" in line for line in told)


@pytest.mark.parametrize("suffix", sorted(FORMATS))
def test_sound_at_another_rate_is_the_same_sound(suffix: str) -> None:
    time = np.arange(96000) / 96000
    tone = (0.5 * np.sin(2 * np.pi * 440 * time)).astype(np.float32)[:, None]
    file = io.BytesIO()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", VqcWarning)
        write_sound(file, suffix, np.split(tone, 7_000 * np.arange(1, 13)), rate=96000, channels=1)
    file.seek(0)
    samples, rate = soundfile.read(file)
    expected = 0.5 * np.sin(2 * np.pi * 440 * np.arange(len(samples)) / rate)
    middle = slice(rate // 4, rate // 2)
    assert np.abs(samples[middle] - expected[middle]).max() < 0.05
