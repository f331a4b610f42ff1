"""Training of speech: a tiny run from end to end."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from conftest import Run
from test_training import Silent

from vqcodec.errors import ModelCorruptError
from vqcodec.models.model import header_qualities
from vqcodec.models.speech import parse_model
from vqcodec.models.stft import RATE
from vqcodec.training import speech
from vqcodec.training.architectures import load_recipe
from vqcodec.training.config_speech import SpeechRecipe
from vqcodec.training.listening import listen
from vqcodec.training.loop import InterruptedRunError
from vqcodec.training.run import train
from vqcodec.training.sounds import Recordings, find_recordings
from vqcodec.training.speech import SpeechTransformStage
from vqcodec.training.speech_medium import SpeechMedium
from vqcodec.training.weights import read_average, save_weights

soundfile = pytest.importorskip("soundfile")
pytest.importorskip("soxr")

RECIPE = """
architecture = "speech-1"
name = "tiny"
seed = 3
[transform]
width = 16
hidden = 24
analysis_depth = 1
synthesis_depth = 1
latents = 8
qualities = 3
[latent_prior]
channels = 16
first_kernel_size = 2
dilations = [1, 2]
slices = [4, 4]
hidden = 16
[train.transform]
steps = 6
batch = 3
crop = 3200
warmup = 2
learning_rate = 3e-3
optimiser = "muon"
average = 0.9
candidates_from = 0.5
validate_every = 3
checkpoint_every = 2
[train.product]
steps = 4
batch = 3
crop = 3200
optimiser = "muon"
integer_from = 0.5
validate_every = 2
checkpoint_every = 1
[train.adversarial]
steps = 4
batch = 3
crop = 3200
sizes = [64, 128]
channels = 4
alone = 1
average = 0.5
validate_every = 2
checkpoint_every = 1
[product]
codebook_size = 16
"""
CPU = torch.device("cpu")


def voice(seed: int, seconds: float = 1.0) -> np.ndarray:
    """Harmonics of a gliding tone under a beating envelope, and breath: a little like speech."""
    rng = np.random.default_rng(seed)
    times = np.arange(round(seconds * RATE)) / RATE
    glide = 1.0 + 0.1 * np.sin(2.0 * np.pi * 3.0 * times)
    phase = 2.0 * np.pi * np.cumsum(rng.uniform(100.0, 200.0) * glide) / RATE
    tones = sum(np.sin(k * phase) / k for k in range(1, 20))
    envelope = np.sin(2.0 * np.pi * 4.0 * times) ** 2
    breath = 0.02 * rng.normal(size=len(times))
    return (0.1 * envelope * (tones + breath)).astype(np.float32)


@pytest.fixture
def place(tmp_path: Path) -> Path:
    (tmp_path / "data").mkdir()
    for seed in range(4):
        soundfile.write(tmp_path / f"data/{seed}.wav", voice(seed), RATE)
    (tmp_path / "tiny.toml").write_text(RECIPE)
    return tmp_path


def recipe(place: Path, **overrides: str) -> SpeechRecipe:
    changed = {key.replace("__", "."): value for key, value in overrides.items()}
    loaded = load_recipe(place / "tiny.toml", changed)
    assert isinstance(loaded, SpeechRecipe)
    return loaded


def stage(given: SpeechRecipe, place: Path) -> SpeechTransformStage:
    paths = find_recordings(place / "data")
    recordings = Recordings(paths, given.data, [place / "data"], place)
    medium = SpeechMedium(given, recordings, paths[:1], CPU)
    return SpeechTransformStage(given, medium, CPU)


def trained(place: Path, name: str, reporter: Silent, *, resume: bool = False) -> Path:
    return train(
        recipe(place),
        data=place / "data",
        out=place / f"{name}.safetensors",
        run=place / f"{name}.run",
        resume=resume,
        device=CPU,
        reporter=reporter,
    )


def test_a_run_makes_a_model_of_what_it_trained(place: Path) -> None:
    reporter = Silent()
    data = trained(place, "x", reporter).read_bytes()
    [*_, (name, step, figures)] = reporter.figures
    assert (name, step) == ("adversarial", 4)
    for quality in (1, 2, 3):
        assert figures[f"kbps{quality}"] > 0.0
        assert figures[f"integer{quality}"] == pytest.approx(figures[f"kbps{quality}"], rel=0.2)
        assert figures[f"log_mel{quality}"] > 0.0
    rows = [json.loads(row) for row in (place / "x.run/log.jsonl").read_text().splitlines()]
    validations = [row["step"] for row in rows if row["kind"] == "validation"]
    assert validations == [3, 6, 2, 4, 2, 4]

    model = parse_model(data, sha256="")
    samples = voice(7)[: 40 * model.hop]
    whole = slice(0, 40)
    for quality in header_qualities(model)[::4]:
        indices = model.nearest(model.measure(samples, whole), quality)
        assert indices.shape == (40, model.groups(quality))
        assert bool((indices < model.codewords(quality)).all())
        decoded = model.samples(indices, quality, whole)
        assert decoded.shape == samples.shape
        part = model.samples(indices[5:35], quality, slice(10, 20))
        near = slice(15 * model.hop, 25 * model.hop)
        np.testing.assert_allclose(part, decoded[near], atol=1e-5)


def test_a_stopped_run_goes_on_as_if_nothing_had_been(place: Path) -> None:
    whole = trained(place, "whole", Silent()).read_bytes()
    for stop_at in (("transform", 4), ("product", 2), ("adversarial", 2)):
        with pytest.raises(InterruptedRunError):
            trained(place, "cut", Silent(stop_at=stop_at), resume=stop_at[0] != "transform")
    assert trained(place, "cut", Silent(), resume=True).read_bytes() == whole


def test_training_goes_on_from_small_weights(place: Path) -> None:
    trained(place, "first", Silent())
    average = read_average(place / "first.run/transform.safetensors")
    save_weights(average, place / "weights")
    (place / "tiny.toml").write_text(
        RECIPE.replace("seed = 3", f"seed = 3\nstart = '{place}/weights'").replace("3e-3", "0.0")
    )
    trained(place, "again", Silent())
    again = read_average(place / "again.run/transform.safetensors")
    assert again.keys() == average.keys()
    for name, value in average.items():
        torch.testing.assert_close(again[name], value, atol=2e-3, rtol=2e-3, msg=name)
    assert any(not torch.equal(again[name], value) for name, value in average.items())


def test_weights_that_are_not_there_are_refused(place: Path) -> None:
    (place / "tiny.toml").write_text(RECIPE.replace("seed = 3", "start = 'nowhere'"))
    with pytest.raises(ModelCorruptError, match="weights"):
        trained(place, "x", Silent())


def test_the_loss_falls(place: Path) -> None:
    given = recipe(place, train__precision="float32", train__transform__candidates_from="1.0")
    tried = stage(given, place)
    optimiser = torch.optim.Adam(tried.module.parameters(), lr=3e-3)
    losses = []
    for _ in range(60):
        loss, _ = tried.loss(tried.batch(0), 0)
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        losses.append(float(loss.detach()))
    assert losses[-1] < 0.8 * losses[0]


def test_every_part_is_trained_by_noise_and_by_candidates(place: Path) -> None:
    tried = stage(recipe(place), place)
    with torch.no_grad():  # blocks begin as the identity, which hides them from the gradient
        for name, parameter in tried.module.named_parameters():
            if name.endswith("second.weight"):
                parameter.normal_(0.0, 0.1)
    for step in (0, 5):
        tried.module.zero_grad(set_to_none=True)
        tried.loss(tried.batch(step), step)[0].backward()
        for name, parameter in tried.module.named_parameters():
            assert parameter.grad is not None, name
            assert bool(parameter.grad.isfinite().all()), name
            assert bool(parameter.grad.any()), name


def test_noise_gives_way_to_candidates(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[int] = []
    rate = speech.candidate_bits
    monkeypatch.setattr(speech, "candidate_bits", lambda *a: asked.append(1) or rate(*a))
    tried = stage(recipe(place), place)
    for step, called in ((2, 0), (3, 1)):
        tried.loss(tried.batch(step), step)
        assert len(asked) == called


@pytest.mark.parametrize(
    ("key", "value", "problem"),
    [
        ("train.transform.crop", "3201", "multiple of 320"),
        ("train.transform.lambdas", "[2.0, 1.0]", "ascend"),
        ("train.transform.temperature", "0.0", "temperature"),
        ("train.distortion.phase", "1.5", "phase"),
        ("train.precision", "'float16'", "precision"),
        ("data.levels", "[-10.0, -20.0]", "levels"),
        ("data.speeds", "[0.1, 1.0]", "speeds"),
        ("latent_prior.slices", "[4, 5]", "slices"),
        ("name", "'A b'", "name"),
    ],
)
def test_impossible_recipes_are_refused(place: Path, key: str, value: str, problem: str) -> None:
    with pytest.raises(ValueError, match=problem):
        load_recipe(place / "tiny.toml", {key: value})


def test_silence_cannot_be_validated_on(place: Path) -> None:
    soundfile.write(place / "data/0.wav", np.zeros(RATE, dtype=np.float32), RATE)
    with pytest.raises(ValueError, match=r"0\.wav"):
        stage(recipe(place), place)


def test_the_command_writes_the_model(place: Path, run: Run) -> None:
    result = run(
        *("train", place / "tiny.toml", "--out", place / "x.safetensors"),
        *("--data", place / "data"),
    )
    assert result.code == 0
    assert parse_model((place / "x.safetensors").read_bytes(), sha256="").name == "tiny"


def test_instruments_prefer_the_original() -> None:
    pytest.importorskip("pesq")
    pytest.importorskip("pystoi")
    original = voice(0, 2.0)
    noisy = original + np.float32(0.03) * np.random.default_rng(1).normal(size=len(original))
    same, other = listen(original, original), listen(original, noisy.astype(np.float32))
    assert same["pesq"] > 4.5
    assert same["stoi"] > 0.99
    assert other["pesq"] < same["pesq"]
    assert other["stoi"] < same["stoi"]


def test_pesq_has_nothing_to_say_of_silence() -> None:
    pytest.importorskip("pesq")
    silence = np.zeros(RATE, dtype=np.float32)
    assert "pesq" not in listen(silence, silence)
