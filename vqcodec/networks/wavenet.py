"""The prior of sound's indices as it trains: a WaveNet in real numbers.

A WaveNet (arXiv 1609.03499, section 2.1; arXiv 1711.00937, section 4.3) over indices:
causal convolutions whose dilations let few layers see far back. Its layers are those of
`trunk`, rectified and residual, instead of gated ones, so that it runs in integers too.
"""

from __future__ import annotations

from vqcodec.models.config_sound import WaveNetConfig
from vqcodec.networks.pixelcnn import IndexPrior
from vqcodec.networks.trunk import DilatedConv


class WaveNet(IndexPrior):
    """Logits of indices (B, M), from left to right."""

    convolution = DilatedConv
    config: WaveNetConfig

    def __init__(self, config: WaveNetConfig) -> None:
        super().__init__(config)
