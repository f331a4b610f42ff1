"""Model files of architecture speech-1."""

from __future__ import annotations

from dataclasses import dataclass

from vqcodec.models import speech
from vqcodec.models.config_sound import SpeechConfig
from vqcodec.models.quality import scale_of
from vqcodec.networks.latent_wavenet import LatentWaveNet
from vqcodec.networks.model_files.product import ProductParts, metadata_of, tensors_of
from vqcodec.networks.model_files.tensors import levels, write
from vqcodec.networks.speech import Analysis, Synthesis


@dataclass(frozen=True, slots=True, kw_only=True)
class SpeechParts(ProductParts):
    """What a model is made of while it trains."""

    config: SpeechConfig
    analysis: Analysis
    synthesis: Synthesis
    prior: LatentWaveNet

    @property
    def quality_scale(self) -> int:
        """How many times the quality the header of the model's files has."""
        return scale_of(speech.ARCHITECTURE)


def write_speech(parts: SpeechParts, *, name: str, licence: str, description: str) -> bytes:
    """Write a model file. Raises ModelCorruptError if the prior leaves the exact range."""
    tensors = tensors_of(parts)
    tensors |= levels(parts.analysis, "analysis") | levels(parts.synthesis, "synthesis")
    texts = {"name": name, "licence": licence, "description": description}
    return write(tensors, metadata_of(speech.ARCHITECTURE, texts, parts))
