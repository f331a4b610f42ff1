"""Training of the VQ-VAE of sound, and of the paper's decoder: tiny runs from end to end."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file
from test_speech import CPU, voice
from test_training import Silent

import vqcodec
from vqcodec.models.sound_vqvae import parse_model
from vqcodec.models.stft import RATE
from vqcodec.networks.model_files import read_sound_vqvae
from vqcodec.training.architectures import AnyRecipe, load_recipe
from vqcodec.training.config_sound_vqvae import SoundVqVaeRecipe, WaveNetDecoderRecipe
from vqcodec.training.loop import InterruptedRunError
from vqcodec.training.path_names import Speakers
from vqcodec.training.run import train
from vqcodec.training.sound_autoencoder import SoundAutoencoderStage
from vqcodec.training.sound_prior import Indexer, SoundPriorStage
from vqcodec.training.sounds import Recordings, find_recordings
from vqcodec.training.voices import voice_of

soundfile = pytest.importorskip("soundfile")
pytest.importorskip("soxr")

RECIPE = """
architecture = "vqvae-wavenet-1"
name = "tiny"
seed = 3
[autoencoder]
strides = [4, 4, 4]
widths = [8, 8, 16]
encoder_depth = 1
encoder_hidden = 16
code_dim = 8
codebook_size = 16
speaker_dim = 4
spectrum_hop = 64
decoder_width = 16
decoder_hidden = 24
decoder_depth = 1
[prior]
codebook_size = 16
embedding = 4
channels = 12
first_kernel_size = 2
dilations = [1, 2]
[train.autoencoder]
steps = 8
batch = 2
crop = 3200
warmup = 2
learning_rate = 3e-3
plain_steps = 3
revive_every = 2
decay = 0.3
validate_every = 4
checkpoint_every = 2
[train.prior]
steps = 6
batch = 2
crop = 64
integer_from = 0.5
validate_every = 3
checkpoint_every = 2
"""
DECODER = """
architecture = "wavenet-decoder-1"
name = "tiny-decoder"
start = "x.safetensors"
[decoder]
channels = 6
skip = 8
dilations = [1, 2, 4]
speaker_dim = 3
[train.decoder]
steps = 4
batch = 2
crop = 1600
average = 0.9
validate_every = 2
checkpoint_every = 1
"""


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Recordings of two speakers to train on, and of one of them and another to validate on."""
    monkeypatch.chdir(tmp_path)
    for number, path in enumerate(
        ("data/anna/1", "data/anna/2", "data/bela/1", "validation/anna/3", "validation/carl/1")
    ):
        Path(path).parent.mkdir(parents=True, exist_ok=True)
        soundfile.write(f"{path}.wav", voice(number), RATE)
    Path("tiny.toml").write_text(RECIPE)
    Path("decoder.toml").write_text(DECODER)
    return tmp_path


def recipe(changes: dict[str, str] | None = None) -> SoundVqVaeRecipe:
    loaded = load_recipe(Path("tiny.toml"), changes)
    assert isinstance(loaded, SoundVqVaeRecipe)
    return loaded


def trained(
    given: AnyRecipe, name: str, reporter: Silent | None = None, *, resume: bool = False
) -> Path:
    return train(
        given,
        data=Path("data").absolute(),
        validation=Path("validation").absolute(),
        out=Path(f"{name}.safetensors"),
        run=Path(f"{name}.run"),
        resume=resume,
        device=CPU,
        reporter=reporter or Silent(),
    )


@pytest.mark.filterwarnings("ignore:it does not look like speech")
def test_a_run_makes_a_model_of_what_it_trained(place: Path) -> None:
    reporter = Silent()
    path = trained(recipe(), "x", reporter)
    stages = [(name, step) for name, step, _ in reporter.figures]
    assert stages == [("autoencoder", 4), ("autoencoder", 8), ("prior", 3), ("prior", 6)]
    first, last = reporter.figures[1][2], reporter.figures[-1][2]
    assert 0.0 < first["used"] <= 1.0
    assert first["distortion"] > 0.0
    assert last["integer_bits"] == pytest.approx(last["float_bits"], rel=0.05)
    rows = [json.loads(row) for row in Path("x.run/log.jsonl").read_text().splitlines()]
    assert {row["stage"] for row in rows} == {"autoencoder", "prior"}

    model = parse_model(path.read_bytes(), sha256="")
    assert model.speakers == ("anna", "bela")
    assert model.hop == 64
    data = vqcodec.compress_audio(voice(7), RATE, model=path)
    voices = [
        vqcodec.decompress_audio(data, model=path, speaker=name)[0] for name in model.speakers
    ]
    assert voices[0].shape == (1, RATE)
    assert not np.array_equal(*voices)


