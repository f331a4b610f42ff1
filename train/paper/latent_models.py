"""The models that `likelihood.py` compares: encoder and decoder are the same networks, with 8x8x10
latents between them.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from bounds import (
    gaussian_divergence,
    log_logistic,
    log_prior,
    multi_sample_bound,
    uniform_prior,
    vimco,
)
from torch import Tensor, nn

from vqcodec.models.config import AutoencoderConfig
from vqcodec.networks.autoencoder import Decoder, Encoder
from vqcodec.networks.codebook import Codebook

SIDE, LATENTS, SIZE, SAMPLES = 32, 10, 512, 50
"""Pixels along a side, latents of a position, indices of each, samples of the posterior."""
_BETA, _NOISE = 4.0, 0.1


@dataclass(frozen=True)
class Pass:
    """What a pass through a model gives, of pictures (B, ...)."""

    bound: Tensor
    """Bound of the log-likelihood in nats, (B,), NaN where there is none."""
    objective: Tensor
    """What training raises, (B,)."""
    means: Tensor
    """Reconstructions (B, 3, 32, 32), 0..255."""


class Model(nn.Module):
    """Encoder and decoder, the same for all; `kind` says what is between them."""

    def __init__(self, kind: str, hidden: int) -> None:
        super().__init__()
        self.kind = kind
        self.dim = 1 if kind in ("vae", "ae", "dae", "beta") else 16
        outputs = {"vae": 2, "beta": 2, "vimco": SIZE}.get(kind, self.dim)
        config = AutoencoderConfig(hidden=hidden, code_dim=LATENTS * self.dim)
        self.encoder, self.decoder = Encoder(config), Decoder(config)
        self.encoder.project = nn.Conv2d(hidden, LATENTS * outputs, 1)
        self.decoder.up2 = nn.ConvTranspose2d(hidden, 6, 4, stride=2, padding=1)
        self.codebook = Codebook(AutoencoderConfig(codebook_size=SIZE, code_dim=16))
        self.embedding = nn.Parameter(torch.randn(SIZE, 16) * 0.25)
        self.prior: Tensor
        self.register_buffer("prior", uniform_prior(LATENTS, SIZE))

    def forward(self, levels: Tensor, generator: torch.Generator, samples: int = SAMPLES) -> Pass:
        """Take samples 0..255, float (B, 3, 32, 32), on the device of model and generator."""
        pixels = levels / 255.0
        if self.kind == "dae":
            pixels = pixels + _NOISE * normal(pixels, generator)
        encoded = self.encoder(pixels)
        match self.kind:
            case "ae" | "dae":
                nothing = encoded.new_zeros(())
                return self._sure(levels, encoded, penalty=nothing, divergence=nothing * math.nan)
            case "vq":
                return self._vector_quantised(levels, encoded)
            case "vimco":
                return self._many(levels, encoded, generator, samples)
        means, log_variances = encoded.chunk(2, dim=1)
        latents = means + normal(means, generator) * torch.exp(0.5 * log_variances)
        found, decoded = self._likelihood(levels, latents)
        divergence = gaussian_divergence(means, log_variances).sum((1, 2, 3))
        weight = _BETA if self.kind == "beta" else 1.0
        return Pass(found - divergence, found - weight * divergence, decoded)

    def decode(self, latents: Tensor) -> tuple[Tensor, Tensor]:
        """Return means, 0..255, and log scales, (B, 3, 32, 32) each."""
        means, log_scales = self.decoder(latents).chunk(2, dim=1)
        return 255.0 * means, 4.0 * log_scales

    def latents(self, levels: Tensor) -> Tensor:
        """Return what the codebook quantises, (P, 16), of samples as `forward` takes them."""
        return self._apart(self.encoder(levels / 255.0)).permute(0, 2, 3, 1).flatten(0, 2)

    def counts(self, levels: Tensor) -> Tensor:
        """Return how often each latent has each index in samples as `forward` takes them, of
        `vimco` by its posterior: (10, K).
        """
        encoded = self.encoder(levels / 255.0)
        if self.kind == "vimco":
            return self._posterior(encoded).exp().sum((0, 2, 3))
        indices = self.codebook(self._apart(encoded)).indices  # (B, 10, n m)
        return F.one_hot(indices, SIZE).sum((0, 2)).float()

    def _apart(self, encoded: Tensor) -> Tensor:
        """Latents of a position share the codebook; each is a position of its own to it."""
        apart = encoded.view(len(encoded), LATENTS, self.dim, -1)
        return apart.transpose(1, 2).contiguous()

    def _likelihood(self, levels: Tensor, latents: Tensor) -> tuple[Tensor, Tensor]:
        means, log_scales = self.decode(latents)
        return log_logistic(levels, means, log_scales).sum((1, 2, 3)), means

    def _sure(
        self, levels: Tensor, latents: Tensor, *, penalty: Tensor, divergence: Tensor
    ) -> Pass:
        found, decoded = self._likelihood(levels, latents)
        return Pass(found - divergence, found - penalty, decoded)

    def _vector_quantised(self, levels: Tensor, encoded: Tensor) -> Pass:
        apart = self._apart(encoded)
        quantised = self.codebook(apart)
        together = quantised.codewords.transpose(1, 2).reshape(encoded.shape)
        penalty = quantised.loss * apart[0].numel()
        divergence = -log_prior(quantised.indices, self.prior)
        return self._sure(levels, together, penalty=penalty, divergence=divergence)

    def _posterior(self, encoded: Tensor) -> Tensor:
        batch, _, rows, columns = encoded.shape
        logits = encoded.view(batch, LATENTS, SIZE, rows, columns).permute(0, 1, 3, 4, 2)
        return F.log_softmax(logits, dim=-1)  # (B, 10, n, m, K)

    def _many(
        self, levels: Tensor, encoded: Tensor, generator: torch.Generator, samples: int
    ) -> Pass:
        batch, _, rows, columns = encoded.shape
        log_posterior = self._posterior(encoded)
        flat = log_posterior.detach().exp().reshape(-1, SIZE)
        drawn = torch.multinomial(flat, samples, replacement=True, generator=generator)
        indices = drawn.view(*log_posterior.shape[:-1], samples)
        log_q = log_posterior.gather(-1, indices).sum((1, 2, 3))  # (B, S)
        latents = F.embedding(indices, self.embedding)  # (B, 10, n, m, S, 16)
        latents = latents.permute(0, 4, 1, 5, 2, 3).reshape(batch * samples, -1, rows, columns)
        found, decoded = self._likelihood(levels.repeat_interleave(samples, 0), latents)
        by_sample = indices.permute(0, 4, 1, 2, 3).flatten(0, 1)
        known = log_prior(by_sample, self.prior).view(batch, samples)
        weights = found.view(batch, samples) + known - log_q
        first = decoded.view(batch, samples, *levels.shape[1:])[:, 0]
        return Pass(multi_sample_bound(weights), vimco(weights, log_q), first)


def normal(like: Tensor, generator: torch.Generator) -> Tensor:
    """Draw standard normal numbers, as many as `like` has and where it is."""
    return torch.randn(like.shape, generator=generator, device=like.device)
