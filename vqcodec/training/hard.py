"""Coding with the indices that an encoder chooses: what it costs, and how it looks.

An index is what costs least, bits and distance together, where the bits are those of the context
that a first assignment, without any, gives. (Coding does it exactly, in order.)
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby

import numpy as np
import torch
from torch import Tensor, nn

from vqcodec.networks.latent_prior import precision_of
from vqcodec.networks.product import Codebooks, take
from vqcodec.training.codebooks import cheapest, grid_of
from vqcodec.training.medium import Medium
from vqcodec.training.transform import spread_qualities


class Coded(nn.Module):
    """The whole model, for the optimiser and the checkpoint."""

    def __init__(self, networks: nn.Module, codebooks: list[Codebooks]) -> None:
        super().__init__()
        self.networks = networks
        self.codebooks = nn.ModuleList(codebooks)


@dataclass(frozen=True, slots=True)
class Layout:
    """Which crops of a batch have which quality. Those of one quality lie side by side, as they
    have codebooks in common.
    """

    qualities: Tensor
    """int64 (B,), on the networks' device."""
    runs: tuple[tuple[int, slice], ...]
    """Each quality that occurs, and its crops."""

    @classmethod
    def of(cls, qualities: Sequence[int], device: torch.device) -> Layout:
        """Lay out crops of these qualities, those that are equal side by side."""
        runs, start = [], 0
        for quality, crops in groupby(qualities):
            end = start + len(list(crops))
            runs.append((quality, slice(start, end)))
            start = end
        return cls(torch.tensor(qualities, device=device), tuple(runs))


def ascending_qualities(crops: int, count: int, seed: int) -> tuple[int, ...]:
    """Give this process's crops of a batch qualities 1..count, spread evenly: ascending."""
    generator = torch.Generator().manual_seed(seed)
    return tuple(sorted(spread_qualities(crops, count, generator).tolist()))


Picked = Sequence[Sequence[Tensor]]
"""For each run of a layout and each block of its codebooks, indices (G, P): P counts the positions
of all the run's crops.
"""


