"""`speech`: one network, many qualities, product codebooks on latents of 20 ms frames.

A model file holds `analysis.*` and `synthesis.*` in 8 bits or float16, `gains` in float32, and
`prior.*` and `codebooks.Q.*` in integers (format/SPEC.md, section 6, "Priors of one dimension").
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from vqcodec.container import Medium
from vqcodec.errors import ModelCorruptError
from vqcodec.models import file, speech_transform, stft
from vqcodec.models.config_sound import LatentWaveNetConfig, SpeechConfig
from vqcodec.models.product import ProductModel, ProductParts, read_gains, read_product
from vqcodec.models.quality import SIXTEENTHS_MAX, scale_of
from vqcodec.models.speech_transform import SpeechTransform
from vqcodec.prior.layer import Float, Tensors

ARCHITECTURE = "speech-1"
"""Names the networks; other networks need another name."""


def read_latents(
    metadata: Mapping[str, Any], tensors: Tensors, dtype: Float = np.float32
) -> ProductParts:
    """Take prior and codebooks out of a model file's metadata and tensors, after checking them.

    `dtype` is that of the prior's arithmetic. Raises ModelCorruptError.
    """
    config = file.read_config(LatentWaveNetConfig, metadata.get("latent_prior"))
    offsets = tensors.get("prior.quality")
    qualities = 0 if offsets is None or offsets.ndim != 2 else len(offsets)
    if not 1 <= qualities <= SIXTEENTHS_MAX:
        raise ModelCorruptError(f"prior tensor quality is not of 1 to {SIXTEENTHS_MAX} qualities")
    latents = sum(config.slices)
    return read_product(
        metadata, tensors, config, qualities=qualities, latents=latents, dtype=dtype
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Speech(ProductModel):
    """What `vqcodec.load_model` returns for it; see `model.SoundModel`."""

    transform: SpeechTransform

    @property
    def quality_scale(self) -> int:
        """The header counts sixteenths."""
        return scale_of(ARCHITECTURE)

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
        """Samples per frame."""
        return stft.HOP

    @property
    def speakers(self) -> tuple[str, ...]:
        """It knows none."""
        return ()

    @property
    def stride(self) -> int:
        """Elements of a header's shape, which counts frames, per position."""
        return 1

    @property
    def encoder_halo(self) -> int:
        """Frames around a window whose samples can change its latents."""
        return self.transform.encoder_halo

    @property
    def decoder_halo(self) -> int:
        """Frames around a window that can change its samples."""
        return self.transform.decoder_halo

    @property
    def window(self) -> int:
        """500 frames are 10 seconds."""
        return 500

    def measure(self, samples: NDArray[np.float32], inner: slice) -> NDArray:
        """Map some frames of samples (N hop,) to latents (n, D)."""
        return self.transform.latents(samples, inner)

    def samples(
        self, indices: NDArray[np.integer], quality: int, inner: slice, speaker: int = 0
    ) -> NDArray[np.float32]:
        """Map indices (N, G) to the samples of some of their frames, (n hop,).

        Raises CorruptError.
        """
        return self.transform.samples(self.latents(indices, quality), inner)


def parse_model(
    data: bytes, *, sha256: str, device: str = "cpu", dtype: Float = np.float32
) -> Speech:
    """Read a model file whose hash has been checked; `registry.load.parse_model` says more.

    Raises: ModelError.
    """
    metadata, tensors = file.read_metadata(data), file.read_tensors(data)
    config = file.read_config(SpeechConfig, metadata.get("transform"))
    coded = read_latents(metadata, tensors, dtype)
    latents = file.read_config(LatentWaveNetConfig, metadata.get("latent_prior")).slices
    if (len(coded.priors), sum(latents)) != (config.qualities, config.latents):
        raise ModelCorruptError("the prior is not of the transform's qualities and latents")
    return Speech(
        name=str(metadata.get("name", "")),
        sha256=sha256,
        product=coded.product,
        gains=read_gains(tensors, qualities=config.qualities, latents=config.latents),
        priors=coded.priors,
        codebooks=coded.codebooks,
        transform=SpeechTransform(
            config=config,
            analysis=file.read_engine(
                speech_transform.analysis(config), "analysis", tensors, device, levels=True
            ),
            synthesis=file.read_engine(
                speech_transform.synthesis(config), "synthesis", tensors, device, levels=True
            ),
        ),
    )
