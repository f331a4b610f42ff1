"""What photo's architectures share: pictures whose latents have product codebooks."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, TypedDict

import numpy as np
from numpy.typing import NDArray

from vqcodec.container import Medium
from vqcodec.engines.engine import Engine, make_engine
from vqcodec.engines.halves import halves
from vqcodec.engines.layers import Network
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

    analysis: tuple[Engine, Engine]
    """The halves of the network: fine layers, then coarse ones."""
    synthesis: tuple[Engine, Engine]
    """Coarse layers, then fine ones."""
    encoder_halo: int
    fine_encoder_halo: int
    decoder_halo: int
    fine_decoder_halo: int

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
        """56 positions are 896 pixels."""
        return 56

    @property
    def is_concurrent(self) -> bool:
        """As the engine of its networks is."""
        return self.synthesis[1].is_concurrent

    def fine_features(self, pixels: NDArray[np.float32], inner: Box) -> NDArray[np.float32]:
        """Map some of pixels (3, H, W) in 0..1, whole strides, to features (C, n, m)."""
        return self.analysis[0].run(pixels, inner=inner)

    def measure(self, features: NDArray[np.float32], inner: Box) -> NDArray[np.float32]:
        """Map some of fine features (C, N, M) to latents (n, m, D)."""
        return self.analysis[1].run(features, inner=inner).transpose(1, 2, 0)

    def coarse_features(
        self, indices: NDArray[np.integer], quality: int, inner: Box
    ) -> NDArray[np.float32]:
        """Map indices (N, M, G) to features of some of them, (C, n, m). Raises CorruptError."""
        latents = self.latents(indices, quality)
        return self.synthesis[0].run(latents.transpose(2, 0, 1), inner=inner)

    def pixels(self, features: NDArray[np.float32], inner: Box) -> NDArray[np.float32]:
        """Map coarse features (C, N, M) to the pixels of some of them, (3, 16 n, 16 m)."""
        return self.synthesis[1].run(features, inner=inner)


def make_halves(
    network: Network, weights: Callable[[Network], Mapping[str, NDArray]], device: str
) -> tuple[Engine, Engine]:
    """Make what runs the halves of a network, each with the weights that are given for it.

    Raises as `engine.make_engine`, and what `weights` raises.
    """
    first, second = (make_engine(half, weights(half), device) for half in halves(network))
    return first, second


class Fields(TypedDict):
    """What `read_fields` reads, by the names of a `PhotoModel`."""

    name: str
    sha256: str
    product: ProductConfig
    gains: NDArray[np.float32]
    priors: tuple[Prior, ...]
    codebooks: tuple[Codebooks, ...]
    encoder_halo: int
    fine_encoder_halo: int
    decoder_halo: int
    fine_decoder_halo: int


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
        fine_encoder_halo=encoder.fine_encoder_halo,
        decoder_halo=decoder.decoder_halo,
        fine_decoder_halo=decoder.fine_decoder_halo,
    )
