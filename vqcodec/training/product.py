"""Second stage of `photo`: codebooks on the latents, trained with hard indices.

The codebooks start on the latents of the first stage (`cells`) and the prior where
its conditional Gaussians ended (`networks.product`). From then on synthesis, prior and codebooks
train together with the indices that coding will use:

- an index is what costs least, bits and distance together, where the bits are those
  of the context that a first assignment, without any, gives (coding does it exactly, in
  order);
- the synthesis sees the codewords, which learn from it alone;
- the prior learns from the bits of the indices.

Analysis and gains stay as the first stage made them: every gradient tried for them, through
hard indices, made rates grow (train/history.md). For the last part of the steps the prior
runs on its integer grid.
"""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

from vqcodec.networks.distortion import distortion
from vqcodec.networks.latent_prior import precision_of
from vqcodec.networks.product import Codebooks, take
from vqcodec.training.codebooks import cheapest
from vqcodec.training.config import PhotoRecipe
from vqcodec.training.data import Pictures, centre, draws, read_rgb
from vqcodec.training.distributed import share
from vqcodec.training.precision import autocast
from vqcodec.training.transform import Photo, rate_weights, spread_qualities

_VALIDATION_SIDE = 512


class ProductPhoto(nn.Module):
    """The whole model, for the optimiser and the checkpoint."""

    def __init__(self, photo: Photo, codebooks: list[Codebooks]) -> None:
        super().__init__()
        self.photo = photo
        self.codebooks = nn.ModuleList(codebooks)


