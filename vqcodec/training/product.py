"""Last stage of `photo`, `photo-2` and `speech`: codebooks on the latents, trained with hard
indices.

The codebooks start on the latents of the stage before (`cells`) and the prior where
its conditional Gaussians ended (`networks.product`). From then on synthesis, prior and codebooks
train together with the indices that coding will use:

- an index is what costs least, bits and distance together, where the bits are those
  of the context that a first assignment, without any, gives (coding does it exactly, in
  order);
- the synthesis sees the codewords, which learn from it alone;
- the prior learns from the bits of the indices.

Analysis and gains stay as they were: every gradient tried for them, through hard indices, made
rates grow (train/history.md). For the last part of the steps the prior runs on its integer grid.
"""

from __future__ import annotations

import math
from collections import defaultdict
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

from vqcodec.networks.latent_prior import precision_of
from vqcodec.networks.product import Codebooks, take
from vqcodec.training.codebooks import ProductRecipe, cheapest, grid_of, rows_of, start_all
from vqcodec.training.config import PhotoRecipe, ProductTraining
from vqcodec.training.config_speech import SpeechRecipe
from vqcodec.training.data import draws
from vqcodec.training.distributed import share
from vqcodec.training.loop import Trainer
from vqcodec.training.medium import Medium
from vqcodec.training.start import Run
from vqcodec.training.transform import spread_qualities


class Coded(nn.Module):
    """The whole model, for the optimiser and the checkpoint."""

    def __init__(self, networks: nn.Module, codebooks: list[Codebooks]) -> None:
        super().__init__()
        self.networks = networks
        self.codebooks = nn.ModuleList(codebooks)


