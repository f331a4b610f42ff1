"""The prior of clips as it trains: a PixelCNN that is told of the frame before and of an action.

arXiv 1711.00937, section 4.4: a prior over the latents of frames, "conditioned on the action",
which draws clips "purely in the latent space".
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from vqcodec.models.config import PriorConfig
from vqcodec.models.config_clip import TemporalConfig
from vqcodec.networks.pixelcnn import PixelCNN
from vqcodec.networks.temporal import Temporal


class ClipPrior(nn.Module):
    """Logits of every index of a frame given those before it, the frame before and an action."""

    def __init__(self, prior: PriorConfig, temporal: TemporalConfig, actions: int) -> None:
        """`actions` is their number, not counting the unknown one."""
        super().__init__()
        self.prior = PixelCNN(prior)
        self.temporal = Temporal(
            temporal,
            codebook_size=prior.codebook_size,
            actions=actions,
            outputs=prior.channels,
        )

    def forward(
        self,
        indices: Tensor,
        before: Tensor,
        actions: Tensor,
        *,
        seen: Tensor,
        integer: bool = False,
    ) -> Tensor:
        """Map int64 indices of frames and of those before, (B, N, M) each, and actions (B,) to
        logits (B, K, N, M) in bits; where `seen`, (B,), is 0 there is no frame before.
        """
        offset = self.temporal(before, actions, seen=seen, integer=integer)
        logits: Tensor = self.prior(indices, offset, integer=integer)
        return logits

    @torch.no_grad()
    def start_from(self, vectors: Tensor) -> None:
        """Let like codewords begin alike, here and in the frame before; `vectors` is (K, D)."""
        self.prior.start_from(vectors)
        numbers = min(self.prior.embedding.shape[1], self.temporal.embedding.shape[1])
        self.temporal.embedding[:, :numbers] = self.prior.embedding[:, :numbers]
