"""Priors of one dimension, as they train and in integers: the same numbers."""

from __future__ import annotations

import copy
from collections.abc import Callable, Sequence
from itertools import accumulate
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from random_networks import random_latent_wavenet, random_wavenet
from torch import Tensor

from vqcodec.errors import ModelCorruptError
from vqcodec.models.codebook import read_prior
from vqcodec.models.config_sound import LatentWaveNetConfig, WaveNetConfig
from vqcodec.models.product import read_codebooks, read_priors
from vqcodec.networks.latent_prior import scale_of
from vqcodec.networks.latent_wavenet import LatentWaveNet
from vqcodec.networks.wavenet import WaveNet
from vqcodec.prior import units
from vqcodec.prior.context import Prior
from vqcodec.prior.heads import Gaussian
from vqcodec.prior.trunk import Features
from vqcodec.prior.wavefront import steps

INDICES = WaveNetConfig(
    codebook_size=24,
    embedding=5,
    channels=12,
    first_kernel_size=3,
    kernel_size=3,
    dilations=(1, 2, 4),
)
REACH = 3 + 2 * (1 + 2 + 4)
LATENTS = LatentWaveNetConfig(
    channels=16, first_kernel_size=2, dilations=(1, 2, 4, 8), slices=(3, 1, 8), hidden=12
)
QUALITIES = 3
Row = NDArray[np.int32]


@pytest.fixture(scope="module")
def indices_net() -> WaveNet:
    return random_wavenet(INDICES)


@pytest.fixture(scope="module")
def latents_net() -> LatentWaveNet:
    return random_latent_wavenet(LATENTS, QUALITIES)


@pytest.fixture(scope="module")
def prior(indices_net: WaveNet) -> Prior:
    return read_prior(arrays(indices_net.export()), INDICES)


def arrays(tensors: dict[str, Tensor]) -> dict[str, NDArray[Any]]:
    return {name: tensor.numpy() for name, tensor in tensors.items()}


def row(length: int, seed: int = 0) -> Row:
    rng = np.random.default_rng(seed)
    return rng.integers(INDICES.codebook_size, size=length, dtype=np.int32)


def logits_of(prior: Prior, *rows: Row) -> list[NDArray]:
    """Return the logits (M, K) of the indices of tiles that go together."""
    known = np.concatenate(rows)
    out = np.empty((len(known), prior.parts[0][1]))
    context = prior.context([(len(each),) for each in rows])
    for step in context.steps():
        out[step.place] = context.logits(0, slice(None))[0]
        context.put(0, known[step.place, None])
    return np.split(out, np.cumsum([len(each) for each in rows])[:-1])


@pytest.mark.parametrize("length", [1, 2, REACH, 60])
def test_indices_in_training_are_those_in_integers(
    indices_net: WaveNet, prior: Prior, length: int
) -> None:
    """All positions at once, as convolutions, and one after the other."""
    indices = row(length)
    with torch.no_grad():
        at_once = torch.from_numpy(indices[None]).long()
        logits = copy.deepcopy(indices_net).double()(at_once, integer=True)
    expected = logits[0].T.numpy() * 2.0**units.FRACTION_LOGIT
    (found,) = logits_of(prior, indices)
    assert found.std() > 10
    assert np.array_equal(found, expected)


@pytest.mark.parametrize("length", [1, 2, 40])
@pytest.mark.parametrize("quality", range(1, QUALITIES + 1))
@torch.no_grad()
def test_latents_in_training_are_those_in_integers(
    latents_net: LatentWaveNet, length: int, quality: int
) -> None:
    """Means, and which of the scales: each scale's precision is made its own number."""
    width = sum(LATENTS.slices)
    rng = np.random.default_rng(length)
    known = rng.integers(-127, 128, (length, width))
    seen = torch.from_numpy(known.T[None] * 2.0**-units.FRACTION_LATENT)
    means, scales = copy.deepcopy(latents_net).double()(seen, torch.tensor([quality]), integer=True)
    levels = (torch.arange(units.SCALE_COUNT) + units.SCALE_FIRST) * 2.0**-units.FRACTION_SCALE
    nearest = (scales[0].T[..., None] - scale_of(levels)).abs().argmin(-1).numpy()

    tensors = arrays(latents_net.export())
    tensors["precisions"] = np.arange(units.SCALE_COUNT, dtype=np.int32)
    books = {f"codebooks.{q}.rest": np.zeros(width, np.int16) for q in range(1, QUALITIES + 1)}
    codebooks = read_codebooks(books, qualities=QUALITIES, slices=LATENTS.slices, size=2)
    prior = read_priors(tensors, LATENTS, codebooks, coarse=width)[quality - 1]
    assert isinstance(prior.head, Gaussian)
    features = Features(prior.trunk, [(length,)])
    for step in steps([(length,)]):
        own, x = known[step.place].astype(np.float32), features.of(step)
        for s, start in zip(range(3), accumulate(LATENTS.slices, initial=0), strict=False):
            size = LATENTS.slices[s]
            factors = prior.head.slices.factors(s, np.concatenate([x, own[:, :start]], axis=1))
            level = nearest[step.place, start : start + size]
            mean = means[0].T[step.place, start : start + size].numpy() * 256.0
            assert np.array_equal(factors[:, size : 2 * size], -4.0 * level)
            assert np.array_equal(factors[:, :size], level * mean)
        features.put(step, own)
    assert len(np.unique(nearest)) > 1


