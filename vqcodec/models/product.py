"""What photo's architectures share: prior and product codebooks on latents of a transform.

A model file holds `gains` in float32, and `prior.*` and `codebooks.Q.*` in integers; the
transform is the architecture's own.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from vqcodec.engines.engine import Engine
from vqcodec.errors import ModelCorruptError
from vqcodec.grid import Box
from vqcodec.models import file
from vqcodec.models.config import LatentPriorConfig, ProductConfig
from vqcodec.prior import codebooks as integer_codebooks
from vqcodec.prior.chooser import LeastCost, bounded
from vqcodec.prior.context import Prior
from vqcodec.prior.heads import Gaussian, Slices
from vqcodec.prior.layer import Float, Tensors, take
from vqcodec.prior.trunk import Trunk


@dataclass(frozen=True, slots=True, kw_only=True)
class ProductModel:
    """All of a model but the way back to pixels; see `model.Model`."""

    name: str
    sha256: str
    product: ProductConfig
    analysis: Engine
    synthesis: Engine
    gains: NDArray[np.float32]
    """float32 (Q, D), above 0."""
    priors: tuple[Prior, ...]
    """Of qualities 1..Q."""
    codebooks: tuple[integer_codebooks.Codebooks, ...]
    """Theirs."""

    @property
    def qualities(self) -> int:
        """Qualities are 1..this."""
        return len(self.priors)

    @property
    def codebook_size(self) -> int:
        """Codewords of a group, at most."""
        return self.product.codebook_size

    @property
    def stride(self) -> int:
        """Pixels per position along each axis."""
        return 16

    @property
    def window(self) -> int:
        """80 positions are 1280 pixels."""
        return 80

    def groups(self, quality: int) -> int:
        """Indices per position."""
        return len(self.codebooks[quality - 1].codewords)

    def codewords(self, quality: int) -> tuple[int, ...]:
        """For each group, how many indices have a codeword."""
        return self.codebooks[quality - 1].codewords

    def measure(self, pixels: NDArray[np.float32], inner: Box) -> NDArray:
        """Map some of pixels (3, H, W) in 0..1, whole strides, to latents (n, m, D)."""
        return self.analysis.run(pixels, inner=inner).transpose(1, 2, 0)

    def prior_of(self, quality: int) -> Prior:
        """Return the quality's."""
        return self.priors[quality - 1]

    def chooser(self, tiles: Sequence[NDArray], quality: int, weight: float) -> LeastCost:
        """Weigh bits against the distance of latents; tiles are (N, M, D)."""
        latents = np.concatenate([tile.reshape(-1, tile.shape[2]) for tile in tiles])
        distance_bits = self.product.distance_bits / weight
        return LeastCost(self.codebooks[quality - 1], self._scaled(latents, quality), distance_bits)

    def nearest(self, measured: NDArray, quality: int) -> NDArray[np.integer]:
        """Map latents (..., D) to indices (..., G)."""
        scaled = self._scaled(measured.reshape(-1, measured.shape[-1]), quality)
        return self.codebooks[quality - 1].nearest(scaled).reshape(*measured.shape[:-1], -1)

    def _scaled(self, latents: NDArray, quality: int) -> integer_codebooks.Latents:
        with np.errstate(over="ignore", invalid="ignore"):  # hostile weights may overflow
            return bounded(latents * self.gains[quality - 1])


@dataclass(frozen=True, slots=True, kw_only=True)
class ProductParts:
    """What is read of a model's file for `ProductModel`."""

    product: ProductConfig
    gains: NDArray[np.float32]
    priors: tuple[Prior, ...]
    codebooks: tuple[integer_codebooks.Codebooks, ...]


def read_product(
    metadata: Mapping[str, Any],
    tensors: Mapping[str, NDArray],
    *,
    qualities: int,
    latents: int,
    details: int,
    dtype: Float,
) -> ProductParts:
    """Read gains, codebooks and priors, all checked; the last `details` of the latents are not
    what later positions read.

    Raises ModelCorruptError.
    """
    latent_prior = file.read_config(LatentPriorConfig, metadata.get("latent_prior"))
    product = file.read_config(ProductConfig, metadata.get("product"))
    if sum(latent_prior.slices) != latents:
        raise ModelCorruptError("the prior's slices are not the latents in all")
    gains = file.floats(tensors, "gains", np.float32, (qualities, latents))
    if not (gains > 0.0).all():
        raise ModelCorruptError("gains are not above 0")
    codebooks = tuple(
        integer_codebooks.Codebooks(
            file.under(tensors, f"codebooks.{quality}."),
            slices=latent_prior.slices,
            size=product.codebook_size,
        )
        for quality in range(1, qualities + 1)
    )
    priors = _priors(
        file.under(tensors, "prior."), latents - details, latent_prior, codebooks, dtype
    )
    return ProductParts(product=product, gains=gains, priors=priors, codebooks=codebooks)


def _priors(
    tensors: Tensors,
    coarse: int,
    latent_prior: LatentPriorConfig,
    codebooks: Sequence[integer_codebooks.Codebooks],
    dtype: Float,
) -> tuple[Prior, ...]:
    """Read the priors of all qualities, which share their layers. Raises ModelCorruptError."""
    channels = latent_prior.channels
    shifts = take(tensors, "quality", np.int16, (len(codebooks), channels))
    trunk = Trunk.read(
        tensors, reads=coarse, channels=channels, layers=latent_prior.layers, dtype=dtype
    )
    slices = Slices.read(
        tensors,
        channels=channels,
        hidden=latent_prior.hidden,
        widths=latent_prior.slices,
        coarse=coarse,
        dtype=dtype,
    )
    return tuple(
        Prior(dataclasses.replace(trunk, offset=shift.astype(dtype)), Gaussian(slices, books))
        for shift, books in zip(shifts, codebooks, strict=True)
    )
