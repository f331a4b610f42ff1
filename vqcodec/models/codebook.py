"""What models share that measure indices at once, as they have one quality; and of these, those
that have one codebook and an index for each position: all but the networks.

A model file of the latter holds `codebook` in float32 and `prior.*` in integers.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypedDict

import numpy as np
from numpy.typing import NDArray

from vqcodec.errors import ModelCorruptError
from vqcodec.models import file
from vqcodec.models.config import AutoencoderConfig, PriorConfig
from vqcodec.models.config_sound import SoundAutoencoderConfig, WaveNetConfig
from vqcodec.prior.chooser import KnownIndices
from vqcodec.prior.context import Prior
from vqcodec.prior.heads import Categorical
from vqcodec.prior.layer import Float, Tensors
from vqcodec.prior.trunk import Trunk


@dataclass(frozen=True, slots=True, kw_only=True)
class IndexModel:
    """What a model of one quality has; see `model.Model`. What it measures are indices."""

    name: str
    sha256: str
    """Full SHA-256 of the model file, hexadecimal."""
    prior: Prior
    """Of the indices that a file holds."""

    @property
    def qualities(self) -> int:
        """It has none."""
        return 0

    @property
    def quality_scale(self) -> int:
        """Its only quality is 0."""
        return 1

    def groups(self, quality: int) -> int:
        """Indices per position."""
        return len(self.codewords(quality))

    def codewords(self, quality: int) -> tuple[int, ...]:
        """All indices have one."""
        return tuple(size for groups, size in self.prior.parts for _ in range(groups))

    def prior_of(self, quality: int) -> Prior:
        """Return the only one."""
        return self.prior

    def chooser(self, tiles: Sequence[NDArray], quality: int, weight: float) -> KnownIndices:
        """Take the indices that were measured, (..., G); there is nothing to weigh."""
        indices = np.concatenate([tile.reshape(-1, tile.shape[-1]) for tile in tiles])
        return KnownIndices(self.prior.parts, indices)

    def nearest(self, measured: NDArray, quality: int) -> NDArray[np.integer]:
        """Return what was measured."""
        return measured


@dataclass(frozen=True, slots=True, kw_only=True)
class CodebookModel(IndexModel):
    """All of a model but its networks; a position has one index."""

    codebook: NDArray[np.float32]
    """(K, D) codewords."""

    @property
    def largest(self) -> None:
        """Shapes are of any size."""
        return None

    @property
    def codebook_size(self) -> int:
        """Number K of codewords."""
        return len(self.codebook)


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


class Fields(TypedDict):
    """What `read_fields` reads, by the names of a `CodebookModel`."""

    name: str
    sha256: str
    codebook: NDArray[np.float32]
    prior: Prior


def read_fields(
    metadata: Mapping[str, Any],
    tensors: Tensors,
    *,
    sha256: str,
    autoencoder: AutoencoderConfig | SoundAutoencoderConfig,
    prior: PriorConfig | WaveNetConfig,
    dtype: Float,
) -> Fields:
    """Read of a model file all but its networks. `dtype` is that of the prior's arithmetic.

    Raises ModelCorruptError.
    """
    if prior.codebook_size != autoencoder.codebook_size:
        raise ModelCorruptError("the prior's codebook is not the autoencoder's")
    shape = (autoencoder.codebook_size, autoencoder.code_dim)
    return Fields(
        name=str(metadata.get("name", "")),
        sha256=sha256,
        codebook=file.floats(tensors, "codebook", np.float32, shape),
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