class HardIndices:
    """See the module's docstring."""

    def __init__(
        self, medium: Medium, codebooks: Sequence[Codebooks], distance_bits: float
    ) -> None:
        """`codebooks` are those of qualities 1..Q, on the medium's device."""
        self._medium = medium
        self._codebooks = codebooks
        self._distance_bits = distance_bits

    @torch.no_grad()
    def assign(self, scaled: Tensor, layout: Layout, integer: bool) -> Picked:
        """Return the indices of least cost of scaled latents (B, D, ...)."""
        first = [
            [cheapest(block, flat, self._distance_bits) for block in codebooks.blocks()]
            for codebooks, flat in self._each(scaled, layout)
        ]
        seen = self.seen(first, scaled, layout)
        means, scales = self._medium.context(seen, layout.qualities, integer=integer)
        picked = []
        for (codebooks, flat), (_, mean), (_, precision) in zip(
            self._each(scaled, layout),
            self._each(means, layout),
            self._each(precision_of(scales), layout),
            strict=True,
        ):
            indices = []
            for block in codebooks.blocks():
                costs = block.distances(block.of(flat), self._distance_bits)
                costs -= block.logits(block.of(mean), block.of(precision))
                indices.append(costs.argmin(2))
            picked.append(indices)
        return picked

    def bits(self, picked: Picked, means: Tensor, scales: Tensor, layout: Layout) -> Tensor:
        """Return what indices of crops cost in all, (B,), where the prior expects means and scales
        (B, D, ...).
        """
        costs = []
        for indices, (codebooks, mean), (_, precision) in zip(
            picked,
            self._each(means, layout),
            self._each(precision_of(scales), layout),
            strict=True,
        ):
            nats = mean.new_zeros(len(mean))
            for block, index in zip(codebooks.blocks(), indices, strict=True):
                # In nats: scaling the small operands saves passes over all codewords.
                logits = block.logits(block.of(mean), block.of(precision), math.log(2.0))
                shares = torch.log_softmax(logits, dim=2)
                nats = nats - shares.gather(2, index[:, :, None]).sum((0, 2))
            costs.append(nats)
        spent = torch.cat(costs).view(len(means), -1)  # (B, P)
        return spent.sum(1) / math.log(2.0)

    def seen(self, picked: Picked, scaled: Tensor, layout: Layout) -> Tensor:
        """Return what the prior reads at indices of latents (B, D, ...), of the same shape."""
        rows = []
        for indices, (codebooks, flat) in zip(picked, self._each(scaled, layout), strict=True):
            parts = [
                take(block.embedding, index)
                for block, index in zip(codebooks.blocks(), indices, strict=True)
            ]
            rows.append(codebooks.place(parts, torch.zeros_like(flat)))
        return grid_of(torch.cat(rows), scaled)

    def values(self, picked: Picked, scaled: Tensor, layout: Layout) -> Tensor:
        """Return the quantised latents that indices of latents (B, D, ...) stand for, of the same
        shape.
        """
        rows = []
        for indices, (codebooks, flat) in zip(picked, self._each(scaled, layout), strict=True):
            parts = [
                take(block.vectors, index)
                for block, index in zip(codebooks.blocks(), indices, strict=True)
            ]
            rows.append(codebooks.place(parts, codebooks.rest.expand(len(flat), -1)))
        return grid_of(torch.cat(rows), scaled)

    @torch.inference_mode()
    def validate(self, latents: Callable[[Tensor], Tensor]) -> dict[str, float]:
        """Rate and figures per quality, and the loss of all; the rate of the integer prior too.

        `latents` maps originals to latents before gains.
        """
        figures: dict[str, float] = {}
        total = 0.0
        originals = [self._medium.originals(crop) for crop in self._medium.validation]
        held_out = [(original, latents(original)) for original in originals]
        for quality, weight in enumerate(self._medium.lambdas.tolist(), 1):
            rows: defaultdict[str, list[float]] = defaultdict(list)
            for original, found in held_out:
                for name, value in self._measure(original, found, quality).items():
                    rows[name].append(value)
            means = {name: float(np.mean(values)) for name, values in rows.items()}
            cost = means["integer"] + weight * means.pop("total")
            total += cost / weight**0.5 / len(self._medium.lambdas)
            figures |= {f"{name}{quality}": value for name, value in means.items()}
        return {"loss": total, **figures}

    def _measure(self, original: Tensor, latents: Tensor, quality: int) -> dict[str, float]:
        """Return the rate of one crop, with the integer prior too, distortion in total and
        figures.
        """
        medium = self._medium
        layout = Layout.of([quality], latents.device)
        gains = medium.gains(layout.qualities)
        scaled = latents * gains
        picked = self.assign(scaled, layout, integer=True)
        seen = self.seen(picked, scaled, layout)
        rates = []
        for integer in (False, True):
            means, scales = medium.prior(seen, layout.qualities, integer=integer)
            spent = self.bits(picked, means, scales, layout)
            rates.append(float(medium.rates(spent, original)))
        values = self.values(picked, scaled, layout)
        decoded = medium.written(medium.decoded(values / gains))
        found = medium.distortion(decoded, original)
        return {
            medium.rate: rates[0],
            "integer": rates[1],
            "total": float(found.total),
            **found.figures(),
            **medium.judged(decoded, original),
        }

    def _each(self, latents: Tensor, layout: Layout) -> Iterator[tuple[Codebooks, Tensor]]:
        """Pair the codebooks of each run with its latents (P, D)."""
        rows = rows_each(latents)
        for quality, crops in layout.runs:
            yield self._codebooks[quality - 1], rows[crops].flatten(0, 1)


def rows_each(latents: Tensor) -> Tensor:
    """Turn latents (B, D, ...) into rows (B, P, D) of positions."""
    return latents.flatten(2).mT
