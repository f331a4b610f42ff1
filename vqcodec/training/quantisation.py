"""The codebook of an autoencoder that trains: when it starts, and what keeps it in use.

The first steps run without quantisation; k-means on their latents then starts the codebook, which
saves it from the collapse that random starts suffer. Until the learning rate decays, codewords
that are not used move to latents.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from vqcodec.networks.codebook import Codebook
from vqcodec.training.config import CodebookTraining
from vqcodec.training.distributed import gathered, take_first

_KMEANS_BATCHES = 8


class Quantisation:
    """Quantises the latents of a stage's batches, and looks after the codebook."""

    def __init__(
        self,
        codebook: Codebook,
        schedule: CodebookTraining,
        seed: int,
        *,
        batch: Callable[[int], Tensor],
        latents: Callable[[Tensor], Tensor],
    ) -> None:
        """`batch` draws the batch of a step, `latents` maps one to latents (B, D, N, M)."""
        self._codebook = codebook
        self._schedule = schedule
        self._seed = seed
        self._batch = batch
        self._latents_of = latents
        self._start = schedule.plain_steps

    def start_from(self, vectors: Tensor, latents: int) -> None:
        """Take codewords (K, D) that were trained before: no plain steps, no k-means. A batch has
        so many latents.
        """
        self._start = -1
        self._codebook.place(vectors, latents / len(vectors))

    def quantise(self, latents: Tensor, step: int) -> tuple[Tensor, Tensor, dict[str, float]]:
        """Return the codewords of latents (B, D, N, M), the scalar that the codebook adds to the
        loss, and figures; at first the latents themselves.
        """
        if step == self._start:
            self._start_codebook(step)
        if step < self._start:
            return latents, latents.new_zeros((), dtype=torch.float32), {}
        quantised = self._codebook(latents.float())
        if self._schedule.codebook_update == "loss":
            self._codebook.count(quantised.indices)
        figures = usage(quantised.indices, len(self._codebook.vectors))
        return quantised.codewords, quantised.loss, figures

    def after(self, batch: Tensor, step: int, steps: int) -> None:
        """Revive unused codewords, but not while the rate decays; `steps` are all in all."""
        schedule = self._schedule
        begun = step >= self._start
        decaying = step >= steps * (1.0 - schedule.decay)
        due = schedule.revive_every and step % schedule.revive_every == 0
        if begun and due and not decaying:
            latents = self._latents(batch)
            self._codebook.revive(latents, schedule.revive_below, self._generator(step))

    def _start_codebook(self, step: int) -> None:
        batches = [self._batch(step + 1 + i) for i in range(_KMEANS_BATCHES)]
        latents = torch.cat([self._latents(batch) for batch in batches])
        self._codebook.start_from(latents, self._generator(step))
        take_first(self._codebook)  # a GPU's sums differ in their last bits each time

    @torch.no_grad()
    def _latents(self, batch: Tensor) -> Tensor:
        """Return the latents (P, D) of a batch, all processes' shares together."""
        latents = self._latents_of(batch)
        return gathered(latents.float().permute(0, 2, 3, 1).reshape(-1, latents.shape[1]))

    def _generator(self, step: int) -> torch.Generator:
        return torch.Generator().manual_seed((self._seed << 32) + step)


def usage(indices: Tensor, size: int) -> dict[str, float]:
    """How indices spread: unigram entropy in bits, perplexity, part of codewords used."""
    counts = torch.bincount(indices.flatten(), minlength=size).double()
    p = counts[counts > 0] / counts.sum()
    bits = float(-(p * p.log2()).sum())
    return {"unigram_bits": bits, "perplexity": 2.0**bits, "used": len(p) / size}
