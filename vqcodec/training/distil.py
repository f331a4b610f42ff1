"""Last stage of `photo-2`: the analysis learns what refinement of indices knows.

Refinement (`vqcodec.refinement`) descends the price of one picture, bits + lambda distortion, by
moving its latents. Here gradients of the same price, through the same choice between two codewords
(`refinement.candidates`), move the weights of the analysis instead, over all pictures: decoder,
prior and codebooks stand still, and so do gains, which are part of the decoder. What this can learn
comes without search to every encoder.

- Both candidates, and where the one gives way to the other, are the encoder's: distance and bits
  together, the bits being those of the context that a first assignment gives. So, as the
  temperature falls, what is trained becomes what is coded.
- Rate and distortion hang on one and the same share. Gradients tried in the stage before
  (train/history.md) took the rate from elsewhere, noise or soft assignments, and rates grew.
- A model file holds rounded weights (`model_files.rounded_weight`). Every step computes with those,
  gradients passing as if they were not rounded (Bengio et al., arXiv 1308.3432).

Regression on refined indices would need all steps of a refinement, 50 to 100, for each step of
training: as many steps on other crops teach more.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.func import functional_call

from vqcodec.networks.latent_prior import precision_of
from vqcodec.networks.model_files import rounded_weight
from vqcodec.networks.product import Codebooks, take
from vqcodec.refinement.candidates import choose, nats, temperature_at
from vqcodec.training.codebooks import cheapest, grid_of
from vqcodec.training.config_deep import DeepPhotoRecipe, DistilTraining
from vqcodec.training.data import draws
from vqcodec.training.deep_medium import DeepPhotoMedium
from vqcodec.training.distributed import rank, share
from vqcodec.training.hard import Coded, HardIndices, Layout, ascending_qualities, rows_each
from vqcodec.training.medium import Cost


class DistilStage:
    """See the module's docstring."""

    name = "distil"

    def __init__(
        self,
        recipe: DeepPhotoRecipe,
        settings: DistilTraining,
        medium: DeepPhotoMedium,
        codebooks: list[Codebooks],
        device: torch.device,
    ) -> None:
        """Train the medium's analysis. `codebooks` are those of qualities 1..Q."""
        self.schedule = settings
        self._share = share(settings.batch, "train.distil.batch")
        self._seed = recipe.seed
        self._medium = medium
        self._device = device
        self._distance_bits = recipe.product.distance_bits
        self.module = Coded(medium.networks, codebooks).to(device)
        self.module.requires_grad_(False)
        self._analysis: nn.Module = medium.networks.analysis.requires_grad_(True)
        self._codebooks = codebooks
        self._hard = HardIndices(medium, codebooks, self._distance_bits)

    def batch(self, step: int) -> Tensor:
        """Draw pixels: uint8 (B, 3, crop, crop), channels last in memory."""
        return self._medium.batch(self._share, self.schedule.crop, draws(self._seed, 11, step))

    def qualities(self, step: int) -> tuple[int, ...]:
        """Return those of a batch's crops, ascending."""
        seed = (self._seed << 32) + step
        return ascending_qualities(self._share, len(self._codebooks), seed)

    def layout(self, qualities: Sequence[int]) -> Layout:
        """Place qualities, ascending, on the device."""
        return Layout.of(qualities, self._device)

    def temperature(self, step: int) -> float:
        """Return that of a step."""
        return temperature_at(step / self.schedule.steps, self.schedule.temperatures)

    def loss(self, batch: Tensor, step: int) -> tuple[Tensor, dict[str, float]]:
        """Rate and distortion of one batch."""
        # On CPUs a generator heeds only the seed's low 32 bits.
        seed = (self._seed << 32) + (rank() << 24) + step
        generator = torch.Generator(self._device).manual_seed(seed)
        temperature = torch.tensor(self.temperature(step), device=self._device)
        cost = self.cost(batch, self.layout(self.qualities(step)), temperature, generator)
        return cost.loss, cost.figures()

    def cost(
        self, batch: Tensor, layout: Layout, temperature: Tensor, generator: torch.Generator
    ) -> Cost:
        """Weigh crops at their qualities, which choose codewords at a temperature, ().

        Lets the host wait for nothing, so that it can be part of a CUDA graph.
        """
        medium, qualities = self._medium, layout.qualities
        originals = medium.originals(batch)
        gains = medium.gains(qualities)
        scaled = self.latents(originals) * gains
        points = rows_each(scaled)
        prices = self._prices(scaled.detach(), layout)
        choices, values, reads = [], [], []
        for (quality, crops), priced in zip(layout.runs, prices, strict=True):
            codebooks, flat = self._codebooks[quality - 1], points[crops].flatten(0, 1)
            chosen = [
                choose(block, flat, price, temperature, generator)
                for block, price in zip(codebooks.blocks(), priced, strict=True)
            ]
            choices.append(chosen)
            rest = codebooks.rest.expand(len(flat), -1)
            values.append(codebooks.place([choice.values for choice in chosen], rest))
            zeros = torch.zeros_like(rest)
            reads.append(codebooks.place([choice.reads for choice in chosen], zeros))
        means, scales = medium.context(grid_of(torch.cat(reads), scaled), qualities, integer=True)
        mean, precision = rows_each(means), rows_each(precision_of(scales))
        costs = []
        for (quality, crops), chosen in zip(layout.runs, choices, strict=True):
            blocks = self._codebooks[quality - 1].blocks()
            expected = mean[crops].flatten(0, 1), precision[crops].flatten(0, 1)
            spent = mean.new_zeros(len(expected[0]))
            for block, choice in zip(blocks, chosen, strict=True):
                spent = spent + nats(block, *expected, choice.pairs, choice.shares)
            costs.append(spent.view(crops.stop - crops.start, -1).sum(1))
        bpp = medium.rates(torch.cat(costs) / math.log(2.0), originals)
        decoded = medium.decoded(grid_of(torch.cat(values), scaled) / gains)
        found = medium.distortion(decoded, originals)
        lambdas = medium.lambdas[qualities - 1]
        losses = (bpp + lambdas * found.total) / lambdas.sqrt()
        return Cost(losses.mean(), {medium.rate: bpp.detach().mean()}, found)

    def latents(self, originals: Tensor) -> Tensor:
        """Map pixels (B, 3, H, W) to latents (B, D, N, M) with the weights of a model file."""
        weights = {
            name: weight + (rounded_weight(name, weight) - weight).detach()
            for name, weight in self._analysis.named_parameters()
        }
        latents: Tensor = functional_call(self._analysis, weights, (originals,))
        return latents

    def after(self, batch: Tensor, step: int) -> None:
        """Nothing follows a step."""

    def validate(self) -> dict[str, float]:
        """As `HardIndices.validate`."""
        return self._hard.validate(self.latents)

    @torch.no_grad()
    def _prices(self, scaled: Tensor, layout: Layout) -> list[list[Tensor]]:
        """Return what codewords cost beside their distance, in its unit, for every run of scaled
        latents and every block: (G, P, K), P being the run's positions.
        """
        points = rows_each(scaled)
        seen = []
        for quality, crops in layout.runs:
            codebooks, flat = self._codebooks[quality - 1], points[crops].flatten(0, 1)
            parts = [
                take(block.embedding, cheapest(block, flat, self._distance_bits))
                for block in codebooks.blocks()
            ]
            seen.append(codebooks.place(parts, torch.zeros_like(flat)))
        context = grid_of(torch.cat(seen), scaled), layout.qualities
        means, scales = self._medium.context(*context, integer=True)
        mean, precision = rows_each(means), rows_each(precision_of(scales))
        return [
            [
                block.logits(
                    block.of(mean[crops].flatten(0, 1)),
                    block.of(precision[crops].flatten(0, 1)),
                    -1.0 / self._distance_bits,
                )
                for block in self._codebooks[quality - 1].blocks()
            ]
            for quality, crops in layout.runs
        ]
