"""Encoder of the second of two stages as a list of layers; its decoder is `prior.conditional`."""

from __future__ import annotations

from vqcodec.engines.layers import Conv, Network, Rectifier
from vqcodec.models.autoencoder import residual_blocks
from vqcodec.models.config_two_stage import SecondStageConfig


def encoder(config: SecondStageConfig, code_dim: int) -> Network:
    """Make the network from codewords of the first stage, (`code_dim`, side, side), to all latents,
    (G `config.code_dim`, 1, 1).
    """
    hidden, outputs = config.hidden, config.latents * config.code_dim
    layers = (
        Conv("down1", code_dim, hidden, 4, stride=2, padding=1),
        Rectifier(),
        Conv("down2", hidden, hidden, 4, stride=2, padding=1),
        *residual_blocks(hidden, config.residual_blocks),
        Rectifier(),
        Conv("project", hidden, outputs, config.side // 4),
    )
    return Network(code_dim, outputs, layers)
