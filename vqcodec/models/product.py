"""What models share whose latents have product codebooks: gains, priors and codebooks of all
qualities (format/SPEC.md, section 6).

A model file holds `gains` in float32, and `prior.*` and `codebooks.Q.*` in integers.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from vqcodec.errors import ModelCorruptError
from vqcodec.models import file
from vqcodec.models.config import LatentPriorConfig, ProductConfig
from vqcodec.models.config_sound import LatentWaveNetConfig
from vqcodec.models.quality import level_of
from vqcodec.prior.chooser import LeastCost, bounded
from vqcodec.prior.codebooks import Codebooks, Latents
from vqcodec.prior.context import Prior
from vqcodec.prior.heads import Gaussian, Slices
from vqcodec.prior.layer import Float, Tensors, take
from vqcodec.prior.trunk import Trunk


@dataclass(frozen=True, slots=True, kw_only=True)
class ProductModel:
    """All of a model but its transform; see `model.Model`."""

    name: str
    sha256: str
    product: ProductConfig
    gains: NDArray[np.float32]
    """float32 (Q, D), above 0: of qualities 1..Q."""
    priors: tuple[Prior, ...]
    """Of qualities 1..Q."""
    codebooks: tuple[Codebooks, ...]
    """Theirs."""

    @property
    def qualities(self) -> int:
        """Qualities are 1..this."""
        return len(self.codebooks)

    @property
    def quality_scale(self) -> int:
        """The header's quality is the quality."""
        return 1

    @property
    def largest(self) -> None:
        """Shapes are of any size."""
        return None

    @property
    def codebook_size(self) -> int:
        """Codewords of a group, at most."""
        return self.product.codebook_size

    def groups(self, quality: int) -> int:
        """Indices per position."""
        return len(self.codewords(quality))

    def codewords(self, quality: int) -> tuple[int, ...]:
        """For each group, how many indices have a codeword."""
        return self.codebooks_of(quality).codewords

    def prior_of(self, quality: int) -> Prior:
        """Return that of the nearest whole quality."""
        return self.priors[level_of(quality, self.quality_scale) - 1]

    def codebooks_of(self, quality: int) -> Codebooks:
        """Return those of the nearest whole quality."""
        return self.codebooks[level_of(quality, self.quality_scale) - 1]

    def gains_of(self, quality: int) -> NDArray[np.float32]:
        """Return what latents are multiplied by, float32 (D,): the step sizes 1 / gains are
        interpolated between the two nearest whole qualities.
        """
        scale = self.quality_scale
        below, part = divmod(quality, scale)
        lower: NDArray[np.float32] = self.gains[below - 1]
        if not part:
            return lower
        steps = (scale - part) / lower.astype(np.float64) + part / self.gains[below].astype(
            np.float64
        )
        gains: NDArray[np.float32] = (scale / steps).astype(np.float32)
        return gains

    def chooser(self, tiles: Sequence[NDArray], quality: int, weight: float) -> LeastCost:
        """Weigh bits against the distance of latents; tiles are (..., D)."""
        latents = np.concatenate([tile.reshape(-1, tile.shape[-1]) for tile in tiles])
        distance_bits = self.product.distance_bits / weight
        return LeastCost(self.codebooks_of(quality), self._scaled(latents, quality), distance_bits)

    def nearest(self, measured: NDArray, quality: int) -> NDArray[np.integer]:
        """Map latents (..., D) to indices (..., G)."""
        scaled = self._scaled(measured.reshape(-1, measured.shape[-1]), quality)
        indices = self.codebooks_of(quality).nearest(scaled)
        return indices.reshape(*measured.shape[:-1], self.groups(quality))

    def scaled(self, indices: NDArray[np.integer], quality: int) -> NDArray[np.float32]:
        """Map indices (..., G) to scaled latents (..., D). Raises CorruptError."""
        *grid, groups = indices.shape
        # There may be no groups, so the number of positions cannot be left to NumPy.
        values = self.codebooks_of(quality).values(indices.reshape(math.prod(grid), groups))
        return values.reshape(*grid, values.shape[1])

    def latents(self, indices: NDArray[np.integer], quality: int) -> NDArray[np.float32]:
        """Map indices (..., G) to latents (..., D). Raises CorruptError."""
        latents = self.scaled(indices, quality)
        with np.errstate(over="ignore"):  # hostile gains may be very small
            latents /= self.gains_of(quality)
        return latents

    def _scaled(self, latents: NDArray, quality: int) -> Latents:
        with np.errstate(over="ignore", invalid="ignore"):  # hostile weights may overflow
            return bounded(latents * self.gains_of(quality))


