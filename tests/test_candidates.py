"""The choice between two codewords that refinement makes."""

from __future__ import annotations

import torch
from torch import Tensor

from vqcodec.networks.product import Block, take
from vqcodec.refinement.candidates import candidates, choose, idle, nats, temperature_at

CODEWORDS, POINTS = 9, 40


def frozen(block: Block) -> Block:
    return block.requires_grad_(False)


def block() -> Block:
    """Two groups of two channels, the second with six codewords, the others filled up."""
    torch.manual_seed(5)
    vectors, bias = torch.randn(2, CODEWORDS, 2), -torch.rand(2, CODEWORDS)
    vectors[1, 6:] = vectors[1, :1]
    bias[1, 6:] = -40.0
    channels = torch.tensor([[3, 0], [1, 4]])
    counts = torch.tensor([CODEWORDS, 6])
    return frozen(Block(channels, vectors, bias, torch.asinh(vectors), -bias, counts))


def nothing(of: Block) -> Tensor:
    return torch.zeros(of.groups, 1, CODEWORDS)


def test_without_prices_it_is_the_published_relaxation_without_noise() -> None:
    of, points, temperature = block(), torch.randn(POINTS, 5), torch.tensor(0.25)
    found = choose(of, points, nothing(of), temperature)
    own = of.of(points)
    distances = torch.cdist(own, of.vectors).square()
    a, b = distances.argsort(2)[:, :, :2].unbind(2)
    assert torch.equal(found.pairs[0], torch.stack([a, b], 2)[0])  # repeats have no order
    one, other = take(of.vectors, found.pairs[:, :, 0]), take(of.vectors, found.pairs[:, :, 1])
    line = other - one
    t = (((own - one) * line).sum(2) / line.square().sum(2).clamp_min(1e-3)).clamp(1e-4, 1 - 1e-4)
    p = torch.sigmoid((torch.atanh(t) - torch.atanh(1.0 - t)) / 0.25**2)
    assert torch.allclose(found.shares, p, atol=1e-4)
    assert torch.allclose(found.values, one + p[:, :, None] * line, atol=1e-4)


def test_with_prices_the_cheapest_codeword_wins_when_it_is_cold() -> None:
    of = block()
    points, prices = torch.randn(POINTS, 5), torch.rand(2, POINTS, CODEWORDS)
    costs = of.distances(of.of(points)) + prices
    found = choose(of, points, prices, torch.tensor(1e-4))
    assert torch.equal(found.pairs, candidates(of, points, prices))
    assert torch.equal(found.pairs[:, :, 0], costs.argmin(2))
    assert not torch.equal(found.pairs, candidates(of, points, nothing(of)))
    least = costs.topk(2, dim=2, largest=False).values
    sure = least[:, :, 1] - least[:, :, 0] > 0.01
    assert bool((found.shares[sure] < 1e-3).all())
    assert int(sure.sum()) > POINTS


def test_two_that_cost_the_same_have_equal_shares() -> None:
    vectors = torch.tensor([[[0.0], [1.0]]])
    flat = torch.zeros(1, 2)
    of = frozen(Block(torch.tensor([[0]]), vectors, flat, vectors.clone(), flat))
    prices = torch.tensor([0.0, 0.2]).expand(1, 1, 2)
    found = choose(of, torch.full((1, 1), 0.6), prices, torch.tensor(0.4))  # .36 and .16 + .2
    assert abs(float(found.shares) - 0.5) < 1e-3
    assert abs(float(found.variance) - 0.25) < 1e-3


def test_gradients_reach_points_and_nothing_else() -> None:
    of, points = block(), torch.randn(POINTS, 5, requires_grad=True)
    found = choose(of, points, nothing(of), torch.tensor(0.4))
    mean, precision = torch.randn(POINTS, 5), torch.rand(POINTS, 5)
    (nats(of, mean, precision, found.pairs, found.shares).sum() + found.values.sum()).backward()
    assert points.grad is not None
    assert torch.equal(points.grad.any(0), torch.tensor([True, True, False, True, True]))


def test_what_only_fills_up_has_no_share() -> None:
    of, points = block(), 3.0 * torch.randn(POINTS, 5)
    found = choose(of, points, idle(of, 8.0), torch.tensor(0.4))
    assert int(found.pairs[1, :, 0].max()) < 6
    mean, precision = points, torch.rand(POINTS, 5)
    cost = nats(of, mean, precision, found.pairs, found.shares)
    assert bool(cost.isfinite().all())
    assert float(cost.max()) < 1e3


def test_costs_are_those_of_the_codewords_taken() -> None:
    of, mean, precision = block(), torch.randn(POINTS, 5), torch.rand(POINTS, 5)
    pairs = torch.randint(6, (2, POINTS, 2))
    logits = of.logits(of.of(mean), of.of(precision)) * torch.log(torch.tensor(2.0))
    expected = -torch.log_softmax(logits, dim=2).gather(2, pairs)
    for share in (0.0, 1.0):
        found = nats(of, mean, precision, pairs, torch.full((2, POINTS), share))
        assert torch.allclose(found, expected[:, :, int(share)].sum(0), atol=1e-4)


def test_temperature_falls_from_one_end_to_the_other() -> None:
    found = [temperature_at(done / 4, (0.4, 0.1)) for done in range(5)]
    assert found == sorted(found, reverse=True)
    assert torch.allclose(torch.tensor(found), 0.4 * 0.5 ** torch.arange(0.0, 2.5, 0.5))
