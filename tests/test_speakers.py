"""Speakers in files of sound and on the command line, with the vectors' model of three."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from conftest import Run, TinySound, one_line_error
from test_sound import babble
from test_vectors import VECTORS

import vqcodec
from vqcodec.audio.chunks import check_speakers, pack_speakers, unpack, unpack_speakers
from vqcodec.container import Chunk, parse, serialise
from vqcodec.errors import CorruptError

pytestmark = pytest.mark.filterwarnings("ignore:it does not look like speech")
MODEL = VECTORS / "models" / "speakers.safetensors"
NAMES = ("anna", "b\u00e9la", "so 3")
RATE = 16000


def written(*, speaker: str | None = "so 3", channels: int = 2) -> bytes:
    samples = babble(RATE, channels)
    return vqcodec.compress_audio(samples, RATE, model=MODEL, speaker=speaker)


def with_chunk(data: bytes, speakers: bytes | None) -> bytes:
    """Replace the chunk spkr."""
    file = parse(data)
    chunks = [chunk for chunk in file.chunks if chunk.type != b"spkr"]
    chunks += [] if speakers is None else [Chunk(type=b"spkr", data=speakers)]
    return serialise(replace(file, chunks=tuple(sorted(chunks, key=lambda chunk: chunk.type))))


def test_a_file_has_a_chunk_only_if_someone_is_not_the_first() -> None:
    assert unpack(parse(written())).speakers == (2, 2)
    assert parse(written(speaker="anna")).chunk(b"spkr") is None
    assert unpack(parse(written(speaker="anna"))).speakers == (0, 0)


def test_channels_have_speakers_of_their_own() -> None:
    data = with_chunk(written(), pack_speakers((1, 2)))
    both, _ = vqcodec.decompress_audio(data, model=MODEL)
    voices = [vqcodec.decompress_audio(data, model=MODEL, speaker=name)[0] for name in NAMES]
    assert np.array_equal(both, [voices[1][0], voices[2][1]])
    assert not np.allclose(voices[1], voices[2])
    part, _ = vqcodec.decompress_audio(data, model=MODEL, crop=(0.25, 0.5))
    np.testing.assert_allclose(part, both[:, RATE // 4 : RATE // 2], atol=1e-5)


@pytest.mark.parametrize("speakers", [(0, 0), (3, 0), (1,), (1, 1, 1), ()])
def test_wrong_chunks_are_refused_and_salvaged(speakers: tuple[int, ...]) -> None:
    right = written()
    data = with_chunk(right, pack_speakers(speakers))
    with pytest.raises(CorruptError, match=r"speaker|spkr"):
        vqcodec.decompress_audio(data, model=MODEL)
    with pytest.raises(CorruptError, match=r"speaker|spkr"):
        vqcodec.verify(data, model=MODEL)
    found = vqcodec.salvage_audio(data, model=MODEL)
    [loss] = found.losses
    assert "speaker" in loss or "spkr" in loss
    first, rate = vqcodec.decompress_audio(right, model=MODEL, speaker="anna")
    assert (found.rate, found.lost) == (rate, ())
    assert np.array_equal(found.samples, first)


def test_a_damaged_chunk_costs_the_voice_alone() -> None:
    right = written()
    at = right.index(b"spkr") + 6
    data = right[:at] + bytes([right[at] ^ 1]) + right[at + 1 :]
    found = vqcodec.salvage_audio(data, model=MODEL)
    assert len(found.losses) == 1
    first, _ = vqcodec.decompress_audio(right, model=MODEL, speaker="anna")
    assert np.array_equal(found.samples, first)
    asked = vqcodec.salvage_audio(data, model=MODEL, speaker="so 3")
    assert np.array_equal(asked.samples, vqcodec.decompress_audio(right, model=MODEL)[0])


def test_numbers_are_packed_in_one_way() -> None:
    assert unpack_speakers(pack_speakers((0, 300, 7)), 3) == (0, 300, 7)
    assert unpack_speakers(None, 2) == (0, 0)
    check_speakers((0, 2), 3)
    check_speakers((0,), 0)
    for speakers, known in (((3,), 3), ((1,), 0)):
        with pytest.raises(CorruptError):
            check_speakers(speakers, known)


def test_models_without_speakers_know_none(sound: TinySound) -> None:
    samples = babble(RATE // 2)
    with pytest.raises(ValueError, match="knows no speakers"):
        vqcodec.compress_audio(samples, RATE, model=sound, speaker="anna")
    data = vqcodec.compress_audio(samples, RATE, model=sound)
    with pytest.raises(ValueError, match="knows no speakers"):
        vqcodec.decompress_audio(data, model=sound, speaker="anna")
    with pytest.raises(CorruptError, match="speaker is 1, the model has 0 to 0"):
        vqcodec.decompress_audio(with_chunk(data, pack_speakers((1,))), model=sound)


@pytest.mark.usefixtures("no_shipped_sound")
def test_the_command_line_converts_voices(run: Run) -> None:
    soundfile = pytest.importorskip("soundfile")
    assert run("models", "install", MODEL).code == 0
    soundfile.write("talk.wav", babble(RATE).T, RATE)
    assert run("compress", "talk.wav", "--speaker", "so 3").code == 0
    assert "speaker       so 3" in run("inspect", "talk.vqc").out
    assert json.loads(run("inspect", "--json", "talk.vqc").out)["speakers"] == ["so 3"]
    assert run("decompress", "talk.vqc", "-o", "same.wav").code == 0
    assert run("decompress", "talk.vqc", "-o", "third.wav", "--speaker", "so 3").code == 0
    assert run("decompress", "talk.vqc", "-o", "first.wav", "--speaker", "anna").code == 0
    assert Path("same.wav").read_bytes() == Path("third.wav").read_bytes()
    assert Path("same.wav").read_bytes() != Path("first.wav").read_bytes()
    for command in (("decompress", "talk.vqc"), ("compress", "talk.wav", "-o", "x.vqc")):
        error = one_line_error(run(*command, "-f", "--speaker", "carl"), 2)
        assert "knows no speaker 'carl'" in error
    assert run("models", "uninstall", "speakers").code == 0
    assert "speaker       number 2" in run("inspect", "talk.vqc").out


def test_of_silence_the_first_speaker_is_taken() -> None:
    data = vqcodec.compress_audio(np.zeros(RATE, np.float32), RATE, model=MODEL)
    assert parse(data).chunk(b"spkr") is None
    samples, _ = vqcodec.decompress_audio(data, model=MODEL)
    assert not samples.any()
