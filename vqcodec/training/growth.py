"""How photo-2 begins: as the photo-1 it grows from.

Convolutions and blocks take photo-1's weights, blocks spread evenly among new ones that begin as
the identity. New details are what explains best, linearly, what photo-1 leaves of training
crops; new latents begin with a Gaussian of their spread.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from vqcodec.models.config import DeepTransformConfig, LatentPriorConfig
from vqcodec.networks.deep import deep_analysis, deep_synthesis
from vqcodec.networks.latent_prior import LatentPrior, raw_of
from vqcodec.networks.model_files import PhotoParts
from vqcodec.networks.transform import Block, Gains
from vqcodec.networks.trunk import Pointwise
from vqcodec.training.klt import best_octaves, blocks
from vqcodec.training.transform import Photo

_CALIBRATION = 64
"""Crops of which the spread of streams and latents is taken."""
_CHUNK = 8
"""Crops that pass through the networks at once."""
_RIDGE = 1e-6
"""Part of the pixels' mean variance that the regression adds to it."""


def blank(
    config: DeepTransformConfig, prior: LatentPriorConfig, dtype: torch.dtype = torch.float32
) -> Photo:
    """Make photo-2's networks with random weights; `dtype` is that inside blocks."""
    return Photo(
        deep_analysis(config, dtype),
        deep_synthesis(config, dtype),
        Gains(config.analysis),
        LatentPrior(prior, config.analysis),
    )


@torch.no_grad()
def grow(
    config: DeepTransformConfig,
    prior: LatentPriorConfig,
    start: PhotoParts,
    pixels: Tensor,
    lambdas: Tensor,
    dtype: torch.dtype = torch.float32,
) -> Photo:
    """Make photo-2's networks from photo-1's, on the CPU.

    Takes crops of training pictures, pixels (B, 3, H, W) in 0..1, with many more blocks of 16x16
    than the 768 numbers of a block, and lambda (Q,). `dtype` is that inside blocks.

    Raises ValueError if photo-1's networks are no part of photo-2's.
    """
    _require_part(start, config, prior)
    photo = blank(config, prior, dtype)
    for ours, theirs in ((photo.analysis, start.analysis), (photo.synthesis, start.synthesis)):
        for layer, source in _sources(ours.layers, theirs.layers).items():
            layer.load_state_dict(source.state_dict())
    kept, new = start.config.latents, config.details - start.config.details
    patterns, measures, shifts = _details(start, pixels, new)
    _extend(photo.analysis.details.weight, start.analysis.details.weight, measures)
    _extend(photo.analysis.details.bias, start.analysis.details.bias, shifts)
    drawn, known = (part.synthesis.details[0] for part in (photo, start))
    assert isinstance(drawn, nn.Conv2d)
    assert isinstance(known, nn.Conv2d)
    _extend(
        drawn.weight.transpose(0, 1), known.weight.transpose(0, 1), patterns.T[:, :, None, None]
    )
    _set_gains(photo.gains, start.gains, lambdas, kept)
    some = torch.split(pixels[:_CALIBRATION], _CHUNK)
    latents = torch.cat([photo.analysis(chunk) for chunk in some])
    gains = photo.gains(torch.tensor([float(start.config.qualities)]))
    _grow_prior(start.prior, photo.prior, (latents * gains)[:, kept:].std((0, 2, 3)))
    return photo


def _require_part(start: PhotoParts, config: DeepTransformConfig, prior: LatentPriorConfig) -> None:
    """Check what growth relies on. Raises ValueError."""
    old, known = start.config, start.prior.config
    depths = (config.analysis_depths, config.synthesis_depths)
    part = (
        old.widths == config.widths
        and all(few <= many for deep in depths for few, many in zip(old.depths, deep, strict=True))
        and old.latents - old.details == config.latents - config.details
        and old.details <= config.details
        and old.qualities <= config.qualities
        and (known.channels, known.layers, known.hidden)
        == (prior.channels, prior.layers, prior.hidden)
        and known.slices == prior.slices[: len(known.slices)]
    )
    if not part:
        raise ValueError("start: the model's networks are no part of the recipe's")


