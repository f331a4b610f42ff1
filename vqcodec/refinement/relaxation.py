"""Refinement of the indices of one window by gradient descent.

Stochastic Gumbel annealing (Yang, Bamler and Mandt, arXiv 2006.04240, section 3.2), which rounds
each latent up or down at random, ever more surely, with codewords in place of integers. Of each
group two codewords take part, the nearest, a, and the second nearest, b, to a point z that moves:

    t = <z - a, b - a> / |b - a|^2,    p = sigmoid((atanh t - atanh(1 - t)) / T + noise)

is the share of b, 0 to 1. Synthesis and prior see a + p (b - a), and what the group costs is
(1 - p) bits_a + p bits_b. Gradients of bits + lambda distortion reach z through p. As the
temperature T falls, p becomes 0 or 1; in the end the nearest codewords are taken.

Shapes: the window has F positions of P that are computed with it, of D latents each; a block of a
codebook has G groups of K codewords with d channels each.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from vqcodec.grid import Box
from vqcodec.networks.distortion import MS_SSIM_SIDE, distortion
from vqcodec.networks.latent_prior import precision_of
from vqcodec.networks.product import Block, take
from vqcodec.refinement.networks import ProductModel, gains_of

_TEMPERATURES = 0.4, 0.06
"""T of the first and of the last step; in between it falls exponentially."""
_SHARPEST = 0.1
"""The noise is divided by T too, but by no less than this, or gradients vanish."""
_RATE, _MOMENTA = 0.035, (0.9, 0.99)
"""Of Adam, in the unit of scaled latents."""
_COOLING, _LAST_RATE = 0.7, 0.05
"""From this part of the steps on the rate falls, in the end to this part of itself."""
_LEAN, _FARTHEST = 0.5, 0.45
"""z starts at the chosen codeword, moved toward the latents by so much of the way, which counts
at most as so much in each channel.
"""
_INSIDE = 1e-4
"""t is kept so far from 0 and 1, where its atanh is infinite."""
_IDLE = 1e6
"""Squared distance of codewords that only fill a codebook up."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Surroundings:
    """A window and what is around it, on the device."""

    original: Tensor
    """Pixels that are judged, (1, 3, h, w) in 0..1."""
    judged: Box
    """Their rows and columns, counted from the first drawn pixel."""
    latents: Tensor
    """Scaled latents of the window, (F, D)."""
    indices: Tensor
    """int64 (n, m, G): those that are drawn, all groups of the codebooks."""
    inner: Box
    """The window's rows and columns of these."""
    coded: Box
    """Rows and columns of those whose bits count."""


