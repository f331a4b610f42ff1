"""Configuration of the second of two stages; see `config`."""

from __future__ import annotations

from dataclasses import dataclass

from vqcodec.models.config import require


@dataclass(frozen=True, slots=True, kw_only=True)
class SecondStageConfig:
    """From a whole grid of indices to a few latents, and back (arXiv 1711.00937, section 4.2)."""

    side: int = 21
    """Rows, and columns, of the first stage's indices of a picture."""
    latents: int = 3
    """Number G of latents, each with a codebook of its own."""
    codebook_size: int = 512
    """Number K of codewords of each; an index is 0..K-1."""
    code_dim: int = 64
    """Length of a codeword."""
    hidden: int = 256
    """Channels of every hidden layer of the encoder."""
    residual_blocks: int = 2
    """Residual blocks of the encoder."""
    condition: int = 128
    """Width of the layers that tell the decoder at each position what the latents say."""

    def __post_init__(self) -> None:
        require(4 <= self.side <= 32, "second.side must be 4 to 32")
        require(1 <= self.latents <= 16, "second.latents must be 1 to 16")
        require(2 <= self.codebook_size <= 4096, "second.codebook_size must be 2 to 4096")
        require(1 <= self.code_dim <= 1024, "second.code_dim must be 1 to 1024")
        require(1 <= self.hidden <= 1024, "second.hidden must be 1 to 1024")
        require(0 <= self.residual_blocks <= 16, "second.residual_blocks must be 0 to 16")
        require(1 <= self.condition <= 192, "second.condition must be 1 to 192")
