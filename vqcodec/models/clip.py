"""Clips in latent space (arXiv 1711.00937, section 4.4): a VQ-VAE of frames, and a prior of the
indices of a frame that sees those of the frame before.

A model file holds what one of `vqvae` does and `temporal.*` in integers. In its metadata are also
the names of the actions that lead from a frame to the next.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from vqcodec.container import Medium
from vqcodec.engines.samples import to_samples, to_unit
from vqcodec.entropy.sampler import Sampler
from vqcodec.grid import Box, whole
from vqcodec.models import autoencoder, file
from vqcodec.models.codebook import read_fields
from vqcodec.models.config import AutoencoderConfig, PriorConfig
from vqcodec.models.config_clip import ClipConfig, TemporalConfig
from vqcodec.models.steady import spacing, steady
from vqcodec.models.vqvae import VqVae
from vqcodec.prior import likelihood
from vqcodec.prior.chooser import KnownIndices
from vqcodec.prior.context import ToldPrior
from vqcodec.prior.layer import Float
from vqcodec.prior.temporal import NOTHING, Temporal

ARCHITECTURE = "vqvae-clip-1"
"""Names the networks; other networks need another name."""
STEADINESS = 2.0
"""How readily an encoder keeps the index of the frame before; 0 takes the nearest one."""
UNKNOWN_ACTION = 0
"""The action that nothing is known of, such as that before a clip's first frame."""

