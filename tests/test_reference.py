"""The reference decoder, written from SPEC.md alone, reads what the codec writes.

What both make of right and wrong files is in test_vectors.py.
"""

from __future__ import annotations

import numpy as np
import pytest
import reference
import reference_picture
from conftest import photo

import vqcodec
from vqcodec.models.photo import Photo
from vqcodec.models.vqvae import VqVae


def both_decode(data: bytes, model: VqVae | Photo, model_data: bytes) -> None:
    grid = vqcodec.indices(data, model=model)
    found = reference.decode(data, model_data)
    assert np.array_equal(found, grid)
    expected = np.asarray(vqcodec.decompress(data, model=model)).astype(int)
    network = reference_picture.load(model_data)
    drawn = reference_picture.pixels(found, reference.parse(data), network)
    assert abs(drawn - expected).max() <= 1


@pytest.mark.parametrize("prior", [True, False])
@pytest.mark.parametrize("size", [(1, 1), (17, 5), (300, 70)])
def test_reference_decodes_the_same(
    model: VqVae, model_data: bytes, size: tuple[int, int], prior: bool
) -> None:
    both_decode(vqcodec.compress(photo(*size), model=model, prior=prior), model, model_data)


@pytest.mark.parametrize("prior", [True, False])
@pytest.mark.parametrize("quality", [1, 2, 3])
@pytest.mark.parametrize("size", [(1, 1), (300, 70)])
def test_reference_decodes_the_same_of_several_groups(
    photo_like: Photo,
    photo_data: bytes,
    size: tuple[int, int],
    quality: int,
    prior: bool,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("vqcodec.image.pipeline.TILE_LOG2", 4)  # 300 columns are two tiles
    data = vqcodec.compress(photo(*size), model=photo_like, quality=quality, prior=prior)
    both_decode(data, photo_like, photo_data)


def test_reference_writes_the_same_stream(model: VqVae, model_data: bytes) -> None:
    data = vqcodec.compress(photo(60, 50), model=model)
    tile = reference.decode(data, model_data)
    stream = reference.encode_prior(tile, reference.load(model_data), 0)
    assert [stream] == reference.parse(data)["streams"]
