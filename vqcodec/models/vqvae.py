"""A whole model: encoder, codebook, decoder and prior, and its file.

A model file is safetensors: `encoder.*` and `decoder.*` in float16, `codebook`
in float32, `prior.*` in integers, and one JSON text in the metadata.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from vqcodec.errors import ModelCorruptError
from vqcodec.models import file
from vqcodec.models.config import AutoencoderConfig, PriorConfig
from vqcodec.models.model import Box
from vqcodec.prior.chooser import KnownIndices
from vqcodec.prior.context import Prior
from vqcodec.prior.heads import Categorical
from vqcodec.prior.layer import Float, Tensors
from vqcodec.prior.trunk import Trunk
from vqcodec.training.networks.autoencoder import Decoder, Encoder, codeword_images
from vqcodec.training.networks.codebook import nearest
from vqcodec.training.networks.pixelcnn import PixelCNN

ARCHITECTURE = "vqvae-pixelcnn-1"
"""Names the networks; other networks need another name."""


@dataclass(frozen=True, slots=True, kw_only=True)
class VqVae:
    """What `vqcodec.load_model` returns. Networks are in float32, in eval mode, on `device`."""

    name: str
    sha256: str
    """Full SHA-256 of the model file, hexadecimal."""
    config: AutoencoderConfig
    encoder: Encoder
    codebook: Tensor
    """(K, D) codewords."""
    decoder: Decoder
    prior: Prior
    prior_config: PriorConfig
    prior_tensors: Mapping[str, Tensor]
    """What the prior was made of, for training that goes on from here."""
    device: torch.device

    @property
    def qualities(self) -> int:
        """It has none."""
        return 0

    @property
    def codebook_size(self) -> int:
        """Number K of codewords."""
        return self.config.codebook_size

    @property
    def stride(self) -> int:
        """Pixels per index along each axis."""
        return self.config.stride

    @property
    def encoder_halo(self) -> int:
        """Indices around a window whose pixels can change its latents."""
        return self.config.encoder_halo

    @property
    def decoder_halo(self) -> int:
        """Indices around a window that can change its pixels."""
        return self.config.decoder_halo

    @property
    def window(self) -> int:
        """192 indices are 768 pixels."""
        return 192

    def groups(self, quality: int) -> int:
        """One index per position."""
        return 1

    def codewords(self, quality: int) -> tuple[int, ...]:
        """All indices have one."""
        return (self.config.codebook_size,)

    def measure(self, pixels: Tensor) -> Tensor:
        """Map pixels (3, H, W) in 0..1, whole strides, to nearest indices int32 (N, M, 1)."""
        latents = self.encoder(pixels[None])[0]  # (D, N, M)
        indices = nearest(self.codebook, latents.flatten(1).T)
        return indices.view(*latents.shape[1:], 1).int()

    def prior_of(self, quality: int) -> Prior:
        """Return the only one."""
        return self.prior

    def chooser(self, tiles: Sequence[NDArray], quality: int, weight: float) -> KnownIndices:
        """Take the indices that were measured, (N, M, 1); there is nothing to weigh."""
        indices = np.concatenate([tile.reshape(-1, 1) for tile in tiles])
        return KnownIndices(self.prior.parts, indices)

    def nearest(self, measured: NDArray, quality: int) -> NDArray[np.integer]:
        """Return what was measured."""
        return measured

    def pixels(self, indices: Tensor, quality: int, inner: Box) -> Tensor:
        """Map indices (N, M, 1) to the pixels of some of them, (3, 4 n, 4 m)."""
        codewords = codeword_images(self.codebook, indices[None, :, :, 0].to(self.device))
        pixels: Tensor = self.decoder(codewords)[0]
        rows, columns = (slice(s.start * self.stride, s.stop * self.stride) for s in inner)
        return pixels[:, rows, columns]


def model_bytes(
    *,
    name: str,
    licence: str,
    description: str,
    config: AutoencoderConfig,
    encoder: Encoder,
    codebook: Tensor,
    decoder: Decoder,
    prior: PixelCNN,
) -> bytes:
    """Write a model file. Raises ModelCorruptError if the prior leaves the exact range."""
    tensors: dict[str, Tensor] = {"codebook": codebook.detach().float()}
    tensors |= file.halves(encoder, "encoder") | file.halves(decoder, "decoder")
    tensors |= {f"prior.{key}": value for key, value in prior.export().items()}
    metadata = {
        "architecture": ARCHITECTURE,
        "name": name,
        "licence": licence,
        "description": description,
        "autoencoder": dataclasses.asdict(config),
        "prior": dataclasses.asdict(prior.config),
    }
    return file.write(tensors, metadata)


def parse_model(
    data: bytes, *, sha256: str, device: torch.device, dtype: Float = np.float32
) -> VqVae:
    """Read a model file whose hash has been checked. `dtype` is that of the prior's arithmetic.

    Raises: ModelCorruptError.
    """
    metadata = file.read_metadata(data)
    config = file.read_config(AutoencoderConfig, metadata.get("autoencoder"))
    prior_config = file.read_config(PriorConfig, metadata.get("prior"))
    if prior_config.codebook_size != config.codebook_size:
        raise ModelCorruptError("the prior's codebook is not the autoencoder's")
    tensors = file.read_tensors(data)
    with torch.device("meta"):
        encoder, decoder = Encoder(config), Decoder(config)
    file.fill(encoder, "encoder", tensors, device)
    file.fill(decoder, "decoder", tensors, device)
    codebook = tensors.get("codebook")
    shape = (config.codebook_size, config.code_dim)
    if codebook is None or tuple(codebook.shape) != shape or codebook.dtype != torch.float32:
        raise ModelCorruptError(f"the codebook is not float32 {shape}")
    if not bool(codebook.isfinite().all()):
        raise ModelCorruptError("the codebook is not finite")
    return VqVae(
        name=str(metadata.get("name", "")),
        sha256=sha256,
        config=config,
        encoder=encoder,
        codebook=codebook.to(device),
        decoder=decoder,
        prior=read_prior(file.integers(tensors, "prior."), prior_config, dtype),
        prior_config=prior_config,
        prior_tensors=file.under(tensors, "prior."),
        device=device,
    )


def read_prior(tensors: Tensors, config: PriorConfig, dtype: Float = np.float32) -> Prior:
    """Take the prior out of the tensors that `PixelCNN.export` made, after checking them.

    Raises ModelCorruptError.
    """
    trunk = Trunk.read(
        tensors,
        reads=config.embedding,
        channels=config.channels,
        layers=config.layers,
        dtype=dtype,
    )
    head = Categorical.read(
        tensors,
        codebook_size=config.codebook_size,
        embedding=config.embedding,
        channels=config.channels,
        dtype=dtype,
    )
    return Prior(trunk, head)
