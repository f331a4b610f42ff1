"""The VQ-VAE of sound: layer lists, engines, windows, its files, and its speakers."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from changed_models import Change, Tensors, changed
from hypothesis import given
from hypothesis import strategies as st
from random_networks import CODEBOOK, SOUND_AUTOENCODER, random_sound_vqvae
from torch import nn

import vqcodec
from vqcodec.audio.speakers import number_of
from vqcodec.engines.layers import Network, tensor_shapes
from vqcodec.engines.ort import OrtEngine
from vqcodec.engines.torch_engine import TorchEngine
from vqcodec.errors import ModelCorruptError
from vqcodec.models import sound_autoencoder, stft
from vqcodec.models.config_sound import SoundAutoencoderConfig
from vqcodec.models.sound_vqvae import SoundVqVae, parse_model
from vqcodec.networks import spectrum
from vqcodec.networks.model_files import read_sound_vqvae, write_sound_vqvae

pytestmark = pytest.mark.filterwarnings("ignore:it does not look like speech")
SLOW = replace(SOUND_AUTOENCODER, strides=(5, 8, 2), code_dim=8)
"""An index has 80 samples, two frames of spectra."""
COUNT = 50
WHOLE = slice(0, COUNT)


def model_bytes(config: SoundAutoencoderConfig = SOUND_AUTOENCODER) -> bytes:
    parts = random_sound_vqvae(config)
    return write_sound_vqvae(parts, name="tiny", licence="CC0-1.0", description="random weights")


@pytest.fixture(scope="module", params=[SOUND_AUTOENCODER, SLOW], ids=["one frame", "two frames"])
def data(request: pytest.FixtureRequest) -> bytes:
    return model_bytes(request.param)


@pytest.fixture(scope="module")
def model(data: bytes) -> SoundVqVae:
    return parse_model(data, sha256="0" * 64)


def noise(model: SoundVqVae, count: int, seed: int = 0) -> np.ndarray:
    rng = np.random.default_rng(seed)
    return (0.05 * rng.normal(size=count * model.hop)).astype(np.float32)


def networks(config: SoundAutoencoderConfig) -> list[tuple[nn.Module, Network]]:
    parts = random_sound_vqvae(config)
    return [
        (parts.encoder, sound_autoencoder.encoder(config)),
        (parts.decoder, sound_autoencoder.decoder(config)),
    ]


@pytest.mark.parametrize("config", [SOUND_AUTOENCODER, SLOW, SoundAutoencoderConfig()])
def test_layer_lists_have_the_tensors_of_their_modules(config: SoundAutoencoderConfig) -> None:
    for module, network in networks(config):
        shapes = {key: tuple(value.shape) for key, value in module.state_dict().items()}
        assert tensor_shapes(network) == shapes


@pytest.mark.parametrize("config", [SOUND_AUTOENCODER, SLOW])
@pytest.mark.parametrize("engine", [OrtEngine, lambda *parts: TorchEngine(*parts, "cpu")])
@torch.inference_mode()
def test_engines_compute_what_modules_do(config: SoundAutoencoderConfig, engine: type) -> None:
    for module, network in networks(config):
        weights = {key: value.numpy() for key, value in module.state_dict().items()}
        count = COUNT * config.hop if network.inputs == 1 else COUNT
        values = torch.randn(network.inputs, 1, count)
        # The encoder module takes samples, without channels and rows.
        expected = module(values[0] if network.inputs == 1 else values[None])[0].numpy()
        made = engine(network, weights).run(values.numpy())
        np.testing.assert_allclose(made, expected, atol=1e-5, rtol=1e-5)


@torch.inference_mode()
def test_the_model_is_what_was_trained(data: bytes, model: SoundVqVae) -> None:
    parts = read_sound_vqvae(data)
    samples = noise(model, COUNT)
    latents = parts.encoder(torch.from_numpy(samples)[None])
    made = model.autoencoder.latents(samples, WHOLE)
    np.testing.assert_allclose(made, latents[0, :, 0].T.numpy(), atol=1e-4)
    indices = model.measure(samples, WHOLE)
    codewords = parts.codebook[torch.from_numpy(indices[:, 0]).long()].T[None, :, None]
    for speaker in range(3):
        values = parts.decoder.spectra(codewords, parts.voices[speaker][None])
        expected = spectrum.samples(values)[0].numpy()
        decoded = model.samples(indices, 0, WHOLE, speaker)
        np.testing.assert_allclose(decoded, expected, atol=1e-4)


@given(start=st.integers(0, COUNT - 1), length=st.integers(1, COUNT))
def test_windows_meet_without_a_seam(model: SoundVqVae, start: int, length: int) -> None:
    stop = min(COUNT, start + length)
    samples, hop = noise(model, COUNT), model.hop
    latents = model.autoencoder.latents(samples, WHOLE)
    first, last = max(0, start - model.encoder_halo), stop + model.encoder_halo
    part = samples[first * hop : last * hop]
    seen = model.autoencoder.latents(part, slice(start - first, stop - first))
    np.testing.assert_allclose(seen, latents[start:stop], atol=1e-4)

    indices = np.random.default_rng(1).integers(0, CODEBOOK, (COUNT, 1))
    whole = model.samples(indices, 0, WHOLE, 1)
    first, last = max(0, start - model.decoder_halo), stop + model.decoder_halo
    heard = model.samples(indices[first:last], 0, slice(start - first, stop - first), 1)
    np.testing.assert_allclose(heard, whole[start * hop : stop * hop], atol=1e-4)


@pytest.mark.parametrize("side", [-1, 1])
def test_all_of_the_halo_is_needed(model: SoundVqVae, side: int) -> None:
    middle, hop = COUNT // 2, model.hop
    samples = noise(model, COUNT)
    changed = samples.copy()
    edge = middle + side * model.encoder_halo
    changed[edge * hop : (edge + 1) * hop] += 0.5
    one, other = (model.autoencoder.latents(each, WHOLE) for each in (samples, changed))
    moved = np.abs(one - other).max(1)
    assert moved[middle] > 0.0
    assert moved[middle - side] == 0.0

    codewords = np.random.default_rng(1).normal(size=(COUNT, model.codebook.shape[1]))
    others = codewords.copy()
    others[middle + side * model.decoder_halo] += 1.0
    one, other = (
        model.autoencoder.samples(each.astype(np.float32), model.voices[0], WHOLE)
        for each in (codewords, others)
    )
    moved = np.abs(one - other).reshape(COUNT, hop).max(1)
    assert moved[middle] > 0.0
    assert moved[middle - side] == 0.0


@pytest.mark.parametrize("hop", [32, 64, 320, 1024])
def test_spectra_of_any_hop_give_sound_in_numpy_and_torch(hop: int) -> None:
    bins = stft.bins_of(hop)
    assert stft.hop_of(bins) == hop
    rng = np.random.default_rng(hop)
    values = np.stack([rng.normal(-2.0, 1.0, (bins, 1, 9)), rng.normal(0.0, 9.0, (bins, 1, 9))])
    values = values.reshape(2 * bins, 1, 9).astype(np.float32)
    made = stft.samples(stft.synthesised(values))
    assert made.shape == (9 * hop,)
    expected = spectrum.samples(torch.from_numpy(values)[None])[0].numpy()
    np.testing.assert_allclose(made, expected, atol=1e-4)


@pytest.mark.parametrize("prior", [True, False])
def test_files_hold_the_indices_and_the_speaker(
    data: bytes, model: SoundVqVae, tmp_path: Path, prior: bool
) -> None:
    path = tmp_path / "tiny.safetensors"
    path.write_bytes(data)
    # Two segments, the last frame not whole.
    count = 1100
    samples = noise(model, count)[:-7]
    written = vqcodec.compress_audio(
        samples, model.rate, model=path, prior=prior, speaker="b\u00e9la"
    )
    indices = vqcodec.indices(written, model=path)
    assert indices.shape == (1, count, 1)
    decoded, rate = vqcodec.decompress_audio(written, model=path)
    assert (decoded.shape, rate) == ((1, len(samples)), model.rate)
    voices = []
    for number, name in enumerate(model.speakers):
        made = model.samples(indices[0], 0, slice(0, count), number)[: len(samples)]
        other, _ = vqcodec.decompress_audio(written, model=path, speaker=name)
        level = np.abs(other).max() / np.abs(made).max()
        np.testing.assert_allclose(other[0], level * made, atol=1e-4 * level)
        voices.append(other)
    assert np.array_equal(decoded, voices[1])
    assert not np.allclose(voices[0], voices[1])
    assert np.array_equal(vqcodec.salvage_audio(written, model=path).samples, decoded)


def test_of_a_new_voice_the_nearest_speaker_is_chosen(model: SoundVqVae) -> None:
    indices = np.random.default_rng(2).integers(0, CODEBOOK, (2 * 16000 // model.hop, 1))
    for number, name in enumerate(model.speakers):
        # What a speaker would say of these indices, in two channels; coding it changes indices.
        sound = model.samples(indices, 0, slice(0, len(indices)), number)
        sounds = np.stack([np.zeros_like(sound), sound, sound])
        written = vqcodec.compress_audio(sounds, model.rate, model=model)
        grid = vqcodec.indices(written, model=model)[1]
        nearest = min(
            range(3),
            key=lambda k: distance(model.samples(grid, 0, slice(0, len(grid)), k), sound),
        )
        found, _ = vqcodec.decompress_audio(written, model=model)
        asked, _ = vqcodec.decompress_audio(written, model=model, speaker=model.speakers[nearest])
        assert np.array_equal(found[1:], asked[1:]), name
        assert not found[0].any()


def distance(made: np.ndarray, original: np.ndarray) -> float:
    from vqcodec.audio.level import level_of, scale

    level = scale(level_of(np.square(original.reshape(-1, 320).astype(float)).mean(1)))
    spectra = [np.abs(stft.spectra(each)) for each in (made, original / np.float32(level))]
    one, other = (each.astype(float) ** 0.3 for each in spectra)
    return float(np.square(one - other).mean())


def test_speakers_are_found_by_name(model: SoundVqVae) -> None:
    assert [number_of(model, name) for name in model.speakers] == [0, 1, 2]
    with pytest.raises(ValueError, match="knows no speaker 'carl'; it knows anna"):
        number_of(model, "carl")
    written = vqcodec.compress_audio(noise(model, 5), model.rate, model=model)
    with pytest.raises(ValueError, match="carl"):
        vqcodec.decompress_audio(written, model=model, speaker="carl")
    with pytest.raises(ValueError, match="carl"):
        vqcodec.compress_audio(noise(model, 5), model.rate, model=model, speaker="carl")


def test_reading_and_decoding_need_no_torch(data: bytes, tmp_path: Path) -> None:
    (tmp_path / "model").write_bytes(data)
    program = """
