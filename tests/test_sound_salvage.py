"""What damaged files still hold of sound."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from conftest import TinySound
from test_sound import HOP, RATE, babble

import vqcodec
from vqcodec.audio import pipeline
from vqcodec.container import parse, serialise, spans
from vqcodec.errors import CorruptError, FormatError

pytestmark = pytest.mark.filterwarnings("ignore:it does not look like speech")
FRAMES = 100


@pytest.fixture(params=[True, False], ids=["prior", "fixed"])
def whole(
    sound: TinySound, monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest
) -> bytes:
    """Two channels and a copy, in 14 tiles of 14 or 15 frames."""
    monkeypatch.setattr(pipeline, "TILE_LOG2", 4)
    left, right = babble(FRAMES * HOP, 2)
    samples = np.stack([left, right, left])
    data = vqcodec.compress_audio(
        samples, RATE, model=sound, prior=request.param, tags={"TITLE": "a"}
    )
    assert parse(data).header.tile_count == 14
    return data


def changed(data: bytes, *names: str) -> bytes:
    """Change a byte of each of some fields."""
    out = bytearray(data)
    for span in spans(parse(data)):
        if span.name in names:
            out[span.offset + span.size // 2] ^= 0x55
    return bytes(out)


def test_of_a_whole_file_nothing_is_lost(sound: TinySound, whole: bytes) -> None:
    found = vqcodec.salvage_audio(whole, model=sound)
    assert not found.losses
    samples, rate = vqcodec.decompress_audio(whole, model=sound)
    assert found.rate == rate
    assert np.array_equal(found.samples, samples)


@pytest.mark.parametrize("tiles", [[0], [3], [6], [7], [13], [2, 3, 9], list(range(14))])
def test_lost_tiles_are_silent_and_named(sound: TinySound, whole: bytes, tiles: list[int]) -> None:
    data = changed(whole, *(f"tile {tile}" for tile in tiles))
    check(sound, whole, data, tiles)


def check(sound: TinySound, whole: bytes, data: bytes, tiles: list[int]) -> None:
    with pytest.raises(FormatError):
        vqcodec.decompress_audio(data, model=sound)
    found = vqcodec.salvage_audio(data, model=sound)
    assert [segment.number for segment in found.lost] == tiles
    expected, _ = vqcodec.decompress_audio(whole, model=sound)
    assert found.samples.shape == expected.shape
    near = np.zeros(expected.shape, bool)  # lost, or within the halo of what is
    for segment in found.lost:
        start, stop = round(segment.start * RATE), round(segment.stop * RATE)
        assert segment.channels == ((1, 3) if segment.number < 7 else (2,))
        for channel in segment.channels:
            assert not found.samples[channel - 1, start:stop].any()
            near[channel - 1, max(0, start - HOP) : stop + HOP] = True
    assert np.allclose(found.samples[~near], expected[~near], atol=1e-6)
    assert len(found.losses) == len(tiles)
    for segment, told in zip(found.lost, found.losses, strict=True):
        assert f"tile {segment.number} is lost" in told
        assert f"seconds {segment.start:.2f} to {segment.stop:.2f}" in told


def test_a_lost_tile_is_continued_beside_it(sound: TinySound, whole: bytes) -> None:
    """Next to what is lost the decoder sees what is there, not the first codeword."""
    found = vqcodec.salvage_audio(changed(whole, "tile 3"), model=sound)
    expected, _ = vqcodec.decompress_audio(whole, model=sound)
    start = round(found.lost[0].start * RATE)
    beside = slice(start - HOP, start - HOP // 2)
    assert np.allclose(found.samples[0, beside], expected[0, beside], atol=1e-6)


@pytest.mark.parametrize("tile", [0, 4, 13])
def test_tiles_whose_streams_do_not_decode_are_lost(
    sound: TinySound, whole: bytes, tile: int
) -> None:
    container = parse(whole)
    tiles = list(container.tiles)
    tiles[tile] = b"\xff" * 7
    check(sound, whole, serialise(replace(container, tiles=tuple(tiles))), [tile])


def test_runs_find_each_loss_once(
    sound: TinySound, whole: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("vqcodec.audio.decoding._RUN_FRAMES", 23)
    check(sound, whole, changed(whole, "tile 2", "tile 10"), [2, 10])


def test_a_file_that_is_cut_short_keeps_its_beginning(sound: TinySound, whole: bytes) -> None:
    start = next(span.offset for span in spans(parse(whole)) if span.name == "tile 9")
    found = vqcodec.salvage_audio(whole[: start + 1], model=sound)
    assert [segment.number for segment in found.lost] == list(range(9, 14))
    assert "too short" in found.losses[-1]


def test_without_its_waveform_the_sound_comes_as_the_model_sees_it(
    sound: TinySound, whole: bytes
) -> None:
    found = vqcodec.salvage_audio(changed(whole, "chunk WAVE"), model=sound)
    assert found.samples.shape == (2, FRAMES * HOP)
    assert found.rate == sound.rate
    expected, _ = vqcodec.decompress_audio(whole, model=sound)
    ratio = found.samples[0] / expected[0]
    assert np.allclose(ratio, ratio[0], rtol=1e-3)
    assert any("how loud it was are not known" in told for told in found.losses)


@pytest.mark.parametrize("name", ["chunk tags", "chunk tags checksum"])
def test_lost_tags_are_told_of(sound: TinySound, whole: bytes, name: str) -> None:
    found = vqcodec.salvage_audio(changed(whole, name), model=sound)
    expected, _ = vqcodec.decompress_audio(whole, model=sound)
    assert np.array_equal(found.samples, expected)
    assert any("tags" in told for told in found.losses)


@pytest.mark.parametrize("name", ["frames", "channels", "tile 0 checksum", "header checksum"])
def test_without_header_and_table_nothing_is_left(
    sound: TinySound, whole: bytes, name: str
) -> None:
    with pytest.raises(FormatError):
        vqcodec.salvage_audio(changed(whole, name), model=sound)


def test_a_limit_is_no_damage(sound: TinySound, whole: bytes) -> None:
    with pytest.raises(FormatError, match="the limit is"):
        vqcodec.salvage_audio(whole, model=sound, max_samples=1000)


def test_a_quality_that_the_model_lacks_is_no_damage(sound: TinySound, whole: bytes) -> None:
    container = parse(whole)
    other = replace(container, header=replace(container.header, quality=9))
    with pytest.raises(CorruptError, match="quality is 9"):
        vqcodec.salvage_audio(serialise(other), model=sound)
