"""A whole model: encoder, codebook, decoder and prior, and its file.

A model file is safetensors: `encoder.*` and `decoder.*` in float16, `codebook`
in float32, `prior.*` in integers, and one JSON text in the metadata.
"""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, TypeVar

import torch
from safetensors import SafetensorError
from safetensors.torch import load as parse_tensors
from safetensors.torch import save as serialise_tensors
from torch import Tensor, nn

from vqcodec.errors import ModelCorruptError
from vqcodec.models.autoencoder import Decoder, Encoder
from vqcodec.models.config import AutoencoderConfig, PriorConfig
from vqcodec.models.integer_pixelcnn import IntegerPixelCNN
from vqcodec.models.pixelcnn import PixelCNN

ARCHITECTURE = "vqvae-pixelcnn-1"
"""Names the networks; other networks need another name."""
_HEADER_MAX = 1 << 20
_C = TypeVar("_C", AutoencoderConfig, PriorConfig)


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
    prior: IntegerPixelCNN
    device: torch.device


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
    parts: tuple[tuple[str, nn.Module], ...] = (("encoder", encoder), ("decoder", decoder))
    for prefix, module in parts:
        for key, value in module.state_dict().items():
            tensors[f"{prefix}.{key}"] = value.detach().half()
    tensors |= {f"prior.{key}": value for key, value in prior.export().items()}
    metadata = {
        "architecture": ARCHITECTURE,
        "name": name,
        "licence": licence,
        "description": description,
        "autoencoder": dataclasses.asdict(config),
        "prior": dataclasses.asdict(prior.config),
    }
    contiguous = {key: value.cpu().contiguous() for key, value in tensors.items()}
    return serialise_tensors(contiguous, metadata={"vqcodec": json.dumps(metadata)})


def parse_model(
    data: bytes, *, sha256: str, device: torch.device, dtype: torch.dtype = torch.float32
) -> VqVae:
    """Read a model file whose hash has been checked. `dtype` is that of the prior's arithmetic.

    Raises: ModelCorruptError.
    """
    metadata = _metadata(data)
    if metadata.get("architecture") != ARCHITECTURE:
        raise ModelCorruptError(
            f"the model's architecture is {metadata.get('architecture')!r}, "
            f"this program knows {ARCHITECTURE!r}",
            hint="a newer vqcodec may know it: pip install --upgrade vqcodec",
        )
    config = _config(AutoencoderConfig, metadata.get("autoencoder"))
    prior_config = _config(PriorConfig, metadata.get("prior"))
    if prior_config.codebook_size != config.codebook_size:
        raise ModelCorruptError("the prior's codebook is not the autoencoder's")
    try:
        tensors = parse_tensors(data)
    except (SafetensorError, ValueError) as error:
        raise ModelCorruptError(f"not a safetensors file: {error}") from error
    with torch.device("meta"):
        encoder, decoder = Encoder(config), Decoder(config)
    _fill(encoder, "encoder.", tensors, device)
    _fill(decoder, "decoder.", tensors, device)
    codebook = tensors.get("codebook")
    shape = (config.codebook_size, config.code_dim)
    if codebook is None or tuple(codebook.shape) != shape or codebook.dtype != torch.float32:
        raise ModelCorruptError(f"the codebook is not float32 {shape}")
    integers = {k.removeprefix("prior."): v for k, v in tensors.items() if k[:6] == "prior."}
    return VqVae(
        name=str(metadata.get("name", "")),
        sha256=sha256,
        config=config,
        encoder=encoder,
        codebook=codebook.to(device),
        decoder=decoder,
        prior=IntegerPixelCNN(prior_config, integers, device=device, dtype=dtype),
        device=device,
    )


def _metadata(data: bytes) -> dict[str, Any]:
    size = int.from_bytes(data[:8], "little")
    if len(data) < 8 or size > min(_HEADER_MAX, len(data) - 8):
        raise ModelCorruptError("not a safetensors file")
    try:
        metadata = json.loads(json.loads(data[8 : 8 + size])["__metadata__"]["vqcodec"])
    except (ValueError, KeyError, TypeError, RecursionError) as error:
        raise ModelCorruptError("not a vqcodec model", hint="`vqcodec train` makes them") from error
    if not isinstance(metadata, dict):
        raise ModelCorruptError("not a vqcodec model")
    return metadata


def _config(kind: type[_C], table: object) -> _C:
    names = {field.name for field in dataclasses.fields(kind)}
    if not isinstance(table, dict) or set(table) != names:
        raise ModelCorruptError(f"the model's {kind.__name__} has not the fields {sorted(names)}")
    if not all(type(value) is int for value in table.values()):
        raise ModelCorruptError(f"the model's {kind.__name__} has a field that is no integer")
    try:
        return kind(**table)
    except ValueError as error:
        raise ModelCorruptError(str(error)) from error


def _fill(
    module: nn.Module, prefix: str, tensors: Mapping[str, Tensor], device: torch.device
) -> None:
    """Put float16 tensors into a module on the meta device, as float32."""
    state = {}
    for key, meta in module.state_dict().items():
        tensor = tensors.get(prefix + key)
        if tensor is None or tensor.shape != meta.shape or tensor.dtype != torch.float16:
            raise ModelCorruptError(f"tensor {prefix + key} is not float16 {tuple(meta.shape)}")
        value = tensor.to(device=device, dtype=torch.float32)
        four = value.dim() == 4
        state[key] = value.contiguous(memory_format=torch.channels_last) if four else value
    module.load_state_dict(state, assign=True)
    module.requires_grad_(False).eval()
