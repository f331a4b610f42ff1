"""The architectures of models that this program can read."""

from __future__ import annotations

from dataclasses import dataclass

from vqcodec.container import Medium


@dataclass(frozen=True, slots=True)
class Architecture:
    """What a model file of an architecture holds."""

    medium: Medium
    """What it is a model of."""
    reader: str
    """The module whose `parse_model` reads the file."""


ARCHITECTURES = {
    "vqvae-pixelcnn-1": Architecture(Medium.PICTURE, "vqcodec.models.vqvae"),
    "vqvae-two-stage-1": Architecture(Medium.PICTURE, "vqcodec.models.two_stage"),
    "vqvae-clip-1": Architecture(Medium.CLIP, "vqcodec.models.clip"),
    "photo-1": Architecture(Medium.PICTURE, "vqcodec.models.photo"),
    "photo-2": Architecture(Medium.PICTURE, "vqcodec.models.photo2"),
    "vqvae-wavenet-1": Architecture(Medium.SOUND, "vqcodec.models.sound_vqvae"),
    "speech-1": Architecture(Medium.SOUND, "vqcodec.models.speech"),
}


def medium_of(architecture: object) -> Medium | None:
    """Return what models of an architecture are models of; None if it is not known."""
    known = ARCHITECTURES.get(architecture) if isinstance(architecture, str) else None
    return None if known is None else known.medium
