"""The second of two stages (arXiv 1711.00937, section 4.2): a grid of indices in a few latents.

Its decoder is a PixelCNN over the grid that is told at each position what the latents say. A VAE's
posterior collapses beside so strong a decoder: its divergence from the prior is a price for every
bit that the latents carry. Indices of codewords have no such price.
"""

from __future__ import annotations

from collections.abc import Iterator

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from vqcodec.models.config import PriorConfig
from vqcodec.models.config_two_stage import SecondStageConfig
from vqcodec.networks import fixedpoint as fx
from vqcodec.networks.autoencoder import ResidualBlock
from vqcodec.networks.pixelcnn import PixelCNN
from vqcodec.networks.trunk import Pointwise
from vqcodec.prior import units


class SecondEncoder(nn.Module):
    """Codewords of the first stage to latents."""

    def __init__(self, config: SecondStageConfig, code_dim: int) -> None:
        super().__init__()
        hidden, self._latents = config.hidden, config.latents
        self.down1 = nn.Conv2d(code_dim, hidden, 4, stride=2, padding=1)
        self.down2 = nn.Conv2d(hidden, hidden, 4, stride=2, padding=1)
        self.blocks = nn.Sequential(*(ResidualBlock(hidden) for _ in range(config.residual_blocks)))
        self.project = nn.Conv2d(hidden, config.latents * config.code_dim, config.side // 4)

    def forward(self, codewords: Tensor) -> Tensor:
        """Map (B, code_dim, side, side) to (B, G, D)."""
        x = self.blocks(self.down2(F.relu(self.down1(codewords))))
        latents: Tensor = self.project(F.relu(x))
        return latents.view(len(latents), self._latents, -1)


class Condition(nn.Module):
    """What the latents say at each position: the network that `prior.conditional` computes."""

    def __init__(self, config: SecondStageConfig, channels: int) -> None:
        super().__init__()
        width, side = config.condition, config.side
        scale = (config.latents * config.code_dim) ** -0.5
        self.latents = nn.Parameter(torch.randn(config.latents, width, config.code_dim) * scale)
        self.places = nn.Parameter(torch.randn(width, side, side))
        self.hidden = Pointwise(width, width, units.FRACTION_STREAM)
        self.output = Pointwise(width, channels, units.FRACTION_STREAM)

    def forward(self, codewords: Tensor, *, integer: bool) -> Tensor:
        """Map codewords of the latents, (B, G, D), to offsets (B, C, side, side)."""
        said: Tensor = self._said(codewords)
        places: Tensor = self.places
        if integer:
            said, places = self._rounded(said), self._rounded(places)
        stream = said.sum(1)[:, :, None, None] + places
        active = fx.fake_activate(stream, integer=integer)
        # Under autocast layers answer in bfloat16.
        hidden = self.hidden(active, integer=integer).float()
        active = fx.fake_activate(hidden, integer=integer)
        offsets: Tensor = self.output(active, integer=integer).float()
        return fx.fake_limit(offsets, integer=True)

    @torch.no_grad()
    def export(self, codebooks: Tensor) -> dict[str, Tensor]:
        """Return the integer network's tensors by the names that SPEC.md gives them; `codebooks`
        are those of the latents, (G, K, D).

        Raises ModelCorruptError if a layer could leave the exact range.
        """
        said = self._said(codebooks.transpose(0, 1)).transpose(0, 1)  # (G, K, H)
        tables = {"latents": said, "places": self.places.flatten(1).T}
        scale = 2.0**units.FRACTION_STREAM
        out = {k: (self._rounded(v) * scale).short().contiguous() for k, v in tables.items()}
        for name, layer in self._layers():
            out |= fx.export_layer(
                name, layer.weight, layer.bias, layer.fraction_in, layer.fraction_out
            )
        return out

    def _said(self, codewords: Tensor) -> Tensor:
        """Map (B, G, D) to what each says, (B, G, H)."""
        return torch.einsum("bgd,ghd->bgh", codewords, self.latents).float()

    @staticmethod
    def _rounded(numbers: Tensor) -> Tensor:
        return fx.fake_table(numbers, units.FRACTION_STREAM, units.STREAM_MAX)

    def _layers(self) -> Iterator[tuple[str, Pointwise]]:
        yield "hidden", self.hidden
        yield "output", self.output


class SecondDecoder(nn.Module):
    """Logits of every index of the grid given the latents and the indices before it."""

    def __init__(self, config: SecondStageConfig, prior: PriorConfig) -> None:
        super().__init__()
        self.condition = Condition(config, prior.channels)
        self.prior = PixelCNN(prior)

    def forward(
        self,
        indices: Tensor,
        codewords: Tensor,
        *,
        seen: Tensor | None = None,
        integer: bool = False,
    ) -> Tensor:
        """Map int64 indices (B, side, side) and codewords of the latents, (B, G, D), to logits
        (B, K, side, side) in bits; where `seen`, (B,), is 0 no index tells anything of others.
        """
        offset = self.condition(codewords, integer=integer)
        logits: Tensor = self.prior(indices, offset, seen=seen, integer=integer)
        return logits