Frame = NDArray[np.integer]
"""The indices of a frame, (N, M), 0..K-1; of a frame before also `temporal.NOTHING`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ClipVqVae(VqVae):
    """What `vqcodec.load_model` returns for it: a `vqvae` of frames.

    Its prior alone is that of no frame: `prior_after` gives these.
    """

    clip: ClipConfig
    temporal: Temporal
    spacing: float
    """Of its codebook, see `models.steady`."""

    @property
    def medium(self) -> Medium:
        """Clips."""
        return Medium.CLIP

    def action(self, name: str) -> int:
        """Return the number of an action. Raises ValueError if the model knows none of the name."""
        if name not in self.clip.actions:
            known = ", ".join(map(repr, self.clip.actions))
            raise ValueError(f"{self.name} knows no action {name!r}; it knows {known}")
        return 1 + self.clip.actions.index(name)

    def nothing(self, height: int, width: int) -> NDArray[np.int32]:
        """Return what there is before the first of frames of `height` by `width` pixels."""
        size = (height // self.stride, width // self.stride)
        return np.full(size, NOTHING, dtype=np.int32)

    def fine_features(self, pixels: NDArray[np.float32], inner: Box) -> NDArray:
        """Map some of pixels (3, H, W) in 0..1, whole strides, to latents (D, n, m)."""
        return self.encoder.run(pixels, inner=inner)

    def measure(self, features: NDArray, inner: Box) -> NDArray:
        """Return some of the latents (D, N, M), as (n, m, D)."""
        return features.transpose(1, 2, 0)[inner]

    def chooser(self, tiles: Sequence[NDArray], quality: int, weight: float) -> KnownIndices:
        """Take the nearest of latents (..., D); there is nothing to weigh."""
        indices = [self.nearest(tile, quality).reshape(-1, 1) for tile in tiles]
        return KnownIndices(self.prior.parts, np.concatenate(indices))

    def nearest(self, measured: NDArray, quality: int) -> NDArray[np.int32]:
        """Map latents (..., D) to the indices of the nearest codewords, (..., 1)."""
        return self.steady(measured, None)[..., None]

    def steady(
        self, latents: NDArray, before: Frame | None, steadiness: float = STEADINESS
    ) -> NDArray[np.int32]:
        """Map latents (N, M, D) to indices (N, M): the nearest ones, or those of the frame before
        where their codewords are farther by no more than `steadiness` times the squared distance
        between codewords.
        """
        return steady(self.codebook, latents, before, steadiness * self.spacing)

    def frame_indices(
        self,
        samples: NDArray[np.uint8],
        before: Frame | None = None,
        steadiness: float = STEADINESS,
    ) -> NDArray[np.int32]:
        """Map a frame's samples, (4 N, 4 M, 3), to indices, (N, M), as `steady` does.

        Raises ValueError for another shape.
        """
        height, width, *others = samples.shape
        if others != [3] or height % self.stride or width % self.stride or not samples.size:
            raise ValueError(f"a frame is {samples.shape}, not whole strides and 3 channels")
        latents = self.fine_features(to_unit(samples), whole((height, width)))
        return self.steady(latents.transpose(1, 2, 0), before, steadiness)

    def frame_samples(self, indices: Frame) -> NDArray[np.uint8]:
        """Map a frame's indices, (N, M), to its samples, (4 N, 4 M, 3).

        Raises ValueError for an index without a codeword.
        """
        self._require(indices, least=0)
        return to_samples(self.pixels(indices[None], whole(indices.shape)))

    def prior_after(self, before: Frame, action: int = UNKNOWN_ACTION) -> ToldPrior:
        """Return the prior of the frame that follows the frame `before`, (N, M), by an action.

        Raises ValueError for an index or an action that there is not.
        """
        self._require(before, least=NOTHING)
        if not 0 <= action <= len(self.clip.actions):
            raise ValueError(f"action is {action}, not 0 to {len(self.clip.actions)}")
        offsets = self.temporal.offsets(before, action)
        return ToldPrior.of(self.prior, offsets)

    def bits(self, frame: Frame, before: Frame, action: int = UNKNOWN_ACTION) -> float:
        """Return the cost in bits of a frame's indices, (N, M), given those before.

        Raises ValueError as `prior_after`, and for frames of two sizes.
        """
        self._require(frame, least=0)
        if frame.shape != before.shape:
            raise ValueError(f"frames are of two sizes, {frame.shape} and {before.shape}")
        return likelihood.bits_of(self.prior_after(before, action), frame)

    def draw(
        self, before: Frame, action: int = UNKNOWN_ACTION, *, sampler: Sampler
    ) -> NDArray[np.int32]:
        """Draw the indices, (N, M), of the frame that follows the frame `before` by an action:
        the same ones on every machine.

        Raises ValueError as `prior_after`.
        """
        return likelihood.draw(self.prior_after(before, action), before.shape, sampler)

    def _require(self, indices: Frame, least: int) -> None:
        """Raise ValueError unless indices are (N, M), each `least` to K - 1."""
        most = self.codebook_size - 1
        right = indices.ndim == 2 and indices.size and least <= indices.min()
        if not right or indices.max() > most:
            raise ValueError(f"a frame's indices are not rows and columns of {least} to {most}")


def parse_model(
    data: bytes, *, sha256: str, device: str = "cpu", dtype: Float = np.float32
) -> ClipVqVae:
    """Read a model file whose hash has been checked; `registry.load.parse_model` says more.

    Raises: ModelError.
    """
    metadata, tensors = file.read_metadata(data), file.read_tensors(data)
    config = file.read_config(AutoencoderConfig, metadata.get("autoencoder"))
    prior = file.read_config(PriorConfig, metadata.get("prior"))
    temporal = file.read_config(TemporalConfig, metadata.get("temporal"))
    clip = file.read_config(ClipConfig, metadata.get("clip"))
    return ClipVqVae(
        **read_fields(
            metadata, tensors, sha256=sha256, autoencoder=config, prior=prior, dtype=dtype
        ),
        config=config,
        encoder=file.read_engine(autoencoder.encoder(config), "encoder", tensors, device),
        decoder=file.read_engine(autoencoder.decoder(config), "decoder", tensors, device),
        clip=clip,
        spacing=spacing(tensors["codebook"]),
        temporal=Temporal.read(
            file.under(tensors, "temporal."),
            codebook_size=config.codebook_size,
            embedding=temporal.embedding,
            actions=len(clip.actions),
            channels=temporal.channels,
            taps=temporal.taps,
            outputs=prior.channels,
            dtype=dtype,
        ),
    )
