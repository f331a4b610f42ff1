"""What a frame's prior is told of the frame before, as it trains.

The same network as `prior.temporal`, in real numbers or on the integer grid: a trunk whose layers
read all around, as the frame before is known as a whole.
"""

from __future__ import annotations

from collections.abc import Iterator

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from vqcodec.models.config_clip import TemporalConfig
from vqcodec.networks import fixedpoint as fx
from vqcodec.networks.trunk import Pointwise, TapConv, Trunk
from vqcodec.prior import units
from vqcodec.prior.taps import Taps


class SquareConv(TapConv):
    """Over a square of positions, (B, inputs, N, M)."""

    def __init__(self, taps: Taps, inputs: int, outputs: int, fraction_in: int) -> None:
        super().__init__(taps, inputs, outputs, fraction_in)
        self._reach = taps[-1][0]
        # What matters most is near: a bell over the square, of the same mean square, to begin with.
        squares = torch.tensor(taps).square().sum(1)
        bell = torch.exp(-2.0 * squares / self._reach**2)
        with torch.no_grad():
            self.weight.mul_((bell / bell.square().mean().sqrt())[:, None])

    def _convolve(self, x: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
        side = 2 * self._reach + 1
        kernel = weight.view(len(weight), side, side, -1).permute(0, 3, 1, 2)
        return F.conv2d(x, kernel, bias, padding=self._reach)


class Temporal(Trunk):
    """Indices of the frame before, and an action, to what the prior is told at each position."""

    convolution = SquareConv

    def __init__(
        self, config: TemporalConfig, *, codebook_size: int, actions: int, outputs: int
    ) -> None:
        """`actions` is their number A, not counting the unknown one; `outputs` are the channels C
        of the prior.
        """
        super().__init__()
        self.embedding = nn.Parameter(torch.randn(codebook_size, config.embedding) * 0.5)
        self.action_embedding = nn.Parameter(torch.randn(actions + 1, config.channels))
        self.add_layers(config.taps, config.embedding, config.channels, units.FRACTION_EMBEDDING)
        self.output = Pointwise(config.channels, outputs, units.FRACTION_STREAM)

    def forward(
        self, before: Tensor, actions: Tensor, *, seen: Tensor, integer: bool = False
    ) -> Tensor:
        """Map int64 indices of frames (B, N, M) and actions (B,) to offsets (B, C, N, M).

        Of frames where `seen`, (B,), is 0 nothing is read.
        """
        embedding, said = self._rounded() if integer else (self.embedding, self.action_embedding)
        read = F.embedding(before, embedding).movedim(-1, 1) * seen.view(-1, 1, 1, 1)
        told = F.embedding(actions, said)[:, :, None, None]
        active = self.features(read, told, integer=integer)
        # Under autocast layers answer in bfloat16.
        offsets: Tensor = self.output(active, integer=integer).to(read.dtype)
        return fx.fake_limit(offsets, integer=integer)

    @torch.no_grad()
    def export(self) -> dict[str, Tensor]:
        """Return the integer network's tensors by the names that SPEC.md gives them.

        Raises ModelCorruptError if a layer could leave the exact range.
        """
        embedding, said = self._rounded()
        tables = {
            "embedding": (embedding * 2.0**units.FRACTION_EMBEDDING).to(torch.int8),
            "actions": (said * 2.0**units.FRACTION_STREAM).to(torch.int16),
        }
        return {key: value.contiguous() for key, value in {**tables, **super().export()}.items()}

    def parts(self) -> Iterator[tuple[str, TapConv | Pointwise]]:
        """Yield every layer by its name in SPEC.md."""
        yield from super().parts()
        yield "output", self.output

    def _rounded(self) -> tuple[Tensor, Tensor]:
        """Return embedding and actions on their integer grids."""
        return (
            fx.fake_table(self.embedding, units.FRACTION_EMBEDDING, units.ACTIVATION_MAX),
            fx.fake_table(self.action_embedding, units.FRACTION_STREAM, units.STREAM_MAX),
        )
