"""A model with qualities and several indices per position, through the whole codec."""

from __future__ import annotations

import hashlib
from dataclasses import replace

import numpy as np
import pytest
from changed_models import Change, Tensors, changed
from conftest import photo

import vqcodec
from vqcodec import processors
from vqcodec.codec.search import OutOfReachError, Qualities, Setting, Target
from vqcodec.codec.transform import decode_indices, measure_pixels
from vqcodec.container import parse, serialise
from vqcodec.errors import CorruptError, FormatError, ModelCorruptError
from vqcodec.metrics import psnr
from vqcodec.models.photo import Photo
from vqcodec.models.photo import parse_model as parse_photo
from vqcodec.registry.load import parse_model


@pytest.mark.parametrize("size", [(1, 1), (16, 16), (17, 40), (130, 97)])
@pytest.mark.parametrize("quality", [1, 2, 3])
def test_round_trip(photo_like: Photo, size: tuple[int, int], quality: int) -> None:
    image = photo(*size)
    data = vqcodec.compress(image, model=photo_like, quality=quality)
    out = vqcodec.decompress(data, model=photo_like)
    assert out.size == size
    grid = vqcodec.indices(data, model=photo_like)
    assert grid.shape == (-(-size[1] // 16), -(-size[0] // 16), photo_like.groups(quality))
    pixels = decode_indices(photo_like, grid, quality)[: size[1], : size[0]]
    assert np.array_equal(pixels, np.asarray(out))
    assert vqcodec.inspect(data).quality == quality


def test_fixed_length(photo_like: Photo) -> None:
    data = vqcodec.compress(photo(64, 48), model=photo_like, quality=2, prior=False)
    assert sum(map(len, parse(data).tiles)) == -(-4 * 3 * photo_like.groups(2) * 5 // 8)
    nearest = photo_like.nearest(measure_pixels(photo_like, np.asarray(photo(64, 48))), 2)
    assert np.array_equal(vqcodec.indices(data, model=photo_like), nearest)
    assert vqcodec.decompress(data, model=photo_like).size == (64, 48)


@pytest.mark.usefixtures("level")
def test_same_bytes_whatever_the_grouping_threads_and_arithmetic(
    photo_like: Photo, photo_data: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("vqcodec.image.pipeline.TILE_LOG2", 4)
    image = photo(600, 300)
    data = vqcodec.compress(image, model=photo_like)
    assert parse(data).header.tile_count == 6
    grid = vqcodec.indices(data, model=photo_like)
    digest = hashlib.sha256(photo_data).hexdigest()
    double = parse_photo(photo_data, sha256=digest, dtype=np.float64)
    for threads in (1, 2):
        monkeypatch.setattr(processors, "_threads", threads)
        for positions, logits in ((1, 1 << 17), (1 << 16, 1)):
            monkeypatch.setattr("vqcodec.codec.coding._BATCH_POSITIONS", positions)
            monkeypatch.setattr("vqcodec.codec.coding._CHUNK_LOGITS", logits)
            assert np.array_equal(vqcodec.indices(data, model=photo_like), grid)
            assert np.array_equal(vqcodec.indices(data, model=double), grid)
    assert vqcodec.compress(image, model=photo_like) == data


def test_the_encoder_weighs_bits_against_distance(photo_like: Photo) -> None:
    image = photo(200, 200)
    sizes = [len(vqcodec.compress(image, model=photo_like, quality=q)) for q in (1.6, 2.0, 2.4)]
    assert sizes == sorted(sizes)
    assert sizes[0] < sizes[2]
    grids = [
        vqcodec.indices(vqcodec.compress(image, model=photo_like, quality=q), model=photo_like)
        for q in (1.6, 2.4)
    ]
    assert not np.array_equal(*grids)


def test_qualities_become_settings() -> None:
    eight, none = Qualities(8), Qualities(0)
    assert eight.setting(None) == Setting(5)
    assert eight.setting(3) == Setting(3)
    assert eight.setting(2.75) == Setting(3, 1.25)
    assert eight.setting(3.5) == Setting(3, 0.5)
    assert none.setting(None) == Setting(0)
    assert eight.between(0.5) == eight.between(-7.0) == Setting(1, 1.5)
    assert eight.between(8.5) == eight.between(9.0) == Setting(8, 0.5)
    nan = float("nan")
    for quality, qualities in ((0.9, eight), (8.1, eight), (1, none), (nan, eight)):
        with pytest.raises(ValueError, match=r"quality|qualities"):
            qualities.setting(quality)


def test_searches_find_the_best_that_fits() -> None:
    asked = []

    def attempt(told: Setting) -> float:
        asked.append(told)
        return told.real

    def reached(quality: float) -> float:
        return 100.0 * quality

    size = Target(
        attempt=attempt,
        qualities=Qualities(8),
        reached=reached,
        limit=437.0,
        at_most=True,
        told="{:g} bytes".format,
    )
    assert size.search() == 4.3125
    assert len(asked) < 12
    assert replace(size, limit=5000.0).search() == 8.5
    with pytest.raises(OutOfReachError, match=r"least .* is 50 bytes"):
        replace(size, limit=49.0).search()
    with pytest.raises(ValueError, match="no qualities"):
        replace(size, qualities=Qualities(0)).search()
    fidelity = replace(size, limit=437.0, at_most=False, told="{:g} dB".format)
    assert fidelity.search() == 4.375
    assert replace(fidelity, limit=49.0).search() == 0.5
    with pytest.raises(OutOfReachError, match=r"most .* is 850 dB"):
        replace(fidelity, limit=851.0).search()


@pytest.mark.parametrize(
    ("target", "wrong", "unit"),
    [("target_bpp", 0.001, "bits per pixel"), ("target_size", 10, "bytes")],
)
def test_what_is_out_of_reach_is_told_as_it_was_asked_for(
    photo_like: Photo, target: str, wrong: float, unit: str
) -> None:
    """And rounded so that what is told can be had."""
    image = photo(61, 43)
    with pytest.raises(ValueError, match=rf"least that can be had is [\d.]+ {unit}$") as caught:
        vqcodec.compress(image, model=photo_like, **{target: wrong})
    least = type(wrong)(str(caught.value).removesuffix(f" {unit}").split()[-1])
    vqcodec.compress(image, model=photo_like, **{target: least})


def test_targets(photo_like: Photo) -> None:
    image = photo(160, 120)
    low, high = (len(vqcodec.compress(image, model=photo_like, quality=q)) for q in (1, 3))
    size = (low + high) // 2
    data = vqcodec.compress(image, model=photo_like, target_size=size)
    assert low <= len(data) <= size
    bpp = 8.0 * size / (160 * 120)
    assert vqcodec.compress(image, model=photo_like, target_bpp=bpp) == data
    reached = [
        psnr(np.asarray(image), np.asarray(vqcodec.decompress(d, model=photo_like)))
        for d in (data, vqcodec.compress(image, model=photo_like, quality=1))
    ]
    best = vqcodec.compress(image, model=photo_like, target_psnr=min(reached))
    assert psnr(np.asarray(image), np.asarray(vqcodec.decompress(best, model=photo_like))) >= min(
        reached
    )
    with pytest.raises(ValueError, match="least"):
        vqcodec.compress(image, model=photo_like, target_size=10)
    with pytest.raises(ValueError, match="most"):
        vqcodec.compress(image, model=photo_like, target_psnr=90.0)
    with pytest.raises(ValueError, match="one of"):
        vqcodec.compress(image, model=photo_like, quality=1, target_size=10)


def test_windows_meet_without_a_seam(photo_like: Photo) -> None:
    pixels = np.asarray(photo(500, 420))
    whole = measure_pixels(photo_like, pixels, window=1000)
    cut = measure_pixels(photo_like, pixels, window=5)
    assert np.abs(whole - cut).max() < 1e-3 * np.abs(whole).max()
    grid = photo_like.nearest(whole, 2).astype(np.int32)
    for window in (5, 11):
        seamed = decode_indices(photo_like, grid, 2, window=window).astype(int)
        assert abs(seamed - decode_indices(photo_like, grid, 2, window=1000)).max() <= 1


def test_halos_cover_the_receptive_fields(photo_like: Photo) -> None:
    halo = photo_like.encoder_halo
    size = 16 * (2 * halo + 3)
    pixels = np.random.default_rng(0).uniform(size=(3, size, size)).astype(np.float32)
    changed = pixels.copy()
    changed[:, : 16 * 1] += 0.5
    whole = (slice(0, size), slice(0, size))
    positions = (slice(0, size // 16), slice(0, size // 16))
    before, after = (
        photo_like.measure(photo_like.fine_features(each, whole), positions)
        for each in (pixels, changed)
    )
    assert np.flatnonzero((before != after).any((1, 2))).max() <= halo
    halo = photo_like.decoder_halo
    grid = np.zeros((2 * halo + 3, 2, photo_like.groups(1)), np.int32)
    other = grid.copy()
    other[0] = 3
    whole = (slice(0, len(grid)), slice(0, 2))
    before, after = (
        photo_like.pixels(photo_like.coarse_features(each, 1, whole), whole)
        for each in (grid, other)
    )
    assert np.flatnonzero((before != after).any((0, 2))).max() // 16 <= halo


def test_another_quality_is_corrupt(photo_like: Photo) -> None:
    container = parse(vqcodec.compress(photo(40, 30), model=photo_like))
    for quality in (0, 4, 255):
        strange = replace(container, header=replace(container.header, quality=quality))
        with pytest.raises(CorruptError, match="quality"):
            vqcodec.decompress(serialise(strange), model=photo_like)


def test_damaged_streams_are_format_errors_or_pictures(photo_like: Photo) -> None:
    container = parse(vqcodec.compress(photo(70, 50), model=photo_like))
    fixed = parse(vqcodec.compress(photo(70, 50), model=photo_like, prior=False))
    rng = np.random.default_rng(0)
    ended = 0
    for number in range(20):
        whole = fixed if number % 2 else container
        size = len(whole.tiles[0]) if number % 2 else 4 * int(rng.integers(0, 40))
        noise = rng.integers(0, 256, size=size, dtype=np.uint8).tobytes()
        data = serialise(replace(whole, tiles=(noise,)))
        try:
            vqcodec.decompress(data, model=photo_like)
        except FormatError:
            ended += 1
    assert ended > 10


def _twice(tensors: Tensors, metadata: dict) -> None:
    tensors["codebooks.1.0.0.channels"][:] = 0


def _outside(tensors: Tensors, metadata: dict) -> None:
    tensors["codebooks.2.2.0.channels"][0, 0] = 8


def _huge(tensors: Tensors, metadata: dict) -> None:
    tensors["codebooks.1.0.1.vectors"][0, 0, 0] = 4096


def _lack(tensors: Tensors, metadata: dict) -> None:
    del tensors["codebooks.3.0.2.embedding"]


def _dead(tensors: Tensors, metadata: dict) -> None:
    tensors["gains"][0, 0] = 0.0


def _precise(tensors: Tensors, metadata: dict) -> None:
    tensors["prior.precisions"][5] = 1 << 21


def _overflow(tensors: Tensors, metadata: dict) -> None:
    tensors["prior.hidden.1.bias"][:] = (1 << 24) - 1


def _slices(tensors: Tensors, metadata: dict) -> None:
    metadata["latent_prior"]["slices"] = [8, 8, 7]


def _text(tensors: Tensors, metadata: dict) -> None:
    metadata["transform"]["widths"] = ["a", 12, 16]


def _float(tensors: Tensors, metadata: dict) -> None:
    tensors["analysis.layers.0.weight"] = tensors["analysis.layers.0.weight"].astype(np.float32)


@pytest.mark.parametrize(
    "change",
    [_twice, _outside, _huge, _lack, _dead, _precise, _overflow, _slices, _text, _float],
)
def test_wrong_models_are_refused(photo_data: bytes, change: Change) -> None:
    with pytest.raises(ModelCorruptError):
        parse_model(changed(photo_data, change), sha256="")
