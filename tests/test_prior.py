"""The promise of the project: the prior is exact, however it is run."""

from __future__ import annotations

import copy
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import pytest
import reference
import torch
from numpy.typing import NDArray
from random_networks import random_prior

from vqcodec.errors import ModelCorruptError
from vqcodec.models.codebook import read_prior
from vqcodec.models.config import PriorConfig
from vqcodec.models.vqvae import VqVae
from vqcodec.networks.pixelcnn import PixelCNN
from vqcodec.prior import units
from vqcodec.prior.context import Prior
from vqcodec.prior.layer import check_bound
from vqcodec.prior.taps import FIRST_TAPS, INNER_TAPS

CONFIG = PriorConfig(codebook_size=24, embedding=5, channels=12, layers=2)

Arrays = dict[str, NDArray[Any]]
Grid = NDArray[np.int32]


@pytest.fixture(scope="module")
def trained() -> PixelCNN:
    return random_prior(CONFIG)


@pytest.fixture(scope="module")
def tensors(trained: PixelCNN) -> Arrays:
    return {name: tensor.numpy() for name, tensor in trained.export().items()}


@pytest.fixture(scope="module")
def prior(tensors: Arrays) -> Prior:
    return read_prior(tensors, CONFIG)


def grid(rows: int, columns: int, seed: int = 0) -> Grid:
    rng = np.random.default_rng(seed)
    return rng.integers(CONFIG.codebook_size, size=(rows, columns), dtype=np.int32)


def logits_of(prior: Prior, *tiles: Grid) -> list[NDArray]:
    """Return the logits (rows, columns, K) of the indices of tiles that go together."""
    sizes = [(len(tile), tile.shape[1]) for tile in tiles]
    places = np.concatenate([tile.ravel() for tile in tiles])
    out = np.empty((len(places), prior.parts[0][1]))
    context = prior.context(sizes)
    for step in context.steps():
        half = len(step.place) // 2
        for some in (slice(0, half), slice(half, len(step.place))):
            out[step.place[some]] = context.logits(0, some)[0]
        context.put(0, places[step.place, None])
    own = np.split(out, np.cumsum([tile.size for tile in tiles])[:-1])
    return [part.reshape(*tile.shape, -1) for part, tile in zip(own, tiles, strict=True)]


def test_logits_have_opinions(prior: Prior) -> None:
    (logits,) = logits_of(prior, grid(8, 8))
    assert logits.std() > 10
    assert np.array_equal(logits, logits.round())


def test_equals_the_reference(model: VqVae, model_data: bytes) -> None:
    slow = reference.load(model_data)
    for rows, columns in ((5, 6), (1, 4), (6, 1), (3, 3)):
        indices = grid(rows, columns)
        expected = []

        def code(logits: np.ndarray, index: int, expected: list = expected) -> int:
            expected.append(logits.tolist())
            return index

        reference.walk(indices[:, :, None].copy(), slow, 0, code)
        (logits,) = logits_of(model.prior, indices)
        steps_of = reference.wavefronts(rows, columns)
        assert np.concatenate([logits[i, j] for i, j in steps_of]).tolist() == expected


@pytest.mark.parametrize("size", [(1, 1), (7, 9), (9, 4), (1, 12), (12, 1)])
def test_training_arithmetic_is_the_integer_arithmetic(
    trained: PixelCNN, prior: Prior, size: tuple[int, int]
) -> None:
    """All positions at once, as a convolution, and step by step along the wavefront."""
    indices = grid(*size)
    with torch.no_grad():
        at_once = torch.from_numpy(indices[None]).long()
        logits = copy.deepcopy(trained).double()(at_once, integer=True)
    expected = logits[0].permute(1, 2, 0).numpy() * 2.0**units.FRACTION_LOGIT
    assert np.array_equal(logits_of(prior, indices)[0], expected)


def test_later_positions_in_wavefront_order_do_not_matter(prior: Prior) -> None:
    indices, other = grid(6, 7), grid(6, 7, seed=1)
    i, j = np.mgrid[:6, :7]
    for t in (0, 3, 8, 11):
        mixed = np.where(j + 2 * i < t, indices, other)
        now = j + 2 * i <= t
        changed, (logits,) = logits_of(prior, mixed)[0], logits_of(prior, indices)
        assert np.array_equal(changed[now], logits[now])