def _sources(new: nn.Sequential, old: nn.Sequential) -> dict[nn.Module, nn.Module]:
    """Return the layer of photo-1 that each layer of photo-2 begins as, where there is one."""
    sources: dict[nn.Module, nn.Module] = {}
    for ours, theirs in zip(_runs(new), _runs(old), strict=True):
        sources[ours[0]] = theirs[0]
        given, room = len(theirs) - 1, len(ours) - 1
        sources |= {ours[1 + i * room // given]: theirs[1 + i] for i in range(given)}
    return sources


def _runs(layers: nn.Sequential) -> list[list[nn.Module]]:
    """Return each convolution with the blocks that follow it."""
    runs: list[list[nn.Module]] = []
    for layer in layers:
        if isinstance(layer, nn.Conv2d):
            runs.append([layer])
        elif isinstance(layer, Block):
            runs[-1].append(layer)
    return runs


def _extend(new: Tensor | None, old: Tensor | None, added: Tensor) -> None:
    """Fill a tensor with an old one and what is added to its first axis."""
    assert new is not None
    assert old is not None
    new.copy_(torch.cat([old, added]))


def _details(start: PhotoParts, pixels: Tensor, count: int) -> tuple[Tensor, Tensor, Tensor]:
    """Return `count` new details: patterns of the synthesis (768, count), orthonormal, and of
    the analysis, weight (count, 3, 16, 16) and bias (count,).

    What photo-1 leaves of a block is regressed on the block's pixels; the patterns are the
    principal components of what the regression says. Components of what is left itself would
    hold errors that no linear function of the block knows.
    """
    size = start.analysis.details.weight[0].numel()
    square, cross = torch.zeros(2, size, size, dtype=torch.float64)
    means = torch.zeros(2, size, dtype=torch.float64)
    total = 0
    for chunk in torch.split(pixels, _CHUNK):
        left = 2.0 * (chunk - start.synthesis(start.analysis(chunk)))
        known, missing = blocks(2.0 * chunk - 1.0, 16).double(), blocks(left, 16).double()
        square += known.T @ known
        cross += known.T @ missing
        means += torch.stack([known.sum(0), missing.sum(0)])
        total += len(known)
    centre = means / total
    square = square / total - torch.outer(centre[0], centre[0])
    cross = cross / total - torch.outer(centre[0], centre[1])
    square.diagonal().add_(_RIDGE * square.trace() / size)
    linear = torch.linalg.solve(square, cross)  # missing is about (known - centre) @ linear
    _, vectors = torch.linalg.eigh(linear.T @ square @ linear)
    basis = vectors.flip(1)[:, :count]
    measured = linear @ basis  # (768, count)
    shift = centre[1] @ basis - centre[0] @ measured
    return basis.float(), measured.T.reshape(count, 3, 16, 16).float(), shift.float()


def _set_gains(gains: Gains, old: Gains, lambdas: Tensor, kept: int) -> None:
    """Take the known qualities' gains, go on by the square root of lambda's ratio, and begin
    new details at the steps that are best at high rate.
    """
    octaves, known = gains.octaves, len(old.octaves)
    beyond = 0.5 * torch.log2(lambdas[known:] / lambdas[known - 1])
    octaves[:known, :kept] = old.octaves
    octaves[known:, :kept] = old.octaves[-1] + beyond[:, None]
    octaves[:, kept:] = best_octaves(lambdas)[:, None]


def _grow_prior(old: LatentPrior, new: LatentPrior, spread: Tensor) -> None:
    """Take the known slices' networks; the others say a Gaussian around 0 of that spread, (new
    latents,), whatever they see. Further qualities are the last known one.
    """
    new.first.load_state_dict(old.first.state_dict())
    new.layers.load_state_dict(old.layers.state_dict())
    rows = torch.arange(len(new.quality.weight)).clamp_max(len(old.quality.weight) - 1)
    new.quality.weight.copy_(old.quality.weight[rows])
    for theirs, ours in ((old.hidden, new.hidden), (old.output, new.output)):
        for source, layer in zip(theirs, ours, strict=False):
            layer.load_state_dict(source.state_dict())
    sizes = new.config.slices[len(old.output) :]
    for layer, part in zip(
        new.output[len(old.output) :], torch.split(spread, list(sizes)), strict=True
    ):
        assert isinstance(layer, Pointwise)
        layer.weight.zero_()
        layer.bias.copy_(torch.cat([torch.zeros_like(part), raw_of(part)]))