@pytest.mark.parametrize("stop_at", [("autoencoder", 2), ("autoencoder", 5), ("prior", 3)])
def test_a_stopped_run_goes_on_as_if_nothing_had_been(
    place: Path, stop_at: tuple[str, int]
) -> None:
    whole = trained(recipe(), "whole").read_bytes()
    with pytest.raises(InterruptedRunError):
        trained(recipe(), "cut", Silent(stop_at=stop_at))
    assert trained(recipe(), "cut", resume=True).read_bytes() == whole


def test_training_goes_on_from_a_model(place: Path) -> None:
    path = trained(recipe(), "x")
    still = {"start": "x.safetensors", "train.autoencoder.learning_rate": "0.0"}
    still |= {"train.prior.learning_rate": "0.0", "train.autoencoder.revive_every": "0"}
    again = read_sound_vqvae(trained(recipe(still), "again").read_bytes())
    before = read_sound_vqvae(path.read_bytes())
    for name in ("encoder", "decoder", "prior"):
        one, other = (getattr(parts, name).state_dict() for parts in (before, again))
        for key, value in one.items():
            torch.testing.assert_close(other[key], value)
    assert torch.equal(again.voices, before.voices)
    assert again.speakers == before.speakers
    with pytest.raises(ValueError, match="another architecture"):
        trained(recipe({"start": "x.safetensors", "autoencoder.decoder_width": "20"}), "y")
    Path("data/anna").rename("data/carl")
    with pytest.raises(ValueError, match="knows no speaker 'carl'"):
        trained(recipe({"start": "x.safetensors"}), "y")


def stage(given: SoundVqVaeRecipe) -> tuple[SoundAutoencoderStage, Recordings]:
    data = Path("data").absolute()
    recordings = Recordings(find_recordings(data), given.data, [data], Path())
    speakers = Speakers(recordings.paths, [data], given.data.speaker)
    held_out = find_recordings(data / "anna")
    return SoundAutoencoderStage(given, recordings, speakers, held_out, CPU), recordings


def test_the_loss_falls_and_every_part_is_trained(place: Path) -> None:
    given = recipe({"train.precision": "float32", "train.autoencoder.plain_steps": "0"})
    tried, _ = stage(given)
    with torch.no_grad():  # blocks begin as the identity, which hides them from the gradient
        for name, parameter in tried.module.named_parameters():
            if name.endswith("second.weight"):
                parameter.normal_(0.0, 0.1)
    optimiser = torch.optim.Adam(tried.module.parameters(), lr=3e-3)
    losses = []
    for _ in range(25):
        loss, _ = tried.loss(tried.batch(0), 0)
        optimiser.zero_grad()
        loss.backward()
        for name, parameter in tried.module.named_parameters():
            assert parameter.grad is not None, name
            assert bool(parameter.grad.any()), name
        optimiser.step()
        losses.append(float(loss.detach()))
    assert losses[-1] < 0.9 * losses[0]


