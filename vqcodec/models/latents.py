"""The integers of models whose latents have product codebooks: priors and codebooks of all
qualities (format/SPEC.md, section 6).
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

import numpy as np

from vqcodec.models import file
from vqcodec.models.config import LatentPriorConfig, LatentWaveNetConfig
from vqcodec.prior.codebooks import Codebooks
from vqcodec.prior.context import Prior
from vqcodec.prior.heads import Gaussian, Slices
from vqcodec.prior.layer import Float, Tensors, take
from vqcodec.prior.trunk import Trunk


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