class Relaxation:
    """A window's indices while they are refined."""

    def __init__(
        self,
        model: ProductModel,
        quality: int,
        around: Surroundings,
        weights: tuple[float, float],
        multiplier: float,
    ) -> None:
        """`weights` are those of `judge`, `multiplier` is lambda, in bits for a distortion of 1 in
        each pixel's place.
        """
        self._model = model
        self._codebooks = codebooks = model.codebooks[quality - 1]
        self._quality = torch.tensor([quality], device=around.latents.device)
        self._gains = gains_of(model, quality)
        self._around = around
        self._weights = weights
        self._multiplier = multiplier
        self._blocks = list(codebooks.blocks())
        self._idle = [idle(block, model.product.distance_bits) for block in self._blocks]
        self._fixed = self._split(around.indices)
        rows, columns, _ = around.indices.shape
        positions = torch.arange(rows * columns, device=around.latents.device)
        places = positions.view(rows, columns)
        self._inner = places[around.inner].flatten()
        self._coded = places[around.coded].flatten()
        self._values = self._place([take(b.vectors, k) for b, k in self._each(self._fixed)])
        self._reads = self._place([take(b.embedding, k) for b, k in self._each(self._fixed)], 0.0)

    def refine(
        self, steps: int, generator: torch.Generator, tell: Callable[[], None] | None = None
    ) -> Tensor:
        """Return better indices of the window, int64 (F, G). `tell` is called after each step."""
        chosen = self._values[self._inner]
        toward = (self._around.latents - chosen).clamp(-_FARTHEST, _FARTHEST)
        point = (chosen + _LEAN * toward).requires_grad_()
        optimiser = torch.optim.Adam([point], lr=_RATE, betas=_MOMENTA)
        first, last = _TEMPERATURES
        for step in range(steps):
            done = step / steps
            slower = min(1.0, max(_LAST_RATE, (1.0 - done) / (1.0 - _COOLING)))
            optimiser.param_groups[0]["lr"] = _RATE * slower
            optimiser.zero_grad()
            cost = self._cost(point, first * (last / first) ** done, generator)
            cost.backward()  # type: ignore[no-untyped-call]
            optimiser.step()
            if tell is not None:
                tell()
        nearest = [pair[:, :, 0].T for pair in self._pairs(point.detach())]
        return torch.cat(nearest, dim=1)

    def _cost(self, point: Tensor, temperature: float, generator: torch.Generator) -> Tensor:
        """Return the bits and the weighed distortion of the window for points (F, D)."""
        pairs = self._pairs(point)
        shares, values, reads = [], [], []
        for block, pair in zip(self._blocks, pairs, strict=True):
            one, other = (take(block.vectors, pair[:, :, i]) for i in (0, 1))
            share = self._share(block.of(point), one, other, temperature, generator)
            shares.append(share)
            values.append(torch.lerp(one, other, share[:, :, None]))
            one, other = (take(block.embedding, pair[:, :, i]) for i in (0, 1))
            reads.append(torch.lerp(one, other, share[:, :, None]))
        drawn = self._values.index_copy(0, self._inner, self._place(values))
        read = self._reads.index_copy(0, self._inner, self._place(reads, 0.0))
        decoded: Tensor = self._model.synthesis(self._picture(drawn) / self._gains)
        rows, columns = self._around.judged
        judged = decoded[:, :, rows, columns]
        bits = self._bits(read, pairs, shares)
        distance = judge(judged, self._around.original, self._weights)
        area = judged.shape[2] * judged.shape[3]
        return bits + self._multiplier * area * distance

    def _bits(self, read: Tensor, pairs: list[Tensor], shares: list[Tensor]) -> Tensor:
        """Return what the coded positions cost, those around the window by their fixed indices."""
        rows, columns = self._around.coded
        means, scales = self._model.prior(self._picture(read)[:, :, rows, columns], self._quality)
        mean, precision = (x[0].flatten(1).T.contiguous() for x in (means, precision_of(scales)))
        nats = read.new_zeros(())
        for block, fixed, pair, share in zip(self._blocks, self._fixed, pairs, shares, strict=True):
            # In nats: scaling the small operands saves passes over all codewords.
            logits = block.logits(block.of(mean), block.of(precision), math.log(2.0))
            both = fixed[:, :, None].repeat(1, 1, 2).index_copy(1, self._inner, pair)
            part = share.new_zeros(fixed.shape).index_copy(1, self._inner, share)
            likely = logits.gather(2, both[:, self._coded])
            nats = (
                nats
                + (
                    torch.logsumexp(logits, dim=2)
                    - torch.lerp(likely[:, :, 0], likely[:, :, 1], part[:, self._coded])
                ).sum()
            )
        return nats / math.log(2.0)

    @torch.no_grad()
    def _pairs(self, point: Tensor) -> list[Tensor]:
        """Return each block's nearest and second nearest codewords of points, (G, F, 2)."""
        return [
            (block.distances(block.of(point)) + idle).topk(2, dim=2, largest=False).indices
            for block, idle in zip(self._blocks, self._idle, strict=True)
        ]

    def _share(
        self,
        point: Tensor,
        one: Tensor,
        other: Tensor,
        temperature: float,
        generator: torch.Generator,
    ) -> Tensor:
        """Return p of points (G, F, d) between two codewords: (G, F)."""
        line = other - one
        along = ((point - one) * line).sum(2) / line.square().sum(2).clamp_min(1e-3)
        along = along.clamp(_INSIDE, 1.0 - _INSIDE)
        sure = (torch.atanh(along) - torch.atanh(1.0 - along)) / temperature
        chance = torch.rand(along.shape, generator=generator, device=along.device)
        noise = torch.logit(chance, eps=1e-6)
        return torch.sigmoid((sure + noise) / max(temperature, _SHARPEST))

    def _split(self, indices: Tensor) -> list[Tensor]:
        """Cut indices (..., G in all) into those of each block, (G, P)."""
        groups = [block.groups for block in self._blocks]
        return [part.T.contiguous() for part in torch.split(indices.flatten(0, 1), groups, dim=1)]

    def _each(self, indices: list[Tensor]) -> list[tuple[Block, Tensor]]:
        return list(zip(self._blocks, indices, strict=True))

    def _place(self, parts: list[Tensor], rest: float | None = None) -> Tensor:
        """Put blocks' values (G, P, d) into (P, D), over what channels without a group are."""
        base = self._codebooks.rest if rest is None else torch.full_like(self._codebooks.rest, rest)
        positions = parts[0].shape[1] if parts else len(self._around.latents)
        return self._codebooks.place(parts, base.expand(positions, -1))

    def _picture(self, flat: Tensor) -> Tensor:
        """(P, D) to (1, D, n, m)."""
        rows, columns, _ = self._around.indices.shape
        return flat.T.reshape(1, -1, rows, columns)


def idle(block: Block, distance_bits: float) -> Tensor:
    """Return 0 for a block's codewords, and a large distance for those that only fill its
    codebook up: (G, 1, K).

    These cost more than another one by more bits than the distance between the two is worth, and
    most repeat the first codeword. An encoder that weighs both never takes them.
    """
    worth = distance_bits * torch.cdist(block.vectors, block.vectors).square()  # (G, K, K)
    dearer = block.bias[:, None, :] - block.bias[:, :, None]
    # Of repeats that cost the same the first one counts.
    repeats = ((worth == 0.0) & (dearer == 0.0)).tril(-1)
    return _IDLE * ((dearer > worth) | repeats).any(2)[:, None].float()


def judge(decoded: Tensor, original: Tensor, weights: tuple[float, float]) -> Tensor:
    """Return the distortion of pixels (1, 3, h, w) in 0..1.

    `weights` are those of the mean squared error, of 0..255, and of 1 - MS-SSIM. A side of less
    than 176 pixels has no MS-SSIM: then it is the mean squared error alone.
    """
    squares, unlike = weights
    if min(original.shape[2:]) < MS_SSIM_SIDE:
        squares, unlike = 1.0, 0.0
    found = distortion(decoded, original, unlike)
    return (squares * found.mse + unlike * found.unlike).sum()