def test_later_positions_do_not_matter_and_far_ones_neither(prior: Prior) -> None:
    indices = row(50)
    (expected,) = logits_of(prior, indices)
    for at in (0, 7, 49):
        other = indices.copy()
        other[at] = (other[at] + 1) % INDICES.codebook_size
        changed = np.flatnonzero((logits_of(prior, other)[0] != expected).any(1))
        assert set(changed) <= set(range(at + 1, at + REACH + 1))
        assert not len(changed) or max(changed) == min(at + REACH, 49)


def test_real_numbers_see_what_integers_see(indices_net: WaveNet) -> None:
    indices = torch.from_numpy(row(50)[None]).long()
    other = indices.clone()
    other[0, 7] = (other[0, 7] + 1) % INDICES.codebook_size
    with torch.no_grad():
        differ = (indices_net(indices) != indices_net(other)).any(1)[0]
    assert not differ[:8].any()
    assert differ[8 : 8 + REACH].all()
    assert not differ[8 + REACH :].any()


def test_tiles_of_any_lengths_go_together(prior: Prior) -> None:
    tiles = [row(length, seed=length) for length in (8, 1, 30, 8, 2)]
    alone = [logits_of(prior, tile)[0] for tile in tiles]
    for one, other in zip(logits_of(prior, *tiles), alone, strict=True):
        assert np.array_equal(one, other)


def test_integers_load_back(indices_net: WaveNet, latents_net: LatentWaveNet) -> None:
    for net, again in (
        (indices_net, WaveNet(INDICES)),
        (latents_net, LatentWaveNet(LATENTS, QUALITIES)),
    ):
        tensors = net.export()
        again.load_integers(tensors)
        exported = again.export()
        assert tensors.keys() == exported.keys()
        assert all(torch.equal(tensors[name], exported[name]) for name in tensors)


def test_integer_training_passes_gradients(
    indices_net: WaveNet, latents_net: LatentWaveNet
) -> None:
    indices_net(torch.from_numpy(row(30)[None]).long(), integer=True).square().sum().backward()
    seen = torch.randn(2, sum(LATENTS.slices), 30)
    means, scales = latents_net(seen, torch.tensor([1, 3]), integer=True)
    (means.square().sum() + scales.square().sum()).backward()
    for net in (indices_net, latents_net):
        for name, parameter in net.named_parameters():
            assert parameter.grad is not None, name
            assert parameter.grad.abs().sum() > 0, name
        net.zero_grad(set_to_none=True)


DAMAGE: Sequence[Callable[[dict[str, NDArray]], object]] = [
    lambda tensors: tensors.pop("layers.2.weight"),
    lambda tensors: tensors.update({"first.weight": tensors["first.weight"][:, :-5]}),
    lambda tensors: tensors.update({"layers.1.weight": tensors["layers.1.weight"][:, :-12]}),
    lambda tensors: tensors.update({"layers.0.bias": np.full(12, units.EXACT_BOUND, np.int32)}),
]


@pytest.mark.parametrize("damage", DAMAGE)
def test_wrong_tensors_are_refused(
    indices_net: WaveNet, damage: Callable[[dict[str, NDArray]], object]
) -> None:
    tensors = arrays(indices_net.export())
    damage(tensors)
    with pytest.raises(ModelCorruptError):
        read_prior(tensors, INDICES)


@pytest.mark.parametrize(
    "wrong",
    [
        {"dilations": (1021,)},
        {"dilations": (1, 0)},
        {"dilations": (1,) * 33},
        {"first_kernel_size": 0},
        {"kernel_size": 1},
    ],
)
@pytest.mark.parametrize("kind", [WaveNetConfig, LatentWaveNetConfig])
def test_configurations_are_bounded(kind: Callable[..., object], wrong: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=r"prior(\.|: its layers must reach)"):
        kind(**wrong)
