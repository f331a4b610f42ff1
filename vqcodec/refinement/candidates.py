"""A choice between two codewords that gradients pass through.

As in stochastic Gumbel annealing (Yang, Bamler and Mandt, arXiv 2006.04240, section 3.2), which
rounds each latent up or down at random, ever more surely, with codewords in place of integers. Of
each group two codewords take part, the nearest, a, and the second nearest, b, to a point z:

    t = <z - a, b - a> / |b - a|^2,    p = sigmoid((atanh t - atanh(1 - t)) / T^2)

is the share of b, 0 to 1. Synthesis and prior see a + p (b - a), and what the group costs is
(1 - p) bits_a + p bits_b. Gradients of bits + lambda distortion reach z through p. As the
temperature T falls, p becomes 0 or 1.

There is no noise, which the paper adds before it divides by T again. Then what is missing is the
error of a choice: if b were drawn with the chance p, its values would differ from their mean by
p (1 - p) |b - a|^2, squared and on average. Who counts this as distortion need not draw, and gets
there in a fifth of the steps (train/history.md).

An encoder that chooses indices one by one weighs a codeword's bits beside its distance. So
codewords may have prices, in the unit of squared distances: a and b are then those of least
distance and price together, and t is moved so that it is 1/2 where the two cost the same.

Shapes: F points of D latents; a block has G groups of K codewords with d channels each.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from vqcodec.networks.product import Block, linear, take

_SHARPEST = 0.1
"""All is divided by T again, but by no less than this, or gradients vanish."""
_INSIDE = 1e-4
"""t is kept so far from 0 and 1, where its atanh is infinite."""
_NARROWEST = 1e-3
"""Least squared distance between two codewords."""
_IDLE = 1e6
"""Price of codewords that only fill a codebook up."""


@dataclass(frozen=True, slots=True)
class Choice:
    """What points choose of one block."""

    pairs: Tensor
    """int64 (G, F, 2): a and b."""
    shares: Tensor
    """p, (G, F)."""
    values: Tensor
    """What the synthesis sees, (G, F, d)."""
    reads: Tensor
    """What the prior reads, (G, F, d)."""
    variance: Tensor
    """p (1 - p) |b - a|^2, (G, F)."""


def choose(block: Block, points: Tensor, prices: Tensor, temperature: Tensor) -> Choice:
    """Let points (F, D) choose at a temperature, (). Prices are (G, F or 1, K)."""
    own = block.of(points)
    pairs = candidates(block, points, prices)
    one, other = (take(block.vectors, pairs[:, :, i]) for i in (0, 1))
    ahead = prices.expand(*pairs.shape[:2], -1).gather(2, pairs)
    line = other - one
    gained = ((own - one) * line).sum(2) + 0.5 * (ahead[:, :, 0] - ahead[:, :, 1])
    apart = line.square().sum(2)
    along = (gained / apart.clamp_min(_NARROWEST)).clamp(_INSIDE, 1.0 - _INSIDE)
    sure = (torch.atanh(along) - torch.atanh(1.0 - along)) / temperature
    shares = torch.sigmoid(sure / temperature.clamp_min(_SHARPEST))
    values = torch.lerp(one, other, shares[:, :, None])
    one, other = (take(block.embedding, pairs[:, :, i]) for i in (0, 1))
    reads = torch.lerp(one, other, shares[:, :, None])
    return Choice(pairs, shares, values, reads, apart * shares * (1.0 - shares))


@torch.no_grad()
def candidates(block: Block, points: Tensor, prices: Tensor) -> Tensor:
    """Return the two codewords of least squared distance and price, int64 (G, F, 2), of points
    (F, D). Prices are as in `choose`.
    """
    costs = block.distances(block.of(points)) + prices
    return costs.topk(2, dim=2, largest=False).indices


class _Nats(torch.autograd.Function):
    """Nats of pairs (G, P, 2), of which the second counts as much as the shares (G, P) say.

    The gradient of a logarithm of a sum of exponentials is the mean of what is in the exponents
    (`terms`), so that it is known as soon as the sum is. Nothing with all codewords of all
    positions is kept, and no exponential is computed twice.
    """

    @staticmethod
    def forward(
        ctx: Any, inputs: Tensor, shares: Tensor, terms: Tensor, bias: Tensor, pairs: Tensor
    ) -> Tensor:
        logits = torch.baddbmm(bias[:, None], inputs, terms.mT)
        likely = logits.gather(2, pairs)
        most = logits.amax(2, keepdim=True)
        masses = logits.sub_(most).exp_()
        total = masses.sum(2, keepdim=True)
        one, other = (take(terms, pairs[:, :, i]) for i in (0, 1))
        expected = torch.bmm(masses, terms).div_(total)
        ctx.save_for_backward(
            expected.sub_(torch.lerp(one, other, shares[:, :, None])),
            likely[:, :, 0] - likely[:, :, 1],
        )
        whole = (most + total.log_())[:, :, 0]
        return whole - torch.lerp(likely[:, :, 0], likely[:, :, 1], shares)

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor | None, ...]:
        of_inputs, of_shares = ctx.saved_tensors
        return grads[0][:, :, None] * of_inputs, grads[0] * of_shares, None, None, None


def nats(block: Block, mean: Tensor, precision: Tensor, pairs: Tensor, shares: Tensor) -> Tensor:
    """Return what a choice costs, of all groups together, (F,), where the prior expects `mean`
    and `precision`, (F, D) each.
    """
    unit = math.log(2.0)
    inputs = linear(block.of(mean), unit * block.of(precision))
    costs: Tensor = _Nats.apply(inputs, shares, *block.terms(unit), pairs)  # type: ignore[no-untyped-call]
    return costs.sum(0)


@torch.no_grad()
def idle(block: Block, distance_bits: float) -> Tensor:
    """Return prices, (G, 1, K): 0 for a block's codewords, and a large one for those that only
    fill its codebook up.

    These cost more than another one by more bits than the distance between the two is worth, and
    most repeat the first codeword. An encoder that weighs both never takes them.
    """
    worth = distance_bits * torch.cdist(block.vectors, block.vectors).square()  # (G, K, K)
    dearer = block.bias[:, None, :] - block.bias[:, :, None]
    # Of repeats that cost the same the first one counts.
    repeats = ((worth == 0.0) & (dearer == 0.0)).tril(-1)
    return _IDLE * ((dearer > worth) | repeats).any(2)[:, None].float()


def temperature_at(done: float, ends: tuple[float, float]) -> float:
    """Return T when a part of the steps is done: it falls exponentially from the first of the
    ends to the last.
    """
    first, last = ends
    return float(first * (last / first) ** done)
