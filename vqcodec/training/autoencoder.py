"""Stage 1: encoder, codebook and decoder, trained together.

The loss is eq. 3 of arXiv 1711.00937 with a Gaussian likelihood, so its first
term is the mean squared error over the pixels' variance.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

from vqcodec.models.config import AutoencoderConfig
from vqcodec.networks.autoencoder import Decoder, Encoder, codeword_images, psnr_of_mse
from vqcodec.networks.codebook import Codebook, nearest
from vqcodec.networks.model_files import VqVaeParts
from vqcodec.training.config import Recipe
from vqcodec.training.data import Pictures, centre, draws, read_rgb
from vqcodec.training.distributed import share
from vqcodec.training.precision import autocast
from vqcodec.training.quantisation import Quantisation, usage

_VALIDATION_SIDE = 256


class Autoencoder(nn.Module):
    """The three parts as one module, for the optimiser and the checkpoint."""

    def __init__(self, config: AutoencoderConfig, codebook: Codebook) -> None:
        super().__init__()
        self.encoder = Encoder(config)
        self.codebook = codebook
        self.decoder = Decoder(config)


class AutoencoderStage:
    """See the module's docstring."""

    name = "autoencoder"

    def __init__(
        self,
        recipe: Recipe,
        pictures: Pictures,
        validation: list[Path],
        device: torch.device,
        start: VqVaeParts | None = None,
    ) -> None:
        """`start` gives the first weights; its codewords replace the plain steps."""
        self.schedule = recipe.train.autoencoder
        self._share = share(self.schedule.batch, "train.autoencoder.batch")
        self._recipe = recipe
        self._pictures = pictures
        self._device = device
        torch.manual_seed(recipe.seed)
        settings = self.schedule
        codebook = Codebook(
            recipe.autoencoder,
            update=settings.codebook_update,
            beta=settings.beta,
            gamma=settings.gamma,
        )
        module = Autoencoder(recipe.autoencoder, codebook).to(device)
        self._quantisation = Quantisation(
            codebook, settings, recipe.seed, batch=self.batch, latents=self._latents
        )
        if start is not None:
            module.encoder.load_state_dict(start.encoder.state_dict())
            module.decoder.load_state_dict(start.decoder.state_dict())
            latents = settings.batch * (settings.crop // recipe.autoencoder.stride) ** 2
            self._quantisation.start_from(start.codebook, latents)
        self.module = module.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        self._validation = [
            centre(read_rgb(path), _VALIDATION_SIDE, recipe.autoencoder.stride)
            for path in validation
        ]

    def batch(self, step: int) -> Tensor:
        """Draw pixels: uint8 (B, 3, crop, crop), channels last in memory."""
        rng = draws(self._recipe.seed, 1, step)
        return self._pictures.crops(self._share, self.schedule.crop, rng)

    def loss(self, batch: Tensor, step: int) -> tuple[Tensor, dict[str, float]]:
        """Eq. 3 on one batch."""
        pixels = batch.to(self._device).float() / 255.0
        latents = self._latents(batch)
        codewords, codebook_loss, metrics = self._quantisation.quantise(latents, step)
        with self._autocast():
            decoded = self.module.decoder(codewords)
        mse = (decoded.float() - pixels).square().mean()
        loss = mse / self.schedule.pixel_variance + codebook_loss
        metrics["psnr"] = float(psnr_of_mse(mse.detach()))
        metrics["commitment"] = float(codebook_loss.detach())
        return loss, metrics

    def after(self, batch: Tensor, step: int) -> None:
        """Revive unused codewords."""
        self._quantisation.after(batch, step, self.schedule.steps)

    @torch.inference_mode()
    def validate(self) -> dict[str, float]:
        """PSNR in dB on the centres of the validation pictures, usage of the codebook."""
        module, indices, psnrs = self.module, [], []
        for crop in self._validation:
            pixels = crop.to(self._device).float() / 255.0
            with self._autocast():
                latents = module.encoder(pixels)
            _, dim, rows, columns = latents.shape
            flat = latents.float().permute(0, 2, 3, 1).reshape(-1, dim)
            picked = nearest(module.codebook.vectors, flat).view(1, rows, columns)
            indices.append(picked.flatten())
            with self._autocast():
                decoded = module.decoder(codeword_images(module.codebook.vectors, picked))
            mse = (decoded.float().clamp(0.0, 1.0) - pixels).square().mean()
            psnrs.append(float(psnr_of_mse(mse)))
        size = self._recipe.autoencoder.codebook_size
        return {"psnr": float(np.mean(psnrs)), **usage(torch.cat(indices), size)}

    def _latents(self, batch: Tensor) -> Tensor:
        """Return the latents (B, D, N, M) of a batch."""
        with self._autocast():
            latents: Tensor = self.module.encoder(batch.to(self._device).float() / 255.0)
        return latents

    def _autocast(self) -> torch.autocast:
        return autocast(self._device, self._recipe.train.precision)
