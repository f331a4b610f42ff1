"""Encoding a picture again with refined indices, where that is better.

Refinement computes in real numbers, which only steer it. What counts is measured: the bytes of
the streams, and the pixels that a decoder gives.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from importlib.util import find_spec
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from vqcodec import processors
from vqcodec.codec.coding import Indices, encode_indices
from vqcodec.codec.effort import Effort
from vqcodec.codec.progress import Progress
from vqcodec.codec.search import OutOfReachError, Qualities, Setting, Target
from vqcodec.codec.transform import decode_indices
from vqcodec.container import serialise
from vqcodec.engines.devices import TORCH_HINT
from vqcodec.grid import whole
from vqcodec.image.choosing import ModelEncoded
from vqcodec.models.model import Model, PictureModel

if TYPE_CHECKING:
    from vqcodec.refinement.refiner import Refiner

_ROUNDS = 3
"""How often a picture is refined, at most, until it meets a target closely."""


def refiner_of(model: Model | None, effort: Effort, device: str) -> Refiner | None:
    """Load what refines a model's indices, or return None where the effort asks for none.

    Raises: ModelError; ValueError without torch, for a model that has no product codebooks, or
    for no model, as lossless files have.
    """
    if not effort.refines:
        return None
    if model is None:
        raise ValueError(f"lossless files have no indices that effort {effort.effort} could refine")
    if not find_spec("torch"):
        raise ValueError(f"effort {effort.effort} needs torch: {TORCH_HINT}")
    processors.load_torch()
    from vqcodec.refinement.refiner import load_refiner

    return load_refiner(model, effort, device)


@dataclass(frozen=True, slots=True)
class Refinement:
    """Refinement of one picture's encodings, all of whose tiles hold indices.

    Which tiles hold pixels instead is chosen afterwards; the indices of these cost nothing.
    """

    refiner: Refiner
    model: PictureModel
    measured: NDArray[np.float32]
    """Latents (rows, columns, D)."""
    attempt: Callable[[Setting], ModelEncoded]
    """Encodes the picture with effort 1."""
    progress: Progress | None

    def meet(self, target: Target[ModelEncoded], found: ModelEncoded) -> ModelEncoded:
        """Return the best refined encoding that meets a target, or what its search has found."""
        best = start = found
        tried: set[Setting] = set()
        while start.setting not in tried:
            refined = self.refined(start, len(tried) / _ROUNDS, 1.0 / _ROUNDS)
            tried.add(start.setting)
            reached = target.reached(refined)
            ahead = refined.setting.real - best.setting.real
            if target.is_met(reached) and (ahead >= 0.0 if target.at_most else ahead <= 0.0):
                best = refined
            if len(tried) == _ROUNDS:
                break
            # What refinement changes here it about changes nearby too.
            moved = target.limit + target.reached(start) - reached
            try:
                start = replace(target, limit=moved).search()
            except OutOfReachError:
                break
        return best

    def refined(self, encoded: ModelEncoded, done: float = 0.0, part: float = 1.0) -> ModelEncoded:
        """Return an encoding with refined indices in the tiles that these make better.

        Progress begins at `done` and goes on by `part`.
        """
        multiplier = self._multiplier(encoded.setting)
        if multiplier is None:
            return encoded
        progress = self.progress

        def tell(more: float) -> None:
            if progress is not None:
                progress(done + part * more)

        grid = self.refiner.refine(
            encoded.header,
            encoded.picture.pixels,
            self.measured,
            encoded.indices,
            multiplier,
            tell,
        )
        other = self._with(encoded, grid)
        before, after = (self._costs(each, multiplier) for each in (encoded, other))
        if not (after < before).all():
            kept = encoded.indices.copy()
            for box, better in zip(encoded.header.tiles(), after < before, strict=True):
                if better:
                    kept[box] = grid[box]
            # Pixels at a tile's edge also depend on its neighbours.
            other = self._with(encoded, kept)
            after = self._costs(other, multiplier)
        return other if after.sum() < before.sum() else encoded

    def _multiplier(self, setting: Setting) -> float | None:
        """Return lambda: the bits that this picture's encodings around a quality take for each
        unit of distortion less, or None if they do not trade one for the other.
        """
        qualities = Qualities.of(self.model)
        coarse, fine = (
            self.attempt(qualities.between(setting.real + step)) for step in (-0.5, 0.5)
        )
        bits = 8 * (len(fine.data) - len(coarse.data))
        distortion = self._distortions(coarse).sum() - self._distortions(fine).sum()
        return float(bits / distortion) if bits > 0 and distortion > 0.0 else None

    def _costs(self, encoded: ModelEncoded, multiplier: float) -> NDArray[np.float64]:
        """Return bits and weighed distortion of each tile, together."""
        bits = [8 * len(stream) for stream in encoded.container().tiles]
        return np.array(bits) + multiplier * self._distortions(encoded)

    def _distortions(self, encoded: ModelEncoded) -> NDArray[np.float64]:
        header = encoded.header
        decoded = decode_indices(self.model, encoded.indices, header.quality, whole(header.shape))
        return self.refiner.distortions(header, encoded.picture.pixels, decoded)

    def _with(self, encoded: ModelEncoded, grid: Indices) -> ModelEncoded:
        """Return an encoding with other indices."""
        tiles = encode_indices(self.model, encoded.header, grid)
        data = serialise(replace(encoded.container(), tiles=tiles))
        return replace(encoded, data=data, indices=grid)
