"""`photo`: one network, many qualities, product codebooks on a learned transform.

A model file holds `analysis.*` and `synthesis.*` in float16, `gains` in float32, and
`prior.*` and `codebooks.Q.*` in integers.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from vqcodec.container import Medium
from vqcodec.engines.engine import Engine, make_engine
from vqcodec.engines.layers import Network
from vqcodec.errors import ModelCorruptError
from vqcodec.grid import Box
from vqcodec.models import file, transform
from vqcodec.models.config import LatentPriorConfig, ProductConfig, TransformConfig
from vqcodec.models.latents import LatentModel, read_codebooks, read_gains, read_priors
from vqcodec.prior.layer import Float

ARCHITECTURE = "photo-1"
"""Names the networks; other networks need another name."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Photo(LatentModel):
    """What `vqcodec.load_model` returns for it; see `model.PictureModel`."""

    config: TransformConfig
    analysis: Engine
    synthesis: Engine

    @property
    def medium(self) -> Medium:
        """Pictures."""
        return Medium.PICTURE

    @property
    def stride(self) -> int:
        """Pixels per position along each axis."""
        return self.config.stride

    @property
    def encoder_halo(self) -> int:
        """Positions around a window whose pixels can change its latents."""
        return self.config.encoder_halo

    @property
    def decoder_halo(self) -> int:
        """Positions around a window that can change its pixels."""
        return self.config.decoder_halo

    @property
    def window(self) -> int:
        """64 positions are 1024 pixels."""
        return 64

    def measure(self, pixels: NDArray[np.float32], inner: Box) -> NDArray:
        """Map some of pixels (3, H, W) in 0..1, whole strides, to latents (n, m, D)."""
        return self.analysis.run(pixels, inner=inner).transpose(1, 2, 0)

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
    latent_prior = file.read_config(LatentPriorConfig, metadata.get("latent_prior"))
    product = file.read_config(ProductConfig, metadata.get("product"))
    if sum(latent_prior.slices) != config.latents:
        raise ModelCorruptError("the prior's slices are not the latents in all")
    tensors = file.read_tensors(data)
    gains = read_gains(tensors, qualities=config.qualities, latents=config.latents)

    def engine(network: Network, prefix: str) -> Engine:
        return make_engine(network, file.network_weights(network, prefix, tensors), device)

    codebooks = read_codebooks(
        tensors,
        qualities=config.qualities,
        slices=latent_prior.slices,
        size=product.codebook_size,
    )
    coarse = config.latents - config.details
    return Photo(
        name=str(metadata.get("name", "")),
        sha256=sha256,
        config=config,
        product=product,
        analysis=engine(transform.analysis(config), "analysis"),
        synthesis=engine(transform.synthesis(config), "synthesis"),
        gains=gains,
        priors=read_priors(
            file.under(tensors, "prior."), latent_prior, codebooks, coarse=coarse, dtype=dtype
        ),
        codebooks=codebooks,
    )
