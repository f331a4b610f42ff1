"""Coding with the indices that an encoder chooses: what it costs, and how it looks.

An index is what costs least, bits and distance together, where the bits are those of the context
that a first assignment, without any, gives. (Coding does it exactly, in order.)
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Callable, Sequence

import numpy as np
import torch
from torch import Tensor, nn

from vqcodec.networks.latent_prior import precision_of
from vqcodec.networks.product import Codebooks, take
from vqcodec.training.codebooks import cheapest, grid_of, rows_of
from vqcodec.training.medium import Medium


class Coded(nn.Module):
    """The whole model, for the optimiser and the checkpoint."""

    def __init__(self, networks: nn.Module, codebooks: list[Codebooks]) -> None:
        super().__init__()
        self.networks = networks
        self.codebooks = nn.ModuleList(codebooks)


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
    def assign(self, scaled: Tensor, qualities: Tensor, integer: bool) -> list[list[Tensor]]:
        """Return, for each crop and block, indices (G, P) of least cost."""
        first = [
            [cheapest(block, flat, self._distance_bits) for block in codebooks.blocks()]
            for codebooks, flat in self._each(scaled, qualities)
        ]
        seen = self.seen(first, scaled, qualities)
        means, scales = self._medium.context(seen, qualities, integer=integer)
        precisions = precision_of(scales)
        picked = []
        for row, (codebooks, flat) in enumerate(self._each(scaled, qualities)):
            mean, precision = rows_of(means[row]), rows_of(precisions[row])
            indices = []
            for block in codebooks.blocks():
                costs = block.distances(block.of(flat), self._distance_bits)
                costs -= block.logits(block.of(mean), block.of(precision))
                indices.append(costs.argmin(2))
            picked.append(indices)
        return picked

    def quantise(
        self, quality: int, indices: list[Tensor], context: tuple[Tensor, Tensor]
    ) -> tuple[Tensor, Tensor]:
        """Return the bits of one crop and its quantised latents (P, D).

        `context` are the prior's means and precisions, (P, D) each.
        """
        codebooks = self._codebooks[quality - 1]
        nats = context[0].new_zeros(())
        values = []
        for block, picked in zip(codebooks.blocks(), indices, strict=True):
            # In nats: scaling the small operands saves passes over all codewords.
            logits = block.logits(block.of(context[0]), block.of(context[1]), math.log(2.0))
            shares = torch.log_softmax(logits, dim=2)
            nats = nats - shares.gather(2, picked[:, :, None]).sum()
            values.append(take(block.vectors, picked))
        base = codebooks.rest.expand(len(context[0]), -1)
        return nats / math.log(2.0), codebooks.place(values, base)

    def seen(self, indices: list[list[Tensor]], scaled: Tensor, qualities: Tensor) -> Tensor:
        """Return what the prior reads at the indices: (B, D, ...)."""
        rows = []
        for (codebooks, flat), picked in zip(self._each(scaled, qualities), indices, strict=True):
            parts = [take(b.embedding, k) for b, k in zip(codebooks.blocks(), picked, strict=True)]
            rows.append(codebooks.place(parts, torch.zeros_like(flat)))
        return grid_of(torch.stack(rows), scaled)

    def values(self, indices: list[list[Tensor]], scaled: Tensor, qualities: Tensor) -> Tensor:
        """Return the quantised latents that indices stand for: (B, D, ...)."""
        rows = []
        for (codebooks, flat), picked in zip(self._each(scaled, qualities), indices, strict=True):
            parts = [take(b.vectors, k) for b, k in zip(codebooks.blocks(), picked, strict=True)]
            rows.append(codebooks.place(parts, codebooks.rest.expand(len(flat), -1)))
        return grid_of(torch.stack(rows), scaled)

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
        at = torch.tensor([quality], device=latents.device)
        gains = medium.gains(at)
        scaled = latents * gains
        indices = self.assign(scaled, at, integer=True)
        seen = self.seen(indices, scaled, at)
        rates = []
        for integer in (False, True):
            means, scales = medium.prior(seen, at, integer=integer)
            context = (rows_of(means[0]), rows_of(precision_of(scales)[0]))
            cost, value = self.quantise(quality, indices[0], context)
            rates.append(float(medium.rates(cost[None], original)))
        decoded = medium.written(medium.decoded(grid_of(value, scaled) / gains))
        found = medium.distortion(decoded, original)
        return {
            medium.rate: rates[0],
            "integer": rates[1],
            "total": float(found.total),
            **found.figures(),
            **medium.judged(decoded, original),
        }

    def _each(self, scaled: Tensor, qualities: Tensor) -> list[tuple[Codebooks, Tensor]]:
        """Pair each crop's codebooks with its latents (P, D)."""
        detached = scaled.detach()
        return [
            (self._codebooks[q - 1], rows_of(row))
            for q, row in zip(qualities.tolist(), detached, strict=True)
        ]
