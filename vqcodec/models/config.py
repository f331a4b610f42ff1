"""Configuration of the networks. Imports no torch, so that tools can read it.

One frozen dataclass per network; it is the network's only constructor
argument and travels in the model file's metadata.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from vqcodec.prior.taps import TrunkTaps, dilated, wedge


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
        _require(1 <= self.hidden <= 1024, "autoencoder.hidden must be 1 to 1024")
        _require(0 <= self.residual_blocks <= 16, "autoencoder.residual_blocks must be 0 to 16")
        _require(1 <= self.code_dim <= 1024, "autoencoder.code_dim must be 1 to 1024")
        _require(2 <= self.codebook_size <= 4096, "autoencoder.codebook_size must be 2 to 4096")

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
        _require(2 <= self.codebook_size <= 4096, "prior.codebook_size must be 2 to 4096")
        _require(1 <= self.embedding <= 90, "prior.embedding must be 1 to 90")
        _require(1 <= self.channels <= 192, "prior.channels must be 1 to 192")
        _require(0 <= self.layers <= 32, "prior.layers must be 0 to 32")

    @property
    def taps(self) -> TrunkTaps:
        """What its layers read."""
        return wedge(self.layers)


@dataclass(frozen=True, slots=True, kw_only=True)
class WaveNetConfig:
    """The integer WaveNet (format/SPEC.md, section "Priors of one dimension")."""

    codebook_size: int = 512
    """Number K of symbols."""
    embedding: int = 32
    """Integers that describe one index to the first layer."""
    channels: int = 128
    """Width C of the residual stream and of every layer."""
    first_kernel_size: int = 4
    """Positions before its own that the first layer reads."""
    kernel_size: int = 2
    """Positions that each further layer reads, its own among them."""
    dilations: tuple[int, ...] = (1, 2, 4, 8, 16, 32, 64, 128)
    """How far apart these are, layer by layer."""

    def __post_init__(self) -> None:
        _require(2 <= self.codebook_size <= 4096, "prior.codebook_size must be 2 to 4096")
        _require(1 <= self.embedding <= 512, "prior.embedding must be 1 to 512")
        _require(1 <= self.channels <= 512, "prior.channels must be 1 to 512")
        _require_dilated("prior", self.first_kernel_size, self.kernel_size, self.dilations)

    @property
    def taps(self) -> TrunkTaps:
        """What its layers read."""
        return dilated(self.first_kernel_size, self.kernel_size, self.dilations)


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
        _require(_three(self.widths, 1, 1024), "transform.widths must be three of 1 to 1024")
        _require(_three(self.depths, 0, 16), "transform.depths must be three of 0 to 16")
        _require(2 <= self.latents <= 1024, "transform.latents must be 2 to 1024")
        _require(1 <= self.details < self.latents, "transform.details must be 1 to latents - 1")
        _require(1 <= self.qualities <= 64, "transform.qualities must be 1 to 64")
        _require(0.0 <= self.gain_octaves <= 32.0, "transform.gain_octaves must be 0 to 32")

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
class SpeechConfig:
    """Analysis and synthesis transform of `speech` (`networks.speech`)."""

    width: int = 256
    """Channels of the residual stream of both networks."""
    hidden: int = 768
    """Channels inside a block."""
    analysis_depth: int = 6
    """Blocks from the spectrum to latents."""
    synthesis_depth: int = 8
    """Blocks from latents to the spectrum."""
    latents: int = 64
    """Latent channels D of a frame."""
    qualities: int = 6
    """Qualities Q, 1..Q, that have gains of their own."""
    gain_octaves: float = 3.0
    """Octaves between the first gains of the lowest and the highest quality."""

    def __post_init__(self) -> None:
        depths = (self.analysis_depth, self.synthesis_depth)
        _require(1 <= self.width <= 1024, "transform.width must be 1 to 1024")
        _require(1 <= self.hidden <= 4096, "transform.hidden must be 1 to 4096")
        _require(all(0 <= depth <= 32 for depth in depths), "transform.*_depth must be 0 to 32")
        _require(2 <= self.latents <= 1024, "transform.latents must be 2 to 1024")
        _require(1 <= self.qualities <= 64, "transform.qualities must be 1 to 64")
        _require(0.0 <= self.gain_octaves <= 32.0, "transform.gain_octaves must be 0 to 32")


@dataclass(frozen=True, slots=True, kw_only=True)
class SoundAutoencoderConfig:
    """Encoder, codebook and decoder of sound (arXiv 1711.00937, section 4.3)."""

    strides: tuple[int, ...] = (2, 2, 2, 2, 2, 2)
    """Of the encoder's convolutions; multiplied, the samples per index: 64, 250 Hz."""
    widths: tuple[int, ...] = (32, 64, 128, 256, 256, 256)
    """Channels behind each."""
    encoder_depth: int = 2
    """Residual blocks behind the last."""
    encoder_hidden: int = 512
    """Channels inside these blocks."""
    code_dim: int = 64
    """Length D of a codeword."""
    codebook_size: int = 512
    """Number K of codewords, 2 to 4096; an index is 0..K-1."""
    speaker_dim: int = 64
    """Numbers that describe a speaker to the decoder."""
    spectrum_hop: int = 64
    """Samples per frame of the decoder's spectra; a codeword is cut in equal parts for those that
    an index has."""
    decoder_width: int = 192
    """Channels of the decoder's residual stream."""
    decoder_hidden: int = 512
    """Channels inside its blocks."""
    decoder_depth: int = 8
    """Its blocks."""

    def __post_init__(self) -> None:
        many = isinstance(self.strides, tuple) and 1 <= len(self.strides) <= 16
        _require(many, "autoencoder.strides must be a list of 1 to 16 numbers")
        _require(all(2 <= s <= 8 for s in self.strides), "autoencoder.strides must be 2 to 8 each")
        _require(
            isinstance(self.widths, tuple) and len(self.widths) == len(self.strides),
            "autoencoder.widths must be as many as strides",
        )
        _require(all(1 <= w <= 1024 for w in self.widths), "autoencoder.widths must be 1 to 1024")
        depths = (self.encoder_depth, self.decoder_depth)
        _require(all(0 <= d <= 32 for d in depths), "autoencoder.*_depth must be 0 to 32")
        hidden = (self.encoder_hidden, self.decoder_hidden)
        _require(all(1 <= h <= 4096 for h in hidden), "autoencoder.*_hidden must be 1 to 4096")
        _require(1 <= self.code_dim <= 1024, "autoencoder.code_dim must be 1 to 1024")
        _require(2 <= self.codebook_size <= 4096, "autoencoder.codebook_size must be 2 to 4096")
        _require(1 <= self.speaker_dim <= 1024, "autoencoder.speaker_dim must be 1 to 1024")
        _require(1 <= self.decoder_width <= 1024, "autoencoder.decoder_width must be 1 to 1024")
        _require(self.hop <= 2048, "autoencoder.strides must be 2048 multiplied, at most")
        even = 32 <= self.spectrum_hop <= 1024 and self.spectrum_hop % 2 == 0
        _require(even, "autoencoder.spectrum_hop must be an even number from 32 to 1024")
        _require(
            self.hop % self.spectrum_hop == 0,
            "autoencoder.strides multiplied must be a multiple of spectrum_hop",
        )
        _require(
            self.code_dim % self.frames == 0,
            f"autoencoder.code_dim must be a multiple of {self.frames}, the frames of an index",
        )

    @property
    def hop(self) -> int:
        """Samples per index."""
        return math.prod(self.strides)

    @property
    def frames(self) -> int:
        """Frames of the decoder's spectra per index."""
        return self.hop // self.spectrum_hop


