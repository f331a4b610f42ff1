"""What damaged files still hold of clips."""

from __future__ import annotations

import numpy as np
import pytest
from test_clip_files import clips
from test_sound_salvage import changed
from tiny_clip import steps, walk

import vqcodec
from vqcodec.clip import pipeline
from vqcodec.clip.decoding import GREY
from vqcodec.container import parse
from vqcodec.errors import CorruptError, FormatError
from vqcodec.models.clip import ClipVqVae

__all__ = ["clips"]
FRAMES = 70
HEIGHT, WIDTH = 20, 80
HALF = 40
"""Pixels of a tile across."""


@pytest.fixture(params=[True, False], ids=["prior", "fixed"])
def whole(
    clips: ClipVqVae, monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest
) -> bytes:
    """Three groups of two tiles each."""
    monkeypatch.setattr(pipeline, "TILE_LOG2", 4)
    data = vqcodec.compress_clip(
        walk(FRAMES, HEIGHT, WIDTH),
        model=clips,
        durations=100,
        prior=request.param,
        actions=steps(FRAMES),
    )
    assert parse(data).header.tile_count == 6
    return data


def test_of_a_whole_file_nothing_is_lost(clips: ClipVqVae, whole: bytes) -> None:
    found = vqcodec.salvage_clip(whole, model=clips)
    clip = vqcodec.decompress_clip(whole, model=clips)
    assert not found.losses
    assert np.array_equal(found.clip.frames, clip.frames)
    assert np.array_equal(found.clip.durations, clip.durations)
    assert found.clip.actions == clip.actions


@pytest.mark.parametrize("tiles", [[0], [1], [3], [5], [2, 3], [0, 2, 4], [1, 2], list(range(6))])
def test_lost_tiles_stand_still_or_are_grey_and_are_named(
    clips: ClipVqVae, whole: bytes, tiles: list[int]
) -> None:
    data = changed(whole, *(f"tile {tile}" for tile in tiles))
    with pytest.raises(FormatError):
        vqcodec.decompress_clip(data, model=clips)
    found = vqcodec.salvage_clip(data, model=clips)
    assert [lost.number for lost in found.lost] == tiles
    groups = [slice(0, 23), slice(23, 46), slice(46, 70)]
    expected = vqcodec.decompress_clip(whole, model=clips).frames
    grey = np.zeros((FRAMES, 2), bool)
    held = np.repeat(np.arange(FRAMES)[:, None], 2, axis=1)  # whose frame each half shows
    for lost in found.lost:
        group, half = divmod(lost.number, 2)
        assert lost.box == (HALF * half, 0, HALF, HEIGHT)
        assert (lost.start, lost.stop) == (groups[group].start / 10, groups[group].stop / 10)
        before = groups[group].start - 1
        grey[groups[group], half] = before < 0 or grey[before, half]
        held[groups[group], half] = held[before, half]
    shown = found.clip.frames
    halo = 4 * clips.decoder_halo
    for half, inside in ((0, slice(0, HALF - halo)), (1, slice(HALF + halo, WIDTH))):
        for number in range(FRAMES):
            if grey[number, half]:
                own = slice(HALF * half, HALF * (half + 1))
                assert (shown[number, :, own] == GREY).all()
            else:
                same = expected[held[number, half], :, inside]
                assert np.array_equal(shown[number, :, inside], same)
    assert len(found.losses) == len(tiles)
    for lost, told in zip(found.lost, found.losses, strict=True):
        assert f"tile {lost.number} is lost" in told
        assert f"seconds {lost.start:.2f} to {lost.stop:.2f}" in told
        assert f"pixels {HALF * (lost.number % 2)},0,{HALF},{HEIGHT}" in told


def test_without_its_times_a_clip_is_as_fast_as_the_models(clips: ClipVqVae, whole: bytes) -> None:
    found = vqcodec.salvage_clip(changed(whole, "chunk CLIP"), model=clips)
    assert np.array_equal(found.clip.frames, vqcodec.decompress_clip(whole, model=clips).frames)
    assert found.clip.durations.tolist() == [80.0] * FRAMES
    assert any("how long frames are shown is not known" in told for told in found.losses)


def test_without_its_actions_a_clip_is_lost_where_they_are_needed(
    clips: ClipVqVae, whole: bytes
) -> None:
    """Their prior would make other indices of the streams, and nobody could tell."""
    data = changed(whole, "chunk ACTS")
    if parse(whole).header.mode.name == "PRIOR":
        with pytest.raises(CorruptError, match="perhaps the actions"):
            vqcodec.salvage_clip(data, model=clips)
        return
    found = vqcodec.salvage_clip(data, model=clips)
    assert np.array_equal(found.clip.frames, vqcodec.decompress_clip(whole, model=clips).frames)
    assert found.clip.actions == ()
    assert found.losses


@pytest.mark.parametrize("name", ["header checksum", "tile 3 size", "tile 3 checksum"])
def test_without_header_or_tile_table_nothing_is_left(
    clips: ClipVqVae, whole: bytes, name: str
) -> None:
    with pytest.raises(FormatError):
        vqcodec.salvage_clip(changed(whole, name), model=clips)


@pytest.mark.parametrize("cut", [1, 100, 1000])
def test_a_file_that_ends_early_keeps_what_is_there(
    clips: ClipVqVae, whole: bytes, cut: int
) -> None:
    found = vqcodec.salvage_clip(whole[:-cut], model=clips)
    assert 5 in [lost.number for lost in found.lost]
    expected = vqcodec.decompress_clip(whole, model=clips).frames
    first = min(lost.number for lost in found.lost) // 2
    kept = (0, 23, 46)[first]
    assert np.array_equal(found.clip.frames[:kept], expected[:kept])
