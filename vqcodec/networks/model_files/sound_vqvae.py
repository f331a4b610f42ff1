"""Model files of architecture vqvae-wavenet-1."""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor

from vqcodec.models import file, sound_vqvae
from vqcodec.models.config_sound import SoundAutoencoderConfig, WaveNetConfig
from vqcodec.models.names import read_names
from vqcodec.networks.model_files.codebook import CodebookParts, load, metadata_of, tensors_of
from vqcodec.networks.model_files.tensors import levels, read, write
from vqcodec.networks.sound_autoencoder import SoundDecoder, SoundEncoder
from vqcodec.networks.wavenet import WaveNet


@dataclass(frozen=True, slots=True, kw_only=True)
class SoundVqVaeParts(CodebookParts):
    """What a model is made of while it trains."""

    config: SoundAutoencoderConfig
    encoder: SoundEncoder
    decoder: SoundDecoder
    speakers: tuple[str, ...]
    """Names."""
    voices: Tensor
    """What the decoder is told of each, (S, E)."""
    prior: WaveNet


def write_sound_vqvae(
    parts: SoundVqVaeParts, *, name: str, licence: str, description: str
) -> bytes:
    """Write a model file. Raises ModelCorruptError if the prior leaves the exact range, or a
    speaker's name cannot be stored.
    """
    speakers = list(read_names(list(parts.speakers), "speaker", "speakers"))
    texts = {"name": name, "licence": licence, "description": description}
    metadata = metadata_of(sound_vqvae.ARCHITECTURE, texts, parts)
    tensors = tensors_of(parts, levels) | {"speakers": parts.voices.float()}
    return write(tensors, metadata | {"speakers": speakers})


def read_sound_vqvae(data: bytes) -> SoundVqVaeParts:
    """Undo `write_sound_vqvae`. Raises: ModelError."""
    sound_vqvae.parse_model(data, sha256="")  # every check there is
    metadata, tensors = file.read_metadata(data), read(data)
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
    load(parts, tensors)
    return parts
