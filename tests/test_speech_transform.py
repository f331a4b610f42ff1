"""The networks of speech: spectra, layer lists, engines, and windows that meet without a seam."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import nn

from vqcodec.engines.engine import make_engine
from vqcodec.engines.layers import Network, reach, tensor_shapes
from vqcodec.engines.ort import OrtEngine
from vqcodec.engines.torch_engine import TorchEngine
from vqcodec.models import speech_transform, stft
from vqcodec.models.config_sound import SpeechConfig
from vqcodec.models.speech_transform import SpeechTransform
from vqcodec.networks import spectrum
from vqcodec.networks.speech import Analysis, Synthesis

CONFIG = SpeechConfig(
    width=12, hidden=20, analysis_depth=2, synthesis_depth=3, latents=6, qualities=3
)
FRAMES = 60


@dataclass(frozen=True)
class Twin:
    """A network with random weights, as a torch module and as a list of layers."""

    module: nn.Module
    network: Network

    @property
    def weights(self) -> dict[str, np.ndarray]:
        return {name: value.numpy() for name, value in self.module.state_dict().items()}

    @torch.inference_mode()
    def expected(self, values: np.ndarray) -> np.ndarray:
        result: np.ndarray = self.module(torch.from_numpy(values)[None])[0].numpy()
        return result


def twin(name: str) -> Twin:
    torch.manual_seed(11)
    kind = {"analysis": Analysis, "synthesis": Synthesis}[name]
    module = kind(CONFIG)
    with torch.no_grad():
        for parameter_name, parameter in module.named_parameters():
            # Blocks begin as the identity: without this their halo would not matter.
            if "second" in parameter_name:
                parameter.normal_(0.0, 0.3)
    return Twin(module, getattr(speech_transform, name)(CONFIG))


TWINS = {name: twin(name) for name in ("analysis", "synthesis")}


@pytest.fixture(scope="module")
def transform() -> SpeechTransform:
    engines = {name: make_engine(twin.network, twin.weights, "cpu") for name, twin in TWINS.items()}
    return SpeechTransform(config=CONFIG, **engines)


def noise(frames: int, seed: int = 0) -> np.ndarray:
    rng = np.random.default_rng(seed)
    return (0.1 * rng.normal(size=frames * stft.HOP)).astype(np.float32)


@pytest.mark.parametrize("frames", [1, 2, 3, 4, 9])
def test_spectra_give_their_samples_back(frames: int) -> None:
    samples = noise(frames)
    spectra = stft.spectra(samples)
    assert spectra.shape == (frames, stft.BINS)
    np.testing.assert_allclose(stft.samples(spectra), samples, atol=1e-6)


def test_spectra_are_as_loud_as_their_samples() -> None:
    samples = noise(200)
    assert np.mean(np.abs(stft.spectra(samples)) ** 2) == pytest.approx(0.01, rel=0.05)


def test_frames_have_the_samples_around_them() -> None:
    samples = np.zeros(20 * stft.HOP, dtype=np.float32)
    samples[8 * stft.HOP : 9 * stft.HOP] = 1.0
    heard = np.flatnonzero(np.abs(stft.spectra(samples)).max(1) > 0.0)
    assert heard.tolist() == list(range(8 - stft.REACH, 9 + stft.REACH))


def test_torch_has_the_spectra_of_numpy() -> None:
    samples = np.stack([noise(7, seed=seed) for seed in range(2)])
    made = spectrum.features(torch.from_numpy(samples)).numpy()
    expected = [stft.features(stft.spectra(row)) for row in samples]
    np.testing.assert_allclose(made, expected, atol=1e-5)


def test_torch_has_the_sound_of_numpy() -> None:
    rng = np.random.default_rng(0)
    logarithms = rng.normal(-3.0, 3.0, size=(2, stft.BINS, 1, 7))
    phases = rng.normal(0.0, 9.0, size=(2, stft.BINS, 1, 7))
    values = np.concatenate([logarithms, phases], axis=1).astype(np.float32)
    made = spectrum.samples(torch.from_numpy(values)).numpy()
    expected = [stft.samples(stft.synthesised(row)) for row in values]
    np.testing.assert_allclose(made, expected, atol=1e-4)


def test_logarithms_and_phases_of_a_sound_are_the_sound() -> None:
    samples = noise(5)
    spectra = stft.spectra(samples).T[:, None]
    values = np.concatenate([np.log(np.abs(spectra)), np.angle(spectra)]).astype(np.float32)
    np.testing.assert_allclose(stft.samples(stft.synthesised(values)), samples, atol=1e-5)


@pytest.mark.parametrize("value", [np.inf, -np.inf, np.nan, 1e30])
def test_whatever_weights_make_is_a_sound(value: float) -> None:
    values = np.full((2 * stft.BINS, 1, 5), value, dtype=np.float32)
    assert np.isfinite(stft.samples(stft.synthesised(values))).all()


@pytest.mark.parametrize("name", TWINS)
def test_layer_lists_have_the_tensors_of_their_modules(name: str) -> None:
    module = TWINS[name].module
    shapes = {key: tuple(value.shape) for key, value in module.state_dict().items()}
    assert tensor_shapes(TWINS[name].network) == shapes


@pytest.mark.parametrize("name", TWINS)
@pytest.mark.parametrize("engine", [OrtEngine, lambda *parts: TorchEngine(*parts, "cpu")])
def test_engines_compute_what_modules_do(name: str, engine: type) -> None:
    one = TWINS[name]
    rng = np.random.default_rng(1)
    values = rng.normal(size=(one.network.inputs, 1, FRAMES)).astype(np.float32)
    made = engine(one.network, one.weights).run(values)
    np.testing.assert_allclose(made, one.expected(values), atol=1e-5, rtol=1e-5)


def test_halos_are_the_reach_of_layers_and_spectra(transform: SpeechTransform) -> None:
    reaches = [reach(TWINS[name].network.layers) for name in ("analysis", "synthesis")]
    halos = [transform.encoder_halo, transform.decoder_halo]
    assert halos == [each + stft.REACH for each in reaches]


@given(st.integers(0, FRAMES - 1), st.integers(1, FRAMES))
def test_windows_meet_without_a_seam(transform: SpeechTransform, start: int, length: int) -> None:
    stop = min(FRAMES, start + length)
    samples = noise(FRAMES)
    latents = transform.latents(samples, slice(0, FRAMES))
    first, last = max(0, start - transform.encoder_halo), stop + transform.encoder_halo
    part = samples[first * stft.HOP : last * stft.HOP]
    seen = transform.latents(part, slice(start - first, stop - first))
    np.testing.assert_allclose(seen, latents[start:stop], atol=1e-5)

    whole = transform.samples(latents, slice(0, FRAMES))
    first, last = max(0, start - transform.decoder_halo), stop + transform.decoder_halo
    heard = transform.samples(latents[first:last], slice(start - first, stop - first))
    np.testing.assert_allclose(heard, whole[start * stft.HOP : stop * stft.HOP], atol=1e-5)


@pytest.mark.parametrize("side", [-1, 1])
def test_all_of_the_halo_is_needed(transform: SpeechTransform, side: int) -> None:
    middle = FRAMES // 2
    samples = noise(FRAMES)
    latents = transform.latents(samples, slice(0, FRAMES))
    # Of the outermost frame, the samples nearest to the window's.
    edge = middle + side * transform.encoder_halo
    changed = samples.copy()
    changed[edge * stft.HOP : (edge + 1) * stft.HOP] += 0.5
    moved = np.abs(transform.latents(changed, slice(0, FRAMES)) - latents).max(1)
    assert moved[middle] > 0.0
    assert moved[middle - side] == 0.0

    edge = middle + side * transform.decoder_halo
    other = latents.copy()
    other[edge] += 1.0
    one, two = (transform.samples(each, slice(0, FRAMES)) for each in (latents, other))
    moved = np.abs(one - two).reshape(FRAMES, stft.HOP).max(1)
    assert moved[middle] > 0.0
    assert moved[middle - side] == 0.0