@dataclass(frozen=True, slots=True, kw_only=True)
class WaveNetDecoderConfig:
    """The paper's decoder of sound (`networks.wavenet_decoder`), which no model file holds."""

    channels: int = 64
    """Width of the residual stream."""
    skip: int = 128
    """Width of what all layers add up to."""
    dilations: tuple[int, ...] = (1, 2, 4, 8, 16, 32, 64, 128, 256, 512) * 2
    """How far apart the two samples are that a layer reads, layer by layer."""
    speaker_dim: int = 32
    """Numbers that describe a speaker."""

    def __post_init__(self) -> None:
        sizes = (self.channels, self.skip, self.speaker_dim, *self.dilations)
        _require(
            all(size >= 1 for size in sizes),
            "decoder.channels, skip, dilations and speaker_dim must be at least 1",
        )
        _require(len(self.dilations) >= 1, "decoder.dilations must be at least one")


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
        _require(1 <= self.channels <= 512, "latent_prior.channels must be 1 to 512")
        _require(0 <= self.layers <= 32, "latent_prior.layers must be 0 to 32")
        _require_slices(self.slices)
        _require(1 <= self.hidden <= 1024, "latent_prior.hidden must be 1 to 1024")

    @property
    def taps(self) -> TrunkTaps:
        """What its layers read."""
        return wedge(self.layers)


