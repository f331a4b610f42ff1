"""First two stages of `photo-2`: networks and context, the synthesis first in real numbers, then
in integers (`exact`).

Loss, qualities and rounding are those of photo-1's first stage (`transform`). Different are:

- the first steps train synthesis and prior alone;
- leaky ReLU in blocks of the synthesis becomes ReLU little by little;
- for the last part of the steps the rate is that of two candidates (`rate`), not of noise;
- a share of the crops are drawn pages (`pages`), and crops may be larger in the end;
- convolutions inside blocks and the prior compute in bfloat16, all else in float32
  (`deep_medium`): at 40 dB what bfloat16 rounds off the picture on its way would be most of the
  error.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from vqcodec.networks.deep import set_slope
from vqcodec.networks.latent_prior import bits
from vqcodec.networks.transform import SLOPE
from vqcodec.training.config_deep import DeepTransformTraining
from vqcodec.training.data import draws
from vqcodec.training.deep_medium import DeepPhotoMedium
from vqcodec.training.distributed import rank, share
from vqcodec.training.medium import Cost
from vqcodec.training.rate import candidate_bits
from vqcodec.training.transform import spread_qualities

_FLAT = 9
"""White is flat where a square of this side is white, pixels."""


class DeepTransformStage:
    """See the module's docstring."""

    def __init__(
        self,
        name: str,
        settings: DeepTransformTraining,
        seed: int,
        medium: DeepPhotoMedium,
        device: torch.device,
    ) -> None:
        """Train the medium's networks; the name is that of the recipe's table."""
        self.name = name
        self.schedule = settings
        self._share = share(settings.batch, f"train.{name}.batch")
        self._large_share = share(settings.large_batch, f"train.{name}.large_batch")
        self._seed = seed
        self._medium = medium
        self._device = device
        self.module = medium.networks

    def batch(self, step: int) -> Tensor:
        """Draw pixels: uint8 (B, 3, crop, crop), channels last in memory."""
        settings = self.schedule
        large = step >= settings.large_from * settings.steps
        count = self._large_share if large else self._share
        side = settings.large_crop if large else settings.crop
        return self._medium.batch(count, side, draws(self._seed, 1, step))

    def loss(self, batch: Tensor, step: int) -> tuple[Tensor, dict[str, float]]:
        """Rate and distortion of one batch."""
        self.set_slope(self.slope(step))
        seed = (self._seed << 32) + step
        generator = torch.Generator(self._device).manual_seed(seed)
        qualities = spread_qualities(len(batch), self.qualities, generator)
        noise = None
        if self.is_noisy(step):
            if rank():  # noise of its own; on CPUs a generator heeds only the seed's low 32 bits
                generator.manual_seed(seed + (rank() << 24))
            noise = self.noise(batch, generator)
        with_analysis = step >= self.schedule.decoder_steps
        cost = self.cost(batch, qualities, noise, with_analysis=with_analysis)
        return cost.loss, cost.figures()

    def is_noisy(self, step: int) -> bool:
        """Tell whether the rate of a step is that of noise, not of candidates."""
        return step < self.schedule.candidates_from * self.schedule.steps

    def noise(self, batch: Tensor, generator: torch.Generator) -> Tensor:
        """Draw noise for the latents of a batch, float32 (B, D, N, M) in -0.5..0.5."""
        medium = self._medium
        height, width = (side // medium.stride for side in batch.shape[2:])
        shape = (len(batch), medium.latent_count, height, width)
        return torch.rand(shape, generator=generator, device=self._device) - 0.5

    def cost(
        self, batch: Tensor, qualities: Tensor, noise: Tensor | None, *, with_analysis: bool = True
    ) -> Cost:
        """Weigh crops at their qualities, int64 (B,). Without noise the rate is that of two
        candidates; gradients reach analysis and gains only `with_analysis`.

        Draws nothing and lets the host wait for nothing, so that it can be part of a CUDA graph.
        """
        medium = self._medium
        pixels = medium.originals(batch)
        with torch.set_grad_enabled(with_analysis):
            gains = medium.gains(qualities)
            scaled = medium.latents(pixels) * gains
        rounded = scaled + (scaled.round() - scaled).detach()
        rounded = rounded.contiguous(memory_format=torch.channels_last)
        means, scales = medium.context(torch.asinh(rounded), qualities)
        if noise is None:
            costs = candidate_bits(scaled, means, scales, self.schedule.temperature)
        else:
            costs = bits(scaled + noise, means, scales)
        bpp = medium.rates(costs.sum((1, 2, 3)), pixels)
        found = medium.distortion(medium.decoded(rounded / gains), pixels)
        lambdas = medium.lambdas[qualities - 1]
        losses = (bpp + lambdas * found.total) / lambdas.sqrt()
        return Cost(losses.mean(), {medium.rate: bpp.detach().mean()}, found)

    @property
    def qualities(self) -> int:
        """Number of qualities."""
        return len(self._medium.lambdas)

    def slope(self, step: int) -> float:
        """Return the slope of what is negative in the synthesis, which integers want to be 0."""
        end = self.schedule.rectified_from * self.schedule.steps
        return SLOPE * max(0.0, 1.0 - step / end) if end else 0.0

    def set_slope(self, slope: float) -> None:
        """Set it."""
        set_slope(self.module.synthesis, slope)

    def after(self, batch: Tensor, step: int) -> None:
        """Nothing follows a step."""

    @torch.inference_mode()
    def validate(self) -> dict[str, float]:
        """Rate and PSNR with rounded latents, per quality, and the loss of all of them; of drawn
        pages, if there are any, PSNR and the largest error on flat white, 0..255.
        """
        lambdas = self._medium.lambdas
        photos = [self._measure(crop) for crop in self._medium.validation]
        means = {name: torch.stack([row[name] for row in photos]).mean(0) for name in photos[0]}
        losses = (means["bpp"] + lambdas * means["total"]) / lambdas.sqrt()
        names = ["bpp", "psnr"] + (["ms_ssim"] if self.schedule.ms_ssim else [])
        shown = {name: means[name] for name in names}
        if pages := [self._measure(crop) for crop in self._medium.pages]:
            shown["page_psnr"] = torch.stack([row["psnr"] for row in pages]).mean(0)
            shown["page_white"] = torch.stack([row["white"] for row in pages]).amax(0)
        each = {
            f"{name}{quality}": float(values[quality - 1])
            for quality in range(1, len(lambdas) + 1)
            for name, values in shown.items()
        }
        return {"loss": float(losses.mean()), **each}

    def _measure(self, crop: Tensor) -> dict[str, Tensor]:
        """Return figures of one picture (1, 3, h, w) at every quality, (Q,) each."""
        medium = self._medium
        pixels = medium.originals(crop)
        qualities = torch.arange(1, len(medium.lambdas) + 1, device=self._device)
        gains = medium.gains(qualities)
        rounded = (medium.latents(pixels) * gains).round()
        means, scales = medium.context(torch.asinh(rounded), qualities)
        levels = medium.written(medium.decoded(rounded / gains))
        found = medium.distortion(levels, pixels.expand_as(levels))
        errors = (levels - pixels).abs().amax(1) * 255.0  # (Q, h, w)
        return {
            "bpp": medium.rates(bits(rounded, means, scales).sum((1, 2, 3)), pixels),
            "psnr": 10.0 * torch.log10(255.0**2 / found.mse),
            "ms_ssim": -10.0 * torch.log10(found.unlike),
            "total": found.total,
            "white": (errors * flat_white(crop).to(self._device)).amax((1, 2)),
        }


def flat_white(crop: Tensor) -> Tensor:
    """Tell where a picture, uint8 (1, 3, h, w), is white in a whole square around: (1, h, w)."""
    other = (crop < 255).any(1).float()
    return F.max_pool2d(other, _FLAT, stride=1, padding=_FLAT // 2) == 0.0
