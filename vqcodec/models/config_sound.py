"""Configurations of the networks of sound; see `config`."""

from __future__ import annotations

import math
from dataclasses import dataclass

from vqcodec.models.config import require, require_sixteenths, require_slices
from vqcodec.prior.taps import TrunkTaps, dilated


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
        require(many, "autoencoder.strides must be a list of 1 to 16 numbers")
        require(all(2 <= s <= 8 for s in self.strides), "autoencoder.strides must be 2 to 8 each")
        require(
            isinstance(self.widths, tuple) and len(self.widths) == len(self.strides),
            "autoencoder.widths must be as many as strides",
        )
        require(all(1 <= w <= 1024 for w in self.widths), "autoencoder.widths must be 1 to 1024")
        depths = (self.encoder_depth, self.decoder_depth)
        require(all(0 <= d <= 32 for d in depths), "autoencoder.*_depth must be 0 to 32")
        hidden = (self.encoder_hidden, self.decoder_hidden)
        require(all(1 <= h <= 4096 for h in hidden), "autoencoder.*_hidden must be 1 to 4096")
        require(1 <= self.code_dim <= 1024, "autoencoder.code_dim must be 1 to 1024")
        require(2 <= self.codebook_size <= 4096, "autoencoder.codebook_size must be 2 to 4096")
        require(1 <= self.speaker_dim <= 1024, "autoencoder.speaker_dim must be 1 to 1024")
        require(1 <= self.decoder_width <= 1024, "autoencoder.decoder_width must be 1 to 1024")
        require(self.hop <= 2048, "autoencoder.strides must be 2048 multiplied, at most")
        even = 32 <= self.spectrum_hop <= 1024 and self.spectrum_hop % 2 == 0
        require(even, "autoencoder.spectrum_hop must be an even number from 32 to 1024")
        require(
            self.hop % self.spectrum_hop == 0,
            "autoencoder.strides multiplied must be a multiple of spectrum_hop",
        )
        require(
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
        require(2 <= self.codebook_size <= 4096, "prior.codebook_size must be 2 to 4096")
        require(1 <= self.embedding <= 512, "prior.embedding must be 1 to 512")
        require(1 <= self.channels <= 512, "prior.channels must be 1 to 512")
        _require_dilated("prior", self.first_kernel_size, self.kernel_size, self.dilations)

    @property
    def taps(self) -> TrunkTaps:
        """What its layers read."""
        return dilated(self.first_kernel_size, self.kernel_size, self.dilations)


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
        require(
            all(size >= 1 for size in sizes),
            "decoder.channels, skip, dilations and speaker_dim must be at least 1",
        )
        require(len(self.dilations) >= 1, "decoder.dilations must be at least one")


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
        require(1 <= self.width <= 1024, "transform.width must be 1 to 1024")
        require(1 <= self.hidden <= 4096, "transform.hidden must be 1 to 4096")
        require(all(0 <= depth <= 32 for depth in depths), "transform.*_depth must be 0 to 32")
        require(2 <= self.latents <= 1024, "transform.latents must be 2 to 1024")
        require_sixteenths(self.qualities)
        require(0.0 <= self.gain_octaves <= 32.0, "transform.gain_octaves must be 0 to 32")


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
        require(1 <= self.channels <= 512, "latent_prior.channels must be 1 to 512")
        _require_dilated("latent_prior", self.first_kernel_size, self.kernel_size, self.dilations)
        require_slices(self.slices)
        require(sum(self.slices) <= 1024, "latent_prior.slices must be 1024 in all at most")
        require(1 <= self.hidden <= 1024, "latent_prior.hidden must be 1 to 1024")

    @property
    def taps(self) -> TrunkTaps:
        """What its layers read."""
        return dilated(self.first_kernel_size, self.kernel_size, self.dilations)


def _require_dilated(
    table: str, first_kernel_size: int, kernel_size: int, dilations: tuple[int, ...]
) -> None:
    """Check the layers of a prior of one dimension, which must not see further back than the
    longest tile reaches: what decoders keep grows with it.
    """
    require(1 <= first_kernel_size <= 16, f"{table}.first_kernel_size must be 1 to 16")
    require(2 <= kernel_size <= 4, f"{table}.kernel_size must be 2 to 4")
    many = isinstance(dilations, tuple) and len(dilations) <= 32
    require(many, f"{table}.dilations must be a list of at most 32 numbers")
    require(all(d >= 1 for d in dilations), f"{table}.dilations must be at least 1 each")
    reach = first_kernel_size + (kernel_size - 1) * sum(dilations)
    require(reach <= 1023, f"{table}: its layers must reach 1023 positions back at most")
