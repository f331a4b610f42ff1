"""Networks cut in two, and pictures in regions and windows: nothing of it shows in the result."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from conftest import photo
from numpy.typing import NDArray

from vqcodec import processors
from vqcodec.codec.transform import decode_indices, measure_pixels
from vqcodec.engines.engine import VARIABLE, make_engine
from vqcodec.engines.halves import halves
from vqcodec.engines.layers import Network, reach, tensor_shapes
from vqcodec.models import exact, transform
from vqcodec.models.config import TransformConfig
from vqcodec.models.model import PictureModel, header_qualities
from vqcodec.models.photo import Photo
from vqcodec.models.photo2 import Photo2
from vqcodec.models.vqvae import VqVae

DEPTHS = [(0, 0, 0), (1, 2, 3), (3, 1, 0), (2, 0, 1)]
MAKERS = [transform.analysis, transform.synthesis, exact.synthesis]

Maker = Callable[[TransformConfig], Network]


def config_of(depths: tuple[int, int, int]) -> TransformConfig:
    return TransformConfig(widths=(5, 6, 7), depths=depths, latents=9, details=4)


@pytest.mark.parametrize("depths", DEPTHS)
@pytest.mark.parametrize("make", MAKERS)
def test_halves_share_the_tensors(make: Maker, depths: tuple[int, int, int]) -> None:
    network = make(config_of(depths))
    first, second = map(tensor_shapes, halves(network))
    assert not first.keys() & second.keys()
    assert first | second == tensor_shapes(network)


@pytest.mark.parametrize("depths", [*DEPTHS, (16, 16, 16)])
def test_reach_of_the_halves_is_their_halo(depths: tuple[int, int, int]) -> None:
    config = config_of(depths)
    fine, coarse = (reach(half.layers) for half in halves(transform.analysis(config)))
    assert -(-fine // 16) == config.fine_encoder_halo
    assert coarse == config.encoder_halo - config.fine_encoder_halo
    for make in (transform.synthesis, exact.synthesis):
        coarse, fine = (reach(half.layers) for half in halves(make(config)))
        assert fine == config.fine_decoder_halo
        assert coarse == config.decoder_halo - config.fine_decoder_halo


def random_weights(network: Network) -> dict[str, NDArray[np.float32]]:
    rng = np.random.default_rng(0)
    shapes = tensor_shapes(network).items()
    return {key: rng.normal(0.0, 0.2, shape).astype(np.float32) for key, shape in shapes}


@pytest.mark.parametrize("engine", ["onnxruntime", "torch"])
@pytest.mark.parametrize("depths", DEPTHS)
@pytest.mark.parametrize("make", [transform.analysis, transform.synthesis])
def test_one_half_after_the_other_makes_what_the_network_makes(
    make: Maker, depths: tuple[int, int, int], engine: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip(engine)
    monkeypatch.setenv(VARIABLE, engine)
    network = make(config_of(depths))
    weights = random_weights(network)
    values = np.random.default_rng(1).normal(size=(network.inputs, 48, 32)).astype(np.float32)
    expected = make_engine(network, weights, "cpu").run(values)
    for half in halves(network):
        values = make_engine(half, weights, "cpu").run(values)
    assert values.shape == expected.shape
    assert np.abs(values - expected).max() < 1e-5 * np.abs(expected).max()


@pytest.fixture(params=["photo_like", "photo2_like", "model"])
def picture_model(request: pytest.FixtureRequest) -> Photo | Photo2 | VqVae:
    found: Photo | Photo2 | VqVae = request.getfixturevalue(request.param)
    return found


def several_regions(model: PictureModel) -> tuple[int, int]:
    """Width and height, no whole strides, of a picture whose regions have inner ones among them
    if windows are of 2 positions.
    """
    return 33 * model.stride - 3, 32 * model.stride - 5


def test_regions_and_windows_do_not_show_in_what_is_measured(
    picture_model: Photo | Photo2 | VqVae,
) -> None:
    pixels = np.asarray(photo(*several_regions(picture_model)))
    whole = measure_pixels(picture_model, pixels, window=1000)
    for window in (2, 5):
        cut = measure_pixels(picture_model, pixels, window=window)
        if isinstance(picture_model, VqVae):
            assert (whole != cut).mean() < 0.005  # an argmin may tip on the last bit of a float
        else:
            assert np.abs(whole - cut).max() < 1e-3 * np.abs(whole).max()


def test_regions_and_windows_do_not_show_in_pixels(
    picture_model: Photo | Photo2 | VqVae, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Those of integer networks are the same to the last bit, whatever the threads."""
    rng = np.random.default_rng(0)
    quality = header_qualities(picture_model)[-1]
    most = picture_model.codewords(quality)
    grid = rng.integers(0, most, size=(32, 33, len(most)), dtype=np.int32)
    whole = decode_indices(picture_model, grid, quality, window=1000)
    for window, threads in ((2, 1), (5, 1), (5, 3)):
        monkeypatch.setattr(processors, "_threads", threads)
        cut = decode_indices(picture_model, grid, quality, window=window)
        if isinstance(picture_model, Photo2):
            assert hashlib.sha256(cut).digest() == hashlib.sha256(whole).digest()
        assert np.abs(cut.astype(int) - whole).max() <= 1


def test_a_part_of_a_picture_is_that_part(picture_model: Photo | Photo2 | VqVae) -> None:
    """It begins and ends within positions, and its regions lie elsewhere."""
    quality = header_qualities(picture_model)[-1]
    most = picture_model.codewords(quality)
    grid = np.random.default_rng(2).integers(0, most, size=(30, 28, len(most)), dtype=np.int32)
    whole = decode_indices(picture_model, grid, quality, window=1000).astype(int)
    stride = picture_model.stride
    area = (slice(3 * stride + 1, 29 * stride - 1), slice(stride - 1, 20 * stride + 2))
    part = decode_indices(picture_model, grid, quality, area, window=3)
    assert np.abs(part - whole[area]).max() <= 1


@pytest.mark.parametrize("kind", ["encoder", "decoder"])
def test_halos_are_needed(photo_like: Photo, kind: str) -> None:
    """One position less around windows or around regions changes results, so the tests above can
    fail.
    """
    rng = np.random.default_rng(0)
    pixels = rng.integers(0, 256, size=(512, 528, 3), dtype=np.uint8)
    most = photo_like.codewords(3)
    grid = rng.integers(0, most, size=(32, 33, len(most)), dtype=np.int32)

    def result(model: Photo, window: int) -> NDArray[Any]:
        if kind == "encoder":
            return measure_pixels(model, pixels, window=window)
        return decode_indices(model, grid, 3, window=window).astype(np.float32)

    whole = result(photo_like, 1000)

    def difference(model: Photo) -> float:
        return float(np.abs(result(model, 2) - whole).max() / np.abs(whole).max())

    right = difference(photo_like)
    both, fine = (getattr(photo_like, name) for name in (f"{kind}_halo", f"fine_{kind}_halo"))
    changes = {f"{kind}_halo": both - 1}, {f"{kind}_halo": both - 1, f"fine_{kind}_halo": fine - 1}
    for change in changes:
        assert difference(replace(photo_like, **change)) > 10.0 * right
