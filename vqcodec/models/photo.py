"""`photo`: one network, many qualities, product codebooks on a learned transform.

A model file holds `analysis.*` and `synthesis.*` in float16, and what `product` says.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial

import numpy as np

from vqcodec.engines.engine import Engine
from vqcodec.engines.layers import Network
from vqcodec.models import file, transform
from vqcodec.models.config import TransformConfig
from vqcodec.models.photo_model import PhotoModel, make_halves, read_fields
from vqcodec.prior.layer import Float

ARCHITECTURE = "photo-1"
"""Names the networks; other networks need another name."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Photo(PhotoModel):
    """What `vqcodec.load_model` returns for it; see `model.PictureModel`."""

    config: TransformConfig


def parse_model(
    data: bytes, *, sha256: str, device: str = "cpu", dtype: Float = np.float32
) -> Photo:
    """Read a model file whose hash has been checked; `registry.load.parse_model` says more.

    Raises: ModelError.
    """
    metadata = file.read_metadata(data)
    config = file.read_config(TransformConfig, metadata.get("transform"))
    tensors = file.read_tensors(data)
    fields = read_fields(
        metadata, tensors, sha256=sha256, encoder=config, decoder=config, dtype=dtype
    )

    def engines(network: Network, prefix: str) -> tuple[Engine, Engine]:
        weights = partial(file.network_weights, prefix=prefix, tensors=tensors)
        return make_halves(network, weights, device)

    return Photo(
        **fields,
        config=config,
        analysis=engines(transform.analysis(config), "analysis"),
        synthesis=engines(transform.synthesis(config), "synthesis"),
    )
