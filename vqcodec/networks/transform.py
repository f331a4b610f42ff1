"""The transform of `photo`: pixels to latents at a sixteenth of their resolution, and back.

Residual blocks of dense 3x3 convolutions at 1/4, 1/8 and 1/16 of the
resolution, most of the arithmetic where pixels are fewest. The last latents are details:
what is too fine for those networks' width, as a linear transform of 16x16 blocks beside
them. One network serves
every quality: per quality, a learned gain scales each latent channel before
quantisation and its inverse undoes it after (Cui et al., arXiv 2003.02012), so
that a step of 1 is fine or coarse; between qualities gains interpolate.

Shapes: B pictures of HxW pixels, N = H/16 by M = W/16 positions of D latents.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from vqcodec.grid import Box
from vqcodec.models.config import TransformConfig
from vqcodec.models.config_sound import SpeechConfig

SLOPE = 0.1
"""Of leaky ReLU."""


class Block(nn.Module):
    """3x3 convolution, leaky ReLU, 3x3 convolution, added to the input."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.first = nn.Conv2d(channels, channels, 3, padding=1)
        self.second = nn.Conv2d(channels, channels, 3, padding=1)
        # Blocks begin as the identity, so that depth costs nothing at the start.
        nn.init.zeros_(self.second.weight)
        nn.init.zeros_(self.second.bias)  # type: ignore[arg-type]

    def forward(self, x: Tensor) -> Tensor:
        """Map (B, channels, n, m) to the same shape."""
        # In place: at a large window's size a new buffer costs as much as the arithmetic on it.
        out: Tensor = self.second(F.leaky_relu(self.first(x), SLOPE, inplace=True))
        return out.add_(x)


class Analysis(nn.Module):
    """Pixels to latents."""

    def __init__(self, config: TransformConfig, block: Callable[[int], nn.Module] = Block) -> None:
        """`block` makes a residual block of a number of channels."""
        super().__init__()
        fine, middle, coarse = config.widths
        depths = config.depths
        self.layers = nn.Sequential(
            nn.Conv2d(3, fine, 8, stride=4, padding=2),
            *(block(fine) for _ in range(depths[0])),
            nn.Conv2d(fine, middle, 4, stride=2, padding=1),
            *(block(middle) for _ in range(depths[1])),
            nn.Conv2d(middle, coarse, 4, stride=2, padding=1),
            *(block(coarse) for _ in range(depths[2])),
            nn.Conv2d(coarse, config.latents - config.details, 1),
        )
        self.details = nn.Conv2d(3, config.details, 16, stride=16)

    def forward(self, pixels: Tensor) -> Tensor:
        """Map pixels (B, 3, H, W) in 0..1, H and W multiples of 16, to latents (B, D, N, M)."""
        scaled = 2.0 * pixels - 1.0
        return torch.cat([self.layers(scaled), self.details(scaled)], dim=1)


class Synthesis(nn.Module):
    """Latents to pixels."""

    def __init__(
        self,
        config: TransformConfig,
        block: Callable[[int], nn.Module] = Block,
    ) -> None:
        """`block` makes a residual block of a number of channels."""
        super().__init__()
        fine, middle, coarse = config.widths
        depths = config.depths
        # How far the layers from the second and the third resolution on reach, measured just
        # before them, at half their resolution.
        third = -(-(2 * depths[0] + 1) // 2)
        second = -(-(third + 2 * depths[1]) // 2)
        self._reaches = {1 + depths[2]: second, 3 + depths[2] + depths[1]: third}
        self._parts = [config.latents - config.details, config.details]
        self.layers = nn.Sequential(
            nn.Conv2d(self._parts[0], coarse, 3, padding=1),
            *(block(coarse) for _ in range(depths[2])),
            nn.Conv2d(coarse, 4 * middle, 1),
            nn.PixelShuffle(2),
            *(block(middle) for _ in range(depths[1])),
            nn.Conv2d(middle, 4 * fine, 1),
            nn.PixelShuffle(2),
            *(block(fine) for _ in range(depths[0])),
            nn.Conv2d(fine, 3 * 16, 3, padding=1),
            nn.PixelShuffle(4),
        )
        self.details = nn.Sequential(
            nn.Conv2d(config.details, 3 * 16 * 16, 1, bias=False), nn.PixelShuffle(16)
        )

    def forward(self, latents: Tensor, inner: Box | None = None) -> Tensor:
        """Map latents (B, D, N, M) to pixels (B, 3, 16N, 16M), about 0..1, not clamped.

        With `inner`, only to its pixels; the positions around it are looked at as far as needed.
        """
        rows, columns = latents.shape[2:]
        inner = inner or (slice(0, rows), slice(0, columns))
        coarse, details = torch.split(latents, self._parts, dim=1)
        # In `out`, at its resolution.
        first, scale = [0, 0], 1
        out = coarse
        for number, layer in enumerate(self.layers):
            reach = self._reaches.get(number)
            if reach is not None:
                wanted = [slice(s.start * scale - reach, s.stop * scale + reach) for s in inner]
                out, first = _cut(out, first, wanted)
            out = layer(out)
            if isinstance(layer, nn.PixelShuffle):
                scale *= layer.upscale_factor
                first = [start * layer.upscale_factor for start in first]
        out, _ = _cut(out, first, [slice(s.start * scale, s.stop * scale) for s in inner])
        pixels: Tensor = out + self.details(details[:, :, inner[0], inner[1]])
        return 0.5 * pixels + 0.5


def _cut(x: Tensor, first: list[int], wanted: list[slice]) -> tuple[Tensor, list[int]]:
    """Return what x, beginning at `first`, has of the wanted rows and columns, and where
    that begins.
    """
    starts = [max(f, s.start) for f, s in zip(first, wanted, strict=True)]
    rows, columns = (
        slice(start - f, s.stop - f) for start, f, s in zip(starts, first, wanted, strict=True)
    )
    return x[:, :, rows, columns], starts


class Gains(nn.Module):
    """How finely each quality quantises each latent channel."""

    def __init__(self, config: TransformConfig | SpeechConfig) -> None:
        super().__init__()
        steps = torch.linspace(-1.0, 1.0, config.qualities)[:, None] * config.gain_octaves / 2.0
        self.octaves = nn.Parameter(steps.repeat(1, config.latents))

    def forward(self, qualities: Tensor) -> Tensor:
        """Map qualities (B,), real numbers 1..Q, to gains (B, D, 1, 1)."""
        last = len(self.octaves) - 1
        place = (qualities - 1.0).clamp(0.0, float(last))
        below = place.floor().clamp_max(float(max(0, last - 1))).long()
        part = (place - below)[:, None]
        above = (below + 1).clamp_max(last)
        octaves = torch.lerp(self.octaves[below], self.octaves[above], part)
        return torch.exp2(octaves)[:, :, None, None]
