"""The networks of a model in real numbers, through which gradients pass."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Protocol

import torch
from torch import Tensor, nn

from vqcodec.models import photo, photo2
from vqcodec.models.config import ProductConfig
from vqcodec.models.file import read_metadata
from vqcodec.networks.latent_prior import LatentPrior
from vqcodec.networks.model_files import read_photo, read_photo2
from vqcodec.networks.product import Codebooks
from vqcodec.networks.transform import Gains


class ProductModel(Protocol):
    """What refinement asks of a model: product codebooks on scaled latents."""

    @property
    def synthesis(self) -> nn.Module:
        """Maps latents (B, D, N, M) to pixels (B, 3, H, W), about 0..1."""
        ...

    @property
    def gains(self) -> Gains:
        """Map qualities (B,) to gains (B, D, 1, 1)."""
        ...

    @property
    def prior(self) -> LatentPrior:
        """Maps what is read of codewords, (B, D, N, M), to means and scales."""
        ...

    @property
    def product(self) -> ProductConfig:
        """Says how much an encoder that chooses indices one by one pays for distances."""
        ...

    @property
    def codebooks(self) -> Sequence[Codebooks]:
        """Those of qualities 1..Q."""
        ...

    @property
    def quality_scale(self) -> int:
        """How many times the quality the header of the model's files has."""
        ...


_READERS: Mapping[str, Callable[[bytes], ProductModel]] = {
    photo.ARCHITECTURE: read_photo,
    photo2.ARCHITECTURE: read_photo2,
}


def read_networks(data: bytes, device: torch.device) -> ProductModel:
    """Read the networks of a model file. Nothing of them learns.

    Raises: ModelError; ValueError if the model has no product codebooks.
    """
    metadata = read_metadata(data)
    reader = _READERS.get(metadata.get("architecture", ""))
    if reader is None:
        name = metadata.get("name", "")
        raise ValueError(f"the model {name!r} has no product codebooks, so its effort is 1 only")
    model = reader(data)
    for module in (model.synthesis, model.gains, model.prior, *model.codebooks):
        module.requires_grad_(False).to(device)
    model.synthesis.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    return model


def gains_of(model: ProductModel, quality: int) -> Tensor:
    """Return the gains of a header's quality, (1, D, 1, 1), which `models.product` computes too."""
    below, part = divmod(quality, model.quality_scale)
    device = model.codebooks[0].rest.device
    gains: Tensor = model.gains(torch.tensor([float(below)], device=device))
    if not part:
        return gains
    above: Tensor = model.gains(torch.tensor([below + 1.0], device=device))
    return 1.0 / torch.lerp(1.0 / gains, 1.0 / above, part / model.quality_scale)
