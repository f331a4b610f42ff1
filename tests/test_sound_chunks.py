"""What a file says of sound beside its indices."""

from __future__ import annotations

import struct
from dataclasses import replace

import numpy as np
import pytest
from conftest import TinySound
from hypothesis import given
from hypothesis import strategies as st
from test_sound import babble

import vqcodec
from vqcodec.audio.chunks import (
    pack_tags,
    pack_waveform,
    to_chunks,
    unpack,
    unpack_tags,
    unpack_waveform,
    unusable,
)
from vqcodec.audio.waveform import Tags, Waveform
from vqcodec.container import Chunk, Container, parse, serialise
from vqcodec.errors import CorruptError, FormatError, LimitError, SoundError

pytestmark = pytest.mark.filterwarnings("ignore:it does not look like speech")


@st.composite
def waveforms(draw: st.DrawFn) -> Waveform:
    coded = draw(st.integers(1, 6))
    copies = draw(st.lists(st.integers(0, coded - 1), max_size=6))
    channels = [*range(coded)]
    for copy in copies:  # behind the first of its kind
        channels.insert(draw(st.integers(copy + 1, len(channels))), copy)
    ordered = list(dict.fromkeys(channels))
    return Waveform(
        rate=draw(st.integers(1, (1 << 20) - 1)),
        samples=draw(st.integers(1, (1 << 32) - 1)),
        levels=tuple(draw(st.lists(st.integers(0, 255), min_size=coded, max_size=coded))),
        channels=tuple(ordered.index(channel) for channel in channels),
    )


@given(waveforms())
def test_unpack_undoes_pack(waveform: Waveform) -> None:
    data = pack_waveform(waveform)
    assert unpack_waveform(data, len(waveform.levels)) == waveform


@given(st.binary(max_size=16), st.integers(1, 4))
def test_waveforms_have_one_way_to_be_written(data: bytes, coded: int) -> None:
    try:
        waveform = unpack_waveform(data, coded)
    except CorruptError:
        return
    assert pack_waveform(waveform) == data


@pytest.mark.parametrize(
    ("data", "what"),
    [
        (b"", "has 0 bytes"),
        (struct.pack("<IIB", 16000, 5, 9), "has 9 bytes, not 10"),
        (struct.pack("<IIBB", 0, 5, 9, 9), "rate is 0"),
        (struct.pack("<IIBB", 1 << 20, 5, 9, 9), "rate is 1048576"),
        (struct.pack("<IIBB", 16000, 0, 9, 9), "samples are 0"),
        (struct.pack("<IIBBBB", 16000, 5, 9, 9, 0, 1), "need no list"),
        (struct.pack("<IIBBBB", 16000, 5, 9, 9, 1, 0), "ascending"),
        (struct.pack("<IIBBBB", 16000, 5, 9, 9, 0, 0), "ascending"),
        (struct.pack("<IIBBBBB", 16000, 5, 9, 9, 0, 1, 2), "ascending"),
        (struct.pack("<IIBB", 16000, 5, 9, 9) + b"\0" * 255 + b"\1", "more than 255"),
    ],
)
def test_wrong_waveforms_are_corrupt(data: bytes, what: str) -> None:
    with pytest.raises(CorruptError, match=what):
        unpack_waveform(data, 2)


names = st.text(st.characters(min_codepoint=0x20, max_codepoint=0x7D, exclude_characters="="))
tags_ = st.lists(st.tuples(names.filter(bool), st.text()), max_size=5).map(tuple)


@given(tags_)
def test_tags_come_back(tags: Tags) -> None:
    data = pack_tags(tags)
    expected = tuple((n, text.encode(errors="replace").decode()) for n, text in tags)
    assert unpack_tags(data) == expected


@given(st.binary(max_size=40), tags_, st.integers(0, 60))
def test_other_bytes_are_no_tags(noise: bytes, tags: Tags, at: int) -> None:
    data = pack_tags(tags)
    for wrong in (noise, data[:at] + noise + data[at:], data[:-1], data + b"\0"):
        try:
            read = unpack_tags(wrong)
        except CorruptError:
            continue
        assert pack_tags(read) == wrong


def test_tags_are_bounded() -> None:
    with pytest.raises(SoundError, match="larger than can be kept"):
        pack_tags((("A", "b" * (1 << 24)),))
    with pytest.raises(SoundError, match="larger than can be kept"):
        pack_tags((("A", ""),) * 1025)
    with pytest.raises(CorruptError):
        unpack_tags(struct.pack("<II", 0, 0xFFFFFFFF))


@pytest.fixture
def file(sound: TinySound) -> Container:
    data = vqcodec.compress_audio(babble(1000), 16000, model=sound, tags={"TITLE": "a"})
    return parse(data)


def with_chunk(file: Container, kind: bytes, data: bytes | None) -> bytes:
    chunks = {chunk.type: chunk.data for chunk in file.chunks}
    chunks.pop(kind, None)
    if data is not None:
        chunks[kind] = data
    made = tuple(Chunk(type=key, data=chunks[key]) for key in sorted(chunks))
    return serialise(replace(file, chunks=made))


@pytest.mark.parametrize(
    ("kind", "data", "what"),
    [
        (b"WAVE", None, "no chunk WAVE"),
        (b"WAVE", struct.pack("<IIB", 16000, 961, 9), None),
        (b"WAVE", struct.pack("<IIB", 16000, 960, 9), "need 3 frames, not 4"),
        (b"WAVE", struct.pack("<IIB", 16000, 1281, 9), "need 5 frames, not 4"),
        (b"WAVE", struct.pack("<IIB", 1, 1, 9), "need 50 frames, not 4"),
        (b"WAVE", struct.pack("<IIB", (1 << 20) - 1, (1 << 32) - 1, 9), "the limit is"),
        (b"WAVE", struct.pack("<IIB", 0, 1000, 9), "rate is 0"),
        (b"tags", b"no zlib", "not a zlib stream"),
        (b"time", b"1234567", "7 bytes, not 8"),
    ],
)
def test_wrong_chunks_are_refused_by_all_that_read_them(
    sound: TinySound, file: Container, kind: bytes, data: bytes | None, what: str | None
) -> None:
    changed = with_chunk(file, kind, data)
    readers = [vqcodec.verify, vqcodec.decompress_audio]
    for read in readers:
        if what is None:
            read(changed, model=sound)
        else:
            with pytest.raises(FormatError, match=what):
                read(changed, model=sound)


def test_files_of_tags_that_are_large_are_not_unpacked(
    sound: TinySound, file: Container, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("vqcodec.codec.chunks.UNPACKED_MAX", 10)
    with pytest.raises(LimitError, match="tags unpacks to more"):
        vqcodec.verify(serialise(file), model=sound)


def test_each_chunk_that_is_wrong_is_told_of(file: Container) -> None:
    assert unusable(file, 0) == {}
    changed = parse(with_chunk(parse(with_chunk(file, b"tags", b"x")), b"time", b"x"))
    assert set(unusable(changed, 0)) == {b"tags", b"time"}
    assert to_chunks(unpack(file)) == file.chunks


def test_a_waveform_has_as_many_frames_as_its_samples_fill() -> None:
    for rate in (8000, 16000, 44100, 48000):
        for samples in (1, 319, 320, 321, 44100):
            waveform = Waveform(rate=rate, samples=samples, levels=(1,), channels=(0,))
            frames = waveform.frames(16000, 320)
            exact = samples / rate * 50
            assert frames == int(np.ceil(np.ceil(samples * 16000 / rate) / 320))
            assert exact <= frames < exact + 1.01
