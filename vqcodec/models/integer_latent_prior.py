"""The latent prior as it codes: in integers, step by step along the wavefront.

Arithmetic and names of tensors are those of format/SPEC.md, section "Latent prior".
Encoder and decoder run the same steps: what an encoder chooses for a group decides
what the next ones cost.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import torch
from torch import Tensor

from vqcodec.errors import ModelCorruptError
from vqcodec.models import fixedpoint as fx
from vqcodec.models.config import LatentPriorConfig, TransformConfig
from vqcodec.models.integer_product import IntegerCodebooks, factors_of
from vqcodec.models.latent_prior import (
    FRACTION_SCALE,
    MEAN_MAX,
    PRECISION_MAX,
    SCALE_COUNT,
    SCALE_FIRST,
    slice_starts,
)
from vqcodec.models.wavefront import Size, Step
from vqcodec.models.wedge import FIRST_TAPS, INNER_TAPS, StepCache


class IntegerLatentPrior:
    """The networks' integers; `Coding` runs them."""

    def __init__(
        self,
        config: LatentPriorConfig,
        transform: TransformConfig,
        tensors: Mapping[str, Tensor],
        *,
        device: torch.device,
        dtype: torch.dtype = torch.float32,
    ) -> None:
        """Take the tensors that `LatentPrior.export` made, after checking them.

        `dtype` is float32 or float64; the results are the same. Raises
        ModelCorruptError if a tensor is missing, has another shape or dtype,
        or could make a sum leave the exact range.
        """
        self.config = config
        self.latents = transform.latents
        self.starts = slice_starts(config, transform)
        self.coarse = transform.latents - transform.details
        self.like = torch.empty(0, device=device, dtype=dtype)
        """An empty tensor of the device and dtype of the arithmetic."""
        width = config.channels

        def layer(name: str, inputs: int, outputs: int) -> fx.Fixed:
            return fx.Fixed.from_integers(
                fx.tensor(tensors, f"{name}.weight", torch.int8, (outputs, inputs)),
                fx.tensor(tensors, f"{name}.bias", torch.int32, (outputs,)),
                fx.tensor(tensors, f"{name}.shift", torch.uint8, (outputs,)),
                name=name,
                device=device,
                dtype=dtype,
            )

        self.first = layer("first", len(FIRST_TAPS) * self.coarse, width)
        self.layers = [
            layer(f"layers.{i}", len(INNER_TAPS) * width, width) for i in range(config.layers)
        ]
        hidden = [
            layer(f"hidden.{s}", width + start, config.hidden)
            for s, start in enumerate(self.starts)
        ]
        # What all slices read of the features is one product.
        self.shared = torch.cat([fixed.weight[:width] for fixed in hidden], dim=1)
        self.shared_bias = torch.cat([fixed.bias for fixed in hidden])
        self.own = [fixed.weight[width:] for fixed in hidden]
        self.scale = [fixed.scale for fixed in hidden]
        self.output = [
            layer(f"output.{s}", config.hidden, 2 * size) for s, size in enumerate(config.slices)
        ]
        quality = fx.tensor(tensors, "quality", torch.int16, (transform.qualities, width))
        self.quality = quality.to(device=device, dtype=dtype)
        self.precisions = fx.tensor(tensors, "precisions", torch.int32, (SCALE_COUNT,))
        if not 0 <= int(self.precisions.min()) <= int(self.precisions.max()) <= PRECISION_MAX:
            raise ModelCorruptError("prior tensor precisions is out of range")