class ProductStage:
    """See the module's docstring."""

    name = "product"

    def __init__(
        self,
        recipe: PhotoRecipe,
        photo: Photo,
        codebooks: list[Codebooks],
        pictures: Pictures,
        validation: list[Path],
        device: torch.device,
    ) -> None:
        """Take what the first stage trained, and what `start_all` made of it."""
        self.schedule = recipe.train.product
        self._share = share(self.schedule.batch, "train.product.batch")
        self._recipe = recipe
        self._pictures = pictures
        self._device = device
        self.module = ProductPhoto(photo, codebooks).to(device)
        for part in (photo.analysis, photo.gains):
            part.requires_grad_(False)
        self._lambdas = rate_weights(
            recipe.train.transform.lambdas, recipe.transform.qualities, device
        )
        self._distance_bits = recipe.product.distance_bits
        stride = recipe.transform.stride
        self._validation = [centre(read_rgb(path), _VALIDATION_SIDE, stride) for path in validation]

    def batch(self, step: int) -> Tensor:
        """Draw pixels: uint8 (B, 3, crop, crop), channels last in memory."""
        return self._pictures.crops(
            self._share, self.schedule.crop, draws(self._recipe.seed, 4, step)
        )

    def loss(self, batch: Tensor, step: int) -> tuple[Tensor, dict[str, float]]:
        """Rate and distortion of one batch, weighed as in the first stage."""
        photo = self.module.photo
        integer = step >= self.schedule.integer_from * self.schedule.steps
        generator = torch.Generator(self._device).manual_seed((self._recipe.seed << 32) + step)
        pixels = batch.to(self._device).float() / 255.0
        qualities = spread_qualities(len(batch), len(self._lambdas), generator)
        with self._autocast():
            latents = photo.analysis(pixels)
        gains = photo.gains(qualities.float())
        scaled = latents.float() * gains
        indices = self._assign(scaled, qualities, integer)
        with self._autocast():
            means, scales = photo.prior(
                self._seen(indices, scaled, qualities), qualities, integer=integer
            )
        rates, values = [], []
        precisions = precision_of(scales)
        for row, quality in enumerate(qualities.tolist()):
            said = (_flat(means[row]), _flat(precisions[row]))
            rate, value = self._quantise(quality, indices[row], said)
            rates.append(rate)
            values.append(value)
        area = pixels.shape[2] * pixels.shape[3]
        bpp = torch.stack(rates) / area  # (B,)
        quantised = torch.stack(values).view(len(batch), *scaled.shape[2:], -1).permute(0, 3, 1, 2)
        with self._autocast():
            decoded = photo.synthesis(quantised / gains)
        found = distortion(decoded.float(), pixels, self._recipe.train.transform.ms_ssim)
        lambdas = self._lambdas[qualities - 1]
        loss = ((bpp + lambdas * found.total) / lambdas.sqrt()).mean()
        return loss, {"bpp": float(bpp.detach().mean()), **found.figures()}

    def after(self, batch: Tensor, step: int) -> None:
        """Nothing follows a step."""

    @torch.inference_mode()
    def validate(self) -> dict[str, float]:
        """Rate and PSNR per quality, and the loss of all; the rate of the integer prior too."""
        figures: dict[str, float] = {}
        total = 0.0
        for quality, weight in enumerate(self._lambdas.tolist(), 1):
            rows = [self._measure(crop, quality) for crop in self._validation]
            means = {name: float(np.mean([row[name] for row in rows])) for name in rows[0]}
            cost = means["integer"] + weight * means.pop("total")
            total += cost / weight**0.5 / len(self._lambdas)
            figures |= {f"{name}{quality}": value for name, value in means.items()}
        return {"loss": total, **figures}

    def _measure(self, crop: Tensor, quality: int) -> dict[str, float]:
        """Return bits per pixel, with the integer prior too, distortion in total and figures."""
        photo = self.module.photo
        pixels = crop.to(self._device).float() / 255.0
        at = torch.tensor([quality], device=self._device)
        gains = photo.gains(at.float())
        with self._autocast():
            scaled = photo.analysis(pixels).float() * gains
        indices = self._assign(scaled, at, integer=True)
        seen = self._seen(indices, scaled, at)
        rates = []
        for integer in (False, True):
            means, scales = photo.prior(seen, at, integer=integer)
            said = (_flat(means[0]), _flat(precision_of(scales)[0]))
            rate, value = self._quantise(quality, indices[0], said)
            rates.append(float(rate) / (pixels.shape[2] * pixels.shape[3]))
        quantised = value.view(1, *scaled.shape[2:], -1).permute(0, 3, 1, 2)
        with self._autocast():
            decoded = photo.synthesis(quantised / gains).float().clamp(0.0, 1.0)
        levels = (decoded * 255.0).round() / 255.0
        found = distortion(levels, pixels, self._recipe.train.transform.ms_ssim)
        total = float(found.total)
        return {"bpp": rates[0], "integer": rates[1], "total": total, **found.figures()}

    @torch.no_grad()
    def _assign(self, scaled: Tensor, qualities: Tensor, integer: bool) -> list[list[Tensor]]:
        """Return, for each picture and block, indices (G, P) of least cost."""
        first = [
            [cheapest(block, flat, self._distance_bits) for block in codebooks.blocks()]
            for codebooks, flat in self._each(scaled, qualities)
        ]
        with self._autocast():
            seen = self._seen(first, scaled, qualities)
            means, scales = self.module.photo.prior(seen, qualities, integer=integer)
        precisions = precision_of(scales)
        picked = []
        for row, (codebooks, flat) in enumerate(self._each(scaled, qualities)):
            mean, precision = _flat(means[row]), _flat(precisions[row])
            indices = []
            for block in codebooks.blocks():
                costs = block.distances(block.of(flat), self._distance_bits)
                costs -= block.logits(block.of(mean), block.of(precision))
                indices.append(costs.argmin(2))
            picked.append(indices)
        return picked

    def _quantise(
        self, quality: int, indices: list[Tensor], said: tuple[Tensor, Tensor]
    ) -> tuple[Tensor, Tensor]:
        """Return the bits of one picture and its quantised latents (P, D).

        `said` are the prior's means and precisions, (P, D) each.
        """
        codebooks = self._codebooks(quality)
        nats = said[0].new_zeros(())
        values = []
        for block, picked in zip(codebooks.blocks(), indices, strict=True):
            # In nats: scaling the small operands saves passes over all codewords.
            logits = block.logits(block.of(said[0]), block.of(said[1]), math.log(2.0))
            shares = torch.log_softmax(logits, dim=2)
            nats = nats - shares.gather(2, picked[:, :, None]).sum()
            values.append(take(block.vectors, picked))
        base = codebooks.rest.expand(len(said[0]), -1)
        return nats / math.log(2.0), codebooks.place(values, base)

    def _seen(self, indices: list[list[Tensor]], scaled: Tensor, qualities: Tensor) -> Tensor:
        """Return what the prior reads at the indices: (B, D, N, M)."""
        rows = []
        for (codebooks, flat), picked in zip(self._each(scaled, qualities), indices, strict=True):
            parts = [take(b.embedding, k) for b, k in zip(codebooks.blocks(), picked, strict=True)]
            rows.append(codebooks.place(parts, torch.zeros_like(flat)))
        seen = torch.stack(rows).view(len(rows), *scaled.shape[2:], -1)
        return seen.permute(0, 3, 1, 2)

    def _each(self, scaled: Tensor, qualities: Tensor) -> list[tuple[Codebooks, Tensor]]:
        """Pair each picture's codebooks with its latents (P, D)."""
        detached = scaled.detach()
        return [
            (self._codebooks(q), _flat(row))
            for q, row in zip(qualities.tolist(), detached, strict=True)
        ]

    def _codebooks(self, quality: int) -> Codebooks:
        codebooks = self.module.codebooks[quality - 1]
        assert isinstance(codebooks, Codebooks)
        return codebooks

    def _autocast(self) -> torch.autocast:
        return autocast(self._device, self._recipe.train.precision)


def _flat(latents: Tensor) -> Tensor:
    """(D, N, M) to (P, D)."""
    return latents.flatten(1).T
