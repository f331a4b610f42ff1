"""Qualities between whole ones, which files of photo-2 and speech-1 have."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np
import pytest
import reference_picture
import torch
from block_model import block_photo
from conftest import Run, photo

import vqcodec
from vqcodec import tokens
from vqcodec.codec.search import Qualities, Setting, usual
from vqcodec.container import parse, serialise
from vqcodec.errors import CorruptError, TokensError
from vqcodec.metrics import psnr
from vqcodec.models import speech
from vqcodec.models.config import DeepTransformConfig, TransformConfig
from vqcodec.models.config_sound import SpeechConfig
from vqcodec.models.model import header_qualities
from vqcodec.models.photo import Photo, parse_model
from vqcodec.models.photo2 import Photo2
from vqcodec.models.quality import level_of
from vqcodec.models.vqvae import VqVae
from vqcodec.networks.model_files import write_photo
from vqcodec.refinement.networks import gains_of, read_networks
from vqcodec.registry.load import load_model

VOICE = Path(__file__).parent.parent / "format" / "vectors" / "models" / "voice.safetensors"
FINE = Qualities(12, 16)


class Between(Photo):
    """photo-1 as photo-2 does it."""

    @property
    def quality_scale(self) -> int:
        return 16


@pytest.fixture(scope="module")
def between() -> Between:
    """A model whose qualities trade bits for distortion."""
    data = write_photo(block_photo(), name="blocks", licence="CC0-1.0", description="-")
    model = parse_model(data, sha256="0" * 64)
    fields = {field.name: getattr(model, field.name) for field in dataclasses.fields(model)}
    return Between(**fields)


@pytest.fixture(scope="module")
def voice() -> speech.Speech:
    return speech.parse_model(VOICE.read_bytes(), sha256="0" * 64)


@pytest.mark.parametrize(
    ("number", "level"),
    [(16, 1), (17, 1), (23, 1), (24, 1), (25, 2), (32, 2), (40, 2), (41, 3), (232, 14), (233, 15)],
)
def test_a_half_belongs_to_the_lower_quality(number: int, level: int) -> None:
    assert level_of(number, 16) == level
    assert level_of(level, 1) == level


def test_headers_of_some_models_count_sixteenths(
    photo2_like: Photo2, voice: speech.Speech, photo_like: Photo, model: VqVae
) -> None:
    assert header_qualities(photo2_like) == header_qualities(voice) == range(16, 49)
    assert header_qualities(photo_like) == range(1, 4)
    assert header_qualities(model) == range(1)


def test_a_header_has_room_for_15_qualities() -> None:
    for config in (DeepTransformConfig, SpeechConfig):
        assert config(qualities=15).qualities == 15
        with pytest.raises(ValueError, match="1 to 15"):
            config(qualities=16)
    assert TransformConfig(qualities=64).qualities == 64


def test_qualities_become_sixteenths() -> None:
    def found(quality: float | None) -> Setting:
        return FINE.setting(quality)

    assert found(1) == Setting(16, scale=16)
    assert found(4.3) == Setting(69, scale=16)
    assert found(4.3).real == 4.3125
    assert found(None) == found(usual(12)) == Setting(120, scale=16)
    assert found(12) == FINE.between(12.5) == FINE.between(99.0) == Setting(192, scale=16)
    assert FINE.between(0.5) == Setting(16, scale=16)
    reals = [found(quality).real for quality in np.linspace(1.0, 12.0, 500)]
    assert np.abs(reals - np.linspace(1.0, 12.0, 500)).max() <= 1 / 32
    for quality in (0.97, 12.03, float("nan")):
        with pytest.raises(ValueError, match="1 to 12"):
            found(quality)


def test_whole_qualities_have_the_numbers_of_the_file(
    photo2_like: Photo2, voice: speech.Speech
) -> None:
    for whole in (1, 2, 3):
        for model in (photo2_like, voice):
            assert np.array_equal(model.gains_of(16 * whole), model.gains[whole - 1])
            assert model.prior_of(16 * whole) is model.priors[whole - 1]
        assert np.array_equal(photo2_like._scales_of(16 * whole), photo2_like.scales[whole - 1])


def test_step_sizes_are_interpolated(photo2_like: Photo2, voice: speech.Speech) -> None:
    for model in (photo2_like, voice):
        steps = np.stack([1.0 / model.gains_of(n) for n in header_qualities(model)])
        expected = np.stack(
            [np.interp(np.arange(33), [0, 16, 32], channel) for channel in (1.0 / model.gains).T]
        )
        np.testing.assert_allclose(steps, expected.T, rtol=1e-6)


def test_gains_are_finite_whatever_the_file_has(between: Between) -> None:
    tiny, huge = np.float32(1e-45), np.finfo(np.float32).max
    for gains in ([tiny, tiny, tiny], [huge, tiny, huge], [huge, huge, huge]):
        column = np.array(gains, np.float32)[:, None]
        model = dataclasses.replace(between, gains=np.repeat(column, 24, axis=1))
        for number in header_qualities(model):
            found = model.gains_of(number)
            assert (np.isfinite(found) & (found > 0.0)).all()


def test_scales_are_those_of_the_reference_decoder(photo2_data: bytes, photo2_like: Photo2) -> None:
    other = reference_picture.load(photo2_data)
    for number in header_qualities(photo2_like):
        assert np.array_equal(photo2_like._scales_of(number), other.scale(number))


def test_scales_are_as_large_as_int32_lets_them(photo2_like: Photo2) -> None:
    scales = np.full_like(photo2_like.scales, 2**31 - 1)
    scales[1] = 0
    model = dataclasses.replace(photo2_like, scales=scales)
    assert (model._scales_of(17) == (15 * (2**31 - 1) + 8) >> 4).all()
    assert (model._scales_of(31) == (2**31 - 1 + 8) >> 4).all()
    assert (model._scales_of(32) == 0).all()


def test_refinement_has_the_same_gains(photo2_data: bytes, photo2_like: Photo2) -> None:
    networks = read_networks(photo2_data, torch.device("cpu"))
    assert networks.quality_scale == 16
    for number in header_qualities(photo2_like):
        found = gains_of(networks, number).flatten().numpy()
        np.testing.assert_allclose(found, photo2_like.gains_of(number), rtol=1e-5)


@pytest.mark.parametrize("quality", [1.5, 1.5625, 2.3])
@pytest.mark.parametrize("prior", [True, False])
def test_files_between_qualities(photo2_like: Photo2, quality: float, prior: bool) -> None:
    image = photo(70, 50)
    data = vqcodec.compress(image, model=photo2_like, quality=quality, prior=prior)
    header = parse(data).header
    assert header.quality == round(16 * quality)
    grid = vqcodec.indices(data, model=photo2_like)
    assert grid.shape[2] == photo2_like.groups(header.quality)
    pixels = np.asarray(vqcodec.decompress(data, model=photo2_like))
    part = vqcodec.decompress(data, model=photo2_like, crop=(10, 20, 40, 30))
    assert np.array_equal(np.asarray(part), pixels[20:50, 10:50])
    found = vqcodec.salvage(data, model=photo2_like)
    assert np.array_equal(np.asarray(found.image), pixels)
    read = tokens.tokenize(data, model=photo2_like)
    assert read.quality == header.quality
    assert np.array_equal(tokens.to_image(read, model=photo2_like), pixels)


def test_sounds_between_qualities() -> None:
    samples = np.sin(np.arange(16000) / 9.0)[None].astype(np.float32)
    for quality, level in ((1.5, 1), (1.5625, 2), (2.3, 2)):
        data = vqcodec.compress_audio(samples, 16000, model=VOICE, quality=quality)
        assert parse(data).header.quality == round(16 * quality)
        model = load_model(VOICE)
        assert vqcodec.indices(data, model=model).shape[2] == model.groups(16 * level)
        assert vqcodec.decompress_audio(data, model=model)[0].shape == samples.shape
    finest = vqcodec.compress_audio(samples, 16000, model=VOICE, target_bitrate=1e6)
    assert parse(finest).header.quality == 48


@pytest.mark.parametrize("number", [0, 1, 15, 49, 255])
def test_headers_that_no_encoder_writes(photo2_like: Photo2, number: int) -> None:
    container = parse(vqcodec.compress(photo(20, 20), model=photo2_like))
    header = dataclasses.replace(container.header, quality=number)
    data = serialise(dataclasses.replace(container, header=header))
    with pytest.raises(CorruptError, match=f"quality is {number}, the model has 16 to 48"):
        vqcodec.decompress(data, model=photo2_like)
    made = tokens.tokenize(photo(20, 20), model=photo2_like)
    with pytest.raises(TokensError, match=f"quality is {number}"):
        tokens.to_vqc(dataclasses.replace(made, quality=number), model=photo2_like)


def test_sizes_and_likeness_grow_by_small_steps(between: Between) -> None:
    image = photo(240, 200)
    sizes, likeness = [], []
    for number in header_qualities(between):
        data = vqcodec.compress(image, model=between, quality=number / 16)
        sizes.append(len(data))
        likeness.append(
            psnr(np.asarray(image), np.asarray(vqcodec.decompress(data, model=between)))
        )
    growth = np.array(sizes[1:]) / sizes[:-1]
    assert (growth > 1.0).all()
    assert growth.max() < (sizes[-1] / sizes[0]) ** (2.5 / len(growth))
    assert np.diff(likeness).min() > -0.1
    assert (np.diff(likeness[::4]) > 0.0).all()


def test_a_size_is_met_closely(between: Between) -> None:
    image = photo(240, 200)
    least, most = (len(vqcodec.compress(image, model=between, quality=q)) for q in (1, 3))
    for size in np.geomspace(least, most, 9, dtype=int):
        data = vqcodec.compress(image, model=between, target_size=int(size))
        assert 0.94 * size < len(data) <= size


def test_a_search_stays_within_the_qualities(between: Between) -> None:
    image = photo(100, 80)
    finest = vqcodec.compress(image, model=between, target_size=10**6)
    assert finest == vqcodec.compress(image, model=between, quality=3)
    with pytest.raises(ValueError, match="the least that can be had"):
        vqcodec.compress(image, model=between, target_size=60)
    coarsest = vqcodec.compress(image, model=between, target_psnr=1.0)
    assert coarsest == vqcodec.compress(image, model=between, quality=1)


@pytest.mark.parametrize(("quality", "shown"), [(2.3, "2.31"), (2, "2"), (1.5, "1.5")])
def test_inspection_shows_the_quality(
    run: Run, photo2_data: bytes, photo2_like: Photo2, quality: float, shown: str
) -> None:
    Path("a.safetensors").write_bytes(photo2_data)
    data = vqcodec.compress(photo(20, 20), model=photo2_like, quality=quality)
    Path("a.vqc").write_bytes(data)
    assert vqcodec.inspect(data).quality == round(16 * quality)  # the model says what this is
    run("models", "install", "a.safetensors")
    assert vqcodec.inspect(data).quality == round(16 * quality) / 16
    assert f"quality {shown}\n" in run("inspect", "a.vqc").out
