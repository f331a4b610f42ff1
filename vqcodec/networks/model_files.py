"""Networks that were trained to model files, and back for training that goes on from there."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, TypeAlias, TypedDict

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from vqcodec.errors import ModelCorruptError
from vqcodec.models import (
    exact,
    file,
    packed,
    photo,
    photo2,
    sound_vqvae,
    speech,
    transform,
    vqvae,
)
from vqcodec.models.config import (
    AutoencoderConfig,
    DeepTransformConfig,
    LatentPriorConfig,
    PriorConfig,
    ProductConfig,
    TransformConfig,
)
from vqcodec.models.config_sound import SoundAutoencoderConfig, SpeechConfig, WaveNetConfig
from vqcodec.models.packed import AnalysisWeights
from vqcodec.networks.autoencoder import Decoder, Encoder
from vqcodec.networks.deep import deep_analysis
from vqcodec.networks.exact import ExactSynthesis
from vqcodec.networks.latent_prior import LatentPrior
from vqcodec.networks.latent_wavenet import LatentWaveNet
from vqcodec.networks.pixelcnn import PixelCNN
from vqcodec.networks.product import Codebooks, export, reals
from vqcodec.networks.sound_autoencoder import SoundDecoder, SoundEncoder
from vqcodec.networks.speech import Analysis as SpeechAnalysis
from vqcodec.networks.speech import Synthesis as SpeechSynthesis
from vqcodec.networks.transform import Analysis, Gains, Synthesis
from vqcodec.networks.wavenet import WaveNet
from vqcodec.prior.units import FRACTION_VECTOR


@dataclass(frozen=True, slots=True, kw_only=True)
class VqVaeParts:
    """What a model of `vqvae-pixelcnn-1` is made of while it trains."""

    config: AutoencoderConfig
    encoder: Encoder
    codebook: Tensor
    """(K, D) codewords."""
    decoder: Decoder
    prior: PixelCNN


@dataclass(frozen=True, slots=True, kw_only=True)
class SoundVqVaeParts:
    """What a model of `vqvae-wavenet-1` is made of while it trains."""

    config: SoundAutoencoderConfig
    encoder: SoundEncoder
    codebook: Tensor
    """(K, D) codewords."""
    decoder: SoundDecoder
    speakers: tuple[str, ...]
    """Names."""
    voices: Tensor
    """What the decoder is told of each, (S, E)."""
    prior: WaveNet


@dataclass(frozen=True, slots=True, kw_only=True)
class PhotoParts:
    """What a model of `photo-1` is made of while it trains."""

    config: TransformConfig
    product: ProductConfig
    analysis: Analysis
    synthesis: Synthesis
    gains: Gains
    prior: LatentPrior
    codebooks: list[Codebooks]


@dataclass(frozen=True, slots=True, kw_only=True)
class Photo2Parts:
    """What a model of `photo-2` is made of while it trains."""

    config: DeepTransformConfig
    product: ProductConfig
    analysis: Analysis
    synthesis: ExactSynthesis
    gains: Gains
    prior: LatentPrior
    codebooks: list[Codebooks]


@dataclass(frozen=True, slots=True, kw_only=True)
class SpeechParts:
    """What a model of `speech-1` is made of while it trains."""

    config: SpeechConfig
    product: ProductConfig
    analysis: SpeechAnalysis
    synthesis: SpeechSynthesis
    gains: Gains
    prior: LatentWaveNet
    codebooks: list[Codebooks]


_ProductParts: TypeAlias = "PhotoParts | Photo2Parts | SpeechParts"


def write_vqvae(parts: VqVaeParts, *, name: str, licence: str, description: str) -> bytes:
    """Write a model file. Raises ModelCorruptError if the prior leaves the exact range."""
    tensors: dict[str, Tensor] = {"codebook": parts.codebook.float()}
    tensors |= _halves(parts.encoder, "encoder") | _halves(parts.decoder, "decoder")
    tensors |= {f"prior.{key}": value for key, value in parts.prior.export().items()}
    metadata = {
        "architecture": vqvae.ARCHITECTURE,
        "name": name,
        "licence": licence,
        "description": description,
        "autoencoder": dataclasses.asdict(parts.config),
        "prior": dataclasses.asdict(parts.prior.config),
    }
    return _write(tensors, metadata)


def read_vqvae(data: bytes) -> VqVaeParts:
    """Undo `write_vqvae`. Raises: ModelError."""
    vqvae.parse_model(data, sha256="")  # every check there is
    metadata, tensors = file.read_metadata(data), _tensors(data)
    config = file.read_config(AutoencoderConfig, metadata["autoencoder"])
    parts = VqVaeParts(
        config=config,
        encoder=Encoder(config),
        codebook=tensors["codebook"],
        decoder=Decoder(config),
        prior=PixelCNN(file.read_config(PriorConfig, metadata["prior"])),
    )
    parts.encoder.load_state_dict(file.under(tensors, "encoder."))
    parts.decoder.load_state_dict(file.under(tensors, "decoder."))
    parts.prior.load_integers(file.under(tensors, "prior."))
    return parts


def write_sound_vqvae(
    parts: SoundVqVaeParts, *, name: str, licence: str, description: str
) -> bytes:
    """Write a model file. Raises ModelCorruptError if the prior leaves the exact range, or a
    speaker's name cannot be stored.
    """
    speakers = list(sound_vqvae.read_speakers(list(parts.speakers)))
    tensors: dict[str, Tensor] = {
        "codebook": parts.codebook.float(),
        "speakers": parts.voices.float(),
    }
    tensors |= _halves(parts.encoder, "encoder") | _halves(parts.decoder, "decoder")
    tensors |= {f"prior.{key}": value for key, value in parts.prior.export().items()}
    metadata = {
        "architecture": sound_vqvae.ARCHITECTURE,
        "name": name,
        "licence": licence,
        "description": description,
        "autoencoder": dataclasses.asdict(parts.config),
        "prior": dataclasses.asdict(parts.prior.config),
        "speakers": speakers,
    }
    return _write(tensors, metadata)


def read_sound_vqvae(data: bytes) -> SoundVqVaeParts:
    """Undo `write_sound_vqvae`. Raises: ModelError."""
    sound_vqvae.parse_model(data, sha256="")  # every check there is
    metadata, tensors = file.read_metadata(data), _tensors(data)
    config = file.read_config(SoundAutoencoderConfig, metadata["autoencoder"])
    parts = SoundVqVaeParts(
        config=config,
        encoder=SoundEncoder(config),
        codebook=tensors["codebook"],
        decoder=SoundDecoder(config),
        speakers=tuple(metadata["speakers"]),
        voices=tensors["speakers"],
        prior=WaveNet(file.read_config(WaveNetConfig, metadata["prior"])),
    )
    parts.encoder.load_state_dict(file.under(tensors, "encoder."))
    parts.decoder.load_state_dict(file.under(tensors, "decoder."))
    parts.prior.load_integers(file.under(tensors, "prior."))
    return parts


def write_photo(parts: PhotoParts, *, name: str, licence: str, description: str) -> bytes:
    """Write a model file. Raises ModelCorruptError if the prior leaves the exact range."""
    tensors = _product_tensors(parts) | _networks(parts)
    texts = {"name": name, "licence": licence, "description": description}
    return _write(tensors, _product_metadata(photo.ARCHITECTURE, texts, parts))


def write_photo2(parts: Photo2Parts, *, name: str, licence: str, description: str) -> bytes:
    """Write a model file. Raises ModelCorruptError if integers leave their exact ranges."""
    integers = parts.synthesis.export()
    arrays = {key: _array(value) for key, value in integers.items()}
    exact.check(exact.synthesis(parts.config.synthesis), arrays)
    tensors = _product_tensors(parts) | _packed(parts.analysis, "analysis")
    tensors |= {f"synthesis.{key}": value for key, value in integers.items()}
    tensors |= {f"units.{key}": value for key, value in parts.synthesis.units().items()}
    units = tensors["gains"].double() * parts.synthesis.unit
    scales = 2.0 ** (exact.SCALE_FRACTION - FRACTION_VECTOR) / units
    tensors["scales"] = scales.round().clamp_max(2.0**31 - 1.0).to(torch.int32)
    texts = {"name": name, "licence": licence, "description": description}
    return _write(tensors, _product_metadata(photo2.ARCHITECTURE, texts, parts))


def write_speech(parts: SpeechParts, *, name: str, licence: str, description: str) -> bytes:
    """Write a model file. Raises ModelCorruptError if the prior leaves the exact range."""
    tensors = _product_tensors(parts) | _networks(parts)
    texts = {"name": name, "licence": licence, "description": description}
    return _write(tensors, _product_metadata(speech.ARCHITECTURE, texts, parts))


def read_photo(data: bytes) -> PhotoParts:
    """Undo `write_photo`. Raises: ModelError."""
    photo.parse_model(data, sha256="")  # every check there is
    metadata, tensors = file.read_metadata(data), _tensors(data)
    config = file.read_config(TransformConfig, metadata["transform"])
    parts = PhotoParts(
        config=config,
        analysis=Analysis(config),
        synthesis=Synthesis(config),
        **_read_product(metadata, tensors, config),
    )
    parts.analysis.load_state_dict(file.under(tensors, "analysis."))
    parts.synthesis.load_state_dict(file.under(tensors, "synthesis."))
    return parts


def read_photo2(data: bytes) -> Photo2Parts:
    """Undo `write_photo2`. Raises: ModelError."""
    photo2.parse_model(data, sha256="")  # every check that decoding needs
    metadata, arrays = file.read_metadata(data), file.read_tensors(data)
    tensors = _tensors(data)
    config = file.read_config(DeepTransformConfig, metadata["transform"])
    parts = Photo2Parts(
        config=config,
        analysis=deep_analysis(config),
        synthesis=ExactSynthesis(config.synthesis),
        **_read_product(metadata, tensors, config.analysis),
    )
    weights = AnalysisWeights(transform.analysis(config.analysis), arrays)
    parts.analysis.load_state_dict(
        {key: torch.from_numpy(np.array(weights[key])) for key in weights}
    )
    for key, unit in parts.synthesis.units().items():
        found = file.floats(arrays, f"units.{key}", np.float32, tuple(unit.shape))
        if not (found > 0.0).all():
            raise ModelCorruptError(f"tensor units.{key} is not above 0")
    parts.synthesis.load_integers(file.under(tensors, "synthesis."), file.under(tensors, "units."))
    return parts


class _Product(TypedDict):
    """Parts that models of product codebooks share."""

    product: ProductConfig
    gains: Gains
    prior: LatentPrior
    codebooks: list[Codebooks]


def _read_product(
    metadata: Mapping[str, Any], tensors: Mapping[str, Tensor], config: TransformConfig
) -> _Product:
    """Undo `_product_tensors` of a model that has been checked."""
    prior_config = file.read_config(LatentPriorConfig, metadata["latent_prior"])
    gains, prior = Gains(config), LatentPrior(prior_config, config)
    prior.load_integers(file.under(tensors, "prior."))
    with torch.no_grad():
        gains.octaves.copy_(torch.log2(tensors["gains"]))
    return _Product(
        product=file.read_config(ProductConfig, metadata["product"]),
        gains=gains,
        prior=prior,
        codebooks=[
            reals(file.under(tensors, f"codebooks.{quality}."), prior_config.slices)
            for quality in range(1, config.qualities + 1)
        ],
    )


def _product_tensors(parts: _ProductParts) -> dict[str, Tensor]:
    """Return all tensors but those of analysis and synthesis."""
    octaves = parts.gains.octaves
    qualities = torch.arange(1, len(octaves) + 1, device=octaves.device)
    tensors = {"gains": parts.gains(qualities.float())[:, :, 0, 0].float()}
    tensors |= {f"prior.{key}": value for key, value in parts.prior.export().items()}
    for quality, books in enumerate(parts.codebooks, 1):
        exported = export(books, parts.prior.config.slices)
        tensors |= {f"codebooks.{quality}.{key}": value for key, value in exported.items()}
    return tensors


def _product_metadata(
    architecture: str, texts: Mapping[str, str], parts: _ProductParts
) -> dict[str, Any]:
    return {
        "architecture": architecture,
        **texts,
        "transform": dataclasses.asdict(parts.config),
        "latent_prior": dataclasses.asdict(parts.prior.config),
        "product": dataclasses.asdict(parts.product),
    }


def _networks(parts: PhotoParts | SpeechParts) -> dict[str, Tensor]:
    return _halves(parts.analysis, "analysis") | _halves(parts.synthesis, "synthesis")


def _packed(module: nn.Module, prefix: str) -> dict[str, Tensor]:
    """Return a network's weights in float16, those inside its blocks in 6 bits."""
    tensors = _halves(module, prefix)
    for key, value in module.state_dict().items():
        if packed.is_packed(key):
            levels, scales = packed.quantise(_array(value.float()))
            tensors[f"{prefix}.{key}"] = torch.from_numpy(packed.pack(levels))
            tensors[f"{prefix}.{key}{packed.SCALE}"] = torch.from_numpy(scales)
    return tensors


@torch.no_grad()
def round_analysis(analysis: Analysis) -> None:
    """Give an analysis of photo-2 the weights that it will have in a model file."""
    for key, value in analysis.state_dict().items():
        if packed.is_packed(key):
            rounded = packed.restore(*packed.quantise(_array(value.float())))
            value.copy_(torch.from_numpy(rounded))
        else:
            value.copy_(value.half())


def _halves(module: nn.Module, prefix: str) -> dict[str, Tensor]:
    """Return a network's weights in float16."""
    return {f"{prefix}.{key}": value.half() for key, value in module.state_dict().items()}


def _write(tensors: Mapping[str, Tensor], metadata: Mapping[str, Any]) -> bytes:
    return file.write({key: _array(value) for key, value in tensors.items()}, metadata)


def _array(tensor: Tensor) -> NDArray:
    array: NDArray = tensor.detach().cpu().numpy()
    return array


def _tensors(data: bytes) -> dict[str, Tensor]:
    return {
        key: torch.from_numpy(np.array(value)) for key, value in file.read_tensors(data).items()
    }
