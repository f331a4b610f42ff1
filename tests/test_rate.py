"""The rate of two candidates, with which photo-2's first stage ends."""

from __future__ import annotations

import pytest
import torch

from vqcodec.networks.latent_prior import bits
from vqcodec.training.rate import candidate_bits

MEANS = torch.tensor([0.0, 0.3, -1.2, 4.0])[:, None]
SCALES = torch.tensor([0.11, 0.5, 2.0, 9.0])[:, None]


@pytest.mark.parametrize("temperature", [0.02, 0.15, 10.0])
def test_at_integers_it_is_the_true_rate(temperature: float) -> None:
    values = torch.arange(-6.0, 7.0)[None].expand(4, -1)
    found = candidate_bits(values, MEANS, SCALES, temperature)
    assert torch.allclose(found, bits(values, MEANS, SCALES), atol=1e-4)
    nearly = torch.nextafter(values, torch.tensor(-100.0))  # the candidate above is the integer
    found = candidate_bits(nearly, MEANS, SCALES, temperature)
    assert torch.allclose(found, bits(values, MEANS, SCALES), atol=1e-3)


@pytest.mark.parametrize("temperature", [0.02, 0.15, 10.0])
def test_elsewhere_it_lies_between_and_has_a_gradient(temperature: float) -> None:
    values = torch.linspace(-3.0, 3.0, 121)[None].repeat(4, 1).requires_grad_()
    means, scales = MEANS.clone().requires_grad_(), SCALES.clone().requires_grad_()
    found = candidate_bits(values, means, scales, temperature)
    with torch.no_grad():
        below = bits(values.floor(), MEANS, SCALES)
        above = bits(values.floor() + 1.0, MEANS, SCALES)
    slack = 1e-4
    assert bool((found >= torch.minimum(below, above) - slack).all())
    assert bool((found <= torch.maximum(below, above) + slack).all())
    found.sum().backward()
    for tensor in (values, means, scales):
        assert bool(tensor.grad.isfinite().all())
        assert bool(tensor.grad.any())
    # The gradient leads to the cheaper candidate.
    middle = torch.full((4, 1), 0.5, requires_grad=True)
    candidate_bits(middle, MEANS, SCALES, temperature).sum().backward()
    cheaper = bits(torch.ones(4, 1), MEANS, SCALES) - bits(torch.zeros(4, 1), MEANS, SCALES)
    assert torch.equal(middle.grad.sign(), cheaper.sign())


def test_silence_costs_nothing() -> None:
    silent, scale = torch.zeros(1000), torch.tensor(0.11)
    noise = torch.rand(1000, generator=torch.Generator().manual_seed(0)) - 0.5
    assert float(bits(silent + noise, torch.tensor(0.0), scale).mean()) > 0.1
    assert float(candidate_bits(silent, torch.tensor(0.0), scale, 0.15).max()) < 1e-4
