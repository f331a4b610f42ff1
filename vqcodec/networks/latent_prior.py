"""What is known of a latent before it is decoded, as a Gaussian per channel.

Two contexts meet: a wedge-masked PixelCNN over the positions that the wavefront
has decoded (on the trunk that `pixelcnn` has, so that it can run in integers), without
their details, and the channels of the same position that come in earlier slices. The mean and
the scale of slice s are read off the features of the first by a small network
that also sees slices 0..s-1 (channel-wise autoregression, Minnen and Singh,
arXiv 2007.08739, here with the position's own past as the hyperprior).

With `integer` set it computes on the grid of the fixed-point network, as
`trunk` does; format/SPEC.md, section "Latent prior", defines the integers.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from itertools import accumulate

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from vqcodec.models.config import LatentPriorConfig, TransformConfig
from vqcodec.models.config_sound import LatentWaveNetConfig
from vqcodec.networks import fixedpoint as fx
from vqcodec.networks.trunk import Pointwise, TapConv, Trunk, WedgeConv
from vqcodec.prior import units

_SCALE_MIN = 0.11
"""The smallest scale: narrower Gaussians put all their mass into one cell anyway."""
_LIKELIHOOD_MIN = 1e-9


class GaussianPrior(Trunk):
    """Means and scales of every latent given those before it in coding order.

    What does not depend on the receptive field; `latent_wavenet` shares it.
    """

    def __init__(
        self, config: LatentPriorConfig | LatentWaveNetConfig, *, coarse: int, qualities: int
    ) -> None:
        """Later positions read the first `coarse` latents; there are `qualities` qualities."""
        super().__init__()
        self.config = config
        channels = config.channels
        *self._starts, _ = accumulate(config.slices, initial=0)
        self._coarse = coarse
        self.add_layers(config.taps, coarse, channels, units.FRACTION_LATENT)
        self.quality = nn.Embedding(qualities, channels)
        nn.init.zeros_(self.quality.weight)
        self.hidden = nn.ModuleList(
            Pointwise(channels + start, config.hidden, units.FRACTION_STREAM)
            for start in self._starts
        )
        self.output = nn.ModuleList(
            Pointwise(config.hidden, 2 * size, units.FRACTION_STREAM) for size in config.slices
        )

    def forward(
        self, seen: Tensor, qualities: Tensor, *, integer: bool = False
    ) -> tuple[Tensor, Tensor]:
        """Map what is read of the latents, (B, D, ...), and qualities int64 (B,), 1..Q, to
        means and scales of the same shape, in the unit of scaled latents.

        "..." is the grid: N rows and M columns, or M positions of one dimension. A position
        depends on positions before it (of N rows those with a smaller j + 2i) and, in slice s,
        on the slices before s of its own. `seen` is about asinh of the latents: large values
        would drown the others.
        """
        if integer:
            seen = fx.fake_round(seen, units.FRACTION_LATENT)
        reach = units.ACTIVATION_MAX * 2.0**-units.FRACTION_LATENT
        seen = seen.clamp(-reach, reach)
        shift = self.quality(qualities - 1)
        shift = shift.view(*shift.shape, *[1] * (seen.dim() - 2))
        shift = fx.fake_round(shift, units.FRACTION_STREAM) if integer else shift
        features = self.features(seen[:, : self._coarse], shift, integer=integer)
        means, scales = [], []
        for start, hidden, output in zip(self._starts, self.hidden, self.output, strict=True):
            both = torch.cat([features, seen[:, :start]], dim=1)
            active = fx.fake_activate(hidden(both, integer=integer), integer=integer)
            mean, raw = output(active, integer=integer).float().chunk(2, dim=1)
            if integer:
                raw = fx.fake_round(raw, units.FRACTION_SCALE)
            means.append(mean.clamp(-units.MEAN_MAX / 256.0, units.MEAN_MAX / 256.0))
            scales.append(scale_of(raw))
        return torch.cat(means, dim=1), torch.cat(scales, dim=1)

    @torch.no_grad()
    def export(self) -> dict[str, Tensor]:
        """Return the integer prior's tensors by the names that SPEC.md gives them.

        Raises ModelCorruptError if a layer could leave the exact range.
        """
        out = super().export()
        shift = (self.quality.weight * 2.0**units.FRACTION_STREAM).round()
        out["quality"] = shift.clamp(-units.STREAM_MAX, units.STREAM_MAX).short()
        levels = (torch.arange(units.SCALE_COUNT) + units.SCALE_FIRST).double()
        raw = levels * 2.0**-units.FRACTION_SCALE
        precisions = precision_of(scale_of(raw)) * 2.0**units.FRACTION_PRECISION
        out["precisions"] = precisions.round().clamp_max(units.PRECISION_MAX).int()
        return {key: value.contiguous() for key, value in out.items()}

    @torch.no_grad()
    def load_integers(self, tensors: Mapping[str, Tensor]) -> None:
        """Undo `export`: take the weights that the tensors of an integer prior stand for.

        They must be of a prior of this configuration.
        """
        super().load_integers(tensors)
        self.quality.weight.copy_(tensors["quality"] * 2.0**-units.FRACTION_STREAM)

    def parts(self) -> Iterator[tuple[str, TapConv | Pointwise]]:
        """Yield every layer by its name in SPEC.md."""
        yield from super().parts()
        for name, layers in (("hidden", self.hidden), ("output", self.output)):
            for number, layer in enumerate(layers):
                assert isinstance(layer, Pointwise)
                yield f"{name}.{number}", layer


class LatentPrior(GaussianPrior):
    """Means and scales of latents (B, D, N, M) in wavefront order."""

    convolution = WedgeConv
    config: LatentPriorConfig

    def __init__(self, config: LatentPriorConfig, transform: TransformConfig) -> None:
        """Raises ValueError if the slices are not the transform's latents in all."""
        if sum(config.slices) != transform.latents:
            raise ValueError(
                f"latent_prior.slices must be transform.latents, {transform.latents}, in all"
            )
        coarse = transform.latents - transform.details
        super().__init__(config, coarse=coarse, qualities=transform.qualities)


