"""First stage of `photo`: transform and context, trained with noise for quantisation.

Rate and distortion together (Ballé et al., arXiv 1611.01704): the loss of a
picture at quality q is

    (bits per pixel + lambda_q * D) / sqrt(lambda_q),     D = MSE + w * (1 - MS-SSIM),

the MSE on the scale 0..255, the rate with additive uniform noise of width 1 in place of
rounding, while context and synthesis see rounded latents, the gradient passing straight
through (Minnen and Singh, arXiv 2007.08739, section 3.3): with noise for all three, latents
far below one step still carry a picture, which rounding then loses. Each picture of
a batch has a quality of its own. The division keeps the gradients of coarse and
fine qualities at like size; it changes no quality's optimum.
"""

from __future__ import annotations

import math
from pathlib import Path
from typing import Generic, TypeVar

import numpy as np
import torch
from torch import Tensor, nn

from vqcodec.networks.latent_prior import LatentPrior, bits
from vqcodec.networks.transform import Analysis, Gains, Synthesis
from vqcodec.training.config import PhotoRecipe
from vqcodec.training.data import Pictures, draws
from vqcodec.training.distributed import rank, share, size
from vqcodec.training.klt import start_as_blocks
from vqcodec.training.photo_medium import PhotoMedium

AnySynthesis = TypeVar("AnySynthesis", bound=nn.Module)
_BLOCK_CROPS = 96


class Photo(nn.Module, Generic[AnySynthesis]):
    """The parts as one module, for the optimiser and the checkpoint."""

    def __init__(
        self, analysis: Analysis, synthesis: AnySynthesis, gains: Gains, prior: LatentPrior
    ) -> None:
        super().__init__()
        self.analysis = analysis
        self.synthesis = synthesis
        self.gains = gains
        self.prior = prior
        self.to(memory_format=torch.channels_last)  # type: ignore[call-overload]


class TransformStage:
    """See the module's docstring."""

    name = "transform"

    def __init__(
        self, recipe: PhotoRecipe, pictures: Pictures, validation: list[Path], device: torch.device
    ) -> None:
        self.schedule = recipe.train.transform
        self._share = share(self.schedule.batch, "train.transform.batch")
        self._recipe = recipe
        self._device = device
        torch.manual_seed(recipe.seed)
        config = recipe.transform
        self.module = Photo(
            Analysis(config),
            Synthesis(config),
            Gains(config),
            LatentPrior(recipe.latent_prior, config),
        ).to(device)
        self._lambdas = rate_weights(self.schedule.lambdas, config.qualities, device)
        if self.schedule.blocks:
            drawn = pictures.crops(_BLOCK_CROPS, self.schedule.crop, draws(recipe.seed, 6))
            parts = (self.module.analysis, self.module.synthesis, self.module.gains)
            start_as_blocks(*parts, drawn.to(device).float() / 255.0, self._lambdas)
        self.medium = PhotoMedium(recipe, self.module, self._lambdas, pictures, validation, device)

    def batch(self, step: int) -> Tensor:
        """Draw pixels: uint8 (B, 3, crop, crop), channels last in memory."""
        rng = draws(self._recipe.seed, 1, step)
        return self.medium.batch(self._share, self.schedule.crop, rng)

    def loss(self, batch: Tensor, step: int) -> tuple[Tensor, dict[str, float]]:
        """Rate and distortion of one batch."""
        medium, count = self.medium, len(self._lambdas)
        generator = torch.Generator(self._device).manual_seed((self._recipe.seed << 32) + step)
        pixels = medium.originals(batch)
        qualities = spread_qualities(len(batch), count, generator)
        scaled = medium.latents(pixels) * medium.gains(qualities)
        if rank():  # noise of its own; on CPUs a generator heeds only the seed's low 32 bits
            generator.manual_seed((self._recipe.seed << 32) + (rank() << 24) + step)
        noise = torch.rand(scaled.shape, generator=generator, device=self._device) - 0.5
        noisy = scaled + noise
        rounded = scaled + (scaled.round() - scaled).detach()
        rounded = rounded.contiguous(memory_format=torch.channels_last)
        means, scales = medium.context(torch.asinh(rounded), qualities)
        decoded = medium.decoded(rounded / medium.gains(qualities))
        bpp = medium.rates(bits(noisy, means, scales).sum((1, 2, 3)), pixels)  # (B,)
        found = medium.distortion(decoded, pixels)
        lambdas = self._lambdas[qualities - 1]
        loss = ((bpp + lambdas * found.total) / lambdas.sqrt()).mean()
        return loss, {"bpp": float(bpp.detach().mean()), **found.figures()}

    def after(self, batch: Tensor, step: int) -> None:
        """Nothing follows a step."""

    @torch.inference_mode()
    def validate(self) -> dict[str, float]:
        """Rate and PSNR with rounded latents, per quality, and the loss of all of them."""
        figures: dict[str, float] = {}
        total = 0.0
        for quality in range(1, len(self._lambdas) + 1):
            weight = float(self._lambdas[quality - 1])
            rows = [self._measure(crop, quality) for crop in self.medium.validation]
            means = {name: float(np.mean([row[name] for row in rows])) for name in rows[0]}
            total += (means["bpp"] + weight * means.pop("total")) / weight**0.5 / len(self._lambdas)
            figures |= {f"{name}{quality}": value for name, value in means.items()}
        return {"loss": total, **figures}

    def _measure(self, crop: Tensor, quality: int) -> dict[str, float]:
        """Return bits per pixel, distortion in total and figures of it, of one picture."""
        medium = self.medium
        pixels = medium.originals(crop)
        at = torch.tensor([quality], device=self._device)
        gains = medium.gains(at)
        rounded = (medium.latents(pixels) * gains).round()
        means, scales = medium.context(torch.asinh(rounded), at)
        levels = medium.written(medium.decoded(rounded / gains))
        found = medium.distortion(levels, pixels)
        bpp = medium.rates(bits(rounded, means, scales).sum((1, 2, 3)), pixels)
        return {"bpp": float(bpp), "total": float(found.total), **found.figures()}


def rate_weights(lambdas: tuple[float, float], count: int, device: torch.device) -> Tensor:
    """Return lambda of each quality, (count,), from that of the lowest and of the highest."""
    low, high = (math.log10(weight) for weight in lambdas)
    return torch.logspace(low, high, count, device=device)


def spread_qualities(batch: int, count: int, generator: torch.Generator) -> Tensor:
    """Give each picture of a batch a quality, 1..count: int64 (batch,).

    Spread evenly, over the shares of all processes, whose generators must be alike; the
    rest by chance: every quality is seen in every few steps.
    """
    offset = torch.randint(count, (), generator=generator, device=generator.device)
    pictures = torch.arange(batch, device=generator.device) + rank() * batch
    places = pictures * count // (size() * batch)
    return (places + offset) % count + 1
