"""What refinement computes in real numbers is what the networks that it stands for compute."""

from __future__ import annotations

import pytest
import torch
from block_model import block_photo
from random_networks import DEEP_TRANSFORM, random_exact
from torch import Tensor
from torch.nn.functional import cosine_similarity

from vqcodec.networks.distortion import Originals, distortion
from vqcodec.networks.exact import ExactSynthesis
from vqcodec.refinement.candidates import candidates, idle, nats
from vqcodec.refinement.relaxation import Judge
from vqcodec.refinement.synthesis import SmoothSynthesis


def synthesis() -> tuple[ExactSynthesis, Tensor]:
    torch.manual_seed(8)
    network = random_exact(DEEP_TRANSFORM, 2.0 * torch.randn(3, 24, 6, 6))
    return network.requires_grad_(False), 2.0 * torch.randn(1, 24, 7, 5)


def pixels_and_gradient(network: torch.nn.Module, latents: Tensor) -> tuple[Tensor, Tensor]:
    """Of the pixels' mean squared distance from grey."""
    leaf = latents.clone().requires_grad_()
    pixels = network(leaf)
    (pixels - 0.5).square().mean().backward()
    assert leaf.grad is not None
    return pixels.detach(), leaf.grad


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
@pytest.mark.parametrize("loudness", [1.0, 8.0])
def test_the_smooth_synthesis_is_near_the_integers(dtype: torch.dtype, loudness: float) -> None:
    network, latents = synthesis()
    latents = loudness * latents  # loud ones reach the ends of ranges
    smooth = SmoothSynthesis(network, dtype)
    assert not any(weight.requires_grad for weight in smooth.parameters())
    exact, gradient = pixels_and_gradient(network, latents)
    near, other = pixels_and_gradient(smooth, latents)
    real = network(latents, integer=False)
    assert float((near - exact).square().mean().sqrt()) < 0.05 * float(exact.std())
    assert float(cosine_similarity(gradient.flatten(), other.flatten(), dim=0)) > 0.97
    if loudness > 1.0:  # here real numbers without ends are something else
        assert (real - exact).square().mean() > 4.0 * (near - exact).square().mean()


def test_nats_and_their_gradients_are_those_of_logits() -> None:
    generator = torch.Generator().manual_seed(3)
    for block in block_photo().codebooks[-1].blocks():
        channels = int(block.channels.max()) + 1
        draw = [torch.randn(9, channels, generator=generator) for _ in range(3)]
        points, mean, precision = draw[0], draw[1], draw[2].exp()
        pairs = candidates(block, points, idle(block, 1.0))
        shares = torch.rand(pairs.shape[:2], generator=generator)
        weights = torch.rand(9, generator=generator)
        found = []
        for way in (nats, by_logits):
            inputs = [each.clone().requires_grad_() for each in (mean, precision, shares)]
            costs = way(block, inputs[0], inputs[1], pairs, inputs[2])
            (costs * weights).sum().backward()
            found.append([costs.detach(), *(each.grad for each in inputs)])
        for ours, theirs in zip(*found, strict=True):
            torch.testing.assert_close(ours, theirs, rtol=1e-4, atol=1e-4)


def by_logits(block, mean, precision, pairs, shares):  # type: ignore[no-untyped-def]
    logits = torch.log(torch.tensor(2.0)) * block.logits(block.of(mean), block.of(precision))
    likely = -torch.log_softmax(logits, dim=2).gather(2, pairs)
    return torch.lerp(likely[:, :, 0], likely[:, :, 1], shares).sum(0)


@pytest.mark.parametrize(("side", "weights"), [(180, (1.0, 600.0)), (90, (0.0, 600.0))])
def test_what_is_kept_of_originals_changes_no_distortion(
    side: int, weights: tuple[float, float]
) -> None:
    generator = torch.Generator().manual_seed(4)
    original, *decoded = torch.rand(3, 1, 3, side, side + 7, generator=generator)
    judge = Judge(original, weights)
    for picture in decoded:
        if side < 176:
            expected = (picture - original).square().mean() * 255.0**2
        else:
            expected = distortion(picture, original, 600.0).total.sum()
            again = Originals(original, 600.0)
            assert torch.equal(again.distortion(picture).total, again.distortion(picture).total)
        torch.testing.assert_close(judge.distortion(picture), expected)