import sys
sys.modules["torch"] = None
import numpy as np
from vqcodec.models.sound_vqvae import parse_model
model = parse_model(open("model", "rb").read(), sha256="")
indices = model.measure(np.ones(5 * model.hop, np.float32), slice(0, 5))
print(len(model.samples(indices, 0, slice(0, 5))) == 5 * model.hop)
"""
    done = subprocess.run(
        [sys.executable, "-c", program], cwd=tmp_path, capture_output=True, text=True, check=False
    )
    assert done.stdout.strip() == "True", done.stderr


def _other_prior(tensors: Tensors, metadata: dict) -> None:
    metadata["prior"]["codebook_size"] = CODEBOOK - 1


def _other_codebook(tensors: Tensors, metadata: dict) -> None:
    tensors["codebook"] = tensors["codebook"][1:]


def _stride_1(tensors: Tensors, metadata: dict) -> None:
    metadata["autoencoder"]["strides"] = [1, 8, 5]


def _fewer_widths(tensors: Tensors, metadata: dict) -> None:
    metadata["autoencoder"]["widths"] = [3, 4]


def _odd_hop(tensors: Tensors, metadata: dict) -> None:
    metadata["autoencoder"]["spectrum_hop"] = 5


def _hop_that_does_not_fit(tensors: Tensors, metadata: dict) -> None:
    metadata["autoencoder"]["spectrum_hop"] = 48


def _uneven_codewords(tensors: Tensors, metadata: dict) -> None:
    metadata["autoencoder"] |= {"strides": [2, 8, 5], "code_dim": 7}


def _no_speakers(tensors: Tensors, metadata: dict) -> None:
    metadata["speakers"] = []
    tensors["speakers"] = tensors["speakers"][:0]


def _speakers_missing(tensors: Tensors, metadata: dict) -> None:
    del metadata["speakers"]


def _fewer_speakers(tensors: Tensors, metadata: dict) -> None:
    metadata["speakers"] = metadata["speakers"][:2]


def _twins(tensors: Tensors, metadata: dict) -> None:
    metadata["speakers"][1] = metadata["speakers"][0]


def _no_name(tensors: Tensors, metadata: dict) -> None:
    metadata["speakers"][1] = ""


def _long_name(tensors: Tensors, metadata: dict) -> None:
    metadata["speakers"][1] = 65 * "a"


def _unprintable_name(tensors: Tensors, metadata: dict) -> None:
    metadata["speakers"][1] = "a\nb"


def _number_as_name(tensors: Tensors, metadata: dict) -> None:
    metadata["speakers"][1] = 7


def _infinite_voice(tensors: Tensors, metadata: dict) -> None:
    tensors["speakers"][1, 0] = np.inf


def _no_convolution(tensors: Tensors, metadata: dict) -> None:
    del tensors["encoder.down.1.weight"]


def _other_kernel(tensors: Tensors, metadata: dict) -> None:
    tensors["encoder.down.0.weight"] = np.zeros((3, 1, 1, 6), dtype=np.float16)


def _further_field(tensors: Tensors, metadata: dict) -> None:
    metadata["autoencoder"]["rate"] = 48000


@pytest.mark.parametrize(
    "change",
    [
        _other_prior,
        _other_codebook,
        _stride_1,
        _fewer_widths,
        _odd_hop,
        _hop_that_does_not_fit,
        _uneven_codewords,
        _no_speakers,
        _speakers_missing,
        _fewer_speakers,
        _twins,
        _no_name,
        _long_name,
        _unprintable_name,
        _number_as_name,
        _infinite_voice,
        _no_convolution,
        _other_kernel,
        _further_field,
    ],
)
def test_wrong_models_are_refused(change: Change) -> None:
    with pytest.raises(ModelCorruptError):
        parse_model(changed(model_bytes(), change), sha256="")


def _large_weights(tensors: Tensors, metadata: dict) -> None:
    for name, values in tensors.items():
        if name.startswith(("encoder.", "decoder.")):
            values[:] = 127 if values.dtype == np.int8 else 60000.0


def _large_codewords(tensors: Tensors, metadata: dict) -> None:
    tensors["codebook"][:] = 3e38
    tensors["speakers"][:] = -3e38


@pytest.mark.parametrize("change", [_large_weights, _large_codewords])
@pytest.mark.filterwarnings("error")
def test_weights_that_overflow_give_a_sound(change: Change) -> None:
    model = parse_model(changed(model_bytes(), change), sha256="")
    indices = model.measure(noise(model, 5), slice(0, 5))
    assert np.isfinite(model.samples(indices, 0, slice(0, 5))).all()
