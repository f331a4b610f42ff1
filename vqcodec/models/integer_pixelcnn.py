"""The prior as it codes: the PixelCNN in integers, exact on every device.

Two ways to the same logits: all positions at once, for an encoder that knows
every index, and step by step along the wavefront, for a decoder. Arithmetic and
names of tensors are those of format/SPEC.md, section "Prior".
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import torch
import torch.nn.functional as F
from torch import Tensor

from vqcodec.errors import ModelCorruptError
from vqcodec.models import fixedpoint as fx
from vqcodec.models.config import PriorConfig
from vqcodec.models.precision import full_precision
from vqcodec.models.wavefront import Size, Step
from vqcodec.models.wedge import FIRST_TAPS, INNER_TAPS, StepCache, gather


class IntegerPixelCNN:
    """Integer logits, in units of 1/16 bit, of each index given those before it."""

    def __init__(
        self,
        config: PriorConfig,
        tensors: Mapping[str, Tensor],
        *,
        device: torch.device,
        dtype: torch.dtype = torch.float32,
    ) -> None:
        """Take the tensors that `PixelCNN.export` made, after checking them.

        `dtype` is float32 or float64; the results are the same. Raises
        ModelCorruptError if a tensor is missing, has another shape or dtype,
        or could make a sum leave the exact range.
        """
        self.config = config
        self.tensors = dict(tensors)
        """What it was made of, for training that goes on from here."""
        width = config.channels
        embedding = fx.tensor(
            tensors, "embedding", torch.int8, (config.codebook_size, config.embedding)
        )
        if int(embedding.min()) < -fx.ACTIVATION_MAX:
            raise ModelCorruptError("prior tensor embedding is out of range")
        self._embedding = embedding.to(device=device, dtype=dtype)

        def layer(name: str, inputs: int, outputs: int) -> fx.Fixed:
            return fx.Fixed.from_integers(
                fx.tensor(tensors, f"{name}.weight", torch.int8, (outputs, inputs)),
                fx.tensor(tensors, f"{name}.bias", torch.int32, (outputs,)),
                fx.tensor(tensors, f"{name}.shift", torch.uint8, (outputs,)),
                name=name,
                device=device,
                dtype=dtype,
            )

        self._first = layer("first", len(FIRST_TAPS) * config.embedding, width)
        self._layers = [
            layer(f"layers.{i}", len(INNER_TAPS) * width, width) for i in range(config.layers)
        ]
        self._hidden = layer("hidden", width, width)
        self._output = layer("output", width, config.codebook_size)

    @torch.inference_mode()
    def logits(self, indices: Tensor) -> Tensor:
        """Map indices (B, N, M), any integer dtype, to integer logits (B, N, M, K)."""
        with full_precision():
            embedded = F.embedding(indices.to(self._embedding.device).long(), self._embedding)
            stream = fx.limit(self._first(gather(embedded, FIRST_TAPS)))
            for layer in self._layers:
                stream = fx.limit(stream + layer(gather(fx.activate(stream), INNER_TAPS)))
            return self._head(stream)

    def wavefront(self, sizes: Sequence[Size]) -> Wavefront:
        """Begin to decode a batch of tiles."""
        return Wavefront(self, sizes)

    def known(self, tiles: Sequence[Tensor]) -> Known:
        """Begin to encode a batch of tiles (N, M) whose indices are all known."""
        indices = torch.cat([tile.flatten() for tile in tiles])
        logits = self._embedding.new_empty(len(indices), self.config.codebook_size)
        own = torch.split(logits, [tile.numel() for tile in tiles])
        for tile, part in zip(tiles, own, strict=True):
            part.copy_(self.logits(tile[None]).flatten(0, 2))
        return Known(logits, indices)

    def _head(self, stream: Tensor) -> Tensor:
        return self._output(fx.activate(self._hidden(fx.activate(stream))))


class Known:
    """Logits computed beforehand, handed out step by step."""

    def __init__(self, logits: Tensor, indices: Tensor) -> None:
        self.parts = ((1, logits.shape[1]),)
        self._logits = logits  # (places, K)
        self._indices = indices  # (places,)
        self._here = indices

    def logits(self, step: Step, part: int, some: slice) -> Tensor:
        """Return integer logits (1, n, K) of some of a step's positions."""
        place = torch.from_numpy(step.place[some])
        self._here = self._indices[place, None]
        return self._logits[place.to(self._logits.device)][None]

    def choose(self, logits: Tensor, part: int, some: slice) -> Tensor:
        """Return the indices at the positions last asked for."""
        return self._here

    def put(self, step: Step, part: int, indices: Tensor) -> None:
        """Nothing to learn: every index is known."""


class Wavefront:
    """Logits step by step; keeps the features of the last steps, recomputes none."""

    def __init__(self, prior: IntegerPixelCNN, sizes: Sequence[Size]) -> None:
        self.parts = ((1, prior.config.codebook_size),)
        self._prior = prior
        self._step = -1
        self._logits = prior._embedding
        like = prior._embedding
        self._indices = StepCache(FIRST_TAPS, sizes, like)
        wide = like.new_empty(prior.config.channels)
        self._features = [StepCache(INNER_TAPS, sizes, wide) for _ in prior._layers]

    def logits(self, step: Step, part: int, some: slice) -> Tensor:
        """Return integer logits (1, n, K) of some of a step's positions.

        Steps come in order, each followed by `put`.
        """
        if step.t != self._step:
            self._step, self._logits = step.t, self._predict(step)
        return self._logits[None, some]

    def _predict(self, step: Step) -> Tensor:
        prior = self._prior
        stream = fx.limit(prior._first(self._indices.neighbours(step)))
        for layer, cache in zip(prior._layers, self._features, strict=True):
            cache.put(step, fx.activate(stream))
            stream = fx.limit(stream + layer(cache.neighbours(step)))
        return prior._head(stream)

    def choose(self, logits: Tensor, part: int, some: slice) -> Tensor:
        """A decoder's indices are what the file says."""
        return torch.zeros(logits.shape[1], 1)

    def put(self, step: Step, part: int, indices: Tensor) -> None:
        """Tell the indices (P, 1) of the step."""
        embedding = self._prior._embedding
        known = indices[:, 0].to(embedding.device)
        self._indices.put(step, F.embedding(known, embedding))