@dataclass(frozen=True, slots=True, kw_only=True)
class LatentWaveNetConfig:
    """The prior of `speech`'s latents (`networks.latent_wavenet`)."""

    channels: int = 256
    """Width of the context over positions."""
    first_kernel_size: int = 4
    """Positions before its own that the first layer reads."""
    kernel_size: int = 2
    """Positions that each further layer reads, its own among them."""
    dilations: tuple[int, ...] = (1, 2, 4, 8, 16, 32, 64, 128)
    """How far apart these are, layer by layer."""
    slices: tuple[int, ...] = (16, 16, 16, 16)
    """Latent channels in each of the parts that a position is coded in."""
    hidden: int = 256
    """Width of the network of each slice."""

    def __post_init__(self) -> None:
        _require(1 <= self.channels <= 512, "latent_prior.channels must be 1 to 512")
        _require_dilated("latent_prior", self.first_kernel_size, self.kernel_size, self.dilations)
        _require_slices(self.slices)
        _require(sum(self.slices) <= 1024, "latent_prior.slices must be 1024 in all at most")
        _require(1 <= self.hidden <= 1024, "latent_prior.hidden must be 1 to 1024")

    @property
    def taps(self) -> TrunkTaps:
        """What its layers read."""
        return dilated(self.first_kernel_size, self.kernel_size, self.dilations)


@dataclass(frozen=True, slots=True, kw_only=True)
class ProductConfig:
    """Codebooks of `photo` (`networks.product`)."""

    codebook_size: int = 256
    """Codewords K of each group."""
    distance_bits: float = 24.0
    """Bits that an encoder pays for a squared distance less by 1, in the unit of scaled latents."""

    def __post_init__(self) -> None:
        _require(2 <= self.codebook_size <= 4096, "product.codebook_size must be 2 to 4096")
        _require(1e-6 <= self.distance_bits < 1e6, "product.distance_bits must be 1e-6 to 1e6")


def _require_slices(slices: tuple[int, ...]) -> None:
    many = isinstance(slices, tuple) and 1 <= len(slices) <= 64
    _require(many, "latent_prior.slices must be a list of 1 to 64 numbers")
    _require(all(width >= 1 for width in slices), "latent_prior.slices must be at least 1 each")


def _require_dilated(
    table: str, first_kernel_size: int, kernel_size: int, dilations: tuple[int, ...]
) -> None:
    """Check the layers of a prior of one dimension, which must not see further back than the
    longest tile reaches: what decoders keep grows with it.
    """
    _require(1 <= first_kernel_size <= 16, f"{table}.first_kernel_size must be 1 to 16")
    _require(2 <= kernel_size <= 4, f"{table}.kernel_size must be 2 to 4")
    many = isinstance(dilations, tuple) and len(dilations) <= 32
    _require(many, f"{table}.dilations must be a list of at most 32 numbers")
    _require(all(d >= 1 for d in dilations), f"{table}.dilations must be at least 1 each")
    reach = first_kernel_size + (kernel_size - 1) * sum(dilations)
    _require(reach <= 1023, f"{table}: its layers must reach 1023 positions back at most")


def _three(values: tuple[int, ...], least: int, most: int) -> bool:
    return len(values) == 3 and all(least <= value <= most for value in values)


def _require(condition: bool, message: str) -> None:
    if not condition:
        raise ValueError(message)
