"""Small networks with random weights, as they train."""

from __future__ import annotations

import torch
from conftest import LATENT_PRIOR, TRANSFORM

from vqcodec.models.config import (
    AutoencoderConfig,
    DeepTransformConfig,
    PriorConfig,
    ProductConfig,
)
from vqcodec.models.config_sound import (
    LatentWaveNetConfig,
    SoundAutoencoderConfig,
    WaveNetConfig,
)
from vqcodec.networks.autoencoder import Decoder, Encoder
from vqcodec.networks.calibration import calibrate
from vqcodec.networks.deep import deep_analysis, deep_synthesis
from vqcodec.networks.exact import ExactSynthesis
from vqcodec.networks.latent_prior import GaussianPrior, LatentPrior
from vqcodec.networks.latent_wavenet import LatentWaveNet
from vqcodec.networks.model_files import Photo2Parts, PhotoParts, SoundVqVaeParts, VqVaeParts
from vqcodec.networks.pixelcnn import IndexPrior, PixelCNN
from vqcodec.networks.product import Block, Codebooks
from vqcodec.networks.sound_autoencoder import SoundDecoder, SoundEncoder
from vqcodec.networks.transform import Analysis, Gains, Synthesis
from vqcodec.networks.wavenet import WaveNet

CODEBOOK = 24
DEEP_TRANSFORM = DeepTransformConfig(
    widths=(8, 12, 16),
    analysis_depths=(1, 1, 1),
    synthesis_depths=(1, 2, 1),
    latents=24,
    details=8,
    qualities=3,
)


@torch.no_grad()
def opinionate(prior: IndexPrior) -> None:
    """Let a prior's logits spread over several bits."""
    prior.embedding.mul_(3.0)
    prior.output.weight.mul_(4.0)
    for layer in (prior.first, *prior.layers, prior.hidden, prior.output):
        layer.bias.uniform_(-0.3, 0.6)


def random_prior(config: PriorConfig, seed: int = 0) -> PixelCNN:
    """A prior with opinions."""
    torch.manual_seed(seed)
    prior = PixelCNN(config)
    opinionate(prior)
    return prior


def random_wavenet(config: WaveNetConfig) -> WaveNet:
    """A prior with opinions."""
    torch.manual_seed(1)
    prior = WaveNet(config)
    opinionate(prior)
    return prior


def random_vqvae() -> VqVaeParts:
    torch.manual_seed(7)
    config = AutoencoderConfig(hidden=16, residual_blocks=2, code_dim=6, codebook_size=CODEBOOK)
    encoder, decoder = Encoder(config), Decoder(config)
    with torch.no_grad():
        for module in (encoder, decoder):
            for parameter in module.parameters():
                parameter.mul_(2.0)
    return VqVaeParts(
        config=config,
        encoder=encoder,
        codebook=torch.randn(CODEBOOK, 6),
        decoder=decoder,
        prior=random_prior(PriorConfig(codebook_size=CODEBOOK, embedding=5, channels=12, layers=2)),
    )


SOUND_AUTOENCODER = SoundAutoencoderConfig(
    strides=(2, 4, 5),
    widths=(3, 4, 6),
    encoder_depth=1,
    encoder_hidden=8,
    code_dim=6,
    codebook_size=CODEBOOK,
    speaker_dim=3,
    spectrum_hop=40,
    decoder_width=8,
    decoder_hidden=10,
    decoder_depth=2,
)
"""An index has 40 samples, one frame of spectra."""


def random_sound_vqvae(config: SoundAutoencoderConfig = SOUND_AUTOENCODER) -> SoundVqVaeParts:
    """Three speakers whose voices differ."""
    torch.manual_seed(8)
    encoder, decoder = SoundEncoder(config), SoundDecoder(config)
    with torch.no_grad():
        for module in (encoder, decoder):
            for name, parameter in module.named_parameters():
                if "second" in name:  # blocks begin as the identity
                    parameter.normal_(0.0, 0.3)
    prior = WaveNetConfig(
        codebook_size=CODEBOOK, embedding=5, channels=12, first_kernel_size=2, dilations=(1, 2)
    )
    return SoundVqVaeParts(
        config=config,
        encoder=encoder,
        codebook=0.3 * torch.randn(CODEBOOK, config.code_dim),
        decoder=decoder,
        speakers=("anna", "b\u00e9la", "so 3"),
        voices=3.0 * torch.randn(3, config.speaker_dim),
        prior=random_wavenet(prior),
    )


