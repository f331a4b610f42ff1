"""The promise of the project: the prior is exact, however it is run."""

from __future__ import annotations

import copy
from collections.abc import Iterator

import numpy as np
import pytest
import reference
import torch
from conftest import random_prior
from torch import Tensor

from vqcodec.errors import ModelCorruptError
from vqcodec.models import fixedpoint as fx
from vqcodec.models.config import PriorConfig
from vqcodec.models.integer_pixelcnn import IntegerPixelCNN
from vqcodec.models.pixelcnn import PixelCNN
from vqcodec.models.vqvae import VqVae
from vqcodec.models.wavefront import steps
from vqcodec.models.wedge import FIRST_TAPS, INNER_TAPS

CPU = torch.device("cpu")
CONFIG = PriorConfig(codebook_size=24, embedding=5, channels=12, layers=2)


@pytest.fixture(scope="module")
def trained() -> PixelCNN:
    return random_prior(CONFIG)


@pytest.fixture(scope="module")
def tensors(trained: PixelCNN) -> dict[str, Tensor]:
    return trained.export()


@pytest.fixture(scope="module")
def prior(tensors: dict[str, Tensor]) -> IntegerPixelCNN:
    return IntegerPixelCNN(CONFIG, tensors, device=CPU)


def grid(tiles: int, rows: int, columns: int, seed: int = 0) -> Tensor:
    generator = torch.Generator().manual_seed(seed)
    return torch.randint(CONFIG.codebook_size, (tiles, rows, columns), generator=generator)


def by_wavefront(prior: IntegerPixelCNN, indices: Tensor) -> Tensor:
    tiles, rows, columns = indices.shape
    return in_steps(prior, [(rows, columns)] * tiles, indices.flatten()).view(*indices.shape, -1)


def in_steps(prior: IntegerPixelCNN, sizes: list[tuple[int, int]], places: Tensor) -> Tensor:
    """Return the logits of tiles' indices, tile after tile, row by row: (places, K)."""
    out = torch.empty(len(places), CONFIG.codebook_size)
    front = prior.wavefront(sizes)
    for step in steps(sizes):
        at = torch.from_numpy(step.place)
        half = len(at) // 2
        for some in (slice(0, half), slice(half, len(at))):
            out[at[some]] = front.logits(step, 0, some)[0].float()
        front.put(step, 0, places[at, None])
    return out


def test_logits_have_opinions(prior: IntegerPixelCNN) -> None:
    logits = prior.logits(grid(1, 8, 8))
    assert logits.std() > 10
    assert (logits == logits.round()).all()


def test_equals_the_reference(model: VqVae, model_data: bytes) -> None:
    slow = reference.load(model_data)
    for rows, columns in ((5, 6), (1, 4), (6, 1), (3, 3)):
        indices = grid(1, rows, columns)
        expected = []

        def code(logits: np.ndarray, index: int, expected: list = expected) -> int:
            expected.append(logits.tolist())
            return index

        reference.walk(indices[0, :, :, None].numpy().copy(), slow, 0, code)
        logits = model.prior.logits(indices)[0]
        steps_of = reference.wavefronts(rows, columns)
        assert torch.cat([logits[i, j] for i, j in steps_of]).tolist() == expected


@pytest.mark.parametrize("shape", [(1, 1, 1), (2, 7, 9), (3, 9, 4), (1, 1, 12), (1, 12, 1)])
def test_wavefront_equals_all_at_once(prior: IntegerPixelCNN, shape: tuple[int, int, int]) -> None:
    indices = grid(*shape)
    assert torch.equal(by_wavefront(prior, indices), prior.logits(indices))


def test_raster_order_with_an_unknown_future_gives_the_same(prior: IntegerPixelCNN) -> None:
    indices = grid(1, 5, 6)
    logits = prior.logits(indices)
    known = torch.zeros_like(indices)
    for i in range(5):
        for j in range(6):
            assert torch.equal(prior.logits(known)[0, i, j], logits[0, i, j])
            known[0, i, j] = indices[0, i, j]


def test_later_positions_in_wavefront_order_do_not_matter(prior: IntegerPixelCNN) -> None:
    indices = grid(1, 6, 7)
    other = grid(1, 6, 7, seed=1)
    i, j = torch.meshgrid(torch.arange(6), torch.arange(7), indexing="ij")
    for t in (0, 3, 8, 11):
        past = (j + 2 * i < t)[None]
        mixed = torch.where(past, indices, other)
        now = j + 2 * i <= t
        assert torch.equal(prior.logits(mixed)[0][now], prior.logits(indices)[0][now])


def test_batches_do_not_matter(prior: IntegerPixelCNN) -> None:
    indices = grid(5, 8, 9)
    together = prior.logits(indices)
    for tile in range(5):
        alone = indices[tile : tile + 1]
        assert torch.equal(prior.logits(alone)[0], together[tile])
        assert torch.equal(by_wavefront(prior, alone)[0], together[tile])


def test_tiles_of_any_sizes_go_together(prior: IntegerPixelCNN) -> None:
    tiles = [
        grid(1, rows, columns, seed=rows) for rows, columns in ((8, 8), (1, 9), (7, 2), (3, 8))
    ]
    sizes = [(tile.shape[1], tile.shape[2]) for tile in tiles]
    together = in_steps(prior, sizes, torch.cat([tile.flatten() for tile in tiles]))
    alone = torch.cat([prior.logits(tile).flatten(0, 2) for tile in tiles])
    assert torch.equal(together, alone)


