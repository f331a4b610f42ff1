"""First stage of `photo-2`: networks and context in real numbers, grown from photo-1.

Loss, qualities and rounding are those of photo-1's first stage (`transform`). Different are:

- the first steps train synthesis and prior alone;
- leaky ReLU in blocks of the synthesis becomes ReLU little by little;
- for the last part of the steps the rate is that of two candidates (`rate`), not of noise;
- a share of the crops are drawn pages (`pages`), and crops may be larger in the end;
- convolutions inside blocks and the prior compute in bfloat16, all else in float32: at 40 dB
  what bfloat16 rounds off the picture on its way would be most of the error.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from vqcodec.networks.deep import set_slope
from vqcodec.networks.distortion import MS_SSIM_SIDE, distortion
from vqcodec.networks.latent_prior import bits
from vqcodec.networks.transform import SLOPE
from vqcodec.training.canvas import Fonts
from vqcodec.training.config import DeepPhotoRecipe, DeepTransformTraining
from vqcodec.training.data import Pictures, centre, draws, read_rgb
from vqcodec.training.distributed import rank, share
from vqcodec.training.pages import page
from vqcodec.training.precision import autocast
from vqcodec.training.rate import candidate_bits
from vqcodec.training.transform import ExactPhoto, Photo, rate_weights, spread_qualities

VALIDATION_SIDE = 256
"""Of each validation picture the middle, at most this wide and high, counts."""
_PAGES = 4
_FLAT = 9
"""White is flat where a square of this side is white, pixels."""


class DeepTransformStage:
    """See the module's docstring."""

    name = "transform"

    def __init__(
        self,
        recipe: DeepPhotoRecipe,
        module: Photo | ExactPhoto,
        pictures: Pictures,
        fonts: Fonts,
        validation: Sequence[Path],
        device: torch.device,
    ) -> None:
        """Take the networks to train, and the fonts of drawn pages.

        Raises ValueError for validation pictures that are too small for MS-SSIM.
        """
        self.schedule = settings = self._settings(recipe)
        self._share = share(settings.batch, f"train.{self.name}.batch")
        self._large_share = share(settings.large_batch, f"train.{self.name}.large_batch")
        self._recipe = recipe
        self._pictures = pictures
        self._fonts = fonts
        self._device = device
        self.module = module.to(device)
        self._lambdas = rate_weights(settings.lambdas, recipe.transform.qualities, device)
        stride = recipe.transform.analysis.stride
        self._validation = [centre(read_rgb(path), VALIDATION_SIDE, stride) for path in validation]
        least = MS_SSIM_SIDE if settings.ms_ssim else stride
        if any(min(crop.shape[2:]) < least for crop in self._validation):
            raise ValueError(f"validation pictures must be at least {least} pixels high and wide")
        generators = (np.random.default_rng([recipe.seed, 7, number]) for number in range(_PAGES))
        self._pages = [
            torch.from_numpy(page(rng, VALIDATION_SIDE, fonts)).permute(2, 0, 1)[None]
            for rng in generators
        ]

    def _settings(self, recipe: DeepPhotoRecipe) -> DeepTransformTraining:
        return recipe.train.transform

    def batch(self, step: int) -> Tensor:
        """Draw pixels: uint8 (B, 3, crop, crop), channels last in memory."""
        settings, rng = self.schedule, draws(self._recipe.seed, 1, step)
        large = step >= settings.large_from * settings.steps
        count = self._large_share if large else self._share
        side = settings.large_crop if large else settings.crop
        drawn = [
            page(rng, side, self._fonts)
            if rng.random() < settings.pages
            else self._pictures.crop(side, rng)
            for _ in range(count)
        ]
        return torch.from_numpy(np.stack(drawn)).permute(0, 3, 1, 2)

    def loss(self, batch: Tensor, step: int) -> tuple[Tensor, dict[str, float]]:
        """Rate and distortion of one batch."""
        module, settings = self.module, self.schedule
        self._rectify(step)
        seed = (self._recipe.seed << 32) + step
        generator = torch.Generator(self._device).manual_seed(seed)
        pixels = batch.to(self._device).float() / 255.0
        qualities = spread_qualities(len(batch), len(self._lambdas), generator)
        with torch.set_grad_enabled(step >= settings.decoder_steps):
            gains = module.gains(qualities.float())
            scaled = module.analysis(pixels) * gains
        rounded = scaled + (scaled.round() - scaled).detach()
        rounded = rounded.contiguous(memory_format=torch.channels_last)
        means, scales = self._context(rounded, qualities)
        if step < settings.candidates_from * settings.steps:
            if rank():  # noise of its own; on CPUs a generator heeds only the seed's low 32 bits
                generator.manual_seed(seed + (rank() << 24))
            noise = torch.rand(scaled.shape, generator=generator, device=self._device) - 0.5
            costs = bits(scaled + noise, means, scales)
        else:
            costs = candidate_bits(scaled, means, scales, settings.temperature)
        bpp = costs.sum((1, 2, 3)) / (pixels.shape[2] * pixels.shape[3])  # (B,)
        found = distortion(module.synthesis(rounded / gains), pixels, settings.ms_ssim)
        lambdas = self._lambdas[qualities - 1]
        losses = (bpp + lambdas * found.total) / lambdas.sqrt()
        return losses.mean(), {"bpp": float(bpp.detach().mean()), **found.figures()}

    def _rectify(self, step: int) -> None:
        """Set the slope of what is negative in the synthesis, which integers want to be 0."""
        end = self.schedule.rectified_from * self.schedule.steps
        set_slope(self.module.synthesis, SLOPE * max(0.0, 1.0 - step / end) if end else 0.0)

    def after(self, batch: Tensor, step: int) -> None:
        """Nothing follows a step."""

    @torch.inference_mode()
    def validate(self) -> dict[str, float]:
        """Rate and PSNR with rounded latents, per quality, and the loss of all of them; PSNR and
        the largest error on flat white, 0..255, of drawn pages.
        """
        photos = [self._measure(crop) for crop in self._validation]
        pages = [self._measure(crop) for crop in self._pages]
        means = {name: torch.stack([row[name] for row in photos]).mean(0) for name in photos[0]}
        losses = (means["bpp"] + self._lambdas * means["total"]) / self._lambdas.sqrt()
        names = ["bpp", "psnr"] + (["ms_ssim"] if self.schedule.ms_ssim else [])
        shown = {name: means[name] for name in names}
        shown["page_psnr"] = torch.stack([row["psnr"] for row in pages]).mean(0)
        shown["page_white"] = torch.stack([row["white"] for row in pages]).amax(0)
        each = {
            f"{name}{quality}": float(values[quality - 1])
            for quality in range(1, len(self._lambdas) + 1)
            for name, values in shown.items()
        }
        return {"loss": float(losses.mean()), **each}

    def _measure(self, crop: Tensor) -> dict[str, Tensor]:
        """Return figures of one picture (1, 3, h, w) at every quality, (Q,) each."""
        module, count = self.module, len(self._lambdas)
        pixels = crop.to(self._device).float() / 255.0
        qualities = torch.arange(1, count + 1, device=self._device)
        gains = module.gains(qualities.float())
        rounded = (module.analysis(pixels) * gains).round()
        means, scales = self._context(rounded, qualities)
        area = pixels.shape[2] * pixels.shape[3]
        decoded = module.synthesis(rounded / gains).clamp(0.0, 1.0)
        levels = (decoded * 255.0).round() / 255.0
        found = distortion(levels, pixels.expand_as(levels), self.schedule.ms_ssim)
        errors = (levels - pixels).abs().amax(1) * 255.0  # (Q, h, w)
        return {
            "bpp": bits(rounded, means, scales).sum((1, 2, 3)) / area,
            "psnr": 10.0 * torch.log10(255.0**2 / found.mse),
            "ms_ssim": -10.0 * torch.log10(found.unlike),
            "total": found.total,
            "white": (errors * flat_white(crop).to(self._device)).amax((1, 2)),
        }

    def _context(self, rounded: Tensor, qualities: Tensor) -> tuple[Tensor, Tensor]:
        """Return the prior's means and scales."""
        with autocast(self._device, self._recipe.train.precision):
            means, scales = self.module.prior(torch.asinh(rounded), qualities)
        return means, scales


def flat_white(crop: Tensor) -> Tensor:
    """Tell where a picture, uint8 (1, 3, h, w), is white in a whole square around: (1, h, w)."""
    other = (crop < 255).any(1).float()
    return F.max_pool2d(other, _FLAT, stride=1, padding=_FLAT // 2) == 0.0
