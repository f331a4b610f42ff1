"""`photo-2`: photo's prior and codebooks on a deeper transform, and exact pixels.

A model file holds `analysis.*` in 6 bits (`packed`) and float16, `synthesis.*` and `scales` in
integers, and what `product` says. Indices become integer latents, and these the same samples on
every machine (format/SPEC.md, section 9, "Exact synthesis"). Tensors `units.*`, which say what
these integers stand for, are for training that goes on from a file (`networks.model_files`).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial

import numpy as np
from numpy.typing import NDArray

from vqcodec.engines.layers import Network, tensor_shapes
from vqcodec.errors import ModelCorruptError
from vqcodec.models import exact, file, transform
from vqcodec.models.config import DeepTransformConfig
from vqcodec.models.packed import AnalysisWeights
from vqcodec.models.photo_model import PhotoModel, make_halves, read_fields
from vqcodec.models.quality import scale_of
from vqcodec.prior.layer import Float, take

ARCHITECTURE = "photo-2"
"""Names the networks; other networks need another name."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Photo2(PhotoModel):
    """What `vqcodec.load_model` returns for it; see `model.PictureModel`. Its pixels are samples
    0..255, the same on every machine, divided by 255.
    """

    config: DeepTransformConfig
    scales: NDArray[np.int32]
    """int32 (Q, D), from 0: what `exact.latents` multiplies codewords by at qualities 1..Q."""

    @property
    def quality_scale(self) -> int:
        """The header counts sixteenths."""
        return scale_of(ARCHITECTURE)

    def latents(self, indices: NDArray[np.integer], quality: int) -> NDArray[np.float32]:
        """Map indices (..., G) to integer latents (..., D). Raises CorruptError."""
        return exact.latents(self.scaled(indices, quality), self._scales_of(quality))

    def _scales_of(self, quality: int) -> NDArray[np.int32]:
        """Return the scales of the header's quality, (D,), interpolated as `gains_of` does it."""
        scale = self.quality_scale
        below, part = divmod(quality, scale)
        lower: NDArray[np.int32] = self.scales[below - 1]
        if not part:
            return lower
        total = lower.astype(np.int64) * (scale - part) + self.scales[below].astype(np.int64) * part
        scales: NDArray[np.int32] = ((total + scale // 2) // scale).astype(np.int32)
        return scales


def parse_model(
    data: bytes, *, sha256: str, device: str = "cpu", dtype: Float = np.float32
) -> Photo2:
    """Read a model file whose hash has been checked; `registry.load.parse_model` says more.

    Raises: ModelError.
    """
    metadata = file.read_metadata(data)
    config = file.read_config(DeepTransformConfig, metadata.get("transform"))
    tensors = file.read_tensors(data)
    fields = read_fields(
        metadata,
        tensors,
        sha256=sha256,
        encoder=config.analysis,
        decoder=config.synthesis,
        dtype=dtype,
    )
    scales = take(tensors, "scales", np.int32, (config.qualities, config.latents))
    if (scales < 0).any():
        raise ModelCorruptError("scales are below 0")
    analysis = transform.analysis(config.analysis)
    synthesis = exact.synthesis(config.synthesis)
    integers = file.under(tensors, "synthesis.")
    exact.check(synthesis, integers)

    def synthesis_weights(half: Network) -> Mapping[str, NDArray]:
        return {name: integers[name] for name in tensor_shapes(half)}

    return Photo2(
        **fields,
        config=config,
        analysis=make_halves(analysis, partial(AnalysisWeights, tensors=tensors), device),
        synthesis=make_halves(synthesis, synthesis_weights, device),
        scales=scales,
    )
