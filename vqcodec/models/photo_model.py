"""What photo's architectures share: pictures whose latents have product codebooks."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from vqcodec.container import Medium
from vqcodec.engines.engine import Engine
from vqcodec.grid import Box
from vqcodec.models.product import ProductModel


@dataclass(frozen=True, slots=True, kw_only=True)
class PhotoModel(ProductModel):
    """All of a model but the way back to pixels; see `model.PictureModel`."""

    analysis: Engine
    synthesis: Engine

    @property
    def medium(self) -> Medium:
        """Pictures."""
        return Medium.PICTURE

    @property
    def stride(self) -> int:
        """Pixels per position along each axis."""
        return 16

    @property
    def window(self) -> int:
        """80 positions are 1280 pixels."""
        return 80

    @property
    def is_concurrent(self) -> bool:
        """As the engine of its networks is."""
        return self.synthesis.is_concurrent

    def measure(self, pixels: NDArray[np.float32], inner: Box) -> NDArray:
        """Map some of pixels (3, H, W) in 0..1, whole strides, to latents (n, m, D)."""
        return self.analysis.run(pixels, inner=inner).transpose(1, 2, 0)
