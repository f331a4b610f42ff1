"""The two-stage VQ-VAE of arXiv 1711.00937, section 4.2: a whole small picture in a few indices.

The first stage makes a grid of indices of a picture, as `vqvae` does; the second makes a few
latents of the grid, whose indices are all that a file holds. A model file holds `encoder.*` and
`decoder.*` of the first stage and `second.encoder.*` in float16, `codebook` and `second.codebooks`
in float32, and `prior.*` and `condition.*` in integers.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from vqcodec.container import Medium
from vqcodec.engines.engine import Engine
from vqcodec.errors import ModelCorruptError
from vqcodec.grid import Box, Size
from vqcodec.models import autoencoder, file, second_stage
from vqcodec.models.codebook import IndexModel, nearest, read_prior
from vqcodec.models.config import AutoencoderConfig, PriorConfig
from vqcodec.models.config_two_stage import SecondStageConfig
from vqcodec.prior.conditional import Condition, ConditionalPrior
from vqcodec.prior.layer import Float
from vqcodec.prior.uniform import uniform_prior

ARCHITECTURE = "vqvae-two-stage-1"
"""Names the networks; other networks need another name."""
_STRIDE = 128
"""Pixels along each axis of the one position that a picture is: no picture is larger."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TwoStage(IndexModel):
    """What `vqcodec.load_model` returns for it; see `model.PictureModel`.

    A picture is one position, and the prior is of the latents. Its fine features are the first
    stage's indices, (1, n, m), and what it measures are indices of the latents.
    """

    config: SecondStageConfig
    codebook: NDArray[np.float32]
    """(K, D): codewords of the first stage."""
    encoder: Engine
    decoder: Engine
    codebooks: NDArray[np.float32]
    """(G, K, D): codewords of each latent."""
    second_encoder: Engine
    second_decoder: ConditionalPrior

    @property
    def medium(self) -> Medium:
        """Pictures."""
        return Medium.PICTURE

    @property
    def codebook_size(self) -> int:
        """Number K of codewords of each latent."""
        return self.config.codebook_size

    @property
    def stride(self) -> int:
        """Pixels along each axis of the one position."""
        return _STRIDE

    @property
    def largest(self) -> Size:
        """Height and width of what the first stage's grid shows."""
        return (self._pixels,) * 2

    @property
    def encoder_halo(self) -> int:
        """There is nothing around a picture."""
        return 0

    @property
    def decoder_halo(self) -> int:
        """There is nothing around a picture."""
        return 0

    @property
    def fine_encoder_halo(self) -> int:
        """There is nothing around a picture."""
        return 0

    @property
    def fine_decoder_halo(self) -> int:
        """There is nothing around a picture."""
        return 0

    @property
    def window(self) -> int:
        """A picture."""
        return 1

    @property
    def is_concurrent(self) -> bool:
        """As the engine of its networks is."""
        return self.decoder.is_concurrent

    def fine_features(self, pixels: NDArray[np.float32], inner: Box) -> NDArray[np.int32]:
        """Map pixels (3, 128, 128) in 0..1, of which the first rows and columns are looked at, to
        the first stage's indices, (side side, 1, 1).
        """
        latents = self.encoder.run(pixels[:, : self._pixels, : self._pixels])
        indices = nearest(self.codebook, latents.reshape(len(latents), -1).T)
        return indices.astype(np.int32)[:, None, None]

    def measure(self, features: NDArray[np.int32], inner: Box) -> NDArray[np.int32]:
        """Map the first stage's indices, (side side, 1, 1), to those of the latents, (1, 1, G)."""
        codewords = self.codebook[features.reshape(self.config.side, self.config.side)]
        latents = self.second_encoder.run(codewords.transpose(2, 0, 1))
        each = zip(self.codebooks, latents.reshape(self.config.latents, 1, -1), strict=True)
        return np.array([[[*(nearest(*pair)[0] for pair in each)]]], dtype=np.int32)

    def coarse_features(
        self, indices: NDArray[np.integer], quality: int, inner: Box
    ) -> NDArray[np.int32]:
        """Draw the first stage's indices, (side side, 1, 1), of those of the latents, (1, 1, G)."""
        return self.second_decoder.draw(indices[0, 0]).reshape(-1, 1, 1)

    def pixels(self, features: NDArray[np.integer], inner: Box) -> NDArray[np.float32]:
        """Map the first stage's indices, (side side, 1, 1), to pixels (3, 128, 128); those beyond
        `largest` are 0.
        """
        codewords = self.codebook[features.reshape(self.config.side, self.config.side)]
        pixels = np.zeros((3, _STRIDE, _STRIDE), dtype=np.float32)
        drawn = self.decoder.run(codewords.transpose(2, 0, 1))
        pixels[:, : self._pixels, : self._pixels] = drawn
        return pixels

    @property
    def _pixels(self) -> int:
        """Side of the largest picture."""
        return self.config.side * 4


def parse_model(
    data: bytes, *, sha256: str, device: str = "cpu", dtype: Float = np.float32
) -> TwoStage:
    """Read a model file whose hash has been checked; `registry.load.parse_model` says more.

    Raises: ModelError.
    """
    metadata, tensors = file.read_metadata(data), file.read_tensors(data)
    first = file.read_config(AutoencoderConfig, metadata.get("autoencoder"))
    second = file.read_config(SecondStageConfig, metadata.get("second"))
    prior = file.read_config(PriorConfig, metadata.get("prior"))
    if prior.codebook_size != first.codebook_size:
        raise ModelCorruptError("the prior's codebook is not the autoencoder's")
    books = (second.latents, second.codebook_size)
    return TwoStage(
        name=str(metadata.get("name", "")),
        sha256=sha256,
        config=second,
        codebook=file.floats(
            tensors, "codebook", np.float32, (first.codebook_size, first.code_dim)
        ),
        encoder=file.read_engine(autoencoder.encoder(first), "encoder", tensors, device),
        decoder=file.read_engine(autoencoder.decoder(first), "decoder", tensors, device),
        codebooks=file.floats(tensors, "second.codebooks", np.float32, (*books, second.code_dim)),
        second_encoder=file.read_engine(
            second_stage.encoder(second, first.code_dim), "second.encoder", tensors, device
        ),
        second_decoder=ConditionalPrior(
            side=second.side,
            condition=Condition.read(
                file.under(tensors, "condition."),
                shape=(*books, second.condition),
                positions=second.side**2,
                channels=prior.channels,
                dtype=dtype,
            ),
            prior=read_prior(file.under(tensors, "prior."), prior, dtype),
        ),
        prior=uniform_prior(*books, dtype),
    )
