"""A whole model: encoder, codebook, decoder and prior, and its file.

A model file is safetensors: `encoder.*` and `decoder.*` in float16, `codebook`
in float32, `prior.*` in integers, and one JSON text in the metadata.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from vqcodec.container import Medium
from vqcodec.engines.engine import Engine, make_engine
from vqcodec.engines.layers import Network
from vqcodec.errors import ModelCorruptError
from vqcodec.grid import Box
from vqcodec.models import autoencoder, file
from vqcodec.models.config import AutoencoderConfig, PriorConfig, WaveNetConfig
from vqcodec.prior.chooser import KnownIndices
from vqcodec.prior.context import Prior
from vqcodec.prior.heads import Categorical
from vqcodec.prior.layer import Float, Tensors
from vqcodec.prior.trunk import Trunk

ARCHITECTURE = "vqvae-pixelcnn-1"
"""Names the networks; other networks need another name."""


@dataclass(frozen=True, slots=True, kw_only=True)
class VqVae:
    """What `vqcodec.load_model` returns for it; see `model.Model`."""

    name: str
    sha256: str
    """Full SHA-256 of the model file, hexadecimal."""
    config: AutoencoderConfig
    encoder: Engine
    codebook: NDArray[np.float32]
    """(K, D) codewords."""
    decoder: Engine
    prior: Prior

    @property
    def medium(self) -> Medium:
        """Pictures."""
        return Medium.PICTURE

    @property
    def qualities(self) -> int:
        """It has none."""
        return 0

    @property
    def codebook_size(self) -> int:
        """Number K of codewords."""
        return self.config.codebook_size

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

    def groups(self, quality: int) -> int:
        """One index per position."""
        return 1

    def codewords(self, quality: int) -> tuple[int, ...]:
        """All indices have one."""
        return (self.config.codebook_size,)

    def fine_features(self, pixels: NDArray[np.float32], inner: Box) -> NDArray[np.int32]:
        """Map some of pixels (3, H, W) in 0..1, whole strides, to nearest indices (1, n, m)."""
        latents = self.encoder.run(pixels, inner=inner)
        indices = nearest(self.codebook, latents.reshape(len(latents), -1).T)
        return indices.astype(np.int32).reshape(1, *latents.shape[1:])

    def measure(self, features: NDArray[np.int32], inner: Box) -> NDArray[np.int32]:
        """Return some of the indices (1, N, M), as (n, m, 1)."""
        return features.transpose(1, 2, 0)[inner]

    def prior_of(self, quality: int) -> Prior:
        """Return the only one."""
        return self.prior

    def chooser(self, tiles: Sequence[NDArray], quality: int, weight: float) -> KnownIndices:
        """Take the indices that were measured, (N, M, 1); there is nothing to weigh."""
        indices = np.concatenate([tile.reshape(-1, 1) for tile in tiles])
        return KnownIndices(self.prior.parts, indices)

    def nearest(self, measured: NDArray, quality: int) -> NDArray[np.integer]:
        """Return what was measured."""
        return measured

    def coarse_features(
        self, indices: NDArray[np.integer], quality: int, inner: Box
    ) -> NDArray[np.integer]:
        """Return some of the indices (N, M, 1), as (1, n, m)."""
        return indices[inner].transpose(2, 0, 1)

    def pixels(self, features: NDArray[np.integer], inner: Box) -> NDArray[np.float32]:
        """Map indices (1, N, M) to the pixels of some of them, (3, 4 n, 4 m)."""
        codewords = self.codebook[features[0]]
        return self.decoder.run(codewords.transpose(2, 0, 1), inner=inner)


def nearest(vectors: NDArray[np.float32], latents: NDArray[np.float32]) -> NDArray[np.intp]:
    """Return the index of the nearest codeword, arXiv 1711.00937, eq. 1: argmin_k ||z - e_k||^2.

    `vectors` is (K, D), `latents` (P, D); the answer is (P,), ties going to the smaller index.
    """
    with np.errstate(over="ignore", invalid="ignore"):  # hostile weights may overflow
        scores = latents @ vectors.T  # (P, K)
        scores *= np.float32(-2.0)
        scores += np.square(vectors).sum(1)
    indices: NDArray[np.intp] = scores.argmin(1)
    return indices


def parse_model(
    data: bytes, *, sha256: str, device: str = "cpu", dtype: Float = np.float32
) -> VqVae:
    """Read a model file whose hash has been checked; `registry.load.parse_model` says more.

    Raises: ModelError.
    """
    metadata = file.read_metadata(data)
    config = file.read_config(AutoencoderConfig, metadata.get("autoencoder"))
    prior = file.read_config(PriorConfig, metadata.get("prior"))
    if prior.codebook_size != config.codebook_size:
        raise ModelCorruptError("the prior's codebook is not the autoencoder's")
    tensors = file.read_tensors(data)

    def engine(network: Network, prefix: str) -> Engine:
        return make_engine(network, file.network_weights(network, prefix, tensors), device)

    return VqVae(
        name=str(metadata.get("name", "")),
        sha256=sha256,
        config=config,
        encoder=engine(autoencoder.encoder(config), "encoder"),
        codebook=file.floats(
            tensors, "codebook", np.float32, (config.codebook_size, config.code_dim)
        ),
        decoder=engine(autoencoder.decoder(config), "decoder"),
        prior=read_prior(file.under(tensors, "prior."), prior, dtype),
    )


def read_prior(
    tensors: Tensors, config: PriorConfig | WaveNetConfig, dtype: Float = np.float32
) -> Prior:
    """Take the prior out of the tensors that `IndexPrior.export` made, after checking them.

    Raises ModelCorruptError.
    """
    trunk = Trunk.read(
        tensors,
        reads=config.embedding,
        channels=config.channels,
        taps=config.taps,
        dtype=dtype,
    )
    head = Categorical.read(
        tensors,
        codebook_size=config.codebook_size,
        embedding=config.embedding,
        channels=config.channels,
        dtype=dtype,
    )
    return Prior(trunk, head)
