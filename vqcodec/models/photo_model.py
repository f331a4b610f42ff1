"""What photo's architectures share: pictures whose latents have product codebooks."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, TypedDict

import numpy as np
from numpy.typing import NDArray

from vqcodec.container import Medium
from vqcodec.engines.engine import Engine
from vqcodec.grid import Box
from vqcodec.models import file
from vqcodec.models.config import LatentPriorConfig, ProductConfig, TransformConfig
from vqcodec.models.product import ProductModel, read_gains, read_product
from vqcodec.prior.codebooks import Codebooks
from vqcodec.prior.context import Prior
from vqcodec.prior.layer import Float, Tensors


@dataclass(frozen=True, slots=True, kw_only=True)
class PhotoModel(ProductModel):
    """What `vqcodec.load_model` returns for it; see `model.PictureModel`."""

    analysis: Engine
    synthesis: Engine
    encoder_halo: int
    """Positions around a window whose pixels can change its latents."""
    decoder_halo: int
    """Positions around a window that can change its pixels."""

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

    def pixels(self, indices: NDArray[np.integer], quality: int, inner: Box) -> NDArray[np.float32]:
        """Map indices (N, M, G) to the pixels of some of them, (3, 16 n, 16 m).

        Raises CorruptError.
        """
        latents = self.latents(indices, quality)
        return self.synthesis.run(latents.transpose(2, 0, 1), inner=inner)


class Fields(TypedDict):
    """What `read_fields` reads, by the names of a `PhotoModel`."""

    name: str
    sha256: str
    product: ProductConfig
    gains: NDArray[np.float32]
    priors: tuple[Prior, ...]
    codebooks: tuple[Codebooks, ...]
    encoder_halo: int
    decoder_halo: int


def read_fields(
    metadata: Mapping[str, Any],
    tensors: Tensors,
    *,
    sha256: str,
    encoder: TransformConfig,
    decoder: TransformConfig,
    dtype: Float,
) -> Fields:
    """Read of a model file all but its networks, whose configurations are those of the encoder
    and the decoder. `dtype` is that of the prior's arithmetic.

    Raises ModelCorruptError.
    """
    parts = read_product(
        metadata,
        tensors,
        file.read_config(LatentPriorConfig, metadata.get("latent_prior")),
        qualities=encoder.qualities,
        latents=encoder.latents,
        details=encoder.details,
        dtype=dtype,
    )
    return Fields(
        name=str(metadata.get("name", "")),
        sha256=sha256,
        product=parts.product,
        gains=read_gains(tensors, qualities=encoder.qualities, latents=encoder.latents),
        priors=parts.priors,
        codebooks=parts.codebooks,
        encoder_halo=encoder.encoder_halo,
        decoder_halo=decoder.decoder_halo,
    )
