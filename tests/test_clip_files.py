"""Clips that are in memory: to .vqc files and back."""

from __future__ import annotations

import tracemalloc
from fractions import Fraction
from itertools import pairwise
from typing import Any

import numpy as np
import pytest
import reference
import reference_clip
from hypothesis import given
from hypothesis import strategies as st
from tiny_clip import ACTIONS, model_bytes, steps, tiny_clip, walk

import vqcodec
from vqcodec.clip import footage, pipeline
from vqcodec.clip.chunks import pack_timing, unpack_timing
from vqcodec.clip.footage import stack_of
from vqcodec.clip.timing import Timing, from_milliseconds, timing_of
from vqcodec.codec.search import Wish
from vqcodec.container import Chunk, Limits, Medium, parse, serialise
from vqcodec.errors import (
    ClipError,
    ClipSizeError,
    CorruptError,
    FormatError,
    LimitError,
    ModelError,
    VerificationError,
)
from vqcodec.models.clip import ClipVqVae
from vqcodec.models.steady import spacing, steady
from vqcodec.models.vqvae import VqVae
from vqcodec.prior import kernel


@pytest.fixture(scope="session")
def clips() -> ClipVqVae:
    """A model with random weights and three actions."""
    return tiny_clip()


@pytest.mark.parametrize("prior", [True, False], ids=["prior", "fixed"])
@pytest.mark.parametrize(
    ("count", "height", "width"),
    [(1, 1, 1), (1, 17, 9), (2, 4, 4), (3, 21, 30), (32, 8, 8), (33, 5, 8), (70, 4, 6)],
)
def test_frames_come_back(
    clips: ClipVqVae, count: int, height: int, width: int, prior: bool
) -> None:
    frames = walk(count, height, width)
    data = vqcodec.compress_clip(frames, model=clips, prior=prior, actions=steps(count))
    header = parse(data).header
    assert header.medium is Medium.CLIP
    assert header.shape == (count, height, width)
    assert header.tile_count == -(-count // 32)
    clip = vqcodec.decompress_clip(data, model=clips)
    assert clip.frames.shape == frames.shape
    assert clip.actions == (tuple(steps(count)) if any(steps(count)) else ())
    indices = vqcodec.indices(data, model=clips)
    assert indices.shape == (*header.grid, 1)
    assert np.array_equal(vqcodec.verify(data, model=clips), indices)
    padded = np.pad(frames, ((0, 0), (0, -height % 4), (0, -width % 4), (0, 0)), mode="edge")
    expected = None
    for number in range(count):
        expected = clips.frame_indices(padded[number], expected)
        assert np.array_equal(indices[number, :, :, 0], expected)
        drawn = clips.frame_samples(expected)[:height, :width]
        assert np.array_equal(clip.frames[number], drawn)


def test_the_reference_decodes_what_is_written(clips: ClipVqVae) -> None:
    frames, model = walk(35, 9, 70), model_bytes()
    for more in ({}, {"prior": False}, {"actions": steps(35)}):
        data = vqcodec.compress_clip(frames, model=clips, **more)
        grid = reference.decode(data, model)
        assert np.array_equal(grid, vqcodec.indices(data, model=clips))
    file = reference.parse(data)
    numbers = reference_clip.read_actions(file, len(ACTIONS))
    assert [("", *ACTIONS)[number] for number in numbers] == steps(35)


def test_every_level_writes_and_reads_the_same(
    clips: ClipVqVae, monkeypatch: pytest.MonkeyPatch
) -> None:
    frames = walk(34, 40, 80)
    monkeypatch.setattr(pipeline, "TILE_LOG2", 4)
    files, decoded = set(), []
    for level in kernel.levels():
        for threads in (1, 2):
            monkeypatch.setenv(kernel.VARIABLE, level)
            monkeypatch.setattr("vqcodec.processors.threads", lambda count=threads: count)
            data = vqcodec.compress_clip(frames, model=clips, actions=steps(34))
            files.add(data)
            decoded.append(vqcodec.indices(data, model=clips))
    assert len(files) == 1
    assert parse(data).header.tile_count == 4
    assert all(np.array_equal(decoded[0], other) for other in decoded)


def test_a_stream_costs_what_its_frames_do(clips: ClipVqVae) -> None:
    """Each frame under the prior that is told of the one before, one after the other."""
    frames, actions = walk(20), steps(20)
    data = vqcodec.compress_clip(frames, model=clips, actions=actions)
    indices = vqcodec.indices(data, model=clips)[..., 0]
    bits = clips.bits(indices[0], clips.nothing(20, 28))
    for (before, frame), action in zip(pairwise(indices), actions[1:], strict=True):
        bits += clips.bits(frame, before, clips.action(action) if action else 0)
    (stream,) = parse(data).tiles
    assert abs(8 * len(stream) - bits) <= 64


@pytest.mark.parametrize("durations", [40, 33.3, [10, 20, 500] * 20, [1000 / 30] * 60])
def test_a_crop_is_a_slice_of_the_whole(clips: ClipVqVae, durations: float | list[float]) -> None:
    data = vqcodec.compress_clip(walk(60), model=clips, durations=durations, actions=steps(60))
    clip = vqcodec.decompress_clip(data, model=clips)
    ends = np.cumsum(clip.durations) / 1000
    starts = np.concatenate([[0.0], ends[:-1]])
    for start, stop in ((0, 0.2), (0.05, 0.06), (0.3, 1.7), (ends[-1] - 0.05, 99)):
        shown = (ends > start + 1e-9) & (starts < stop - 1e-9)
        part = vqcodec.decompress_clip(data, model=clips, crop=(start, stop))
        assert shown.any()
        assert np.array_equal(part.frames, clip.frames[shown])
        assert np.array_equal(part.durations, clip.durations[shown])
        assert part.actions == tuple(np.array(clip.actions)[shown])


def test_a_crop_decodes_only_the_groups_that_it_needs(clips: ClipVqVae) -> None:
    data = bytearray(vqcodec.compress_clip(walk(96), model=clips, durations=100))
    data[-1] ^= 1  # in the last of three groups
    tiles = parse(bytes(data[:-1]) + bytes([data[-1] ^ 1])).tiles
    assert len(tiles) == 3
    container = parse(bytes(data[:-1]) + bytes([data[-1] ^ 1]))
    wrong = (*tiles[:2], tiles[2][:-1] + bytes([tiles[2][-1] ^ 1]))
    broken = serialise(
        type(container)(header=container.header, chunks=container.chunks, tiles=wrong)
    )
    assert len(vqcodec.decompress_clip(broken, model=clips, crop=(0, 6.4)).frames) == 64
    with pytest.raises(CorruptError):
        vqcodec.decompress_clip(broken, model=clips, crop=(0, 6.5))


@pytest.mark.parametrize("crop", [(1, 1), (2, 1), (-1, 1), (4, 5), (0, float("nan")), (1,), "ab"])
def test_wrong_crops(clips: ClipVqVae, crop: object) -> None:
    data = vqcodec.compress_clip(walk(4), model=clips, durations=1000)
    with pytest.raises(ValueError, match="crop"):
        vqcodec.decompress_clip(data, model=clips, crop=crop)


fractions = st.fractions(min_value=Fraction(1, 10**6), max_value=100, max_denominator=10**6)


@given(st.lists(fractions, min_size=1, max_size=9), st.integers(0, 2**32 - 1))
def test_times_come_back(durations: list[Fraction], loops: int) -> None:
    timing = timing_of(durations, loops)
    assert unpack_timing(pack_timing(timing), len(durations)) == timing
    found = timing.durations()
    assert len(found) == len(durations)
    assert all(abs(a - b) <= Fraction(1, 10**6) for a, b in zip(found, durations, strict=True))
    assert timing.seconds == pytest.approx(float(sum(found)))
    for number in range(len(found)):
        assert timing.start(number) == pytest.approx(float(sum(found[:number])))


@given(st.lists(st.integers(1, 10**5), min_size=1, max_size=9))
def test_whole_milliseconds_are_exact(durations: list[int]) -> None:
    timing = timing_of([from_milliseconds(own) for own in durations])
    assert [1000 * own for own in timing.durations()] == durations


@pytest.mark.parametrize(("number", "of"), [(1, 30), (1001, 30000), (4, 35), (1, 12)])
def test_real_numbers_of_milliseconds_are_the_fractions_that_they_mean(
    number: int, of: int
) -> None:
    assert from_milliseconds(1000 * number / of) == Fraction(number, of)


def test_durations_that_are_the_same_take_one_number() -> None:
    assert pack_timing(timing_of([Fraction(1, 25)] * 1000, 3)) == bytes(
        [25, 0, 0, 0, 3, 0, 0, 0, 1, 0, 0, 0]
    )


@pytest.mark.parametrize("ticks", [(0,), (2**32,), (2, 2), (1,) * 3, (5, 10), ()])
def test_there_is_one_way_to_write_times(ticks: tuple[int, ...]) -> None:
    with pytest.raises(CorruptError):
        Timing(frames=2, scale=25 if len(ticks) < 3 else 1, ticks=ticks)


def test_without_durations_a_clip_is_as_fast_as_the_models(clips: ClipVqVae) -> None:
    data = vqcodec.compress_clip(walk(3), model=clips)
    assert vqcodec.decompress_clip(data, model=clips).durations.tolist() == [80.0] * 3
    facts = vqcodec.inspect(data)
    assert (facts.frames, facts.width, facts.height) == (3, 28, 20)
    assert (facts.frames_per_second, facts.loops) == (12.5, 0)
    assert facts.seconds == pytest.approx(0.24)
    assert facts.bits_per_frame == 8 * len(data) / 3
    assert facts.kbps == pytest.approx(8 * len(data) / 0.24 / 1000)
    assert sum(span.size for span in facts.spans) == len(data)


def test_wrong_calls(clips: ClipVqVae, model: VqVae) -> None:
    frames = walk(3)
    for wrong in (
        {"frames": frames[0]},
        {"frames": frames[:0]},
        {"frames": frames.astype(np.float32)},
        {"frames": frames[..., :2]},
        {"durations": 0},
        {"durations": -1},
        {"durations": float("nan")},
        {"durations": [1, 2]},
        {"loops": -1},
        {"loops": 1.5},
        {"actions": ["left"]},
        {"actions": ["jump"] * 3},
    ):
        with pytest.raises(ValueError):  # noqa: PT011  (each has its own text)
            vqcodec.compress_clip(**{"frames": frames, "model": clips} | wrong)
    with pytest.raises(ModelError, match="is a model of pictures, not of clips"):
        vqcodec.compress_clip(frames, model=model)
    with pytest.raises(ModelError, match="no model of clips is installed"):
        vqcodec.compress_clip(frames)
    clip = stack_of(frames, 40, 0, ())
    for wish in ({"quality": 1}, {"target_size": 9}, {"lossless": True}, {"target_bitrate": 9.0}):
        with pytest.raises(ValueError, match=r"cannot be had of a clip|has no qualities"):
            pipeline.encode(clip, clips, Wish(**wish))


@pytest.mark.parametrize(
    ("durations", "why"),
    [
        ([40, 50], "durations are 2 of 3 frames"),
        ([40] * 4, "durations are 4 of 3 frames"),
        ([40], "durations are 1 of 3 frames"),
        ([], "durations are 0 of 3 frames"),
        ([[40, 50, 60]], "durations are 1x3 of 3 frames"),
        ([[40], [50], [60]], "durations are 3x1 of 3 frames"),
        ([[40], [50, 60]], "durations are no numbers"),
        ("forty", "durations are no numbers"),
        ([40, None, "a"], "durations are no numbers"),
        ({"a": 40}, "durations are no numbers"),
        ([40, 50, 0], "a duration is 0.0, not milliseconds above 0"),
        (float("nan"), "a duration is nan, not milliseconds above 0"),
    ],
)
def test_durations_that_do_not_fit_the_frames_are_told(
    clips: ClipVqVae, durations: Any, why: str
) -> None:
    with pytest.raises(ValueError, match=f"^{why}"):
        vqcodec.compress_clip(walk(3), model=clips, durations=durations)


def test_too_many_pixels_are_refused_both_ways(clips: ClipVqVae) -> None:
    frames = walk(5)
    data = vqcodec.compress_clip(frames, model=clips, max_pixels=5 * 20 * 28)
    with pytest.raises(ClipSizeError):
        vqcodec.compress_clip(frames, model=clips, max_pixels=5 * 20 * 28 - 1)
    for read in (vqcodec.decompress_clip, vqcodec.indices, vqcodec.salvage_clip):
        read(data, model=clips, max_pixels=5 * 20 * 28)
        with pytest.raises(LimitError):
            read(data, model=clips, max_pixels=5 * 20 * 28 - 1)


@pytest.mark.parametrize("shape", [(1, 2**24, 1, 3), (1, 1, 2**24, 3)])
def test_what_no_file_can_say_is_refused(clips: ClipVqVae, shape: tuple[int, ...]) -> None:
    frames = np.broadcast_to(np.zeros(3, np.uint8), shape)
    with pytest.raises(ClipError, match="at most 16777215 frames, rows and columns"):
        vqcodec.compress_clip(frames, model=clips)


def test_no_clip_has_more_frames_than_a_file_can_say(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(footage, "SIDE_MAX", 4)
    frames = footage.limited(stack_of(walk(5, 4, 4), 40, 0, ()).frames(), 10**6)
    with pytest.raises(ClipError, match="at most 4 frames"):
        list(frames)


def test_a_small_file_of_a_huge_clip_takes_no_memory(clips: ClipVqVae) -> None:
    """Nothing is made for frames that are told before the tiles are there."""
    header = parse(vqcodec.compress_clip(walk(1), model=clips)).header
    huge = type(header)(
        **{
            name: getattr(header, name)
            for name in ("medium", "mode", "quality", "model", "stride_log2")
        },
        shape=(2**14, 128, 128),
        tile_log2=7,
    )
    empty = (b"",) * huge.tile_count
    chunks = (Chunk(type=b"CLIP", data=pack_timing(timing_of([Fraction(1, 9)] * 2**14))),)
    data = serialise(pipeline.Container(header=huge, chunks=chunks, tiles=empty))
    tracemalloc.start()
    try:
        for read in (vqcodec.verify, vqcodec.inspect):
            if read is vqcodec.inspect:
                read(data)
                continue
            with pytest.raises(FormatError):
                read(data, model=clips)
        film = pipeline.open_clip(data, model=clips)
        with pytest.raises(FormatError):
            next(film.frames())
        assert tracemalloc.get_traced_memory()[1] < 1 << 27
    finally:
        tracemalloc.stop()


def test_what_was_written_is_confirmed(clips: ClipVqVae) -> None:
    clip = stack_of(walk(40), 40, 2, steps(40))
    encoded = pipeline.encode(clip, clips, Wish())
    pipeline.confirm(encoded, encoded.data, clips)
    wrong = bytearray(encoded.data)
    wrong[-5] ^= 4
    other = pipeline.encode(stack_of(walk(40), 41, 2, steps(40)), clips, Wish())
    for data in (bytes(wrong), encoded.data[:-4], other.data):
        with pytest.raises(VerificationError):
            pipeline.confirm(encoded, data, clips)


def test_frames_are_decoded_one_at_a_time(clips: ClipVqVae) -> None:
    data = vqcodec.compress_clip(walk(64, 64, 64), model=clips)
    film = pipeline.open_clip(data, model=clips)
    frames = film.frames()
    first = next(frames)
    assert first.shape == (64, 64, 3)
    whole = vqcodec.decompress_clip(data, model=clips).frames
    assert np.array_equal(np.stack([first, *frames]), whole)


def test_progress_is_told(clips: ClipVqVae) -> None:
    parts: list[float] = []
    data = vqcodec.compress_clip(walk(40), model=clips, progress=parts.append)
    assert parts == sorted(parts)
    assert parts[-1] == 1.0
    parts.clear()
    vqcodec.decompress_clip(data, model=clips, progress=parts.append)
    assert parts == sorted(parts)
    assert parts[-1] == 1.0


def test_limits_of_a_reader_are_those_of_the_file(clips: ClipVqVae) -> None:
    data = vqcodec.compress_clip(walk(3), model=clips)
    with pytest.raises(LimitError):
        parse(data, Limits(pixels=3 * 20 * 28 - 1))


@given(st.integers(0, 10**6), st.floats(0, 3))
def test_an_index_stays_only_where_its_codeword_is_hardly_farther(seed: int, margin: float) -> None:
    rng = np.random.default_rng(seed)
    codebook = rng.normal(size=(9, 2)).astype(np.float32)
    latents = rng.normal(size=(4, 5, 2)).astype(np.float32)
    before = rng.integers(9, size=(4, 5))
    distances = np.square(latents[:, :, None] - codebook).sum(3)
    nearest = distances.argmin(2)
    assert np.array_equal(steady(codebook, latents, None, margin), nearest)
    found = steady(codebook, latents, before, margin)
    assert ((found == nearest) | (found == before)).all()
    row, column = np.indices(before.shape)
    farther = distances[row, column, before] - distances.min(2)
    assert np.array_equal(found == before, (farther <= margin + 1e-6) & (found == before))
    assert ((found == before) | (farther > margin - 1e-6)).all()


def test_spacing_is_that_of_the_codewords() -> None:
    line = np.arange(5, dtype=np.float32)[:, None] * [3.0, 4.0]
    assert spacing(line.astype(np.float32)) == pytest.approx(25.0)


def test_steadiness_is_what_is_asked_for(clips: ClipVqVae) -> None:
    rng = np.random.default_rng(0)
    noisy = np.clip(walk(1).astype(int) + rng.integers(-9, 10, (12, 20, 28, 3)), 0, 255)
    kept = []
    for steadiness in (0.0, 1.0, 1e9):
        data = vqcodec.compress_clip(
            noisy.astype(np.uint8), model=clips, steadiness=steadiness, prior=True
        )
        grids = vqcodec.indices(data, model=clips)
        kept.append((grids[1:] == grids[:-1]).mean())
    assert kept == sorted(kept)
    assert kept[0] < kept[2] == 1.0
    nearest = [clips.frame_indices(frame) for frame in noisy.astype(np.uint8)]
    data = vqcodec.compress_clip(noisy.astype(np.uint8), model=clips, steadiness=0)
    assert np.array_equal(vqcodec.indices(data, model=clips)[..., 0], nearest)
    for wrong in (-1.0, float("nan"), float("inf")):
        with pytest.raises(ValueError, match="steadiness"):
            vqcodec.compress_clip(walk(2), model=clips, steadiness=wrong)
