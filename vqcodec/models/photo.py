"""`photo`: one network, many qualities, product codebooks on a learned transform.

A model file holds `analysis.*` and `synthesis.*` in float16, and what `product` says.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from vqcodec.engines.engine import Engine, make_engine
from vqcodec.engines.layers import Network
from vqcodec.models import file, transform
from vqcodec.models.config import TransformConfig
from vqcodec.models.photo_model import PhotoModel, read_fields
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

    def engine(network: Network, prefix: str) -> Engine:
        return make_engine(network, file.network_weights(network, prefix, tensors), device)

    return Photo(
        **fields,
        config=config,
        analysis=engine(transform.analysis(config), "analysis"),
        synthesis=engine(transform.synthesis(config), "synthesis"),
    )
