"""Small models with fixed random weights: quick, no downloads, no training."""

from __future__ import annotations

import hashlib
import io
import re
import signal
import sys
from collections.abc import Callable
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import TypeAlias

import numpy as np
import pytest
import tiny_clip
import tiny_sound
from hypothesis import settings
from PIL import Image, ImageCms
from tiny_sound import TinySound

from vqcodec.cli import main
from vqcodec.container import Medium
from vqcodec.models import photo as photo_model
from vqcodec.models import photo2 as photo2_model
from vqcodec.models.config import LatentPriorConfig, TransformConfig
from vqcodec.models.photo import Photo
from vqcodec.models.photo2 import Photo2
from vqcodec.models.vqvae import VqVae, parse_model
from vqcodec.prior import kernel
from vqcodec.registry import store
from vqcodec.registry.architectures import medium_of

_USES_TORCH = re.compile(
    r"^(import|from) (torch|random_networks|vqcodec\.(networks|training))\b", re.MULTILINE
)
collect_ignore = (
    []
    if find_spec("torch")
    else [
        path.name
        for path in Path(__file__).parent.glob("test_*.py")
        if _USES_TORCH.search(path.read_text("utf-8"))
    ]
)
"""Tests of training, where torch is not installed."""


def pytest_report_header() -> str | None:
    return f"no torch: without {', '.join(sorted(collect_ignore))}" if collect_ignore else None


MODELS = Path(__file__).parent / "models"
"""Models with random weights; models/renew.py writes them."""

tiny_sound.register()

# Where tests run in the background of a script, Ctrl-C is ignored, and so it would be in the
# processes that they start.
signal.signal(signal.SIGINT, signal.default_int_handler)

# The same examples in every run, and no judgement on the speed of the machine.
settings.register_profile("vqcodec", deadline=None, derandomize=True, max_examples=60)
settings.load_profile("vqcodec")


@pytest.fixture(scope="session")
def model_data() -> bytes:
    return (MODELS / "random.safetensors").read_bytes()


@pytest.fixture(scope="session")
def model(model_data: bytes) -> VqVae:
    digest = hashlib.sha256(model_data).hexdigest()
    return parse_model(model_data, sha256=digest)


TRANSFORM = TransformConfig(
    widths=(8, 12, 16), depths=(1, 1, 1), latents=24, details=8, qualities=3
)
LATENT_PRIOR = LatentPriorConfig(channels=16, layers=2, slices=(8, 8, 8), hidden=12)


SMALL_PHOTO = {
    "architecture": "photo-1",
    "name": "small",
    "transform": {
        "widths": [8, 12, 16],
        "depths": [0, 0, 1],
        "latents": 12,
        "details": 4,
        "qualities": 4,
    },
    "latent_prior": {"channels": 16, "layers": 1, "slices": [4, 4, 4], "hidden": 8},
}
"""A recipe of photo-1, but for its training."""


@pytest.fixture(scope="session")
def photo_data() -> bytes:
    return (MODELS / "random-photo.safetensors").read_bytes()


@pytest.fixture(scope="session")
def photo_like(photo_data: bytes) -> Photo:
    """A model with qualities."""
    digest = hashlib.sha256(photo_data).hexdigest()
    return photo_model.parse_model(photo_data, sha256=digest)


@pytest.fixture(scope="session")
def photo2_data() -> bytes:
    return (MODELS / "random-photo-2.safetensors").read_bytes()


@pytest.fixture(scope="session")
def photo2_like(photo2_data: bytes) -> Photo2:
    """A model with qualities and exact pixels."""
    digest = hashlib.sha256(photo2_data).hexdigest()
    return photo2_model.parse_model(photo2_data, sha256=digest)


@pytest.fixture(scope="session")
def sound_data(photo_data: bytes) -> bytes:
    return tiny_sound.model_bytes(photo_data)


@pytest.fixture(scope="session")
def sound(sound_data: bytes) -> TinySound:
    """A model of sound."""
    digest = hashlib.sha256(sound_data).hexdigest()
    return tiny_sound.parse_model(sound_data, sha256=digest)


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


@pytest.fixture
def no_shipped_sound(monkeypatch: pytest.MonkeyPatch) -> None:
    """The default model of sound is one that is installed, if any is."""
    others = [e for e in store.shipped() if medium_of(e.architecture) is not Medium.SOUND]
    monkeypatch.setattr(store, "shipped", lambda: others)


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


@pytest.fixture
def clip_models(run: Run, model_data: bytes) -> None:
    """Installs a model of clips, `clips`, and one of pictures, `random`."""
    for name, data in (("random", model_data), ("clips", tiny_clip.model_bytes())):
        path = Path(f"../{name}.safetensors")
        path.write_bytes(data)
        assert run("models", "install", path).code == 0
