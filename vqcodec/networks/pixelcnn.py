"""The prior of indices as it trains: a wedge-masked PixelCNN in real numbers.

A PixelCNN (arXiv 1601.06759; arXiv 1711.00937, section 3.3) whose receptive
field is a wedge: no layer reaches further right than it reaches up, so the
index at row i, column j depends only on indices with a smaller j + 2i. All
positions of equal j + 2i can then be decoded at once (see `prior.wavefront`).

What does not depend on the receptive field is in `IndexPrior`, which `wavenet` shares.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from vqcodec.models.config import PriorConfig
from vqcodec.models.config_sound import WaveNetConfig
from vqcodec.networks import fixedpoint as fx
from vqcodec.networks.trunk import Pointwise, TapConv, Trunk, WedgeConv
from vqcodec.prior import units


class IndexPrior(Trunk):
    """Logits of every index given the indices before it in coding order."""

    def __init__(self, config: PriorConfig | WaveNetConfig) -> None:
        super().__init__()
        self.config = config
        channels = config.channels
        self.embedding = nn.Parameter(torch.randn(config.codebook_size, config.embedding) * 0.5)
        self.add_layers(config.taps, config.embedding, channels, units.FRACTION_EMBEDDING)
        self.hidden = Pointwise(channels, channels, units.FRACTION_STREAM)
        self.output = Pointwise(channels, config.codebook_size, units.FRACTION_LOGIT)

    def forward(
        self,
        indices: Tensor,
        offset: Tensor | None = None,
        *,
        seen: Tensor | None = None,
        integer: bool = False,
    ) -> Tensor:
        """Map int64 indices (B, ...) to logits (B, K, ...) in bits: p ~ 2^logit.

        "..." is the grid: N rows and M columns, or M positions of one dimension. `offset`,
        (B, C, ...), is what each position is told besides the indices before it; where `seen`,
        (B,), is 0 it is told nothing else.
        """
        embedding = self._embedding() if integer else self.embedding
        read = F.embedding(indices, embedding).movedim(-1, 1)  # (B, E, ...)
        if seen is not None:
            read = read * seen.view(-1, *[1] * (read.dim() - 1))
        hidden = self.hidden(self.features(read, offset, integer=integer), integer=integer)
        # Under autocast layers answer in bfloat16.
        active = fx.fake_activate(hidden.to(read.dtype), integer=integer)
        logits: Tensor = self.output(active, integer=integer)
        return logits

    @torch.no_grad()
    def start_from(self, vectors: Tensor) -> None:
        """Let like codewords begin alike: `vectors` is the codebook, (K, D).

        The embedding starts as the codewords' principal components, and the output
        layer as a random map of them.
        """
        size = min(self.config.embedding, *vectors.shape)
        centred = vectors.float() - vectors.float().mean(0)
        left, strengths, _ = torch.linalg.svd(centred, full_matrices=False)
        components = left[:, :size] * strengths[:size]
        components /= components.square().mean().sqrt()
        self.embedding[:, :size] = components
        mix = torch.randn(size, self.config.channels, device=vectors.device)
        self.output.weight.copy_(components @ mix / (size * self.config.channels) ** 0.5)

    def _embedding(self) -> Tensor:
        return fx.fake_table(self.embedding, units.FRACTION_EMBEDDING, units.ACTIVATION_MAX)

    @torch.no_grad()
    def export(self) -> dict[str, Tensor]:
        """Return the integer prior's tensors by the names that SPEC.md gives them.

        Raises ModelCorruptError if a layer could leave the exact range.
        """
        embedding = (self._embedding() * 2.0**units.FRACTION_EMBEDDING).to(torch.int8)
        out = {"embedding": embedding, **super().export()}
        return {key: value.contiguous() for key, value in out.items()}

    @torch.no_grad()
    def load_integers(self, tensors: Mapping[str, Tensor]) -> None:
        """Undo `export`: take the weights that the tensors of an integer prior stand for.

        They must be of a prior of this configuration.
        """
        super().load_integers(tensors)
        self.embedding.copy_(tensors["embedding"] * 2.0**-units.FRACTION_EMBEDDING)

    def parts(self) -> Iterator[tuple[str, TapConv | Pointwise]]:
        """Yield every layer by its name in SPEC.md."""
        yield from super().parts()
        yield "hidden", self.hidden
        yield "output", self.output


class PixelCNN(IndexPrior):
    """Logits of indices (B, N, M) in wavefront order."""

    convolution = WedgeConv
    config: PriorConfig

    def __init__(self, config: PriorConfig) -> None:
        super().__init__(config)


def bits_per_index(logits: Tensor, indices: Tensor) -> Tensor:
    """Mean cost in bits of indices (B, ...) under logits (B, K, ...), in the logits' dtype."""
    flat = logits.movedim(1, -1).reshape(-1, logits.shape[1])
    return F.cross_entropy(flat * math.log(2.0), indices.flatten()) / math.log(2.0)
