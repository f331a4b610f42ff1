"""Configurations of the networks of pictures, and of product codebooks of any medium.

There is a frozen dataclass for each network. A network is built from it alone, and it is part
of the model file's metadata. Nothing here imports torch, so that tools can read model files.
"""

from __future__ import annotations

from dataclasses import dataclass

from vqcodec.models.quality import SIXTEENTHS_MAX
from vqcodec.prior.taps import TrunkTaps, wedge


@dataclass(frozen=True, slots=True, kw_only=True)
class AutoencoderConfig:
    """Encoder, codebook and decoder (arXiv 1711.00937, section 4.1)."""

    hidden: int = 256
    """Channels of every hidden layer."""
    residual_blocks: int = 2
    """Residual blocks in the encoder, and again in the decoder."""
    code_dim: int = 64
    """Length D of a codeword."""
    codebook_size: int = 512
    """Number K of codewords, 2 to 4096; an index is 0..K-1."""

    def __post_init__(self) -> None:
        require(1 <= self.hidden <= 1024, "autoencoder.hidden must be 1 to 1024")
        require(0 <= self.residual_blocks <= 16, "autoencoder.residual_blocks must be 0 to 16")
        require(1 <= self.code_dim <= 1024, "autoencoder.code_dim must be 1 to 1024")
        require(2 <= self.codebook_size <= 4096, "autoencoder.codebook_size must be 2 to 4096")

    @property
    def stride(self) -> int:
        """Pixels per index along each axis: two stride-2 layers make 4."""
        return 4

    @property
    def encoder_halo(self) -> int:
        """Indices around a window whose pixels can change its latents."""
        return self.residual_blocks + 1

    @property
    def decoder_halo(self) -> int:
        """Indices around a window that can change its pixels."""
        return self.residual_blocks + 2


@dataclass(frozen=True, slots=True, kw_only=True)
class PriorConfig:
    """The integer PixelCNN (format/SPEC.md, section "Prior")."""

    codebook_size: int = 512
    """Number K of symbols."""
    embedding: int = 32
    """Integers that describe one index to the first layer."""
    channels: int = 128
    """Width C of the residual stream and of every layer."""
    layers: int = 6
    """Wedge-masked 3x3 layers after the first, 5x5 one."""

    def __post_init__(self) -> None:
        require(2 <= self.codebook_size <= 4096, "prior.codebook_size must be 2 to 4096")
        require(1 <= self.embedding <= 90, "prior.embedding must be 1 to 90")
        require(1 <= self.channels <= 192, "prior.channels must be 1 to 192")
        require(0 <= self.layers <= 32, "prior.layers must be 0 to 32")

    @property
    def taps(self) -> TrunkTaps:
        """What its layers read."""
        return wedge(self.layers)


