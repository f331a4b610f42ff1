"""`paper-speech`: the VQ-VAE of sound of arXiv 1711.00937, section 4.3, and its file.

A model file is safetensors: `encoder.*` and `decoder.*` in float16, `codebook` and `speakers`, a
row of numbers for each, in float32, `prior.*` in integers, and one JSON text in the metadata, in
which `speakers` are their names.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from vqcodec.container import Medium
from vqcodec.engines.engine import Engine, make_engine
from vqcodec.engines.layers import Network
from vqcodec.errors import ModelCorruptError
from vqcodec.models import file, sound_autoencoder, stft
from vqcodec.models.config_sound import SoundAutoencoderConfig, WaveNetConfig
from vqcodec.models.sound_autoencoder import SoundAutoencoder
from vqcodec.models.vqvae import nearest, read_prior
from vqcodec.prior.chooser import KnownIndices
from vqcodec.prior.context import Prior
from vqcodec.prior.layer import Float

ARCHITECTURE = "vqvae-wavenet-1"
"""Names the networks; other networks need another name."""
SPEAKERS_MAX = 4096
"""Encoders try them all."""
_NAME_MAX = 64
_WINDOW_SECONDS = 5


@dataclass(frozen=True, slots=True, kw_only=True)
class SoundVqVae:
    """What `vqcodec.load_model` returns for it; see `model.SoundModel`."""

    name: str
    sha256: str
    """Full SHA-256 of the model file, hexadecimal."""
    autoencoder: SoundAutoencoder
    codebook: NDArray[np.float32]
    """(K, D) codewords."""
    speakers: tuple[str, ...]
    """Names of those whose voices the decoder knows."""
    voices: NDArray[np.float32]
    """What it is told of each, (S, E)."""
    prior: Prior

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
    def qualities(self) -> int:
        """It has none."""
        return 0

    @property
    def codebook_size(self) -> int:
        """Number K of codewords."""
        return len(self.codebook)

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

    def groups(self, quality: int) -> int:
        """One index per position."""
        return 1

    def codewords(self, quality: int) -> tuple[int, ...]:
        """All indices have one."""
        return (self.codebook_size,)

    def prior_of(self, quality: int) -> Prior:
        """Return the only one."""
        return self.prior

    def measure(self, samples: NDArray[np.float32], inner: slice) -> NDArray:
        """Map some frames of samples (N hop,) to nearest indices (n, 1)."""
        latents = self.autoencoder.latents(samples, inner)
        return nearest(self.codebook, latents).astype(np.int32)[:, None]

    def chooser(self, tiles: Sequence[NDArray], quality: int, weight: float) -> KnownIndices:
        """Take the indices that were measured; there is nothing to weigh."""
        indices = np.concatenate([tile.reshape(-1, 1) for tile in tiles])
        return KnownIndices(self.prior.parts, indices)

    def nearest(self, measured: NDArray, quality: int) -> NDArray[np.integer]:
        """Return what was measured."""
        return measured

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
    metadata = file.read_metadata(data)
    config = file.read_config(SoundAutoencoderConfig, metadata.get("autoencoder"))
    prior = file.read_config(WaveNetConfig, metadata.get("prior"))
    if prior.codebook_size != config.codebook_size:
        raise ModelCorruptError("the prior's codebook is not the autoencoder's")
    speakers = read_speakers(metadata.get("speakers"))
    tensors = file.read_tensors(data)

    def engine(network: Network, prefix: str) -> Engine:
        return make_engine(network, file.network_weights(network, prefix, tensors), device)

    return SoundVqVae(
        name=str(metadata.get("name", "")),
        sha256=sha256,
        autoencoder=SoundAutoencoder(
            config=config,
            encoder=engine(sound_autoencoder.encoder(config), "encoder"),
            decoder=engine(sound_autoencoder.decoder(config), "decoder"),
        ),
        codebook=file.floats(
            tensors, "codebook", np.float32, (config.codebook_size, config.code_dim)
        ),
        speakers=speakers,
        voices=file.floats(tensors, "speakers", np.float32, (len(speakers), config.speaker_dim)),
        prior=read_prior(file.under(tensors, "prior."), prior, dtype),
    )


def read_speakers(names: object) -> tuple[str, ...]:
    """Check the names of speakers in a model file's metadata.

    Raises ModelCorruptError unless they are a list of at least one name, each different, of 1 to
    64 printable characters.
    """
    if not isinstance(names, list) or not 1 <= len(names) <= SPEAKERS_MAX:
        raise ModelCorruptError(f"the model's speakers are not a list of 1 to {SPEAKERS_MAX} names")
    for name in names:
        if not (isinstance(name, str) and 1 <= len(name) <= _NAME_MAX and name.isprintable()):
            told = f"not a text of 1 to {_NAME_MAX} printable characters"
            raise ModelCorruptError(f"a speaker of the model is {name!r:.80}, {told}")
    if len(set(names)) != len(names):
        raise ModelCorruptError("two speakers of the model have one name")
    return tuple(names)
