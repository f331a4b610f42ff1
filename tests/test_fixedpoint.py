"""Grids of integer layers while they train."""

from __future__ import annotations

import pytest
import torch

from vqcodec.networks.fixedpoint import export_layer, fake_layer, from_integers, to_integers
from vqcodec.prior.layer import check_bound


@pytest.mark.parametrize("size", [0.0, 1e-6, 1e-3, 0.1])
@pytest.mark.parametrize("bias", [0.0, 0.05, 3.0, 60.0])
@torch.no_grad()
def test_layers_keep_to_their_sums_whatever_is_large(size: float, bias: float) -> None:
    """A row of small weights with a large bias has few digits instead of too large sums."""
    torch.manual_seed(1)
    weight, biases = (
        size * torch.randn(6, 40),
        bias * torch.tensor([1.0, -1.0, 0.5, 0.0, 1.0, -0.3]),
    )
    weight8, bias32, shift8 = to_integers(weight, biases, 4, 8)
    check_bound(weight8.numpy(), bias32.numpy(), shift8.numpy(), "x")
    assert export_layer("x", weight, biases, 4, 8).keys() == {"x.weight", "x.bias", "x.shift"}
    trained = fake_layer(weight, biases, 4, 8)
    for found, expected in zip(from_integers(weight8, bias32, shift8, 4, 8), trained, strict=True):
        assert torch.allclose(found, expected, atol=1e-6)
    assert torch.allclose(trained[1], biases, atol=2.0**-9)