@dataclass(frozen=True, slots=True, kw_only=True)
class ProductParts:
    """What `read_product` reads of a model's file."""

    product: ProductConfig
    priors: tuple[Prior, ...]
    """Of qualities 1..Q."""
    codebooks: tuple[Codebooks, ...]
    """Theirs."""


def read_product(
    metadata: Mapping[str, Any],
    tensors: Tensors,
    config: LatentPriorConfig | LatentWaveNetConfig,
    *,
    qualities: int,
    latents: int,
    details: int = 0,
    dtype: Float = np.float32,
) -> ProductParts:
    """Read priors and codebooks, all checked; the last `details` of the latents are not what
    later positions read.

    `dtype` is that of NumPy's arithmetic. Raises ModelCorruptError.
    """
    product = file.read_config(ProductConfig, metadata.get("product"))
    if sum(config.slices) != latents:
        raise ModelCorruptError("the prior's slices are not the latents in all")
    codebooks = read_codebooks(
        tensors, qualities=qualities, slices=config.slices, size=product.codebook_size
    )
    priors = read_priors(
        file.under(tensors, "prior."), config, codebooks, coarse=latents - details, dtype=dtype
    )
    return ProductParts(product=product, priors=priors, codebooks=codebooks)


def read_gains(tensors: Tensors, *, qualities: int, latents: int) -> NDArray[np.float32]:
    """Read the gains of all qualities. Raises ModelCorruptError."""
    gains = file.floats(tensors, "gains", np.float32, (qualities, latents))
    if not (gains > 0.0).all():
        raise ModelCorruptError("gains are not above 0")
    return gains


def read_codebooks(
    tensors: Tensors, *, qualities: int, slices: tuple[int, ...], size: int
) -> tuple[Codebooks, ...]:
    """Read the codebooks of qualities 1.. out of a file's tensors; they have at most `size`
    codewords.

    Raises ModelCorruptError.
    """
    return tuple(
        Codebooks(file.under(tensors, f"codebooks.{quality}."), slices=slices, size=size)
        for quality in range(1, qualities + 1)
    )


def read_priors(
    tensors: Tensors,
    config: LatentPriorConfig | LatentWaveNetConfig,
    codebooks: Sequence[Codebooks],
    *,
    coarse: int,
    dtype: Float = np.float32,
) -> tuple[Prior, ...]:
    """Read the priors of all qualities, which share their layers, out of the tensors that
    `GaussianPrior.export` made.

    Later positions read the first `coarse` latents; `dtype` is that of NumPy's arithmetic.
    Raises ModelCorruptError.
    """
    channels = config.channels
    shifts = take(tensors, "quality", np.int16, (len(codebooks), channels))
    trunk = Trunk.read(tensors, reads=coarse, channels=channels, taps=config.taps, dtype=dtype)
    slices = Slices.read(
        tensors,
        channels=channels,
        hidden=config.hidden,
        widths=config.slices,
        coarse=coarse,
        dtype=dtype,
    )
    return tuple(
        Prior(dataclasses.replace(trunk, offset=shift.astype(dtype)), Gaussian(slices, books))
        for shift, books in zip(shifts, codebooks, strict=True)
    )
