"""Bounds of the likelihood, on what is known exactly."""

from __future__ import annotations

import itertools
import math

import pytest
import torch
from bounds import (
    fitted_prior,
    gaussian_divergence,
    log_logistic,
    log_prior,
    multi_sample_bound,
    uniform_prior,
    vimco,
)
from torch.distributions import Normal, kl_divergence

JOINT = torch.log(torch.tensor([0.02, 0.3, 0.001, 0.08]))
"""log p(x, z) of one picture and four indices."""
LOGITS = [0.3, -0.4, 0.1, 0.9]


@pytest.mark.parametrize("mean", [-40.0, 0.0, 100.3, 255.0, 300.0])
@pytest.mark.parametrize("log_scale", [-9.0, -2.0, 0.0, 3.0, 6.0])
def test_masses_of_all_samples_are_one(mean: float, log_scale: float) -> None:
    levels = torch.arange(256.0, dtype=torch.float64)
    full = torch.full_like(levels, log_scale)
    found = log_logistic(levels, torch.full_like(levels, mean), full)
    assert float(found.exp().sum()) == pytest.approx(1.0, abs=2e-3)
    assert found.isfinite().all()


def test_gaussian_divergence() -> None:
    means, log_variances = torch.tensor([0.0, 1.5, -3.0]), torch.tensor([0.0, -2.0, 1.0])
    expected = kl_divergence(Normal(means, (0.5 * log_variances).exp()), Normal(0.0, 1.0))
    assert torch.allclose(gaussian_divergence(means, log_variances), expected, atol=1e-6)


def test_indices_of_a_sure_encoder_cost_log_k() -> None:
    sure, uniform = torch.tensor([0.0, 1.0, 0.0, 0.0]), torch.full((4,), 0.25)
    exact = float(torch.xlogy(sure, sure / uniform).sum())
    assert float(-log_prior(torch.tensor([[1]]), uniform_prior(1, 4))) == pytest.approx(exact)
    many = torch.zeros(2, 10, 8, 8, dtype=torch.int64)
    expected = [640 * 9 * math.log(2.0)] * 2
    assert (-log_prior(many, uniform_prior(10, 512))).tolist() == pytest.approx(expected)


def test_a_fitted_prior_is_of_each_latent() -> None:
    counts = torch.tensor([[3.0, 0.0], [0.0, 1.0], [2.0, 2.0]])
    prior = fitted_prior(counts)
    assert torch.allclose(prior.exp().sum(1), torch.ones(3))
    assert prior.exp()[:2].flatten().tolist() == pytest.approx([3.5 / 4, 0.5 / 4, 0.25, 0.75])
    indices = torch.tensor([[[0, 1], [1, 1], [0, 0]]])  # of one picture, two positions of each
    expected = math.log(3.5 / 4 * 0.5 / 4 * 0.75 * 0.75 * 0.5 * 0.5)
    assert float(log_prior(indices, prior)) == pytest.approx(expected)


def expected_bound(logits: torch.Tensor, samples: int) -> torch.Tensor:
    """The mean of the bound over all draws."""
    log_q = torch.log_softmax(logits, 0)
    total = torch.zeros(())
    for drawn in itertools.product(range(4), repeat=samples):
        own = log_q[list(drawn)]
        bound = multi_sample_bound((JOINT[list(drawn)] - own)[None])[0]
        total = total + own.sum().exp() * bound
    return total


def test_more_samples_come_nearer_to_the_likelihood() -> None:
    exact = float(JOINT.exp().sum().log())
    found = [float(expected_bound(torch.tensor(LOGITS), samples)) for samples in (1, 2, 3, 5)]
    assert found == sorted(found)
    assert found[-1] < exact
    assert exact - found[-1] < 0.5 * (exact - found[0])
    posterior = JOINT  # with the right posterior the bound is the likelihood, however it is drawn
    assert float(expected_bound(posterior, 2)) == pytest.approx(exact, abs=1e-5)


@pytest.mark.parametrize("samples", [2, 3])
def test_vimco_has_the_gradient_of_the_bound(samples: int) -> None:
    exact = torch.tensor(LOGITS, requires_grad=True)
    expected_bound(exact, samples).backward()  # type: ignore[no-untyped-call]
    logits = torch.tensor(LOGITS, requires_grad=True)
    total = torch.zeros(())
    for drawn in itertools.product(range(4), repeat=samples):
        log_q = torch.log_softmax(logits, 0)[list(drawn)][None]
        estimate = vimco(JOINT[list(drawn)][None] - log_q, log_q)[0]
        total = total + log_q.detach().sum().exp() * estimate
    total.backward()  # type: ignore[no-untyped-call]
    assert exact.grad is not None
    assert logits.grad is not None
    assert torch.allclose(logits.grad, exact.grad, atol=1e-6)
