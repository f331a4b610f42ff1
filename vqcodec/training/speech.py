"""First stage of `speech`: transform and context in real numbers.

As photo-1's first stage (`transform`), with sound's rate and distortion. The loss of a crop at
quality q is

    (kbit/s + lambda_q D) / sqrt(lambda_q),     D as in `sound_distortion`,

the rate with noise for quantisation, and for the last part of the steps with two candidates
(`rate`), while context and synthesis see rounded latents.
"""

from __future__ import annotations

from collections import defaultdict

import numpy as np
import torch
from torch import Tensor

from vqcodec.models.stft import HOP
from vqcodec.networks.latent_prior import bits
from vqcodec.training.config_speech import SpeechRecipe
from vqcodec.training.data import draws
from vqcodec.training.distributed import rank, share
from vqcodec.training.medium import Cost
from vqcodec.training.rate import candidate_bits
from vqcodec.training.speech_medium import SpeechMedium
from vqcodec.training.transform import spread_qualities


class SpeechTransformStage:
    """See the module's docstring."""

    name = "transform"

    def __init__(self, recipe: SpeechRecipe, medium: SpeechMedium, device: torch.device) -> None:
        self.schedule = recipe.train.transform
        self._share = share(self.schedule.batch, "train.transform.batch")
        self._seed = recipe.seed
        self._device = device
        self._medium = medium
        self._latents = recipe.transform.latents
        self.module = medium.networks

    def batch(self, step: int) -> Tensor:
        """Draw samples: float32 (B, crop)."""
        return self._medium.batch(self._share, self.schedule.crop, draws(self._seed, 1, step))

    def loss(self, batch: Tensor, step: int) -> tuple[Tensor, dict[str, float]]:
        """Rate and distortion of one batch."""
        seed = (self._seed << 32) + step
        generator = torch.Generator(self._device).manual_seed(seed)
        qualities = spread_qualities(len(batch), self.qualities, generator)
        noise = None
        if self.is_noisy(step):
            if rank():  # noise of its own; on CPUs a generator heeds only the seed's low 32 bits
                generator.manual_seed(seed + (rank() << 24))
            noise = self.noise(batch, generator)
        cost = self.cost(batch, qualities, noise)
        return cost.loss, cost.figures()

    @property
    def qualities(self) -> int:
        """Number of qualities."""
        return len(self._medium.lambdas)

    def is_noisy(self, step: int) -> bool:
        """Tell whether the rate of a step is that of noise, not of candidates."""
        return step < self.schedule.candidates_from * self.schedule.steps

    def noise(self, batch: Tensor, generator: torch.Generator) -> Tensor:
        """Draw noise for the latents of a batch, float32 (B, D, T) in -0.5..0.5."""
        shape = (len(batch), self._latents, batch.shape[1] // HOP)
        return torch.rand(shape, generator=generator, device=self._device) - 0.5

    def cost(self, batch: Tensor, qualities: Tensor, noise: Tensor | None) -> Cost:
        """Weigh crops at their qualities, int64 (B,). Without noise the rate is that of two
        candidates.

        Draws nothing and lets the host wait for nothing, so that it can be part of a CUDA graph.
        """
        medium = self._medium
        original = medium.originals(batch)
        gains = medium.gains(qualities)
        scaled = medium.latents(original) * gains
        rounded = scaled + (scaled.round() - scaled).detach()
        means, scales = medium.context(torch.asinh(rounded), qualities)
        if noise is None:
            costs = candidate_bits(scaled, means, scales, self.schedule.temperature)
        else:
            costs = bits(scaled + noise, means, scales)
        rates = medium.rates(costs.sum((1, 2)), original)
        found = medium.distortion(medium.decoded(rounded / gains), original)
        lambdas = medium.lambdas[qualities - 1]
        losses = (rates + lambdas * found.total) / lambdas.sqrt()
        return Cost(losses.mean(), {medium.rate: rates.detach().mean()}, found)

    def after(self, batch: Tensor, step: int) -> None:
        """Nothing follows a step."""

    @torch.inference_mode()
    def validate(self) -> dict[str, float]:
        """Rate, distortion and what instruments say, with rounded latents, per quality; and the
        loss of all of them.
        """
        figures: dict[str, float] = {}
        losses = []
        for quality, weight in enumerate(self._medium.lambdas.tolist(), 1):
            rows: defaultdict[str, list[float]] = defaultdict(list)
            for crop in self._medium.validation:
                for name, value in self._measure(crop, quality).items():
                    rows[name].append(value)
            means = {name: float(np.mean(values)) for name, values in rows.items()}
            losses.append((means["kbps"] + weight * means.pop("total")) / weight**0.5)
            figures |= {f"{name}{quality}": value for name, value in means.items()}
        return {"loss": float(np.mean(losses)), **figures}

    def _measure(self, crop: Tensor, quality: int) -> dict[str, float]:
        """Return figures of one sound (1, n)."""
        medium = self._medium
        original = medium.originals(crop)
        at = torch.tensor([quality], device=self._device)
        gains = medium.gains(at)
        rounded = (medium.latents(original) * gains).round()
        costs = bits(rounded, *medium.context(torch.asinh(rounded), at))
        decoded = medium.decoded(rounded / gains)
        found = medium.distortion(decoded, original)
        return {
            "kbps": float(medium.rates(costs.sum((1, 2)), original)),
            "total": float(found.total),
            **found.figures(),
            **medium.judged(decoded, original),
        }
