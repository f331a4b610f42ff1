"""`photo`: one network, many qualities, product codebooks on a learned transform.

A model file holds `analysis.*` and `synthesis.*` in float16, `gains` in float32, and
`prior.*` and `codebooks.Q.*` in integers.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from vqcodec.errors import ModelCorruptError
from vqcodec.models import file
from vqcodec.models.config import LatentPriorConfig, ProductConfig, TransformConfig
from vqcodec.models.model import Box
from vqcodec.prior import codebooks as integer_codebooks
from vqcodec.prior.chooser import LeastCost, bounded
from vqcodec.prior.context import Prior
from vqcodec.prior.heads import Gaussian, Slices
from vqcodec.prior.layer import Float, Tensors, take
from vqcodec.prior.trunk import Trunk
from vqcodec.training.networks.latent_prior import LatentPrior
from vqcodec.training.networks.product import Codebooks, export, reals
from vqcodec.training.networks.transform import Analysis, Gains, Synthesis

ARCHITECTURE = "photo-1"
"""Names the networks; other networks need another name."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Photo:
    """What `vqcodec.load_model` returns for it; see `model.Model`."""

    name: str
    sha256: str
    config: TransformConfig
    product: ProductConfig
    analysis: Analysis
    synthesis: Synthesis
    gains: Tensor
    """float32 (Q, D), above 0."""
    priors: tuple[Prior, ...]
    """Of qualities 1..Q."""
    codebooks: tuple[integer_codebooks.Codebooks, ...]
    """Theirs."""
    device: torch.device

    @property
    def qualities(self) -> int:
        """Qualities are 1..this."""
        return self.config.qualities

    @property
    def codebook_size(self) -> int:
        """Codewords of a group, at most."""
        return self.product.codebook_size

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
        """128 positions are 2048 pixels."""
        return 128

    def groups(self, quality: int) -> int:
        """Indices per position."""
        return len(self.codebooks[quality - 1].codewords)

    def codewords(self, quality: int) -> tuple[int, ...]:
        """For each group, how many indices have a codeword."""
        return self.codebooks[quality - 1].codewords

    def measure(self, pixels: Tensor) -> Tensor:
        """Map pixels (3, H, W) in 0..1, whole strides, to latents (N, M, D)."""
        latents: Tensor = self.analysis(pixels[None])[0]
        return latents.permute(1, 2, 0)

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
            return bounded(latents * self.gains[quality - 1].cpu().numpy())

    def pixels(self, indices: Tensor, quality: int, inner: Box) -> Tensor:
        """Map indices (N, M, G) to the pixels of some of them, (3, 16 n, 16 m).

        Raises CorruptError.
        """
        rows, columns, _ = indices.shape
        values = self.codebooks[quality - 1].values(indices.flatten(0, 1).cpu().numpy())
        scaled = torch.from_numpy(values).to(self.device)
        latents = (scaled / self.gains[quality - 1]).view(1, rows, columns, -1)
        pixels: Tensor = self.synthesis(latents.permute(0, 3, 1, 2), inner)[0]
        return pixels


@dataclass(frozen=True, slots=True, kw_only=True)
class Parts:
    """What a model is made of while it trains."""

    config: TransformConfig
    product: ProductConfig
    analysis: Analysis
    synthesis: Synthesis
    gains: Gains
    prior: LatentPrior
    codebooks: list[Codebooks]


def model_bytes(
    *,
    name: str,
    licence: str,
    description: str,
    parts: Parts,
) -> bytes:
    """Write a model file. Raises ModelCorruptError if the prior leaves the exact range."""
    tensors = file.halves(parts.analysis, "analysis") | file.halves(parts.synthesis, "synthesis")
    octaves = parts.gains.octaves
    qualities = torch.arange(1, len(octaves) + 1, device=octaves.device)
    tensors["gains"] = parts.gains(qualities.float())[:, :, 0, 0].float()
    tensors |= {f"prior.{key}": value for key, value in parts.prior.export().items()}
    for quality, books in enumerate(parts.codebooks, 1):
        exported = export(books, parts.prior.config.slices)
        tensors |= {f"codebooks.{quality}.{key}": value for key, value in exported.items()}
    metadata = {
        "architecture": ARCHITECTURE,
        "name": name,
        "licence": licence,
        "description": description,
        "transform": dataclasses.asdict(parts.config),
        "latent_prior": dataclasses.asdict(parts.prior.config),
        "product": dataclasses.asdict(parts.product),
    }
    return file.write(tensors, metadata)


