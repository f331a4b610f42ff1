"""What is known of sound's latents before they are decoded: `latent_prior` in one dimension.

The positions are frames, of which those before are seen through the causal dilated
convolutions of a WaveNet (arXiv 1609.03499, section 2.1). Later frames read all latents.
"""

from __future__ import annotations

from vqcodec.models.config_sound import LatentWaveNetConfig
from vqcodec.networks.latent_prior import GaussianPrior
from vqcodec.networks.trunk import DilatedConv


class LatentWaveNet(GaussianPrior):
    """Means and scales of latents (B, D, M), from left to right."""

    convolution = DilatedConv
    config: LatentWaveNetConfig

    def __init__(self, config: LatentWaveNetConfig, qualities: int) -> None:
        """The slices are all D latents; `qualities` is the number Q of qualities."""
        super().__init__(config, coarse=sum(config.slices), qualities=qualities)
