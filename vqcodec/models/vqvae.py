"""`paper`: the VQ-VAE of pictures of arXiv 1711.00937, section 4.1, and its file.

A model file holds `encoder.*` and `decoder.*` in float16, and what `codebook` says. If its metadata
has `labels`, the names of classes of pictures, `prior.labels` says what the prior is told of each
when samples of the class are drawn. Files are coded without.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from vqcodec.container import Medium
from vqcodec.engines.engine import Engine
from vqcodec.grid import Box
from vqcodec.models import autoencoder, file
from vqcodec.models.codebook import CodebookModel, nearest, read_fields
from vqcodec.models.config import AutoencoderConfig, PriorConfig
from vqcodec.models.names import read_names
from vqcodec.prior.context import Prior
from vqcodec.prior.layer import Float, Floats, Tensors, take

ARCHITECTURE = "vqvae-pixelcnn-1"
"""Names the networks; other networks need another name."""


@dataclass(frozen=True, slots=True, kw_only=True)
class VqVae(CodebookModel):
    """What `vqcodec.load_model` returns for it; see `model.PictureModel`."""

    config: AutoencoderConfig
    encoder: Engine
    decoder: Engine
    labels: Mapping[str, NDArray[np.int16]] = field(default_factory=dict)
    """The classes that the prior knows, by name: what it adds to the features of its first layer,
    (C,)."""

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

    def prior_of_label(self, label: str) -> Prior:
        """Return the prior of pictures of a class; `prior` is that of all.

        Raises ValueError for a class that the model does not know.
        """
        if label not in self.labels:
            known = f"it has {', '.join(map(repr, self.labels))}" if self.labels else "it has none"
            raise ValueError(f"{self.name} has no label {label!r}; {known}")
        trunk = self.prior.trunk
        offset: Floats = self.labels[label].astype(trunk.dtype)
        return replace(self.prior, trunk=replace(trunk, offset=offset))

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
    prior = file.read_config(PriorConfig, metadata.get("prior"))
    return VqVae(
        **read_fields(
            metadata, tensors, sha256=sha256, autoencoder=config, prior=prior, dtype=dtype
        ),
        labels=_read_labels(metadata, tensors, prior.channels),
        config=config,
        encoder=file.read_engine(autoencoder.encoder(config), "encoder", tensors, device),
        decoder=file.read_engine(autoencoder.decoder(config), "decoder", tensors, device),
    )


def _read_labels(
    metadata: Mapping[str, Any], tensors: Tensors, channels: int
) -> Mapping[str, NDArray[np.int16]]:
    if "labels" not in metadata:
        return {}
    labels = read_names(metadata["labels"], "label", "labels")
    offsets = take(tensors, "prior.labels", np.int16, (len(labels), channels))
    return dict(zip(labels, offsets, strict=True))