def test_tiles_of_any_sizes_go_together(prior: Prior) -> None:
    tiles = [grid(*size, seed=size[0]) for size in ((8, 8), (8, 8), (1, 9), (7, 2), (3, 8))]
    alone = [logits_of(prior, tile)[0] for tile in tiles]
    for one, other in zip(logits_of(prior, *tiles), alone, strict=True):
        assert np.array_equal(one, other)


def test_double_precision_gives_the_same(prior: Prior, tensors: Arrays) -> None:
    double = read_prior(tensors, CONFIG, np.float64)
    assert double.trunk.dtype is np.float64
    indices = grid(9, 8)
    assert np.array_equal(logits_of(double, indices), logits_of(prior, indices))


def test_sums_near_the_bound_are_exact() -> None:
    """As wide as a prior may be, so that a library may cut or reorder its products."""
    config = PriorConfig(codebook_size=512, embedding=32, channels=128, layers=2)
    torch.manual_seed(3)
    wide = {name: tensor.numpy() for name, tensor in PixelCNN(config).export().items()}
    rng = np.random.default_rng(3)
    for name, tensor in wide.items():
        if name.endswith(".weight"):
            sign = rng.choice([-1, 1], tensor.shape)
            wide[name] = (sign * rng.integers(60, 128, tensor.shape)).astype(np.int8)
        if name.endswith(".shift"):
            wide[name] = np.full_like(tensor, 9)
    indices = rng.integers(512, size=(24, 24), dtype=np.int32)
    single, double = (
        logits_of(read_prior(wide, config, dtype), indices) for dtype in (np.float32, np.float64)
    )
    assert np.array_equal(single, double)


def test_integer_training_passes_gradients(trained: PixelCNN) -> None:
    trained.zero_grad()
    trained(torch.from_numpy(grid(6, 6)[None]).long(), integer=True).square().sum().backward()
    for name, parameter in trained.named_parameters():
        assert parameter.grad is not None, name
        assert parameter.grad.abs().sum() > 0, name
    trained.zero_grad(set_to_none=True)


def test_taps_reach_no_further_right_than_up() -> None:
    for di, dj in (*FIRST_TAPS, *INNER_TAPS):
        assert di <= 0
        assert dj <= -di


def test_integers_load_back_into_the_float_prior(trained: PixelCNN) -> None:
    tensors = trained.export()
    again = PixelCNN(trained.config)
    again.load_integers(tensors)
    exported = again.export()
    assert all(torch.equal(tensors[name], exported[name]) for name in tensors)


def test_export_stays_within_the_bound(tensors: Arrays) -> None:
    for name in ("first", "layers.0", "layers.1", "hidden", "output"):
        weight, bias, shift = (tensors[f"{name}.{part}"] for part in ("weight", "bias", "shift"))
        assert 0 < check_bound(weight, bias, shift, name) < units.EXACT_BOUND


def _without(name: str) -> Callable[[Arrays], object]:
    return lambda tensors: tensors.pop(name)


def _filled(name: str, value: int) -> Callable[[Arrays], object]:
    return lambda tensors: tensors.update({name: np.full_like(tensors[name], value)})


def _cut(tensors: Arrays) -> None:
    tensors["first.weight"] = tensors["first.weight"][:, :-1]


def _real(tensors: Arrays) -> None:
    tensors["first.weight"] = tensors["first.weight"].astype(np.float32)


DAMAGE: Sequence[Callable[[Arrays], object]] = [
    _filled("layers.0.bias", units.EXACT_BOUND),
    _filled("layers.0.bias", -(2**31)),
    _filled("hidden.weight", -128),
    _filled("output.shift", units.SHIFT_MAX + 1),
    _filled("embedding", -128),
    _without("output.bias"),
    _cut,
    _real,
]


@pytest.mark.parametrize("damage", DAMAGE)
def test_wrong_tensors_are_refused(tensors: Arrays, damage: Callable[[Arrays], object]) -> None:
    wrong = dict(tensors)
    damage(wrong)
    with pytest.raises(ModelCorruptError):
        read_prior(wrong, CONFIG)
