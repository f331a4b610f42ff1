"""The codebook: nearest-neighbour vector quantisation and how it learns.

Quantisation is eq. 1 of arXiv 1711.00937, the gradient passes straight through
(section 3.2). The codewords learn either by the second term of the loss
(eq. 3) or by exponential moving averages (appendix A.1). Processes that train
together (`torch.distributed`) average what all of them count.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
import torch.distributed as dist
import torch.nn.functional as F
from torch import Tensor, nn

from vqcodec.models.config import AutoencoderConfig
from vqcodec.models.config_sound import SoundAutoencoderConfig

_CHUNK_POSITIONS = 1 << 16


def nearest(vectors: Tensor, latents: Tensor) -> Tensor:
    """Return the index of the nearest codeword, eq. 1: argmin_k ||z - e_k||^2.

    `vectors` is (K, D), `latents` (P, D); the answer is int64 (P,), ties going
    to the smaller index. Works in slices, so memory is K x 65,536 floats at most.
    """
    norms = vectors.square().sum(1)
    parts = [
        torch.argmin(torch.addmm(norms, part, vectors.T, alpha=-2.0), dim=1)
        for part in torch.split(latents, _CHUNK_POSITIONS)
    ]
    return torch.cat(parts)


@dataclass(frozen=True, slots=True)
class Quantised:
    """What one pass through the codebook gives."""

    codewords: Tensor
    """(B, D, N, M); equals the codewords, passes gradients to the latents."""
    indices: Tensor
    """int64 (B, N, M), 0..K-1."""
    loss: Tensor
    """Scalar: the last two terms of eq. 3, or only the last with EMA codewords."""


class Codebook(nn.Module):
    """K codewords of D numbers, with the state that their training needs."""

    vectors: Tensor
    ema_counts: Tensor
    ema_sums: Tensor

    def __init__(
        self,
        config: AutoencoderConfig | SoundAutoencoderConfig,
        *,
        update: str = "ema",
        beta: float = 0.25,
        gamma: float = 0.99,
    ) -> None:
        super().__init__()
        if update not in ("ema", "loss"):
            raise ValueError(f"codebook update must be 'ema' or 'loss', not {update!r}")
        self.update = update
        self.beta = beta
        self.gamma = gamma
        start = torch.randn(config.codebook_size, config.code_dim) * config.code_dim**-0.5
        if update == "loss":
            self.vectors = nn.Parameter(start)
        else:
            self.register_buffer("vectors", start)
        self.register_buffer("ema_counts", torch.ones(config.codebook_size))
        self.register_buffer("ema_sums", start.clone())

    def forward(self, latents: Tensor) -> Quantised:
        """Quantise latents (B, D, N, M); in training with EMA also move the codewords."""
        batch, dim, rows, columns = latents.shape
        flat = latents.permute(0, 2, 3, 1).reshape(-1, dim).float()  # (P, D)
        with torch.no_grad():
            indices = nearest(self.vectors, flat)
        codewords = F.embedding(indices, self.vectors)  # (P, D)
        loss = self.beta * F.mse_loss(flat, codewords.detach())
        if self.update == "loss":
            loss = loss + F.mse_loss(codewords, flat.detach())
        elif self.training:
            self._ema_step(flat.detach(), indices)
        through = flat + (codewords - flat).detach()
        return Quantised(
            through.view(batch, rows, columns, dim).permute(0, 3, 1, 2),
            indices.view(batch, rows, columns),
            loss,
        )

    @torch.no_grad()
    def _ema_step(self, flat: Tensor, indices: Tensor) -> None:
        """Appendix A.1, eq. 6 to 8."""
        counts = torch.bincount(indices, minlength=len(self.vectors)).float()
        sums = torch.zeros_like(self.vectors).index_add_(0, indices, flat)
        _add_processes(counts, sums)
        self.ema_counts.lerp_(counts, 1.0 - self.gamma)
        self.ema_sums.lerp_(sums, 1.0 - self.gamma)
        self.vectors.copy_(self.ema_sums / self.ema_counts.clamp_min(1e-3)[:, None])

    @torch.no_grad()
    def start_from(self, latents: Tensor, generator: torch.Generator, *, rounds: int = 20) -> None:
        """Place the codewords by k-means (Lloyd) on latents (P, D), P >= K."""
        size = len(self.vectors)
        pick = torch.randperm(len(latents), generator=generator)[:size].to(latents.device)
        centres = latents[pick].clone()
        counts = torch.ones(size, device=latents.device)
        for _ in range(rounds):
            indices = nearest(centres, latents)
            counts = torch.bincount(indices, minlength=size).float()
            sums = torch.zeros_like(centres).index_add_(0, indices, latents)
            filled = counts > 0
            centres[filled] = sums[filled] / counts[filled, None]
            empty = int((~filled).sum())
            if empty:
                again = torch.randint(len(latents), (empty,), generator=generator)
                centres[~filled] = latents[again.to(latents.device)]
        self.place(centres, counts.clamp_min(1.0))

    @torch.no_grad()
    def revive(self, latents: Tensor, threshold: float, generator: torch.Generator) -> int:
        """Move codewords used less than `threshold` times a step onto latents (P, D), P >= K.

        Returns how many were moved. The usage is the moving average that
        `ema_counts` keeps (with the loss update it is kept by `count`).
        """
        dead = self.ema_counts < threshold
        moved = int(dead.sum())
        if moved:
            pick = torch.randperm(len(latents), generator=generator)[:moved].to(latents.device)
            self.place(latents[pick], max(1.0, threshold), dead)
        return moved

    @torch.no_grad()
    def count(self, indices: Tensor) -> None:
        """Average the usage of codewords where no EMA step does it."""
        counts = torch.bincount(indices.flatten(), minlength=len(self.vectors)).float()
        _add_processes(counts)
        self.ema_counts.lerp_(counts, 1.0 - self.gamma)

    @torch.no_grad()
    def place(
        self, vectors: Tensor, counts: Tensor | float, where: Tensor | slice = slice(None)
    ) -> None:
        """Set codewords (n, D), used `counts` times a step: all, or those of mask `where`."""
        self.vectors[where] = vectors
        self.ema_counts[where] = counts
        self.ema_sums[where] = self.vectors[where] * self.ema_counts[where, None]


def _add_processes(*counted: Tensor) -> None:
    """Add, in place, what the other processes have counted."""
    if dist.is_available() and dist.is_initialized():
        for tensor in counted:
            dist.all_reduce(tensor)
