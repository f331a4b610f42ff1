"""A PixelCNN that can be told the class of its picture (van den Oord et al., arXiv 1606.05328,
section 2.4; arXiv 1711.00937, section 4.2).

What it is told is added to the features of its first layer, at every position alike.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from vqcodec.models.config import PriorConfig
from vqcodec.networks import fixedpoint as fx
from vqcodec.networks.pixelcnn import PixelCNN
from vqcodec.prior import units

UNKNOWN = -1
"""The number of a picture's class that is not told."""


class LabelledPixelCNN(PixelCNN):
    """A `PixelCNN` with numbers for each class, which are 0 to begin with."""

    def __init__(self, config: PriorConfig, labels: int) -> None:
        """`labels` is the number of classes."""
        super().__init__(config)
        self.labels = nn.Parameter(torch.zeros(labels, config.channels))

    def told(self, numbers: Tensor, *, integer: bool) -> Tensor:
        """Return what pictures of classes int64 (B,), or UNKNOWN, are told: (B, C, 1, 1)."""
        table = self._rounded() if integer else self.labels
        known = numbers != UNKNOWN
        told: Tensor = table[numbers.clamp_min(0)] * known[:, None]
        return told[:, :, None, None]

    @torch.no_grad()
    def export(self) -> dict[str, Tensor]:
        """Return the integer prior's tensors by the names that SPEC.md gives them.

        Raises ModelCorruptError if a layer could leave the exact range.
        """
        return {**super().export(), "labels": (self._rounded() * _ONE).to(torch.int16)}

    def _rounded(self) -> Tensor:
        return fx.fake_table(self.labels, units.FRACTION_STREAM, units.STREAM_MAX)


_ONE = 2.0**units.FRACTION_STREAM
