from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from conftest import photo, with_metadata

import vqcodec
from vqcodec import processors
from vqcodec.codec.coding import _batches, decode_grid, encode_grid
from vqcodec.codec.literal import tiles_needed
from vqcodec.codec.search import Qualities, usual
from vqcodec.codec.transform import decode_indices, measure_pixels
from vqcodec.container import Header, Mode, parse, serialise
from vqcodec.errors import (
    CorruptError,
    FormatError,
    ModelError,
)
from vqcodec.grid import whole
from vqcodec.models.vqvae import VqVae
from vqcodec.prior.context import Prior
from vqcodec.prior.taps import TrunkTaps, dilated, wedge
from vqcodec.prior.trunk import Features, Trunk
from vqcodec.prior.wavefront import steps


@pytest.mark.parametrize(("rows", "columns"), [(1, 1), (1, 9), (9, 1), (5, 7), (7, 5), (64, 3)])
def test_steps_visit_each_position_once_after_all_it_depends_on(rows: int, columns: int) -> None:
    when = {}
    sizes = [(rows, columns), (3, 4)]
    places = []
    for number, step in enumerate(steps(sizes)):
        assert (step.column + 2 * step.row == step.t).all()
        for position in zip(step.tile, step.row, step.column, strict=True):
            assert position not in when
            when[position] = number
        assert step.stops == [int((step.tile <= tile).sum()) for tile in range(2)]
        places += zip(step.place, step.tile, step.row, step.column, strict=True)
    every = [(b, i, j) for b in range(2) for i in range(sizes[b][0]) for j in range(sizes[b][1])]
    assert [position for _, *position in sorted(places)] == [list(position) for position in every]
    assert [place for place, *_ in sorted(places)] == list(range(len(every)))
    for (b, i, j), number in when.items():
        for di, dj in ((0, -1), (-1, -1), (-1, 0), (-1, 1), (-2, 2)):
            assert when.get((b, i + di, j + dj), -1) < number


def test_windows_meet_without_a_seam(model: VqVae) -> None:
    pixels = np.asarray(photo(150, 130))
    whole = measure_pixels(model, pixels, window=1000)
    cut = measure_pixels(model, pixels, window=7)
    assert (whole != cut).mean() < 0.005  # an argmin may tip on the last bit of a float
    grid = np.random.default_rng(0).integers(0, 24, size=(33, 38, 1), dtype=np.int32)
    for window in (7, 16):
        seamed = decode_indices(model, grid, 0, window=window).astype(int)
        assert abs(seamed - decode_indices(model, grid, 0, window=1000)).max() <= 1


def test_the_halo_is_needed(model: VqVae) -> None:
    """One index less around a window changes pixels, so the test above can fail."""
    grid = np.random.default_rng(0).integers(0, 24, size=(24, 24, 1), dtype=np.int32)
    halo = model.config.decoder_halo
    whole = decode_indices(model, grid, 0).astype(int)
    short = decode_indices(model, grid[8 - halo + 1 :], 0).astype(int)[4 * (halo - 1) :]
    exact = decode_indices(model, grid[8 - halo :], 0).astype(int)[4 * halo :]
    assert abs(exact - whole[32:]).max() <= 1
    assert abs(short - whole[32:]).max() > 1


@pytest.mark.parametrize("mode", [Mode.FIXED, Mode.PRIOR])
@pytest.mark.parametrize("size", [(1, 1), (7, 3), (64, 64), (333, 90), (70, 400)])
def test_grid_round_trip(model: VqVae, size: tuple[int, int], mode: Mode) -> None:
    header = Header(
        mode=mode,
        shape=size[::-1],
        model=bytes.fromhex(model.sha256)[:8],
        stride_log2=2,
        tile_log2=4,
    )
    rng = np.random.default_rng(0)
    grid = rng.integers(0, 24, size=(*header.grid, 1), dtype=np.int32)
    streams, coded = encode_grid(model, header, grid)
    assert np.array_equal(coded, grid)
    assert np.array_equal(decode_grid(model, header, streams), grid)
    some = decode_grid(model, header, streams, wanted=[len(streams) - 1])
    assert some[-1, -1] == grid[-1, -1]