def test_double_precision_gives_the_same(
    prior: IntegerPixelCNN, tensors: dict[str, Tensor]
) -> None:
    double = IntegerPixelCNN(CONFIG, tensors, device=CPU, dtype=torch.float64)
    indices = grid(2, 9, 8)
    assert torch.equal(double.logits(indices), prior.logits(indices).double())
    assert torch.equal(by_wavefront(double, indices), by_wavefront(prior, indices))


@pytest.fixture
def wide() -> tuple[IntegerPixelCNN, Tensor]:
    """Wide enough for matrix products to be split between threads, near the bound."""
    config = PriorConfig(codebook_size=512, embedding=32, channels=128, layers=2)
    torch.manual_seed(3)
    tensors = PixelCNN(config).export()
    for name, tensor in tensors.items():
        if name.endswith(".weight"):
            sign = torch.randint(0, 2, tensor.shape) * 2 - 1
            tensors[name] = (sign * torch.randint(60, 128, tensor.shape)).to(torch.int8)
        if name.endswith(".shift"):
            tensors[name] = torch.full_like(tensor, 9)
    generator = torch.Generator().manual_seed(0)
    indices = torch.randint(512, (2, 24, 24), generator=generator)
    return IntegerPixelCNN(config, tensors, device=CPU), indices


@pytest.fixture
def threads() -> Iterator[None]:
    before = torch.get_num_threads()
    yield
    torch.set_num_threads(before)


@pytest.mark.usefixtures("threads")
def test_threads_do_not_matter(wide: tuple[IntegerPixelCNN, Tensor]) -> None:
    prior, indices = wide
    results = []
    for count in (1, 2, 3):
        torch.set_num_threads(count)
        results.append(prior.logits(indices))
    assert torch.equal(results[0], results[1])
    assert torch.equal(results[0], results[2])


@pytest.mark.parametrize("precision", ["highest", "high", "medium"])
def test_matmul_precision_does_not_matter(
    wide: tuple[IntegerPixelCNN, Tensor], precision: str
) -> None:
    prior, indices = wide
    expected = prior.logits(indices)
    torch.set_float32_matmul_precision(precision)
    try:
        with torch.autocast("cpu", torch.bfloat16):
            assert torch.equal(prior.logits(indices), expected)
        assert torch.get_float32_matmul_precision() == precision
    finally:
        torch.set_float32_matmul_precision("highest")


@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device")
def test_cuda_gives_the_same(tensors: dict[str, Tensor], prior: IntegerPixelCNN) -> None:
    there = IntegerPixelCNN(CONFIG, tensors, device=torch.device("cuda"))
    indices = grid(3, 20, 21)
    assert torch.equal(there.logits(indices).cpu(), prior.logits(indices))
    assert torch.equal(by_wavefront(there, indices), prior.logits(indices))


def test_training_arithmetic_is_the_integer_arithmetic(
    trained: PixelCNN, prior: IntegerPixelCNN
) -> None:
    indices = grid(2, 9, 9)
    with torch.no_grad():
        logits = copy.deepcopy(trained).double()(indices, integer=True)
    units = logits.permute(0, 2, 3, 1) * 2.0**fx.FRACTION_LOGIT
    assert torch.equal(units, prior.logits(indices).double())


def test_integer_training_passes_gradients(trained: PixelCNN) -> None:
    trained.zero_grad()
    trained(grid(1, 6, 6), integer=True).square().sum().backward()
    for name, parameter in trained.named_parameters():
        assert parameter.grad is not None, name
        assert parameter.grad.abs().sum() > 0, name
    trained.zero_grad(set_to_none=True)


def test_taps_reach_no_further_right_than_up() -> None:
    for di, dj in (*FIRST_TAPS, *INNER_TAPS):
        assert di <= 0
        assert dj <= -di


def test_integers_load_back_into_the_float_prior(
    trained: PixelCNN, tensors: dict[str, Tensor]
) -> None:
    again = PixelCNN(trained.config)
    again.load_integers(tensors)
    exported = again.export()
    assert all(torch.equal(tensors[name], exported[name]) for name in tensors)


def test_export_stays_within_the_bound(tensors: dict[str, Tensor]) -> None:
    for name in ("first", "layers.0", "layers.1", "hidden", "output"):
        weight, bias, shift = (tensors[f"{name}.{part}"] for part in ("weight", "bias", "shift"))
        assert 0 < fx.check_bound(weight, bias, shift, name) < fx.EXACT_BOUND


@pytest.mark.parametrize(
    ("name", "damage"),
    [
        ("layers.0.bias", lambda t: torch.full_like(t, fx.EXACT_BOUND)),
        ("layers.0.bias", lambda t: torch.full_like(t, -(2**31))),
        ("hidden.weight", lambda t: torch.full_like(t, -128)),
        ("output.shift", lambda t: torch.full_like(t, 21)),
        ("first.weight", lambda t: t[:, :-1]),
        ("first.weight", lambda t: t.float()),
        ("embedding", lambda t: torch.full_like(t, -128)),
        ("output.bias", lambda _: None),
    ],
)
def test_wrong_tensors_are_refused(tensors: dict[str, Tensor], name: str, damage: object) -> None:
    wrong = dict(tensors)
    changed = damage(tensors[name])  # type: ignore[operator]
    if changed is None:
        del wrong[name]
    else:
        wrong[name] = changed
    with pytest.raises(ModelCorruptError):
        IntegerPixelCNN(CONFIG, wrong, device=CPU)
