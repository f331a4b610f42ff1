"""`photo-2`: photo's prior and codebooks on a deeper transform, and exact pixels.

A model file holds `analysis.*` in float16, `synthesis.*` and `scales` in integers, and what
`product` says. Indices become integer latents, and these the same samples on every machine
(format/SPEC.md, section 9, "Exact synthesis").
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from vqcodec.engines.engine import make_engine
from vqcodec.errors import ModelCorruptError
from vqcodec.grid import Box
from vqcodec.models import exact, file, transform
from vqcodec.models.config import DeepTransformConfig, LatentPriorConfig
from vqcodec.models.photo_model import PhotoModel
from vqcodec.models.product import read_gains, read_product
from vqcodec.prior.layer import Float, take

ARCHITECTURE = "photo-2"
"""Names the networks; other networks need another name."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Photo2(PhotoModel):
    """What `vqcodec.load_model` returns for it; see `model.PictureModel`."""

    config: DeepTransformConfig
    scales: NDArray[np.int32]
    """int32 (Q, D), from 0: what `exact.latents` multiplies codewords by."""

    @property
    def encoder_halo(self) -> int:
        """Positions around a window whose pixels can change its latents."""
        return self.config.analysis.encoder_halo

    @property
    def decoder_halo(self) -> int:
        """Positions around a window that can change its pixels."""
        return self.config.synthesis.decoder_halo

    def pixels(self, indices: NDArray[np.integer], quality: int, inner: Box) -> NDArray[np.float32]:
        """Map indices (N, M, G) to the pixels of some of them, (3, 16 n, 16 m): samples 0..255,
        the same on every machine, divided by 255.

        Raises CorruptError.
        """
        latents = exact.latents(self.scaled(indices, quality), self.scales[quality - 1])
        return self.synthesis.run(latents.transpose(2, 0, 1), inner=inner)


def parse_model(
    data: bytes, *, sha256: str, device: str = "cpu", dtype: Float = np.float32
) -> Photo2:
    """Read a model file whose hash has been checked; `registry.load.parse_model` says more.

    Raises: ModelError.
    """
    metadata = file.read_metadata(data)
    config = file.read_config(DeepTransformConfig, metadata.get("transform"))
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
    scales = take(tensors, "scales", np.int32, (config.qualities, config.latents))
    if (scales < 0).any():
        raise ModelCorruptError("scales are below 0")
    analysis = transform.analysis(config.analysis)
    synthesis = exact.synthesis(config.synthesis)
    integers = file.under(tensors, "synthesis.")
    exact.check(synthesis, integers)
    return Photo2(
        name=str(metadata.get("name", "")),
        sha256=sha256,
        config=config,
        product=parts.product,
        analysis=make_engine(analysis, file.network_weights(analysis, "analysis", tensors), device),
        synthesis=make_engine(synthesis, integers, device),
        gains=read_gains(tensors, qualities=config.qualities, latents=config.latents),
        scales=scales,
        priors=parts.priors,
        codebooks=parts.codebooks,
    )
