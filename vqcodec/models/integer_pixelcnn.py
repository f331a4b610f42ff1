"""The prior as it codes: the PixelCNN in integers, exact on every device.

Two ways to the same logits: all positions at once, for an encoder that knows
every index, and step by step along the wavefront, for a decoder. Arithmetic and
names of tensors are those of format/SPEC.md, section "Prior".
"""

from __future__ import annotations

from collections.abc import Mapping

import torch
import torch.nn.functional as F
from torch import Tensor

from vqcodec.errors import ModelCorruptError
from vqcodec.models import fixedpoint as fx
from vqcodec.models.config import PriorConfig
from vqcodec.models.precision import full_precision
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
        # One row of zeros after the last codeword stands for "outside the grid".
        self._embedding = F.pad(embedding.to(device=device, dtype=dtype), (0, 0, 0, 1))

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

    def wavefront(self, tiles: int, rows: int) -> Wavefront:
        """Begin to decode a batch of tiles of equal size."""
        return Wavefront(self, tiles, rows)

    def known(self, indices: Tensor) -> Known:
        """Begin to encode a batch of tiles (B, N, M) whose indices are all known."""
        return Known(self.logits(indices), indices)

    def _head(self, stream: Tensor) -> Tensor:
        return self._output(fx.activate(self._hidden(fx.activate(stream))))


class Known:
    """Logits computed beforehand, handed out step by step."""

    def __init__(self, logits: Tensor, indices: Tensor) -> None:
        self.parts = ((1, logits.shape[3]),)
        self._logits = logits  # (B, N, M, K)
        self._indices = indices  # (B, N, M)
        self._here = indices

    def logits(self, t: int, first: int, stop: int, part: int, tiles: slice) -> Tensor:
        """Return integer logits (tiles, n, 1, K) of rows first..stop-1 of step t."""
        rows = torch.arange(first, stop, device=self._logits.device)
        self._here = self._indices[tiles, rows, t - 2 * rows, None]
        return self._logits[tiles, rows, t - 2 * rows, None]

    def choose(self, logits: Tensor, known: Tensor, part: int, tiles: slice) -> Tensor:
        """Return the indices at the place last asked for."""
        return self._here

    def put(self, t: int, first: int, part: int, indices: Tensor) -> None:
        """Nothing to learn: every index is known."""


class Wavefront:
    """Logits step by step; keeps the features of the last steps, recomputes none."""

    def __init__(self, prior: IntegerPixelCNN, tiles: int, rows: int) -> None:
        self.parts = ((1, prior.config.codebook_size),)
        self._prior = prior
        self._step = -1
        self._logits = prior._embedding
        like = prior._embedding
        self._indices = StepCache(FIRST_TAPS, tiles, rows, like)
        wide = like.new_empty(prior.config.channels)
        self._features = [StepCache(INNER_TAPS, tiles, rows, wide) for _ in prior._layers]

    def logits(self, t: int, first: int, stop: int, part: int, tiles: slice) -> Tensor:
        """Return integer logits (tiles, n, 1, K) of rows first..stop-1 of step t.

        Steps come in order, each followed by `put`.
        """
        if t != self._step:
            self._step, self._logits = t, self._predict(t, first, stop)
        return self._logits[tiles]

    def _predict(self, t: int, first: int, stop: int) -> Tensor:
        prior = self._prior
        stream = fx.limit(prior._first(self._indices.neighbours(t, first, stop)))
        for layer, cache in zip(prior._layers, self._features, strict=True):
            cache.put(t, first, fx.activate(stream))
            stream = fx.limit(stream + layer(cache.neighbours(t, first, stop)))
        return prior._head(stream)[:, :, None]

    def choose(self, logits: Tensor, known: Tensor, part: int, tiles: slice) -> Tensor:
        """A decoder's indices are what the file says."""
        return known

    def put(self, t: int, first: int, part: int, indices: Tensor) -> None:
        """Tell the indices (tiles, n, 1) of rows first..first+n-1 of step t."""
        embedding = self._prior._embedding
        known = indices[:, :, 0].to(embedding.device)
        self._indices.put(t, first, F.embedding(known, embedding))
