"""`photo`: one network, many qualities, product codebooks on a learned transform.

A model file holds `analysis.*` and `synthesis.*` in float16, and what `product` says.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from vqcodec.engines.engine import Engine, make_engine
from vqcodec.engines.layers import Network
from vqcodec.grid import Box
from vqcodec.models import file, transform
from vqcodec.models.config import LatentPriorConfig, TransformConfig
from vqcodec.models.photo_model import PhotoModel
from vqcodec.models.product import read_gains, read_product
from vqcodec.prior.layer import Float

ARCHITECTURE = "photo-1"
"""Names the networks; other networks need another name."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Photo(PhotoModel):
    """What `vqcodec.load_model` returns for it; see `model.PictureModel`."""

    config: TransformConfig

    @property
    def encoder_halo(self) -> int:
        """Positions around a window whose pixels can change its latents."""
        return self.config.encoder_halo

    @property
    def decoder_halo(self) -> int:
        """Positions around a window that can change its pixels."""
        return self.config.decoder_halo

    def pixels(self, indices: NDArray[np.integer], quality: int, inner: Box) -> NDArray[np.float32]:
        """Map indices (N, M, G) to the pixels of some of them, (3, 16 n, 16 m).

        Raises CorruptError.
        """
        latents = self.latents(indices, quality)
        return self.synthesis.run(latents.transpose(2, 0, 1), inner=inner)


def parse_model(
    data: bytes, *, sha256: str, device: str = "cpu", dtype: Float = np.float32
) -> Photo:
    """Read a model file whose hash has been checked; `registry.load.parse_model` says more.

    Raises: ModelError.
    """
    metadata = file.read_metadata(data)
    config = file.read_config(TransformConfig, metadata.get("transform"))
    tensors = file.read_tensors(data)
    parts = read_product(
        metadata,
        tensors,
        file.read_config(LatentPriorConfig, metadata.get("latent_prior")),
        qualities=config.qualities,
        latents=config.latents,
        details=config.details,
        dtype=dtype,
    )

    def engine(network: Network, prefix: str) -> Engine:
        return make_engine(network, file.network_weights(network, prefix, tensors), device)

    return Photo(
        name=str(metadata.get("name", "")),
        sha256=sha256,
        config=config,
        product=parts.product,
        analysis=engine(transform.analysis(config), "analysis"),
        synthesis=engine(transform.synthesis(config), "synthesis"),
        gains=read_gains(tensors, qualities=config.qualities, latents=config.latents),
        priors=parts.priors,
        codebooks=parts.codebooks,
    )
