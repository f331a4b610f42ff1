"""The convolutional encoder and decoder of the VQ-VAE.

arXiv 1711.00937, section 4.1: "the encoder consists of 2 strided convolutional
layers with stride 2 and window size 4x4, followed by two residual 3x3 blocks
(implemented as ReLU, 3x3 conv, ReLU, 1x1 conv), all having 256 hidden units.
The decoder similarly has two residual 3x3 blocks, followed by two transposed
convolutions with stride 2 and window size 4x4."

Shapes: B pictures of HxW pixels, N = H/4 by M = W/4 latents of D numbers.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from vqcodec.models.config import AutoencoderConfig


class ResidualBlock(nn.Module):
    """ReLU, 3x3 convolution, ReLU, 1x1 convolution, added to the input."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.spatial = nn.Conv2d(channels, channels, 3, padding=1)
        self.pointwise = nn.Conv2d(channels, channels, 1)

    def forward(self, x: Tensor) -> Tensor:
        """Map (B, channels, N, M) to the same shape."""
        h = self.spatial(F.relu(x))
        out: Tensor = x + self.pointwise(F.relu(h))
        return out


class Encoder(nn.Module):
    """Pixels to latents."""

    def __init__(self, config: AutoencoderConfig) -> None:
        super().__init__()
        hidden = config.hidden
        self.down1 = nn.Conv2d(3, hidden, 4, stride=2, padding=1)
        self.down2 = nn.Conv2d(hidden, hidden, 4, stride=2, padding=1)
        self.blocks = nn.Sequential(*(ResidualBlock(hidden) for _ in range(config.residual_blocks)))
        self.project = nn.Conv2d(hidden, config.code_dim, 1)

    def forward(self, pixels: Tensor) -> Tensor:
        """Map pixels (B, 3, H, W) in 0..1, H and W multiples of 4, to latents (B, D, N, M)."""
        x = F.relu(self.down1(2.0 * pixels - 1.0))  # (B, hidden, H/2, W/2)
        x = self.blocks(self.down2(x))  # (B, hidden, N, M)
        latents: Tensor = self.project(F.relu(x))
        return latents


class Decoder(nn.Module):
    """Codewords to pixels."""

    def __init__(self, config: AutoencoderConfig) -> None:
        super().__init__()
        hidden = config.hidden
        self.project = nn.Conv2d(config.code_dim, hidden, 3, padding=1)
        self.blocks = nn.Sequential(*(ResidualBlock(hidden) for _ in range(config.residual_blocks)))
        self.up1 = nn.ConvTranspose2d(hidden, hidden, 4, stride=2, padding=1)
        self.up2 = nn.ConvTranspose2d(hidden, 3, 4, stride=2, padding=1)

    def forward(self, codewords: Tensor) -> Tensor:
        """Map codewords (B, D, N, M) to pixels (B, 3, 4N, 4M), about 0..1, not clamped."""
        x = self.blocks(self.project(codewords))  # (B, hidden, N, M)
        x = F.relu(self.up1(F.relu(x)))  # (B, hidden, 2N, 2M)
        pixels: Tensor = self.up2(x)
        return 0.5 * pixels + 0.5


def codeword_images(vectors: Tensor, indices: Tensor) -> Tensor:
    """Look up codewords: vectors (K, D) and indices (B, N, M) give (B, D, N, M)."""
    return F.embedding(indices, vectors).permute(0, 3, 1, 2)


def psnr_of_mse(mse: Tensor) -> Tensor:
    """PSNR in dB of a mean squared error on the 0..1 scale."""
    return -10.0 * torch.log10(mse)
