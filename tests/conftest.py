"""Small models with fixed random weights: quick, no downloads, no training."""

from __future__ import annotations

import hashlib
import io
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TypeAlias

import numpy as np
import pytest
import torch
from hypothesis import settings
from PIL import Image, ImageCms

from vqcodec.cli import main
from vqcodec.models import photo as photo_model
from vqcodec.models.config import (
    AutoencoderConfig,
    LatentPriorConfig,
    PriorConfig,
    ProductConfig,
    TransformConfig,
)
from vqcodec.models.photo import Photo
from vqcodec.models.vqvae import VqVae, model_bytes, parse_model
from vqcodec.prior import kernel
from vqcodec.training.networks.autoencoder import Decoder, Encoder
from vqcodec.training.networks.latent_prior import LatentPrior
from vqcodec.training.networks.pixelcnn import PixelCNN
from vqcodec.training.networks.product import Block, Codebooks
from vqcodec.training.networks.transform import Analysis, Gains, Synthesis

CODEBOOK = 24

# The same examples in every run, and no judgement on the speed of the machine.
settings.register_profile("vqcodec", deadline=None, derandomize=True, max_examples=60)
settings.load_profile("vqcodec")


def random_prior(config: PriorConfig, seed: int = 0) -> PixelCNN:
    """A prior with opinions: its logits spread over several bits."""
    torch.manual_seed(seed)
    prior = PixelCNN(config)
    with torch.no_grad():
        prior.embedding.mul_(3.0)
        prior.output.weight.mul_(4.0)
        for layer in (prior.first, *prior.layers, prior.hidden, prior.output):
            layer.bias.uniform_(-0.3, 0.6)
    return prior


def random_model_bytes() -> bytes:
    torch.manual_seed(7)
    config = AutoencoderConfig(hidden=16, residual_blocks=2, code_dim=6, codebook_size=CODEBOOK)
    encoder, decoder = Encoder(config), Decoder(config)
    with torch.no_grad():
        for module in (encoder, decoder):
            for parameter in module.parameters():
                parameter.mul_(2.0)
    return model_bytes(
        name="random",
        licence="CC0-1.0",
        description="fixed random weights",
        config=config,
        encoder=encoder,
        codebook=torch.randn(CODEBOOK, 6),
        decoder=decoder,
        prior=random_prior(PriorConfig(codebook_size=CODEBOOK, embedding=5, channels=12, layers=2)),
    )


@pytest.fixture(scope="session")
def model_data() -> bytes:
    return random_model_bytes()


@pytest.fixture(scope="session")
def model(model_data: bytes) -> VqVae:
    digest = hashlib.sha256(model_data).hexdigest()
    return parse_model(model_data, sha256=digest, device=torch.device("cpu"))


TRANSFORM = TransformConfig(
    widths=(8, 12, 16), depths=(1, 1, 1), latents=24, details=8, qualities=3
)
LATENT_PRIOR = LatentPriorConfig(channels=16, layers=2, slices=(8, 8, 8), hidden=12)


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


def random_latent_prior() -> LatentPrior:
    """A prior with opinions."""
    torch.manual_seed(3)
    prior = LatentPrior(LATENT_PRIOR, TRANSFORM)
    with torch.no_grad():
        prior.quality.weight.normal_()
        for parameter in prior.parameters():
            if parameter.dim() == 1:
                parameter.uniform_(-0.3, 0.6)
        for output in prior.output:
            output.weight.mul_(3.0)
    return prior


def random_photo_bytes() -> bytes:
    torch.manual_seed(5)
    analysis, synthesis, gains = Analysis(TRANSFORM), Synthesis(TRANSFORM), Gains(TRANSFORM)
    with torch.no_grad():
        for module in (analysis, synthesis):
            for name, parameter in module.named_parameters():
                # Blocks begin as the identity: without this their halo would not matter.
                parameter.normal_(0.0, 0.1) if "second" in name else parameter.mul_(2.0)
    return photo_model.model_bytes(
        name="random-photo",
        licence="CC0-1.0",
        description="fixed random weights",
        parts=photo_model.Parts(
            config=TRANSFORM,
            product=ProductConfig(codebook_size=32),
            analysis=analysis,
            synthesis=synthesis,
            gains=gains,
            prior=random_latent_prior(),
            codebooks=[random_codebooks(seed) for seed in range(3)],
        ),
    )


