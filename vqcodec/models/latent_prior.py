"""What is known of a latent before it is decoded, as a Gaussian per channel.

Two contexts meet: a wedge-masked PixelCNN over the positions that the wavefront
has decoded (`pixelcnn`, whose layers it shares, so that it can run in integers),
and the channels of the same position that come in earlier slices. The mean and
the scale of slice s are read off the features of the first by a small network
that also sees slices 0..s-1 (channel-wise autoregression, Minnen and Singh,
arXiv 2007.08739, here with the position's own past as the hyperprior).
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from vqcodec.models import fixedpoint as fx
from vqcodec.models.config import LatentPriorConfig, TransformConfig
from vqcodec.models.pixelcnn import Pointwise, WedgeConv
from vqcodec.models.wedge import FIRST_TAPS, INNER_TAPS

_SCALE_MIN = 0.11
"""The smallest scale: narrower Gaussians put all their mass into one cell anyway."""
_LIKELIHOOD_MIN = 1e-9


class LatentPrior(nn.Module):
    """Means and scales of every latent given those before it in coding order."""

    def __init__(self, config: LatentPriorConfig, transform: TransformConfig) -> None:
        """Raises ValueError if the slices do not divide the transform's latents."""
        super().__init__()
        self.config = config
        latents = transform.latents
        if latents % config.slices:
            raise ValueError(f"latent_prior.slices must divide transform.latents, {latents}")
        channels, self._size = config.channels, latents // config.slices
        self.first = WedgeConv(FIRST_TAPS, latents, channels, fx.FRACTION_EMBEDDING)
        self.layers = nn.ModuleList(
            WedgeConv(INNER_TAPS, channels, channels, fx.FRACTION_ACTIVATION)
            for _ in range(config.layers)
        )
        self.quality = nn.Embedding(transform.qualities, channels)
        nn.init.zeros_(self.quality.weight)
        self.hidden = nn.ModuleList(
            Pointwise(channels + s * self._size, config.hidden, fx.FRACTION_STREAM)
            for s in range(config.slices)
        )
        self.output = nn.ModuleList(
            Pointwise(config.hidden, 2 * self._size, fx.FRACTION_STREAM)
            for _ in range(config.slices)
        )

    def forward(self, latents: Tensor, qualities: Tensor) -> tuple[Tensor, Tensor]:
        """Map scaled latents (B, D, N, M) and qualities int64 (B,), 1..Q, to means and
        scales of the same shape, in the latents' unit.

        Position (i, j) depends on positions with a smaller j + 2i and, in slice s, on
        the slices before s of its own.
        """
        squeezed = torch.asinh(latents)  # large values would drown the others
        stream = self.first(squeezed, integer=False)
        stream = stream + self.quality(qualities - 1)[:, :, None, None]
        for layer in self.layers:
            stream = stream + layer(F.relu(stream), integer=False)
        features = F.relu(stream)
        means, scales = [], []
        for s, (hidden, output) in enumerate(zip(self.hidden, self.output, strict=True)):
            seen = torch.cat([features, squeezed[:, : s * self._size]], dim=1)
            both = output(F.relu(hidden(seen, integer=False)), integer=False).float()
            mean, log_scale = both.chunk(2, dim=1)
            means.append(mean)
            scales.append(_SCALE_MIN + F.softplus(log_scale + 0.5))
        return torch.cat(means, dim=1), torch.cat(scales, dim=1)


def bits(latents: Tensor, means: Tensor, scales: Tensor) -> Tensor:
    """Cost in bits of latents quantised with step 1, elementwise: -log2 of the Gaussian's
    mass in the cell of width 1 around each (Ballé et al., arXiv 1802.01436, eq. 11).
    """
    distance = (latents.float() - means).abs()
    upper = _below((0.5 - distance) / scales)
    lower = _below((-0.5 - distance) / scales)
    return -torch.log2((upper - lower).clamp_min(_LIKELIHOOD_MIN))


def _below(x: Tensor) -> Tensor:
    """The standard normal's mass below x; accurate for negative x."""
    return 0.5 * torch.erfc(x * -(0.5**0.5))