def test_each_crop_is_decoded_in_its_own_voice(
    place: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    given = recipe({"train.autoencoder.batch": "24", "data.levels": "[0.0, 0.0]"})
    tried, recordings = stage(given)
    drawn: list[int] = []
    crop = Recordings.crop

    def noted(self: Recordings, length: int, rng: np.random.Generator, n: int) -> np.ndarray:
        drawn.append(n)
        return crop(self, length, rng, n)

    monkeypatch.setattr(Recordings, "crop", noted)
    tried.batch(5)
    names = [recordings.paths[number].parent.name for number in drawn]
    assert set(names) == {"anna", "bela"}
    assert tried._voices.speakers(5).tolist() == [("anna", "bela").index(name) for name in names]


def test_indices_of_windows_are_those_of_the_whole(
    place: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    given = recipe({"train.precision": "float32"})
    indexer = Indexer(stage(given)[0].module.eval(), given, CPU)
    samples = np.concatenate([voice(1), voice(2)])[:-5]
    whole = indexer.row(samples)
    assert len(whole) == -(-len(samples) // 64)
    monkeypatch.setattr("vqcodec.training.sound_prior._WINDOW_SAMPLES", 7 * 64)
    assert np.array_equal(indexer.row(samples), whole)


def test_crops_of_indices_go_on_in_the_next_recording(place: Path) -> None:
    given = recipe({"train.prior.crop": "7"})
    _, recordings = stage(given)
    rows = [np.arange(3, dtype=np.uint16), np.arange(3, 5, dtype=np.uint16)]
    rows.append(np.arange(5, 16, dtype=np.uint16))
    prior = SoundPriorStage(
        given, rows, recordings, [np.arange(15, dtype=np.uint16)], torch.randn(16, 8), CPU
    )
    seen = torch.cat([prior.batch(step) for step in range(40)])
    assert bool(((seen[:, 1:] - seen[:, :-1]) % 16 == 1).all())
    assert set(seen[:, 0].tolist()) == set(range(16))
    with pytest.raises(ValueError, match="fewer than 7"):
        SoundPriorStage(given, rows, recordings, [rows[0]], torch.randn(16, 8), CPU)


def test_paths_name_the_speakers() -> None:
    folder = Path("/data")
    paths = [folder / "a/so1-001.wav", folder / "a/so2.wav", folder / "b/so1-17.wav"]
    pattern = r"([^/]+?)(?:-\d+)?\.\w+$"
    speakers = Speakers(paths, [folder, Path("/other")], pattern)
    assert (speakers.names, speakers.numbers) == (("so1", "so2"), [0, 1, 0])
    assert speakers.number_of(Path("/other/so2-3.wav")) == 1
    assert speakers.number_of(Path("/other/so3-3.wav")) is None
    assert Speakers(paths, [folder], "").names == ("a", "b")
    for pattern, problem in (("x(.)", "1 to 64"), (r"(.*)\.wav", "no speaker 'a/so1-001'")):
        with pytest.raises(ValueError, match=problem):
            Speakers(paths, [folder], pattern, None if pattern == "x(.)" else ["so1"])


def test_a_stranger_has_the_mean_of_all_voices() -> None:
    known = torch.tensor([[1.0, 2.0], [3.0, 6.0]])
    assert voice_of(1, known).tolist() == [[3.0, 6.0]]
    assert voice_of(None, known).tolist() == [[2.0, 4.0]]


@pytest.mark.parametrize(
    ("key", "value", "problem"),
    [
        ("train.autoencoder.crop", "3201", "multiple of 64"),
        ("train.autoencoder.crop", "256", "fewer latents"),
        ("train.prior.crop", "0", "at least 1"),
        ("train.precision", "'float16'", "precision"),
        ("prior.codebook_size", "17", "codebook_size"),
        ("autoencoder.strides", "[4, 4, 9]", "strides"),
        ("autoencoder.spectrum_hop", "48", "multiple of spectrum_hop"),
        ("data.speaker", "'(a'", "regular expression"),
        ("data.speaker", "'a'", "group"),
        ("data.speeds", "[0.1, 1.0]", "speeds"),
    ],
)
def test_impossible_recipes_are_refused(place: Path, key: str, value: str, problem: str) -> None:
    with pytest.raises(ValueError, match=problem):
        recipe({key: value})


@pytest.mark.parametrize("name", ["paper-speech", "paper-speech-25hz", "paper-speech-decoder"])
def test_the_recipes_are_read(name: str) -> None:
    loaded = load_recipe(Path(__file__).parent.parent / f"train/{name}.toml")
    assert loaded.name == name
    if isinstance(loaded, SoundVqVaeRecipe):
        rate = RATE / loaded.autoencoder.hop
        assert (rate, loaded.prior.codebook_size) in ((250.0, 512), (25.0, 128))


def test_the_paper_s_decoder_trains_beside_a_model(place: Path) -> None:
    trained(recipe(), "x")
    given = load_recipe(Path("decoder.toml"))
    assert isinstance(given, WaveNetDecoderRecipe)
    reporter = Silent()
    checkpoint = trained(given, "decoder", reporter)
    assert [(name, step) for name, step, _ in reporter.figures] == [("decoder", 2), ("decoder", 4)]
    # A class of 256 costs 8 bits, if nothing is known.
    assert 0.0 < reporter.figures[-1][2]["bits"] < 10.0
    whole = load_file(checkpoint)
    assert whole["module.speaker_embedding"].shape == (2, 3)
    with pytest.raises(InterruptedRunError):
        trained(given, "cut", Silent(stop_at=("decoder", 2)))
    resumed = load_file(trained(given, "cut", resume=True))
    assert whole.keys() == resumed.keys()
    assert all(torch.equal(value, resumed[name]) for name, value in whole.items())
    with pytest.raises(ValueError, match="multiple of 64"):
        trained(load_recipe(Path("decoder.toml"), {"train.decoder.crop": "100"}), "y")