@pytest.fixture(scope="session")
def photo_data() -> bytes:
    return random_photo_bytes()


@pytest.fixture(scope="session")
def photo_like(photo_data: bytes) -> Photo:
    """A model with qualities."""
    digest = hashlib.sha256(photo_data).hexdigest()
    return photo_model.parse_model(photo_data, sha256=digest, device=torch.device("cpu"))


@pytest.fixture(params=kernel.levels())
def level(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """Each way to run priors: the levels of the kernel, and NumPy."""
    monkeypatch.setenv(kernel.VARIABLE, request.param)
    return str(request.param)


@pytest.fixture
def model_file(model_data: bytes, tmp_path: Path) -> Path:
    path = tmp_path / "random.safetensors"
    path.write_bytes(model_data)
    return path


@pytest.fixture(autouse=True)
def no_installed_models(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """Keep the user's own models out of the tests, and theirs out of the user's folder."""
    folder = tmp_path / "installed"
    monkeypatch.setenv("VQCODEC_MODELS", str(folder))
    return folder


def photo(width: int = 83, height: int = 61, seed: int = 0) -> Image.Image:
    """A smooth coloured picture with some noise and edges."""
    rng = np.random.default_rng(seed)
    y, x = np.mgrid[0:height, 0:width]
    waves = [np.sin(x / 9.0 + k) + np.cos(y / 7.0 - 2 * k) + (x > y) for k in range(3)]
    noise = rng.normal(scale=0.1, size=(height, width, 3))
    pixels = 110 + 45 * (np.stack(waves, axis=-1) + noise)
    return Image.fromarray(pixels.clip(0, 255).astype(np.uint8))


def with_metadata() -> Image.Image:
    """A picture that lies on its side, with EXIF, a profile and XMP."""
    exif = Image.Exif()
    exif[0x0112] = 6
    exif[0x010E] = "a description"
    buffer = io.BytesIO()
    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    photo(60, 30).save(buffer, "JPEG", exif=exif, icc_profile=profile, xmp=b"<x:xmpmeta/>")
    return Image.open(buffer)


@dataclass(frozen=True)
class Result:
    """What a command did."""

    code: int
    out: str
    err: str


Run: TypeAlias = Callable[..., Result]


@pytest.fixture
def run(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path) -> Run:
    """Run the command line in this process, in an empty folder."""
    work = tmp_path / "work"
    work.mkdir()
    monkeypatch.chdir(work)

    def call(*arguments: object) -> Result:
        monkeypatch.setattr(sys, "argv", ["vqcodec", *map(str, arguments)])
        with pytest.raises(SystemExit) as exit_:
            main()
        captured = capsys.readouterr()
        assert "Traceback" not in captured.err
        return Result(int(exit_.value.code or 0), captured.out, captured.err)

    return call


@pytest.fixture
def installed(run: Run, model_file: Path) -> None:
    assert run("models", "install", model_file).code == 0


def one_line_error(result: Result, code: int) -> str:
    assert result.code == code
    assert result.err.startswith("vqcodec: error: ")
    assert result.err.count("\n") == 1
    return result.err


@pytest.fixture
def folder(run: Run, model_file: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder to work in, beside the model's file, with an empty folder `pictures`."""
    folder = model_file.parent / "place"
    (folder / "pictures").mkdir(parents=True)
    monkeypatch.chdir(folder)
    return folder


def removing(*more: str) -> list[str]:
    """Arguments that compress `pictures` in the fixture `folder` and remove the sources."""
    return ["compress", "pictures", "--remove-source", "--model", "../random.safetensors", *more]
