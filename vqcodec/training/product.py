"""Stage of `photo`, `photo-2` and `speech` that makes a model: codebooks on the latents, trained
with hard indices.

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

from collections.abc import Sequence
from pathlib import Path

import torch
from torch import Tensor

from vqcodec.networks.product import Codebooks
from vqcodec.training.codebooks import ProductRecipe, start_all
from vqcodec.training.config import PhotoRecipe, ProductTraining
from vqcodec.training.config_speech import SpeechRecipe
from vqcodec.training.data import draws
from vqcodec.training.distributed import share
from vqcodec.training.hard import Coded, HardIndices, Layout, ascending_qualities
from vqcodec.training.loop import Trainer
from vqcodec.training.medium import Cost, Medium
from vqcodec.training.start import Run


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
        self.codebooks = codebooks
        """Of qualities 1..Q; they train in place."""
        self._hard = HardIndices(medium, codebooks, recipe.product.distance_bits)

    def batch(self, step: int) -> Tensor:
        """Draw crops."""
        rng = draws(self._seed, 4, step)
        return self._medium.batch(self._share, self.schedule.crop, rng)

    def loss(self, batch: Tensor, step: int) -> tuple[Tensor, dict[str, float]]:
        """Rate and distortion of one batch, weighed as in the first stage."""
        cost = self.cost(batch, self.layout(self.qualities(step)), integer=self.is_integer(step))
        return cost.loss, cost.figures()

    def is_integer(self, step: int) -> bool:
        """Tell whether the prior computes on its integer grid at a step."""
        return step >= self.schedule.integer_from * self.schedule.steps

    def qualities(self, step: int) -> tuple[int, ...]:
        """Return those of a batch's crops, ascending."""
        seed = (self._seed << 32) + step
        return ascending_qualities(self._share, len(self._medium.lambdas), seed)

    def layout(self, qualities: Sequence[int]) -> Layout:
        """Place qualities, ascending, on the device."""
        return Layout.of(qualities, self._device)

    def cost(self, batch: Tensor, layout: Layout, *, integer: bool) -> Cost:
        """Weigh crops.

        Draws nothing and lets the host wait for nothing, so that it can be part of a CUDA graph.
        """
        medium, hard = self._medium, self._hard
        originals = medium.originals(batch)
        gains = medium.gains(layout.qualities)
        scaled = medium.latents(originals) * gains
        picked = hard.assign(scaled, layout, integer)
        seen = hard.seen(picked, scaled, layout)
        means, scales = medium.context(seen, layout.qualities, integer=integer)
        rates = medium.rates(hard.bits(picked, means, scales, layout), originals)
        decoded = medium.decoded(hard.values(picked, scaled, layout) / gains)
        found = medium.distortion(decoded, originals)
        lambdas = medium.lambdas[layout.qualities - 1]
        losses = (rates + lambdas * found.total) / lambdas.sqrt()
        return Cost(losses.mean(), {medium.rate: rates.detach().mean()}, found)

    def after(self, batch: Tensor, step: int) -> None:
        """Nothing follows a step."""

    def validate(self) -> dict[str, float]:
        """As `HardIndices.validate`."""
        return self._hard.validate(self._medium.latents)


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
