"""`paper-speech`: the VQ-VAE of sound of arXiv 1711.00937, section 4.3, and its file.

A model file holds `encoder.*` and `decoder.*` in float16, `speakers`, a row of numbers for each,
in float32, and what `codebook` says. In its metadata `speakers` are their names.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from vqcodec.container import Medium
from vqcodec.models import file, sound_autoencoder, stft
from vqcodec.models.codebook import CodebookModel, nearest, read_fields
from vqcodec.models.config_sound import SoundAutoencoderConfig, WaveNetConfig
from vqcodec.models.names import read_names
from vqcodec.models.sound_autoencoder import SoundAutoencoder
from vqcodec.prior.layer import Float

ARCHITECTURE = "vqvae-wavenet-1"
"""Names the networks; other networks need another name."""
_WINDOW_SECONDS = 5


@dataclass(frozen=True, slots=True, kw_only=True)
class SoundVqVae(CodebookModel):
    """What `vqcodec.load_model` returns for it; see `model.SoundModel`."""

    autoencoder: SoundAutoencoder
    speakers: tuple[str, ...]
    """Names of those whose voices the decoder knows."""
    voices: NDArray[np.float32]
    """What it is told of each, (S, E)."""

    @property
    def medium(self) -> Medium:
        """Sound."""
        return Medium.SOUND

    @property
    def rate(self) -> int:
        """Samples per second."""
        return stft.RATE

    @property
    def hop(self) -> int:
        """Samples per index."""
        return self.autoencoder.config.hop

    @property
    def stride(self) -> int:
        """Elements of a header's shape, which counts frames, per position."""
        return 1

    @property
    def encoder_halo(self) -> int:
        """Indices around a window whose samples can change its latents."""
        return self.autoencoder.encoder_halo

    @property
    def decoder_halo(self) -> int:
        """Indices around a window that can change its samples."""
        return self.autoencoder.decoder_halo

    @property
    def window(self) -> int:
        """Indices of 5 seconds."""
        return _WINDOW_SECONDS * self.rate // self.hop

    def measure(self, samples: NDArray[np.float32], inner: slice) -> NDArray:
        """Map some frames of samples (N hop,) to nearest indices (n, 1)."""
        latents = self.autoencoder.latents(samples, inner)
        return nearest(self.codebook, latents).astype(np.int32)[:, None]

    def samples(
        self, indices: NDArray[np.integer], quality: int, inner: slice, speaker: int = 0
    ) -> NDArray[np.float32]:
        """Map indices (N, 1) to the samples of some of their frames, (n hop,)."""
        codewords = self.codebook[indices[:, 0]]
        return self.autoencoder.samples(codewords, self.voices[speaker], inner)


def parse_model(
    data: bytes, *, sha256: str, device: str = "cpu", dtype: Float = np.float32
) -> SoundVqVae:
    """Read a model file whose hash has been checked; `registry.load.parse_model` says more.

    Raises: ModelError.
    """
    metadata, tensors = file.read_metadata(data), file.read_tensors(data)
    config = file.read_config(SoundAutoencoderConfig, metadata.get("autoencoder"))
    speakers = read_names(metadata.get("speakers"), "speaker", "speakers")
    return SoundVqVae(
        **read_fields(
            metadata,
            tensors,
            sha256=sha256,
            autoencoder=config,
            prior=file.read_config(WaveNetConfig, metadata.get("prior")),
            dtype=dtype,
        ),
        autoencoder=SoundAutoencoder(
            config=config,
            encoder=file.read_engine(
                sound_autoencoder.encoder(config), "encoder", tensors, device, levels=True
            ),
            decoder=file.read_engine(
                sound_autoencoder.decoder(config), "decoder", tensors, device, levels=True
            ),
        ),
        speakers=speakers,
        voices=file.floats(tensors, "speakers", np.float32, (len(speakers), config.speaker_dim)),
    )