def scale_of(raw: Tensor) -> Tensor:
    """Map the network's output to scales."""
    low = units.SCALE_FIRST * 2.0**-units.FRACTION_SCALE
    high = (units.SCALE_FIRST + units.SCALE_COUNT - 1) * 2.0**-units.FRACTION_SCALE
    return _SCALE_MIN + F.softplus(raw.clamp(low, high) + 0.5)


def raw_of(scales: Tensor) -> Tensor:
    """Undo `scale_of`; scales below its least one count as just above it."""
    positive = (scales - _SCALE_MIN).clamp_min(1e-2)
    # The inverse of softplus, written so that large scales do not overflow.
    return positive + torch.log(-torch.expm1(-positive)) - 0.5


def precision_of(scales: Tensor) -> Tensor:
    """Bits that a squared distance of 1 from the mean costs, for quantisation with step 1.

    For wide Gaussians 1 / (2 ln 2 (s^2 + 1/12)), the cell's own spread included. For
    narrow ones, whose density says little of a cell's mass, what the masses of the
    middle cell and of its neighbour say: log2(p(0) / p(1)).
    """
    wide = 0.5 / math.log(2.0) / (scales.square() + 1.0 / 12.0)
    narrow = scales.clamp_max(3.0) * 2.0**0.5
    inner, outer = torch.erfc(0.5 / narrow), torch.erfc(1.5 / narrow)
    ratio = (1.0 - inner) / (0.5 * (inner - outer)).clamp_min(_LIKELIHOOD_MIN)
    return torch.where(scales < 3.0, torch.log2(ratio), wide)


def bits(latents: Tensor, means: Tensor, scales: Tensor) -> Tensor:
    """Cost in bits of latents quantised with step 1, elementwise: -log2 of the Gaussian's
    mass in the cell of width 1 around each (Ballé et al., arXiv 1802.01436, eq. 11).
    """
    distance = (latents.float() - means).abs()
    upper = _below((0.5 - distance) / scales)
    lower = _below((-0.5 - distance) / scales)
    return -torch.log2((upper - lower).clamp_min(_LIKELIHOOD_MIN))


def _below(x: Tensor) -> Tensor:
    """The standard normal's mass below x; accurate for negative x."""
    return 0.5 * torch.erfc(x * -(0.5**0.5))
