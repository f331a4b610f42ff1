"""Models of speech: what their files hold of the prior and its codebooks.

format/SPEC.md, section 6, "Priors of one dimension", defines it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from vqcodec.errors import ModelCorruptError
from vqcodec.models import file
from vqcodec.models.config import LatentWaveNetConfig, ProductConfig
from vqcodec.models.latents import read_codebooks, read_priors
from vqcodec.prior.codebooks import Codebooks
from vqcodec.prior.context import Prior
from vqcodec.prior.layer import Float, Tensors

ARCHITECTURE = "speech-1"
"""Names the networks; other networks need another name."""
_QUALITIES_MAX = 64


@dataclass(frozen=True, slots=True, kw_only=True)
class Latents:
    """How the latents of speech are coded, at each of Q qualities."""

    product: ProductConfig
    priors: tuple[Prior, ...]
    """Of qualities 1..Q."""
    codebooks: tuple[Codebooks, ...]
    """Theirs."""


def read_latents(
    metadata: Mapping[str, Any], tensors: Tensors, dtype: Float = np.float32
) -> Latents:
    """Take prior and codebooks out of a model file's metadata and tensors, after checking them.

    `dtype` is that of the prior's arithmetic. Raises ModelCorruptError.
    """
    config = file.read_config(LatentWaveNetConfig, metadata.get("latent_prior"))
    product = file.read_config(ProductConfig, metadata.get("product"))
    offsets = tensors.get("prior.quality")
    qualities = 0 if offsets is None or offsets.ndim != 2 else len(offsets)
    if not 1 <= qualities <= _QUALITIES_MAX:
        raise ModelCorruptError(f"prior tensor quality is not of 1 to {_QUALITIES_MAX} qualities")
    codebooks = read_codebooks(
        tensors, qualities=qualities, slices=config.slices, size=product.codebook_size
    )
    priors = read_priors(
        file.under(tensors, "prior."), config, codebooks, coarse=sum(config.slices), dtype=dtype
    )
    return Latents(product=product, priors=priors, codebooks=codebooks)
