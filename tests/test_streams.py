"""Conformance vectors that are streams of single tiles, of priors of one dimension."""

from __future__ import annotations

import numpy as np
import pytest
import reference
from numpy.typing import NDArray
from test_kernel import kernels, read, read_with_numpy, the_same_everywhere
from test_vectors import VECTORS, Vector, tomllib

from vqcodec.errors import CorruptError, ModelCorruptError
from vqcodec.models import file, speech
from vqcodec.models.codebook import read_prior
from vqcodec.models.config_sound import WaveNetConfig
from vqcodec.models.quality import level_of, scale_of
from vqcodec.prior.context import Prior


def streams(*expected: str) -> list[Vector]:
    found = [
        Vector(path.with_suffix(".stream"), tomllib.loads(path.read_text("utf-8")))
        for path in sorted((VECTORS / "streams").glob("*.toml"))
    ]
    return [vector for vector in found if vector.says["expect"] in expected]


def name(vector: Vector) -> str:
    return vector.path.stem


def prior_of(vector: Vector) -> Prior:
    metadata, tensors = file.read_metadata(vector.model), file.read_tensors(vector.model)
    if metadata["architecture"] == speech.ARCHITECTURE:
        level = level_of(vector.says["quality"], scale_of(speech.ARCHITECTURE))
        return speech.read_latents(metadata, tensors).priors[level - 1]
    config = file.read_config(WaveNetConfig, metadata["prior"])
    return read_prior(file.under(tensors, "prior."), config)


def by_the_reference(vector: Vector) -> NDArray:
    model, says = reference.load(vector.model), vector.says
    return reference.decode_prior(vector.data, 1, says["columns"], model, says["quality"])


@pytest.mark.parametrize("vector", streams("success"), ids=name)
def test_all_decode_the_same(vector: Vector) -> None:
    says = vector.says
    expected = by_the_reference(vector)
    assert list(expected.shape) == says["grid"]
    assert reference.indices_sha256(expected) == says["indices_sha256"]
    prior, size = prior_of(vector), (says["columns"],)
    assert np.array_equal(read_with_numpy(prior, vector.data, size), expected[0])
    the_same_everywhere(prior, expected[0].astype(np.int32), vector.data)


@pytest.mark.parametrize("vector", streams("Corrupt"), ids=name)
def test_all_reject_the_same(vector: Vector) -> None:
    with pytest.raises(reference.Corrupt):
        by_the_reference(vector)
    prior, size = prior_of(vector), (vector.says["columns"],)
    with pytest.raises(CorruptError):
        read_with_numpy(prior, vector.data, size)
    for each in kernels(prior):
        with pytest.raises(CorruptError):
            read(each, vector.data, size)


@pytest.mark.parametrize("vector", streams("Model"), ids=name)
def test_wrong_models_are_refused(vector: Vector) -> None:
    with pytest.raises(reference.ModelError):
        reference.load(vector.model)
    with pytest.raises(ModelCorruptError):
        prior_of(vector)


def test_each_kind_is_there() -> None:
    assert min(len(streams(kind)) for kind in ("success", "Corrupt", "Model")) >= 2
