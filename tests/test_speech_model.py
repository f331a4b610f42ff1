"""Model files of speech: written by training, read without torch, and not trusted."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from changed_models import Change, Tensors, changed
from random_networks import random_codebooks

import vqcodec
from vqcodec.errors import ModelCorruptError
from vqcodec.models.config import ProductConfig
from vqcodec.models.config_sound import LatentWaveNetConfig, SpeechConfig
from vqcodec.models.speech import Speech, parse_model
from vqcodec.networks.latent_wavenet import LatentWaveNet
from vqcodec.networks.model_files import SpeechParts, write_speech
from vqcodec.networks.speech import Analysis, Synthesis
from vqcodec.networks.transform import Gains

CONFIG = SpeechConfig(
    width=12, hidden=20, analysis_depth=1, synthesis_depth=2, latents=24, qualities=3
)
PRIOR = LatentWaveNetConfig(
    channels=8, first_kernel_size=2, dilations=(1, 2), slices=(8, 8, 8), hidden=8
)


@pytest.fixture(scope="module")
def data() -> bytes:
    torch.manual_seed(5)
    parts = SpeechParts(
        config=CONFIG,
        product=ProductConfig(codebook_size=32),
        analysis=Analysis(CONFIG),
        synthesis=Synthesis(CONFIG),
        gains=Gains(CONFIG),
        prior=LatentWaveNet(PRIOR, CONFIG.qualities),
        codebooks=[random_codebooks(seed) for seed in range(CONFIG.qualities)],
    )
    return write_speech(parts, name="tiny", licence="CC0-1.0", description="random weights")


@pytest.fixture(scope="module")
def model(data: bytes) -> Speech:
    return parse_model(data, sha256="0" * 64)


def noise(model: Speech, frames: int) -> np.ndarray:
    rng = np.random.default_rng(frames)
    return (0.1 * rng.normal(size=frames * model.hop)).astype(np.float32)


@pytest.mark.parametrize("frames", [1, 2, 30])
@pytest.mark.parametrize("quality", [16, 24, 48])
def test_a_sound_becomes_indices_and_a_sound_again(
    model: Speech, frames: int, quality: int
) -> None:
    measured = model.measure(noise(model, frames), slice(0, frames))
    assert measured.shape == (frames, CONFIG.latents)
    indices = model.nearest(measured, quality)
    assert indices.shape == (frames, model.groups(quality))
    assert model.samples(indices, quality, slice(0, frames)).shape == (frames * model.hop,)


def test_part_of_the_indices_makes_part_of_the_sound(model: Speech) -> None:
    indices = model.nearest(model.measure(noise(model, 60), slice(0, 60)), 32)
    whole = model.samples(indices, 32, slice(0, 60))
    first, last = 30 - model.decoder_halo, 33 + model.decoder_halo
    part = model.samples(indices[first:last], 32, slice(30 - first, 33 - first))
    np.testing.assert_allclose(part, whole[30 * model.hop : 33 * model.hop], atol=1e-5)


@pytest.mark.filterwarnings("ignore:it does not look like speech")
@pytest.mark.parametrize("quality", [16, 40, 48])
def test_files_of_sound_hold_its_indices(
    data: bytes, model: Speech, tmp_path: Path, quality: int
) -> None:
    path = tmp_path / "tiny.safetensors"
    path.write_bytes(data)
    samples = noise(model, 530)[:-7]  # two segments, the last frame not whole
    written = vqcodec.compress_audio(samples[None], model.rate, model=path, quality=quality / 16)
    indices = vqcodec.indices(written, model=path)
    assert indices.shape == (1, 530, model.groups(quality))
    decoded, rate = vqcodec.decompress_audio(written, model=path)
    assert (decoded.shape, rate) == ((1, len(samples)), model.rate)
    made = model.samples(indices[0], quality, slice(0, 530))[: len(samples)]
    np.testing.assert_allclose(
        decoded[0] / np.abs(decoded).max(), made / np.abs(made).max(), atol=1e-4
    )


def test_a_quality_may_have_no_indices(data: bytes) -> None:
    def silenced(tensors: Tensors, metadata: dict) -> None:
        for name in [name for name in tensors if name.startswith("codebooks.2.")]:
            if not name.endswith("rest"):
                del tensors[name]

    model = parse_model(changed(data, silenced), sha256="")
    indices = model.nearest(model.measure(noise(model, 4), slice(0, 4)), 32)
    assert indices.shape == (4, 0)
    assert model.samples(indices, 32, slice(0, 4)).shape == (4 * model.hop,)


def test_the_chooser_without_bits_takes_the_nearest(model: Speech) -> None:
    measured = model.measure(noise(model, 5), slice(0, 5))
    chooser = model.chooser([measured], 16, weight=1e-9)
    assert np.array_equal(chooser.latents, model.chooser([measured], 16, weight=1.0).latents)
    assert chooser.latents.shape == (5, CONFIG.latents)


def test_reading_and_decoding_need_no_torch(data: bytes, tmp_path: Path) -> None:
    (tmp_path / "model").write_bytes(data)
    program = """