@dataclass(frozen=True, slots=True, kw_only=True)
class TransformConfig:
    """Analysis and synthesis transform of `photo` (`networks.transform`)."""

    widths: tuple[int, int, int] = (96, 192, 256)
    """Channels at 1/4, 1/8 and 1/16 of the resolution."""
    depths: tuple[int, int, int] = (1, 2, 3)
    """Residual blocks there."""
    latents: int = 320
    """Latent channels D."""
    details: int = 128
    """The last of them, which are a linear transform of 16x16 blocks."""
    qualities: int = 8
    """Qualities Q, 1..Q, that have gains of their own."""
    gain_octaves: float = 3.0
    """Octaves between the first gains of the lowest and the highest quality."""

    def __post_init__(self) -> None:
        require(_three(self.widths, 1, 1024), "transform.widths must be three of 1 to 1024")
        require(_three(self.depths, 0, 16), "transform.depths must be three of 0 to 16")
        require(2 <= self.latents <= 1024, "transform.latents must be 2 to 1024")
        require(1 <= self.details < self.latents, "transform.details must be 1 to latents - 1")
        require(1 <= self.qualities <= 64, "transform.qualities must be 1 to 64")
        require(0.0 <= self.gain_octaves <= 32.0, "transform.gain_octaves must be 0 to 32")

    @property
    def stride(self) -> int:
        """Pixels per latent along each axis."""
        return 16

    @property
    def encoder_halo(self) -> int:
        """Positions around a window whose pixels can change its latents."""
        return 2 * self.depths[2] + self.fine_encoder_halo

    @property
    def fine_encoder_halo(self) -> int:
        """Positions around a window whose pixels can change what enters its coarse layers."""
        fine, middle, _ = self.depths
        # In quarters of the resolution: each block reaches 2, each halving 1 more.
        at_quarter = 1 + 2 * fine + 1 + 2 * (2 * middle + 1)
        return -(-at_quarter // 4)

    @property
    def decoder_halo(self) -> int:
        """Positions around a window that can change its pixels."""
        return 1 + 2 * self.depths[2] + self.fine_decoder_halo

    @property
    def fine_decoder_halo(self) -> int:
        """Positions around a window where what leaves the coarse layers can change its pixels."""
        fine, middle, _ = self.depths
        at_quarter = 2 * fine + 1 + 2 * 2 * middle
        return -(-at_quarter // 4)


@dataclass(frozen=True, slots=True, kw_only=True)
class DeepTransformConfig:
    """Analysis and synthesis transform of `photo-2` (`networks.deep`)."""

    widths: tuple[int, int, int] = (96, 192, 256)
    """Channels at 1/4, 1/8 and 1/16 of the resolution."""
    analysis_depths: tuple[int, int, int] = (2, 5, 8)
    """Residual blocks there, from pixels to latents."""
    synthesis_depths: tuple[int, int, int] = (2, 3, 6)
    """Residual blocks there, from latents to pixels."""
    latents: int = 640
    """Latent channels D."""
    details: int = 448
    """The last of them, which are a linear transform of 16x16 blocks."""
    qualities: int = 12
    """Qualities Q, 1..Q, that have gains of their own."""

    def __post_init__(self) -> None:
        require_sixteenths(self.qualities)
        for depths in (self.analysis_depths, self.synthesis_depths):
            self._with(depths)  # checks every field

    @property
    def analysis(self) -> TransformConfig:
        """What the analysis, the gains and the prior are built of."""
        return self._with(self.analysis_depths)

    @property
    def synthesis(self) -> TransformConfig:
        """What the synthesis is built of."""
        return self._with(self.synthesis_depths)

    def _with(self, depths: tuple[int, int, int]) -> TransformConfig:
        return TransformConfig(
            widths=self.widths,
            depths=depths,
            latents=self.latents,
            details=self.details,
            qualities=self.qualities,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class LatentPriorConfig:
    """The prior of `photo`'s latents (`networks.latent_prior`)."""

    channels: int = 256
    """Width of the context over positions."""
    layers: int = 2
    """Wedge-masked 3x3 layers after the first, 5x5 one."""
    slices: tuple[int, ...] = (32, 32, 32, 32, 32, 32, 64, 64)
    """Latent channels in each of the parts that a position is coded in."""
    hidden: int = 256
    """Width of the network of each slice."""

    def __post_init__(self) -> None:
        require(1 <= self.channels <= 512, "latent_prior.channels must be 1 to 512")
        require(0 <= self.layers <= 32, "latent_prior.layers must be 0 to 32")
        require_slices(self.slices)
        require(1 <= self.hidden <= 1024, "latent_prior.hidden must be 1 to 1024")

    @property
    def taps(self) -> TrunkTaps:
        """What its layers read."""
        return wedge(self.layers)


@dataclass(frozen=True, slots=True, kw_only=True)
class ProductConfig:
    """Product codebooks of `photo` and `speech` (`networks.product`)."""

    codebook_size: int = 256
    """Codewords K of each group."""
    distance_bits: float = 24.0
    """Bits that an encoder pays for a squared distance less by 1, in the unit of scaled latents."""

    def __post_init__(self) -> None:
        require(2 <= self.codebook_size <= 4096, "product.codebook_size must be 2 to 4096")
        require(1e-6 <= self.distance_bits < 1e6, "product.distance_bits must be 1e-6 to 1e6")


def require(condition: bool, message: str) -> None:
    """Raise ValueError with the message unless the condition holds."""
    if not condition:
        raise ValueError(message)


def require_sixteenths(qualities: int) -> None:
    """Check the number of qualities of a model whose files count sixteenths of them. Raises
    ValueError.
    """
    fits = 1 <= qualities <= SIXTEENTHS_MAX
    require(fits, f"transform.qualities must be 1 to {SIXTEENTHS_MAX}")


def require_slices(slices: tuple[int, ...]) -> None:
    """Check the slices of a prior of latents. Raises ValueError."""
    many = isinstance(slices, tuple) and 1 <= len(slices) <= 64
    require(many, "latent_prior.slices must be a list of 1 to 64 numbers")
    require(all(width >= 1 for width in slices), "latent_prior.slices must be at least 1 each")


def _three(values: tuple[int, ...], least: int, most: int) -> bool:
    return len(values) == 3 and all(least <= value <= most for value in values)