class Coding:
    """Logits step by step; keeps the features of the last steps, recomputes none."""

    def __init__(
        self,
        prior: IntegerLatentPrior,
        codebooks: IntegerCodebooks,
        quality: int,
        sizes: Sequence[Size],
    ) -> None:
        self.parts = codebooks.parts
        self._prior = prior
        self._blocks = codebooks.blocks
        self._quality = prior.quality[quality - 1]
        self._latents = StepCache(FIRST_TAPS, sizes, prior.like.new_empty(prior.coarse))
        wide = prior.like.new_empty(prior.config.channels)
        self._features = [StepCache(INNER_TAPS, sizes, wide) for _ in prior.layers]
        self._step = self._slice = -1
        self._shared = self._seen = self._said = prior.like

    def logits(self, step: Step, part: int, some: slice) -> Tensor:
        """Return integer logits (g, n, K), float64 on the CPU; see `model.Source`."""
        block = self._blocks[part]
        if step.t != self._step:
            self._begin(step)
        if block.slice != self._slice:
            self._predict(block.slice)
        return block.logits(self._said[some])

    def choose(self, logits: Tensor, part: int, some: slice) -> Tensor:
        """A decoder's indices are what the file says."""
        return torch.zeros(logits.shape[1], logits.shape[0])

    def put(self, step: Step, part: int, indices: Tensor) -> None:
        """Tell the indices (P, g); see `model.Source`."""
        block = self._blocks[part]
        self._seen[:, block.places] = block.look_up(block.embedding, indices)
        if part == len(self.parts) - 1:
            self._latents.put(step, self._seen[:, : self._prior.coarse])

    def _begin(self, step: Step) -> None:
        """Compute what all slices of a step read of the steps before."""
        prior = self._prior
        stream = fx.limit(prior.first(self._latents.neighbours(step)) + self._quality)
        for layer, cache in zip(prior.layers, self._features, strict=True):
            cache.put(step, fx.activate(stream))
            stream = fx.limit(stream + layer(cache.neighbours(step)))
        features = fx.activate(stream)  # (P, C)
        self._shared = torch.addmm(prior.shared_bias, features, prior.shared)
        self._seen = prior.like.new_zeros(len(features), prior.latents)
        self._step, self._slice = step.t, -1

    def _predict(self, s: int) -> None:
        """Compute what is said of a slice's channels."""
        prior, hidden = self._prior, self._prior.config.hidden
        sums = self._shared[:, s * hidden : (s + 1) * hidden]
        if s:
            sums = sums + self._seen[:, : prior.starts[s]] @ prior.own[s]
        active = fx.activate((sums * prior.scale[s]).floor_())
        means, raw = prior.output[s](active).cpu().double().chunk(2, dim=1)
        half = 1 << (fx.FRACTION_STREAM - FRACTION_SCALE - 1)
        level = torch.floor((raw + half) * 2.0 ** (FRACTION_SCALE - fx.FRACTION_STREAM))
        at = (level - SCALE_FIRST).clamp_(0, SCALE_COUNT - 1).long()
        means = means.clamp_(-MEAN_MAX, MEAN_MAX)
        self._said = factors_of(means, prior.precisions[at].double())
        self._slice = s


class Encoding(Coding):
    """The same for an encoder, which chooses what costs least, bits and distance together."""

    def __init__(
        self,
        prior: IntegerLatentPrior,
        codebooks: IntegerCodebooks,
        quality: int,
        scaled: Sequence[Tensor],
        distance_bits: float,
    ) -> None:
        """Take tiles of scaled latents float32 (N, M, D) on the CPU, and the bits that a squared
        distance of 1 is worth.
        """
        sizes = [(tile.shape[0], tile.shape[1]) for tile in scaled]
        super().__init__(prior, codebooks, quality, sizes)
        self._scaled = torch.cat([tile.flatten(0, 1) for tile in scaled])
        self._distance_bits = distance_bits
        self._here = self._scaled

    def _begin(self, step: Step) -> None:
        super()._begin(step)
        self._here = self._scaled[torch.from_numpy(step.place)]  # (P, D)

    def choose(self, logits: Tensor, part: int, some: slice) -> Tensor:
        """Return the indices (n, g) of least cost."""
        block = self._blocks[part]
        first = self._prior.starts[block.slice]
        span = slice(first, first + self._prior.config.slices[block.slice])
        return block.choose(self._here[some, span], logits, self._distance_bits)