import sys
sys.modules["torch"] = None
import numpy as np
from vqcodec.models.speech import parse_model
model = parse_model(open("model", "rb").read(), sha256="")
indices = model.nearest(model.measure(np.ones(1600, np.float32), slice(0, 5)), 16)
print(len(model.samples(indices, 16, slice(0, 5))))
"""
    done = subprocess.run(
        [sys.executable, "-c", program], cwd=tmp_path, capture_output=True, text=True, check=False
    )
    assert done.stdout.strip() == "1600", done.stderr


def _more_qualities(tensors: Tensors, metadata: dict) -> None:
    metadata["transform"]["qualities"] = 4


def _more_latents(tensors: Tensors, metadata: dict) -> None:
    metadata["transform"]["latents"] = 25


def _too_wide(tensors: Tensors, metadata: dict) -> None:
    metadata["transform"]["width"] = 1 << 20


def _too_deep(tensors: Tensors, metadata: dict) -> None:
    metadata["transform"]["synthesis_depth"] = 33


def _further_field(tensors: Tensors, metadata: dict) -> None:
    metadata["transform"]["rate"] = 48000


def _no_transform(tensors: Tensors, metadata: dict) -> None:
    del metadata["transform"]


def _no_kernel(tensors: Tensors, metadata: dict) -> None:
    del tensors["analysis.layers.2.depthwise.weight"]


def _other_kernel(tensors: Tensors, metadata: dict) -> None:
    tensors["synthesis.layers.2.depthwise.weight"] = np.zeros((12, 1, 1, 9), dtype=np.float16)


def _infinite(tensors: Tensors, metadata: dict) -> None:
    tensors["synthesis.layers.0.bias"][0] = np.inf


def _silent_gain(tensors: Tensors, metadata: dict) -> None:
    tensors["gains"][1, 3] = 0.0


def _no_gains(tensors: Tensors, metadata: dict) -> None:
    del tensors["gains"]


@pytest.mark.parametrize(
    "change",
    [
        _more_qualities,
        _more_latents,
        _too_wide,
        _too_deep,
        _further_field,
        _no_transform,
        _no_kernel,
        _other_kernel,
        _infinite,
        _silent_gain,
        _no_gains,
    ],
)
def test_wrong_models_are_refused(data: bytes, change: Change) -> None:
    with pytest.raises(ModelCorruptError):
        parse_model(changed(data, change), sha256="")


def _tiny_gains(tensors: Tensors, metadata: dict) -> None:
    tensors["gains"][:] = 1e-45


def _large_weights(tensors: Tensors, metadata: dict) -> None:
    for name, values in tensors.items():
        if name.startswith(("analysis.", "synthesis.")):
            values[:] = 127 if values.dtype == np.int8 else 60000.0


@pytest.mark.parametrize("change", [_tiny_gains, _large_weights])
@pytest.mark.filterwarnings("error")
def test_weights_that_overflow_give_a_sound(data: bytes, change: Change) -> None:
    model = parse_model(changed(data, change), sha256="")
    indices = model.nearest(model.measure(noise(model, 5), slice(0, 5)), 16)
    assert np.isfinite(model.samples(indices, 16, slice(0, 5))).all()
