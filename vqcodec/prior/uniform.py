"""A prior that knows nothing: all logits are 0, so each of K indices costs log2 K bits."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from vqcodec.prior import units
from vqcodec.prior.codebooks import Codebooks
from vqcodec.prior.context import Prior
from vqcodec.prior.heads import Gaussian, Slices
from vqcodec.prior.layer import Float
from vqcodec.prior.taps import wedge
from vqcodec.prior.trunk import Trunk


def uniform_prior(groups: int, size: int, dtype: Float = np.float32) -> Prior:
    """Make a prior of `groups` indices per position, each one of `size`.

    It is a Gaussian one without weights, which all that codes with a prior knows how to compute.
    """
    taps = wedge(0)
    shapes = {
        "first": (1, len(taps.first) * groups),
        "hidden.0": (1, 1),
        "output.0": (2 * groups, 1),
    }
    tensors: dict[str, NDArray] = {
        f"{name}.{key}": np.zeros(shape[: 2 if key == "weight" else 1], kind)
        for name, shape in shapes.items()
        for key, kind in (("weight", np.int8), ("bias", np.int32), ("shift", np.uint8))
    }
    tensors["precisions"] = np.zeros(units.SCALE_COUNT, np.int32)
    books: dict[str, NDArray] = {
        "rest": np.zeros(groups, np.int16),
        "0.0.channels": np.arange(groups, dtype=np.int16)[:, None],
        "0.0.vectors": np.zeros((groups, size, 1), np.int16),
        "0.0.bias": np.zeros((groups, size), np.int16),
        "0.0.embedding": np.zeros((groups, size, 1), np.int8),
    }
    return Prior(
        Trunk.read(tensors, reads=groups, channels=1, taps=taps, dtype=dtype),
        Gaussian(
            Slices.read(
                tensors, channels=1, hidden=1, widths=(groups,), coarse=groups, dtype=dtype
            ),
            Codebooks(books, slices=(groups,), size=size),
        ),
    )