def model_parts(data: bytes) -> Parts:
    """Undo `model_bytes`, for training that goes on from there.

    Raises: ModelCorruptError.
    """
    parse_model(data, sha256="", device=torch.device("cpu"))  # every check there is
    metadata, tensors = file.read_metadata(data), file.read_tensors(data)
    config = file.read_config(TransformConfig, metadata["transform"])
    prior_config = file.read_config(LatentPriorConfig, metadata["latent_prior"])
    parts = Parts(
        config=config,
        product=file.read_config(ProductConfig, metadata["product"]),
        analysis=Analysis(config),
        synthesis=Synthesis(config),
        gains=Gains(config),
        prior=LatentPrior(prior_config, config),
        codebooks=[
            reals(file.under(tensors, f"codebooks.{quality}."), prior_config.slices)
            for quality in range(1, config.qualities + 1)
        ],
    )
    parts.analysis.load_state_dict(file.under(tensors, "analysis."))
    parts.synthesis.load_state_dict(file.under(tensors, "synthesis."))
    parts.prior.load_integers(file.under(tensors, "prior."))
    with torch.no_grad():
        parts.gains.octaves.copy_(torch.log2(tensors["gains"]))
    return parts


def parse_model(
    data: bytes, *, sha256: str, device: torch.device, dtype: Float = np.float32
) -> Photo:
    """Read a model file whose hash has been checked. `dtype` is that of the prior's arithmetic.

    Raises: ModelCorruptError.
    """
    metadata = file.read_metadata(data)
    config = file.read_config(TransformConfig, metadata.get("transform"))
    latent_prior = file.read_config(LatentPriorConfig, metadata.get("latent_prior"))
    product = file.read_config(ProductConfig, metadata.get("product"))
    if sum(latent_prior.slices) != config.latents:
        raise ModelCorruptError("the prior's slices are not the latents in all")
    tensors = file.read_tensors(data)
    with torch.device("meta"):
        analysis, synthesis = Analysis(config), Synthesis(config)
    file.fill(analysis, "analysis", tensors, device)
    file.fill(synthesis, "synthesis", tensors, device)
    gains = tensors.get("gains")
    shape = (config.qualities, config.latents)
    if gains is None or tuple(gains.shape) != shape or gains.dtype != torch.float32:
        raise ModelCorruptError(f"gains are not float32 {shape}")
    if not bool((gains > 0.0).all()) or not bool(gains.isfinite().all()):
        raise ModelCorruptError("gains are not above 0")
    codebooks = tuple(
        integer_codebooks.Codebooks(
            file.integers(tensors, f"codebooks.{quality}."),
            slices=latent_prior.slices,
            size=product.codebook_size,
        )
        for quality in range(1, config.qualities + 1)
    )
    return Photo(
        name=str(metadata.get("name", "")),
        sha256=sha256,
        config=config,
        product=product,
        analysis=analysis,
        synthesis=synthesis,
        gains=gains.to(device),
        priors=_priors(file.integers(tensors, "prior."), config, latent_prior, codebooks, dtype),
        codebooks=codebooks,
        device=device,
    )


def _priors(
    tensors: Tensors,
    config: TransformConfig,
    latent_prior: LatentPriorConfig,
    codebooks: Sequence[integer_codebooks.Codebooks],
    dtype: Float,
) -> tuple[Prior, ...]:
    """Read the priors of all qualities, which share their layers. Raises ModelCorruptError."""
    channels, coarse = latent_prior.channels, config.latents - config.details
    shifts = take(tensors, "quality", np.int16, (config.qualities, channels))
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