def random_codebooks(seed: int) -> Codebooks:
    """Blocks of every size; the second slice has none, as a quiet one would."""
    rng = torch.Generator().manual_seed(seed)
    slices = []
    for first, counts in ((0, {1: 2, 2: 1, 4: 1}), (8, {}), (16, {8: 1})):
        blocks = []
        for d, count in counts.items():
            channels = torch.arange(first, first + count * d).view(count, d)
            first += count * d
            size = 7 if d == 1 else 20
            vectors = 3.0 * torch.randn(count, size, d, generator=rng)
            bias = -torch.rand(count, size, generator=rng)
            blocks.append(Block(channels, vectors, bias, torch.asinh(vectors), -bias))
        slices.append(blocks)
    return Codebooks(slices, torch.randn(24, generator=rng) * (torch.arange(24) // 8 == 1))


@torch.no_grad()
def opinionate_latents(prior: GaussianPrior) -> None:
    """Let a prior's means and scales differ from each other."""
    prior.quality.weight.normal_()
    for parameter in prior.parameters():
        if parameter.dim() == 1:
            parameter.uniform_(-0.3, 0.6)
    for output in prior.output:
        output.weight.mul_(3.0)


def random_latent_prior() -> LatentPrior:
    """A prior with opinions."""
    torch.manual_seed(3)
    prior = LatentPrior(LATENT_PRIOR, TRANSFORM)
    opinionate_latents(prior)
    return prior


def random_latent_wavenet(config: LatentWaveNetConfig, qualities: int) -> LatentWaveNet:
    """A prior with opinions."""
    torch.manual_seed(4)
    prior = LatentWaveNet(config, qualities)
    opinionate_latents(prior)
    return prior


def random_photo() -> PhotoParts:
    torch.manual_seed(5)
    analysis, synthesis, gains = Analysis(TRANSFORM), Synthesis(TRANSFORM), Gains(TRANSFORM)
    with torch.no_grad():
        for module in (analysis, synthesis):
            for name, parameter in module.named_parameters():
                # Blocks begin as the identity: without this their halo would not matter.
                parameter.normal_(0.0, 0.1) if "second" in name else parameter.mul_(2.0)
    return PhotoParts(
        config=TRANSFORM,
        product=ProductConfig(codebook_size=32),
        analysis=analysis,
        synthesis=synthesis,
        gains=gains,
        prior=random_latent_prior(),
        codebooks=[random_codebooks(seed) for seed in range(3)],
    )


@torch.no_grad()
def random_exact(config: DeepTransformConfig, latents: torch.Tensor) -> ExactSynthesis:
    """An integer synthesis for latents (B, D, N, M) like these."""
    source = deep_synthesis(config)
    for name, parameter in source.named_parameters():
        if "offset" in name:
            parameter.uniform_(0.2, 1.0)
        elif "second" in name:
            parameter.normal_(0.0, 0.1)
    synthesis = ExactSynthesis(config.synthesis)
    synthesis.take(source)
    calibrate(synthesis, [latents])
    return synthesis


def random_photo2() -> Photo2Parts:
    torch.manual_seed(6)
    analysis, gains = deep_analysis(DEEP_TRANSFORM), Gains(DEEP_TRANSFORM.analysis)
    latents = 2.0 * torch.randn(2, 24, 8, 8)
    return Photo2Parts(
        config=DEEP_TRANSFORM,
        product=ProductConfig(codebook_size=32),
        analysis=analysis,
        synthesis=random_exact(DEEP_TRANSFORM, latents),
        gains=gains,
        prior=random_latent_prior(),
        codebooks=[random_codebooks(seed) for seed in range(3)],
    )
