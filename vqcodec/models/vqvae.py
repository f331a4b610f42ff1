"""`paper`: the VQ-VAE of pictures of arXiv 1711.00937, section 4.1, and its file.

A model file holds `encoder.*` and `decoder.*` in float16, and what `codebook` says.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from vqcodec.container import Medium
from vqcodec.engines.engine import Engine
from vqcodec.grid import Box
from vqcodec.models import autoencoder, file
from vqcodec.models.codebook import CodebookModel, nearest, read_fields
from vqcodec.models.config import AutoencoderConfig, PriorConfig
from vqcodec.prior.layer import Float

ARCHITECTURE = "vqvae-pixelcnn-1"
"""Names the networks; other networks need another name."""


@dataclass(frozen=True, slots=True, kw_only=True)
class VqVae(CodebookModel):
    """What `vqcodec.load_model` returns for it; see `model.PictureModel`."""

    config: AutoencoderConfig
    encoder: Engine
    decoder: Engine

    @property
    def medium(self) -> Medium:
        """Pictures."""
        return Medium.PICTURE

    @property
    def stride(self) -> int:
        """Pixels per index along each axis."""
        return self.config.stride

    @property
    def encoder_halo(self) -> int:
        """Indices around a window whose pixels can change its latents."""
        return self.config.encoder_halo

    @property
    def decoder_halo(self) -> int:
        """Indices around a window that can change its pixels."""
        return self.config.decoder_halo

    @property
    def fine_encoder_halo(self) -> int:
        """No layers are coarse ones."""
        return self.encoder_halo

    @property
    def fine_decoder_halo(self) -> int:
        """No layers are coarse ones."""
        return self.decoder_halo

    @property
    def window(self) -> int:
        """96 indices are 384 pixels."""
        return 96

    @property
    def is_concurrent(self) -> bool:
        """As the engine of its networks is."""
        return self.decoder.is_concurrent

    def fine_features(self, pixels: NDArray[np.float32], inner: Box) -> NDArray:
        """Map some of pixels (3, H, W) in 0..1, whole strides, to nearest indices (1, n, m)."""
        latents = self.encoder.run(pixels, inner=inner)
        indices = nearest(self.codebook, latents.reshape(len(latents), -1).T)
        return indices.astype(np.int32).reshape(1, *latents.shape[1:])

    def measure(self, features: NDArray, inner: Box) -> NDArray:
        """Return some of the indices (1, N, M), as (n, m, 1)."""
        return features.transpose(1, 2, 0)[inner]

    def coarse_features(
        self, indices: NDArray[np.integer], quality: int, inner: Box
    ) -> NDArray[np.integer]:
        """Return some of the indices (N, M, 1), as (1, n, m)."""
        return indices[inner].transpose(2, 0, 1)

    def pixels(self, features: NDArray[np.integer], inner: Box) -> NDArray[np.float32]:
        """Map indices (1, N, M) to the pixels of some of them, (3, 4 n, 4 m)."""
        codewords = self.codebook[features[0]]
        return self.decoder.run(codewords.transpose(2, 0, 1), inner=inner)


def parse_model(
    data: bytes, *, sha256: str, device: str = "cpu", dtype: Float = np.float32
) -> VqVae:
    """Read a model file whose hash has been checked; `registry.load.parse_model` says more.

    Raises: ModelError.
    """
    metadata, tensors = file.read_metadata(data), file.read_tensors(data)
    config = file.read_config(AutoencoderConfig, metadata.get("autoencoder"))
    return VqVae(
        **read_fields(
            metadata,
            tensors,
            sha256=sha256,
            autoencoder=config,
            prior=file.read_config(PriorConfig, metadata.get("prior")),
            dtype=dtype,
        ),
        config=config,
        encoder=file.read_engine(autoencoder.encoder(config), "encoder", tensors, device),
        decoder=file.read_engine(autoencoder.decoder(config), "decoder", tensors, device),
    )
