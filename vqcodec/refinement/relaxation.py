"""Refinement of the indices of one window by gradient descent.

A point z of each position moves, and chooses between the two codewords next to it (`candidates`),
ever more surely. Gradients of bits + lambda distortion move it, where distortion is, ever more,
that of indices drawn with the shares of the choice: else points would rest between two codewords,
which look good together and which no file can hold. In the end the nearest codewords are taken.

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
from vqcodec.models.quality import level_of
from vqcodec.networks.distortion import MS_SSIM_SIDE, Originals
from vqcodec.networks.latent_prior import precision_of
from vqcodec.networks.product import Block, take
from vqcodec.refinement.candidates import (
    Choice,
    candidates,
    choose,
    idle,
    nats,
    temperature_at,
)
from vqcodec.refinement.networks import Networks, gains_of

_TEMPERATURES = 0.5, 0.08
"""T of the first and of the last step (`candidates.temperature_at`)."""
_RATE, _MOMENTA = 0.045, (0.9, 0.99)
"""Of Adam, in the unit of scaled latents."""
_COOLING, _LAST_RATE = 0.7, 0.05
"""From this part of the steps on the rate falls, in the end to this part of itself."""
_NARROWEST = 1e-3
"""Least sum of squared distances that is divided by."""
_LEAN, _FARTHEST = 0.8, 0.45
"""z starts at the chosen codeword, moved toward the latents by so much of the way, which counts
at most as so much in each channel.
"""


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
        networks: Networks,
        quality: int,
        around: Surroundings,
        weights: tuple[float, float],
        multiplier: float,
    ) -> None:
        """`quality` is the header's, `weights` are those of `Judge`, `multiplier` is lambda, in
        bits for a distortion of 1 in each pixel's place.
        """
        self._networks = networks
        level = level_of(quality, networks.quality_scale)
        self._codebooks = codebooks = networks.codebooks[level - 1]
        self._quality = torch.tensor([level], device=around.latents.device)
        self._gains = gains_of(networks, quality)
        self._around = around
        self._judge = Judge(around.original, weights)
        self._multiplier = multiplier
        self._blocks = list(codebooks.blocks())
        self._idle = [idle(block, networks.distance_bits) for block in self._blocks]
        self._fixed = self._split(around.indices)
        rows, columns, _ = around.indices.shape
        positions = torch.arange(rows * columns, device=around.latents.device)
        places = positions.view(rows, columns)
        self._inner = places[around.inner].flatten()
        self._coded = places[around.coded].flatten()
        self._values = self._place([take(b.vectors, k) for b, k in self._each(self._fixed)])
        self._reads = self._place([take(b.embedding, k) for b, k in self._each(self._fixed)], 0.0)

    def refine(self, steps: int, tell: Callable[[], None] | None = None) -> Tensor:
        """Return better indices of the window, int64 (F, G). `tell` is called after each step."""
        chosen = self._values[self._inner]
        toward = (self._around.latents - chosen).clamp(-_FARTHEST, _FARTHEST)
        point = (chosen + _LEAN * toward).requires_grad_()
        price = self._price_of_distance(chosen)
        optimiser = torch.optim.Adam([point], lr=_RATE, betas=_MOMENTA)
        for step in range(steps):
            done = step / steps
            slower = min(1.0, max(_LAST_RATE, (1.0 - done) / (1.0 - _COOLING)))
            optimiser.param_groups[0]["lr"] = _RATE * slower
            optimiser.zero_grad()
            temperature = torch.tensor(temperature_at(done, _TEMPERATURES), device=point.device)
            choices = self._choices(point, temperature)
            spread = torch.stack([choice.variance.sum() for choice in choices]).sum()
            cost = self._cost(choices) + done**2 * price * spread
            cost.backward()  # type: ignore[no-untyped-call]
            optimiser.step()
            if tell is not None:
                tell()
        last = [candidates(block, point, prices) for block, prices in self._priced()]
        nearest = [pair[:, :, 0].T for pair in last]
        return torch.cat(nearest, dim=1)

    def _choices(self, point: Tensor, temperature: Tensor) -> list[Choice]:
        """Let points (F, D) choose of each block."""
        return [choose(block, point, price, temperature) for block, price in self._priced()]

    def _cost(self, choices: list[Choice]) -> Tensor:
        """Return the bits and the weighed distortion of the window, but for that of drawing."""
        reads = self._place([choice.reads for choice in choices], 0.0)
        read = self._reads.index_copy(0, self._inner, reads)
        return self._bits(read, choices) + self._distortion([choice.values for choice in choices])

    def _distortion(self, values: list[Tensor]) -> Tensor:
        """Return the weighed distortion, in bits, for values of the blocks, (G, F, d) each."""
        drawn = self._values.index_copy(0, self._inner, self._place(values))
        decoded: Tensor = self._networks.synthesis(self._picture(drawn) / self._gains)
        rows, columns = self._around.judged
        judged = decoded[:, :, rows, columns]
        area = judged.shape[2] * judged.shape[3]
        return self._multiplier * area * self._judge.distortion(judged)

    @torch.no_grad()
    def _price_of_distance(self, chosen: Tensor) -> Tensor:
        """Return how many bits a squared distance of 1 from codewords is worth, on average, ().

        It is measured: each codeword, of points (F, D), is moved halfway to the next one or as far
        away from it, at random. The mean of this and of the opposite has no first order left.
        """
        generator = torch.Generator(chosen.device).manual_seed(0)
        values, moves = [], []
        for block, price in self._priced():
            pairs = candidates(block, chosen, price)
            one, other = (take(block.vectors, pairs[:, :, i]) for i in (0, 1))
            ways = torch.rand(pairs.shape[:2], generator=generator, device=chosen.device).round()
            values.append(one)
            moves.append((other - one) * (ways - 0.5)[:, :, None])
        still, forth, back = (
            self._distortion([one + way * move for one, move in zip(values, moves, strict=True)])
            for way in (0.0, 1.0, -1.0)
        )
        squares = torch.stack([move.square().sum() for move in moves]).sum()
        return (0.5 * (forth + back) - still).clamp_min(0.0) / squares.clamp_min(_NARROWEST)

    def _bits(self, read: Tensor, choices: list[Choice]) -> Tensor:
        """Return what the coded positions cost, those around the window by their fixed indices."""
        rows, columns = self._around.coded
        surrounded = self._picture(read)[:, :, rows, columns]
        means, scales = self._networks.prior(surrounded, self._quality)
        mean, precision = (x[0].flatten(1).T.contiguous() for x in (means, precision_of(scales)))
        total = read.new_zeros(())
        for block, fixed, choice in zip(self._blocks, self._fixed, choices, strict=True):
            both = fixed[:, :, None].repeat(1, 1, 2).index_copy(1, self._inner, choice.pairs)
            part = choice.shares.new_zeros(fixed.shape)
            part = part.index_copy(1, self._inner, choice.shares)
            own = both[:, self._coded], part[:, self._coded]
            total = total + nats(block, mean, precision, *own).sum()
        return total / math.log(2.0)

    def _priced(self) -> list[tuple[Block, Tensor]]:
        return list(zip(self._blocks, self._idle, strict=True))

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


class Judge:
    """The distortion of pixels against their originals."""

    def __init__(self, original: Tensor, weights: tuple[float, float]) -> None:
        """Take pixels (1, 3, h, w) in 0..1, and the weights of the mean squared error, of 0..255,
        and of 1 - MS-SSIM. A side of less than 176 pixels has no MS-SSIM: then it is the mean
        squared error alone.
        """
        small = min(original.shape[2:]) < MS_SSIM_SIDE
        self._squares, self._unlike = (1.0, 0.0) if small else weights
        self._originals = Originals(original, self._unlike)

    def distortion(self, decoded: Tensor) -> Tensor:
        """Return the distortion of pixels (1, 3, h, w), ()."""
        found = self._originals.distortion(decoded)
        return (self._squares * found.mse + self._unlike * found.unlike).sum()
