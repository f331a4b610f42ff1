"""Networks that tell decoded sound from recordings, from complex spectra of several sizes.

After Défossez et al., arXiv 2210.13438, section 3.4 (MS-STFTD), with fewer channels; what they
read is compressed, so that quiet sound counts too. They are part of no model: training alone needs
them.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from vqcodec.models.stft import POWER
from vqcodec.networks.spectrum import compressed

_SLOPE = 0.2
_DILATIONS = (1, 2, 4)
"""Of the inner layers, along frames."""


class SpectrumDiscriminator(nn.Module):
    """Judges spectra of one size, frame by frame and band by band."""

    window: Tensor

    def __init__(self, size: int, channels: int) -> None:
        """`size` are the samples of a window, four times as many as between two of them."""
        super().__init__()
        self._size = size
        window = torch.hann_window(size)
        self.register_buffer("window", window / window.square().sum().sqrt(), persistent=False)
        layers: list[nn.Module] = [nn.Conv2d(2, channels, (3, 9), padding=(1, 4))]
        layers += [
            nn.Conv2d(
                *(channels, channels, (3, 9)),
                stride=(1, 2),
                dilation=(dilation, 1),
                padding=(dilation, 4),
            )
            for dilation in _DILATIONS
        ]
        layers.append(nn.Conv2d(channels, channels, 3, padding=1))
        self.layers = nn.ModuleList(layers)
        self.head = nn.Conv2d(channels, 1, 3, padding=1)

    def forward(self, samples: Tensor) -> list[Tensor]:
        """Map samples float32 (B, n) to what each layer makes of them, (B, channels, frames,
        bands), and last to the verdicts, (B, 1, frames, bands): above 0 for recordings.
        """
        spectra: Tensor = torch.stft(
            *(samples, self._size, self._size // 4),
            window=self.window,
            pad_mode="constant",
            return_complex=True,
        )
        made = [torch.stack(compressed(spectra, POWER), dim=1).transpose(2, 3)]
        for layer in self.layers:
            made.append(F.leaky_relu(layer(made[-1]), _SLOPE))
        return [*made[1:], self.head(made[-1])]


class Discriminators(nn.Module):
    """Several of them, each for a size of windows."""

    def __init__(self, sizes: Sequence[int], channels: int) -> None:
        super().__init__()
        self.each = nn.ModuleList(SpectrumDiscriminator(size, channels) for size in sizes)

    def forward(self, samples: Tensor) -> list[list[Tensor]]:
        """Return what each one makes of samples (B, n), see `SpectrumDiscriminator`."""
        return [one(samples) for one in self.each]