@pytest.mark.usefixtures("level")
@pytest.mark.parametrize("limit", ["_BATCH_POSITIONS", "_BATCH_NUMBERS"])
def test_same_bytes_whatever_the_grouping_and_threads(
    model: VqVae, limit: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    image = photo(300, 200)
    data = vqcodec.compress(image, model=model)
    grid = vqcodec.indices(data, model=model)
    header = parse(data).header
    monkeypatch.setattr(f"vqcodec.codec.coding.{limit}", 1)
    for threads in (1, 2):
        monkeypatch.setattr(processors, "_threads", threads)
        streams, _ = encode_grid(model, header, grid)
        assert streams == parse(data).tiles
        assert np.array_equal(vqcodec.indices(data, model=model), grid)


@pytest.mark.parametrize("size", [(1, 1), (2, 5), (3, 1), (63, 64), (257, 130), (5, 700)])
def test_any_size(model: VqVae, size: tuple[int, int]) -> None:
    image = photo(*size)
    data = vqcodec.compress(image, model=model)
    out = vqcodec.decompress(data, model=model)
    assert out.size == size
    assert out.mode == "RGB"
    grid = vqcodec.indices(data, model=model)
    assert np.array_equal(grid, measure_pixels(model, np.asarray(image)))


def test_prior_none_costs_the_fixed_length(model: VqVae) -> None:
    data = vqcodec.compress(photo(64, 64), model=model, prior=False)
    assert sum(map(len, parse(data).tiles)) == 16 * 16 * 5 // 8
    assert vqcodec.decompress(data, model=model).size == (64, 64)


def test_crop_is_the_part_of_the_whole(model: VqVae) -> None:
    image = photo(700, 420)
    image.putalpha(photo(700, 420, seed=1).convert("L"))
    data = vqcodec.compress(image, model=model)
    whole = np.asarray(vqcodec.decompress(data, model=model)).astype(int)
    for x, y, w, h in ((0, 0, 1, 1), (250, 100, 30, 57), (699, 419, 1, 1), (255, 0, 2, 420)):
        part = np.asarray(vqcodec.decompress(data, model=model, crop=(x, y, w, h)))
        assert abs(part - whole[y : y + h, x : x + w]).max() <= 1
    for crop in ((-1, 0, 5, 5), (0, 0, 0, 5), (690, 0, 11, 5), (0, 0, 701, 1)):
        with pytest.raises(ValueError, match="crop"):
            vqcodec.decompress(data, model=model, crop=crop)


def test_crop_decodes_only_the_tiles_it_needs(model: VqVae) -> None:
    data = vqcodec.compress(photo(700, 300), model=model)
    header = parse(data).header
    assert header.tile_count == 6
    container = parse(data)
    assert tiles_needed(header, container.tiles, (slice(-4, 6), slice(-4, 6))) == [0]
    assert tiles_needed(header, container.tiles, (slice(0, 75), slice(60, 61))) == [1, 4]
    broken = replace(container, tiles=(container.tiles[0], *[b"abc"] * 5))
    part = vqcodec.decompress(serialise(broken), model=model, crop=(0, 0, 20, 20))
    assert part == vqcodec.decompress(data, model=model, crop=(0, 0, 20, 20))
    with pytest.raises(CorruptError):
        vqcodec.decompress(serialise(broken), model=model)


def test_strip_drops_metadata_but_not_alpha(model: VqVae) -> None:
    image = with_metadata()
    image.putalpha(image.convert("L"))
    chunks = parse(vqcodec.compress(image, model=model, strip=True)).chunks
    assert [chunk.type for chunk in chunks] == [b"ALPH"]


def test_orientation_is_applied(model: VqVae) -> None:
    data = vqcodec.compress(with_metadata(), model=model, strip=True)
    assert parse(data).header.shape == (60, 30)


def test_alpha_of_another_size_is_refused(model: VqVae) -> None:
    small = photo(20, 20)
    small.putalpha(128)
    alpha = parse(vqcodec.compress(small, model=model)).chunks
    container = replace(parse(vqcodec.compress(photo(), model=model)), chunks=alpha)
    with pytest.raises(CorruptError):
        vqcodec.decompress(serialise(container), model=model)


def test_damaged_streams_with_right_checksums_are_format_errors_or_pictures(model: VqVae) -> None:
    container = parse(vqcodec.compress(photo(70, 50), model=model))
    rng = np.random.default_rng(0)
    for _ in range(20):
        noise = rng.integers(0, 256, size=4 * int(rng.integers(0, 40)), dtype=np.uint8).tobytes()
        data = serialise(replace(container, tiles=(noise,)))
        try:
            grid = vqcodec.indices(data, model=model)
        except FormatError:
            continue
        assert grid.max() < 24


def test_another_model_is_refused(model: VqVae) -> None:
    container = parse(vqcodec.compress(photo(), model=model))
    other = replace(container, header=replace(container.header, model=bytes(8)))
    with pytest.raises(ModelError, match="was made with model"):
        vqcodec.decompress(serialise(other), model=model)
    for change in ({"stride_log2": 3}, {"quality": 1}):
        strange = replace(container, header=replace(container.header, **change))
        with pytest.raises(CorruptError):
            vqcodec.decompress(serialise(strange), model=model)


@pytest.mark.parametrize("prior", [True, False])
@pytest.mark.parametrize("crop", [None, (70, 60, 20, 130)])
def test_progress_ends_with_one(
    model: VqVae, prior: bool, crop: tuple[int, int, int, int] | None
) -> None:
    seen: list[float] = []
    data = vqcodec.compress(photo(300, 200), model=model, prior=prior, progress=seen.append)
    assert seen == sorted(seen)
    assert seen.index(1.0) == len(seen) - 1
    seen.clear()
    vqcodec.decompress(data, model=model, crop=crop, progress=seen.append)
    assert seen == sorted(seen)
    assert seen.index(1.0) == len(seen) - 1


def test_inspect_accounts_for_every_byte(model: VqVae) -> None:
    data = vqcodec.compress(with_metadata(), model=model)
    found = vqcodec.inspect(data)
    assert sum(span.size for span in found.spans) == len(data) == found.bytes
    assert found.model_name is None
    assert found.as_dict()["spans"][0]["name"] == "signature"


@pytest.mark.parametrize("taps", [wedge(2), dilated(4, 3, (1, 16))])
@pytest.mark.parametrize("size", [(1, 1), (9, 4), (4, 90), (60,), (3,)])
def test_batches_are_bounded_by_what_is_kept_of_them(
    taps: TrunkTaps, size: tuple[int, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    reads, channels = 3, 5
    tensors = {}
    for name, inputs in (
        ("first", len(taps.first) * reads),
        *((f"layers.{n}", len(own) * channels) for n, own in enumerate(taps.layers)),
    ):
        tensors[f"{name}.weight"] = np.zeros((channels, inputs), np.int8)
        tensors[f"{name}.bias"] = np.zeros(channels, np.int32)
        tensors[f"{name}.shift"] = np.zeros(channels, np.uint8)
    trunk = Trunk.read(tensors, reads=reads, channels=channels, taps=taps)
    features = Features(trunk, [size])
    kept = [cache._kept[:-1].size for cache in (features._read, *features._activations)]
    assert trunk.kept(size) == sum(kept)
    monkeypatch.setattr("vqcodec.codec.coding._BATCH_NUMBERS", 2 * sum(kept))
    prior = Prior(trunk, None)  # type: ignore[arg-type]
    assert list(_batches([whole(size)] * 5, range(5), prior)) == [[0, 1], [2, 3], [4]]


@pytest.mark.parametrize(
    ("qualities", "expected"), [(1, 1.0), (3, 2.0), (6, 4.0), (8, 5.0), (12, 7.5)]
)
def test_default_quality(qualities: int, expected: float) -> None:
    assert usual(qualities) == expected
    known = Qualities(qualities)
    assert known.setting(None) == known.setting(expected)