class ProductStage:
    """See the module's docstring."""

    name = "product"

    def __init__(
        self,
        recipe: ProductRecipe,
        settings: ProductTraining,
        medium: Medium,
        codebooks: list[Codebooks],
        device: torch.device,
    ) -> None:
        """Take what the stage before trained, and what `start_all` made of it."""
        self.schedule = settings
        self._share = share(settings.batch, "train.product.batch")
        self._seed = recipe.seed
        self._medium = medium
        self._device = device
        self.module = Coded(medium.networks, codebooks).to(device)
        for part in medium.fixed:
            part.requires_grad_(False)
        self._distance_bits = recipe.product.distance_bits

    def batch(self, step: int) -> Tensor:
        """Draw crops."""
        rng = draws(self._seed, 4, step)
        return self._medium.batch(self._share, self.schedule.crop, rng)

    def loss(self, batch: Tensor, step: int) -> tuple[Tensor, dict[str, float]]:
        """Rate and distortion of one batch, weighed as in the first stage."""
        medium = self._medium
        integer = step >= self.schedule.integer_from * self.schedule.steps
        generator = torch.Generator(self._device).manual_seed((self._seed << 32) + step)
        originals = medium.originals(batch)
        qualities = spread_qualities(len(batch), len(medium.lambdas), generator)
        gains = medium.gains(qualities)
        scaled = medium.latents(originals) * gains
        indices = self._assign(scaled, qualities, integer)
        seen = self._seen(indices, scaled, qualities)
        means, scales = medium.context(seen, qualities, integer=integer)
        costs, values = [], []
        precisions = precision_of(scales)
        for row, quality in enumerate(qualities.tolist()):
            context = (rows_of(means[row]), rows_of(precisions[row]))
            cost, value = self._quantise(quality, indices[row], context)
            costs.append(cost)
            values.append(value)
        rates = medium.rates(torch.stack(costs), originals)  # (B,)
        decoded = medium.decoded(grid_of(torch.stack(values), scaled) / gains)
        found = medium.distortion(decoded, originals)
        lambdas = medium.lambdas[qualities - 1]
        loss = ((rates + lambdas * found.total) / lambdas.sqrt()).mean()
        return loss, {medium.rate: float(rates.detach().mean()), **found.figures()}

    def after(self, batch: Tensor, step: int) -> None:
        """Nothing follows a step."""

    @torch.inference_mode()
    def validate(self) -> dict[str, float]:
        """Rate and figures per quality, and the loss of all; the rate of the integer prior too."""
        figures: dict[str, float] = {}
        total = 0.0
        for quality, weight in enumerate(self._medium.lambdas.tolist(), 1):
            rows: defaultdict[str, list[float]] = defaultdict(list)
            for crop in self._medium.validation:
                for name, value in self._measure(crop, quality).items():
                    rows[name].append(value)
            means = {name: float(np.mean(values)) for name, values in rows.items()}
            cost = means["integer"] + weight * means.pop("total")
            total += cost / weight**0.5 / len(self._medium.lambdas)
            figures |= {f"{name}{quality}": value for name, value in means.items()}
        return {"loss": total, **figures}

    def _measure(self, crop: Tensor, quality: int) -> dict[str, float]:
        """Return the rate of one crop, with the integer prior too, distortion in total and
        figures.
        """
        medium = self._medium
        original = medium.originals(crop)
        at = torch.tensor([quality], device=self._device)
        gains = medium.gains(at)
        scaled = medium.latents(original) * gains
        indices = self._assign(scaled, at, integer=True)
        seen = self._seen(indices, scaled, at)
        rates = []
        for integer in (False, True):
            means, scales = medium.prior(seen, at, integer=integer)
            context = (rows_of(means[0]), rows_of(precision_of(scales)[0]))
            cost, value = self._quantise(quality, indices[0], context)
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

    @torch.no_grad()
    def _assign(self, scaled: Tensor, qualities: Tensor, integer: bool) -> list[list[Tensor]]:
        """Return, for each crop and block, indices (G, P) of least cost."""
        first = [
            [cheapest(block, flat, self._distance_bits) for block in codebooks.blocks()]
            for codebooks, flat in self._each(scaled, qualities)
        ]
        seen = self._seen(first, scaled, qualities)
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

    def _quantise(
        self, quality: int, indices: list[Tensor], context: tuple[Tensor, Tensor]
    ) -> tuple[Tensor, Tensor]:
        """Return the bits of one crop and its quantised latents (P, D).

        `context` are the prior's means and precisions, (P, D) each.
        """
        codebooks = self._codebooks(quality)
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

    def _seen(self, indices: list[list[Tensor]], scaled: Tensor, qualities: Tensor) -> Tensor:
        """Return what the prior reads at the indices: (B, D, ...)."""
        rows = []
        for (codebooks, flat), picked in zip(self._each(scaled, qualities), indices, strict=True):
            parts = [take(b.embedding, k) for b, k in zip(codebooks.blocks(), picked, strict=True)]
            rows.append(codebooks.place(parts, torch.zeros_like(flat)))
        return grid_of(torch.stack(rows), scaled)

    def _each(self, scaled: Tensor, qualities: Tensor) -> list[tuple[Codebooks, Tensor]]:
        """Pair each crop's codebooks with its latents (P, D)."""
        detached = scaled.detach()
        return [
            (self._codebooks(q), rows_of(row))
            for q, row in zip(qualities.tolist(), detached, strict=True)
        ]

    def _codebooks(self, quality: int) -> Codebooks:
        codebooks = self.module.codebooks[quality - 1]
        assert isinstance(codebooks, Codebooks)
        return codebooks


def train_product(
    recipe: PhotoRecipe | SpeechRecipe,
    medium: Medium,
    given: list[Codebooks] | None,
    cache: Path,
    run: Run,
) -> list[Codebooks]:
    """Train the stage, and return the codebooks of qualities 1..Q; the medium's networks train with
    them. The codebooks begin as `codebooks.start_all` says of `given` and `cache`.
    """
    settings = recipe.train.product
    run.reporter.start("codebooks", 0, recipe.transform.qualities)
    codebooks = start_all(
        recipe,
        settings,
        medium,
        given,
        cache,
        lambda done: run.reporter.step("codebooks", done, {}),
    )
    stage = ProductStage(recipe, settings, medium, codebooks, run.device)
    Trainer(stage, run.folder, run.reporter).run(resume=run.resume)
    return codebooks
