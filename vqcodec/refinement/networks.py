"""The networks of a model in real numbers, through which gradients pass."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from vqcodec.engines.precision import lower_dtype
from vqcodec.models import photo, photo2
from vqcodec.models.file import read_metadata
from vqcodec.networks.exact import ExactSynthesis
from vqcodec.networks.latent_prior import GaussianPrior
from vqcodec.networks.model_files import read_photo, read_photo2
from vqcodec.networks.model_files.product import ProductParts
from vqcodec.networks.product import Codebooks
from vqcodec.networks.transform import Gains
from vqcodec.refinement.synthesis import SmoothSynthesis


@dataclass(frozen=True, slots=True, kw_only=True)
class Networks:
    """What refinement needs of a model: product codebooks on scaled latents."""

    synthesis: nn.Module
    """Maps latents (B, D, N, M) to pixels (B, 3, H, W), about 0..1."""
    gains: Gains
    """Map qualities (B,) to gains (B, D, 1, 1)."""
    prior: GaussianPrior
    """Maps what is read of codewords, (B, D, N, M), to means and scales."""
    codebooks: Sequence[Codebooks]
    """Those of qualities 1..Q."""
    distance_bits: float
    """What an encoder that chooses indices one by one pays for a squared distance of 1."""
    quality_scale: int
    """How many times the quality the header of the model's files has."""


_READERS: Mapping[str, Callable[[bytes], ProductParts]] = {
    photo.ARCHITECTURE: read_photo,
    photo2.ARCHITECTURE: read_photo2,
}


def read_networks(data: bytes, device: torch.device) -> Networks:
    """Read the networks of a model file. Nothing of them learns.

    Raises: ModelError; ValueError if the model has no product codebooks.
    """
    metadata = read_metadata(data)
    reader = _READERS.get(metadata.get("architecture", ""))
    if reader is None:
        name = metadata.get("name", "")
        raise ValueError(f"the model {name!r} has no product codebooks, so its effort is 1 only")
    parts = reader(data)
    synthesis = parts.synthesis
    if isinstance(synthesis, ExactSynthesis):
        synthesis = SmoothSynthesis(synthesis, lower_dtype(device, "auto"))
    for module in (synthesis, parts.gains, parts.prior, *parts.codebooks):
        module.requires_grad_(False).to(device)
    synthesis.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    return Networks(
        synthesis=synthesis,
        gains=parts.gains,
        prior=parts.prior,
        codebooks=parts.codebooks,
        distance_bits=parts.product.distance_bits,
        quality_scale=parts.quality_scale,
    )


def gains_of(networks: Networks, quality: int) -> Tensor:
    """Return the gains of a header's quality, (1, D, 1, 1), which `models.product` computes too."""
    below, part = divmod(quality, networks.quality_scale)
    device = networks.codebooks[0].rest.device
    gains: Tensor = networks.gains(torch.tensor([float(below)], device=device))
    if not part:
        return gains
    above: Tensor = networks.gains(torch.tensor([below + 1.0], device=device))
    return 1.0 / torch.lerp(1.0 / gains, 1.0 / above, part / networks.quality_scale)
