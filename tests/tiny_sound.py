"""A model of sound for tests: a lapped cosine transform between real codebooks and prior.

Its file is that of a model of pictures under another architecture: only the networks differ.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from vqcodec.container import Medium
from vqcodec.models import file, photo
from vqcodec.models.photo import Photo
from vqcodec.prior.chooser import Chooser
from vqcodec.prior.context import Prior
from vqcodec.prior.layer import Float
from vqcodec.registry.architectures import ARCHITECTURES, Architecture

ARCHITECTURE = "tiny-sound-1"
HOP = 320
GAIN = 30.0
"""Of latents beside samples: so the codewords that are nearest are many."""
LAP = HOP // 2
"""Samples of the neighbours on each side that a frame's window takes in."""


def register() -> None:
    """Let this process read such models."""
    ARCHITECTURES[ARCHITECTURE] = Architecture(Medium.SOUND, __name__)


def model_bytes(photo_data: bytes, name: str = "tiny-sound") -> bytes:
    """Make a model's file of one of pictures."""
    metadata = file.read_metadata(photo_data) | {"architecture": ARCHITECTURE, "name": name}
    return file.write(file.read_tensors(photo_data), metadata)


def basis(latents: int) -> NDArray[np.float64]:
    """Return windowed cosines, (HOP + 2 LAP, latents)."""
    n = np.arange(HOP + 2 * LAP)[:, None]
    window = np.sin(np.pi * (n + 0.5) / len(n))
    cosines = np.cos(np.pi / HOP * (n + 0.5 + HOP / 2) * (np.arange(latents) + 0.5))
    return window * cosines * np.sqrt(2 / HOP)


@dataclass(frozen=True, slots=True)
class TinySound:
    """See `vqcodec.models.model.SoundModel`."""

    name: str
    sha256: str
    photo: Photo
    """Whose indices it has."""
    medium: Medium = Medium.SOUND
    stride: int = 1
    quality_scale: int = 1
    rate: int = 16000
    hop: int = HOP
    speakers: tuple[str, ...] = ()
    encoder_halo: int = 1
    decoder_halo: int = 1
    window: int = 100

    @property
    def qualities(self) -> int:
        return self.photo.qualities

    @property
    def codebook_size(self) -> int:
        return self.photo.codebook_size

    @property
    def largest(self) -> None:
        return None

    def groups(self, quality: int) -> int:
        return self.photo.groups(quality)

    def codewords(self, quality: int) -> tuple[int, ...]:
        return self.photo.codewords(quality)

    def prior_of(self, quality: int) -> Prior:
        return self.photo.prior_of(quality)

    def chooser(self, tiles: Sequence[NDArray], quality: int, weight: float) -> Chooser:
        return self.photo.chooser(tiles, quality, weight)

    def nearest(self, measured: NDArray, quality: int) -> NDArray[np.integer]:
        return self.photo.nearest(measured, quality)

    def measure(self, samples: NDArray[np.float32], inner: slice) -> NDArray:
        padded = np.pad(samples.astype(np.float64), LAP)
        starts = HOP * np.arange(inner.start, inner.stop)
        frames = padded[starts[:, None] + np.arange(HOP + 2 * LAP)]
        return (GAIN * frames @ basis(self.photo.config.latents)).astype(np.float32)

    def samples(
        self, indices: NDArray[np.integer], quality: int, inner: slice, speaker: int = 0
    ) -> NDArray[np.float32]:
        scaled = self.photo.codebooks[quality - 1].values(indices)
        latents = (scaled / self.photo.gains[quality - 1]).astype(np.float64)
        frames = latents / GAIN @ basis(self.photo.config.latents).T
        out = np.zeros(HOP * len(frames) + 2 * LAP)
        for number, frame in enumerate(frames):
            out[HOP * number : HOP * (number + 1) + 2 * LAP] += frame
        kept = out[LAP + HOP * inner.start : LAP + HOP * inner.stop]
        return kept.astype(np.float32)


def parse_model(
    data: bytes, *, sha256: str, device: str = "cpu", dtype: Float = np.float32
) -> TinySound:
    """Read a model's file."""
    own = photo.parse_model(data, sha256=sha256, device=device, dtype=dtype)
    return TinySound(own.name, sha256, own)
