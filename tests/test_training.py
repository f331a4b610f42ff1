from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest
import torch
from conftest import photo
from safetensors.torch import load_file

import vqcodec
from vqcodec.errors import VqcWarning
from vqcodec.training.architectures import load_recipe
from vqcodec.training.config import Recipe, ScheduleConfig
from vqcodec.training.data import Chances, Pictures, find_pictures
from vqcodec.training.loop import InterruptedRunError, learning_rate, stop_requested
from vqcodec.training.run import train
from vqcodec.training.shipped import find_recipe, recipe_names

RECIPE = """
architecture = "vqvae-pixelcnn-1"
name = "tiny"
seed = 3
[autoencoder]
hidden = 8
residual_blocks = 1
code_dim = 4
codebook_size = 16
[prior]
codebook_size = 16
embedding = 4
channels = 8
layers = 1
[data.weights]
a = 0.5
"*" = 0.5
[train.autoencoder]
steps = 8
batch = 2
crop = 32
warmup = 2
plain_steps = 2
revive_every = 2
validate_every = 4
checkpoint_every = 3
[train.prior]
steps = 6
batch = 2
crop = 8
validate_every = 3
checkpoint_every = 2
views = 1
"""


class Silent:
    """A reporter that raises Ctrl-C's signal at a given step."""

    def __init__(self, stop_at: tuple[str, int] | None = None) -> None:
        self.stop_at = stop_at
        self.figures: list[tuple[str, int, dict[str, float]]] = []

    def start(self, stage: str, step: int, steps: int) -> None:
        pass

    def step(self, stage: str, step: int, metrics: dict[str, float]) -> None:
        if (stage, step) == self.stop_at:
            import signal

            signal.raise_signal(signal.SIGINT)

    def validation(self, stage: str, step: int, metrics: dict[str, float]) -> None:
        self.figures.append((stage, step, metrics))


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    data = tmp_path / "data"
    data.mkdir()
    for k in range(5):
        photo(70, 60, seed=k).save(data / f"{'ab'[k % 2]}-{k}.png")
    return data


@pytest.fixture
def recipe(tmp_path: Path) -> Recipe:
    path = tmp_path / "tiny.toml"
    path.write_text(RECIPE)
    return load_recipe(path)


@contextmanager
def threads(count: int) -> Iterator[None]:
    """Let torch work with so many threads."""
    before = torch.get_num_threads()
    torch.set_num_threads(count)
    try:
        yield
    finally:
        torch.set_num_threads(before)


@pytest.fixture(scope="module", autouse=True)
def one_thread() -> Iterator[None]:
    """One thread for a module's tests and for its fixtures: other threads, other sums."""
    with threads(1):
        yield


def run(recipe: Recipe, folder: Path, out: Path, reporter: Silent, *, resume: bool = False) -> None:
    train(
        recipe,
        data=folder,
        out=out,
        run=out.with_suffix(".run"),
        resume=resume,
        device=torch.device("cpu"),
        reporter=reporter,
    )


def test_train_makes_a_model_that_compresses(recipe: Recipe, folder: Path, tmp_path: Path) -> None:
    out, reporter = tmp_path / "tiny.safetensors", Silent()
    run(recipe, folder, out, reporter)
    model = vqcodec.load_model(out, device="cpu")
    data = vqcodec.compress(photo(), model=model)
    assert vqcodec.decompress(data, model=model).size == photo().size
    assert [(s, n) for s, n, _ in reporter.figures] == [
        ("autoencoder", 4),
        ("autoencoder", 8),
        ("prior", 3),
        ("prior", 6),
    ]
    rows = [json.loads(row) for row in (tmp_path / "tiny.run/log.jsonl").read_text().splitlines()]
    assert {row["stage"] for row in rows} == {"autoencoder", "prior"}
    last = reporter.figures[-1][2]
    assert last["integer_bits"] == pytest.approx(last["float_bits"], rel=0.05)


@pytest.mark.parametrize("stop_at", [("autoencoder", 1), ("autoencoder", 5), ("prior", 3)])
def test_resumed_run_equals_the_uninterrupted_one(
    recipe: Recipe, folder: Path, tmp_path: Path, stop_at: tuple[str, int]
) -> None:
    whole, parts = tmp_path / "whole.safetensors", tmp_path / "parts.safetensors"
    run(recipe, folder, whole, Silent())
    with pytest.raises(InterruptedRunError):
        run(recipe, folder, parts, Silent(stop_at))
    assert not parts.exists()
    run(recipe, folder, parts, Silent(), resume=True)
    expected, found = load_file(whole), load_file(parts)
    assert all(torch.equal(expected[name], found[name]) for name in expected)
    logs = [(tmp_path / f"{n}.run/log.jsonl").read_text() for n in ("whole", "parts")]
    assert logs[0] == logs[1]


def test_more_steps_of_the_autoencoder_call_for_another_prior(
    recipe: Recipe, folder: Path, tmp_path: Path
) -> None:
    out, reporter = tmp_path / "tiny.safetensors", Silent()
    run(recipe, folder, out, Silent())
    run(recipe, folder, out, reporter, resume=True)
    assert not reporter.figures
    longer = load_recipe(tmp_path / "tiny.toml", {"train.autoencoder.steps": "9"})
    run(longer, folder, out, reporter, resume=True)
    steps = [(stage, step) for stage, step, _ in reporter.figures]
    assert steps == [("autoencoder", 9), ("prior", 3), ("prior", 6)]


def test_training_starts_from_a_model(recipe: Recipe, folder: Path, tmp_path: Path) -> None:
    first, again = tmp_path / "first.safetensors", tmp_path / "again.safetensors"
    run(recipe, folder, first, Silent())
    still = {
        "start": f"'{first}'",
        "train.autoencoder.learning_rate": "0",
        "train.autoencoder.gamma": "1",
        "train.prior.learning_rate": "0",
    }
    run(load_recipe(tmp_path / "tiny.toml", still), folder, again, Silent())
    expected, found = load_file(first), load_file(again)
    assert all(torch.equal(expected[name], found[name]) for name in expected)
    other = load_recipe(tmp_path / "tiny.toml", {"start": "'paper'"})
    with pytest.raises(ValueError, match="another architecture"):
        run(other, folder, tmp_path / "x.safetensors", Silent())


def test_draws_depend_on_the_step_alone(recipe: Recipe, folder: Path) -> None:
    pictures = [Pictures(find_pictures(folder), recipe.data) for _ in range(2)]
    crops = [p.crop(32, np.random.default_rng([0, 5])) for p in pictures]
    assert np.array_equal(crops[0], crops[1])
    assert crops[0].shape == (32, 32, 3)
    large = pictures[0].crop(200, np.random.default_rng(0))
    assert large.shape == (200, 200, 3)


def test_sources_are_drawn_by_their_weights(recipe: Recipe, folder: Path) -> None:
    pictures = Pictures(find_pictures(folder), recipe.data)
    rng = np.random.default_rng(0)
    draws = [pictures.paths[pictures.draw(rng)].name[0] for _ in range(800)]
    assert 0.45 < draws.count("a") / len(draws) < 0.55


def test_chances_are_those_of_numpy() -> None:
    """So that the draws of recipes stay as they were."""
    for seed in range(30):
        weights = np.random.default_rng(seed).random(1 + 7 * seed) ** 4
        probabilities = weights / weights.sum()
        chances = Chances(probabilities)
        one, other = np.random.default_rng(seed), np.random.default_rng(seed)
        for _ in range(20):
            assert chances.draw(one) == other.choice(len(probabilities), p=probabilities)


def test_learning_rate_rises_stays_and_falls() -> None:
    schedule = ScheduleConfig(steps=100, learning_rate=1.0, warmup=10, decay=0.5)
    rates = [learning_rate(schedule, step) for step in range(100)]
    assert rates[0] == pytest.approx(0.1)
    assert rates[9] == rates[50] == 1.0
    assert rates[75] == pytest.approx(0.5)
    assert 0.0 < rates[99] < 0.03


def test_stop_requested_restores_the_handlers() -> None:
    import signal

    before = signal.getsignal(signal.SIGINT)
    with stop_requested() as stopped:
        assert not stopped()
        signal.raise_signal(signal.SIGINT)
        assert stopped()
    assert signal.getsignal(signal.SIGINT) is before


@pytest.mark.parametrize(
    ("override", "named"),
    [
        ({"train.autoencoder.stepz": "5"}, "train.autoencoder.stepz"),
        ({"train.autoencoder.steps": "'many'"}, "train.autoencoder.steps"),
        ({"train.autoencoder.steps": "0"}, "steps"),
        ({"train.autoencoder.crop": "30"}, "crop"),
        ({"train.autoencoder.crop": "8", "train.autoencoder.batch": "1"}, "latents"),
        ({"autoencoder.codebook_size": "1"}, "codebook_size"),
        ({"prior.codebook_size": "32"}, "codebook_size"),
        ({"data.scale": "[1.0]"}, "data.scale"),
        ({"name": "'Not A Name'"}, "name"),
        ({"name.x": "1"}, "name"),
        ({"seed": "1.5"}, "seed"),
    ],
)
def test_wrong_recipes_name_the_key(tmp_path: Path, override: dict[str, str], named: str) -> None:
    path = tmp_path / "recipe.toml"
    path.write_text(RECIPE)
    with pytest.raises(ValueError, match=named.replace(".", r"\.")):
        load_recipe(path, override)


@pytest.mark.parametrize(
    "name", ["paper", "photo", "photo-2", "speech", "paper-speech", "paper-speech-decoder"]
)
def test_recipes_of_all_architectures_know_the_precisions(name: str) -> None:
    path = Path(__file__).parent.parent / "train" / f"{name}.toml"
    load_recipe(path, {"train.precision": "'bfloat16'"})
    with pytest.raises(ValueError, match=r"train\.precision"):
        load_recipe(path, {"train.precision": "'float16'"})


def test_overrides_are_toml(tmp_path: Path) -> None:
    path = tmp_path / "recipe.toml"
    path.write_text(RECIPE)
    recipe = load_recipe(
        path, {"train.prior.steps": "9", "name": "other", "data.scale": "[0.7, 1]"}
    )
    assert recipe.train.prior.steps == 9
    assert recipe.name == "other"
    assert recipe.data.scale == (0.7, 1.0)


_OF_SHIPPED_MODELS = Path(__file__).parent.parent / "train"


@pytest.mark.parametrize(
    "path",
    [
        *(_OF_SHIPPED_MODELS / f"{name}.toml" for name in ("paper-first", "paper", "photo")),
        _OF_SHIPPED_MODELS / "photo-2.toml",
        _OF_SHIPPED_MODELS / "paper/two_stages/doom27.toml",
        _OF_SHIPPED_MODELS / "paper/clips/clips.toml",
        *map(find_recipe, recipe_names()),
    ],
    ids=lambda path: path.stem,
)
def test_recipes_say_their_architecture(path: Path, tmp_path: Path) -> None:
    recipe = load_recipe(path)
    row = f'architecture = "{recipe.architecture}"\n'
    text = path.read_text()
    assert text.count(row) == 1
    bare = tmp_path / path.name
    bare.write_text(text.replace(row, ""))
    with pytest.raises(ValueError, match=f"architecture is missing.*'{recipe.architecture}'"):
        load_recipe(bare)
    bare.write_text(text.replace(row, 'architecture = ["photo-1"]\n'))
    with pytest.raises(ValueError, match="it must be one of"):
        load_recipe(bare)


def test_incomplete_recipes_and_folders(tmp_path: Path) -> None:
    path = tmp_path / "recipe.toml"
    path.write_text("name = 'x'")
    with pytest.raises(ValueError, match="missing"):
        load_recipe(path)
    path.write_text("name = ")
    with pytest.raises(ValueError, match="TOML"):
        load_recipe(path)
    with pytest.raises(ValueError, match="no pictures"):
        find_pictures(tmp_path)


def test_too_small_pictures_are_found_out_before_training(recipe: Recipe, tmp_path: Path) -> None:
    data = tmp_path / "small"
    data.mkdir()
    for k in range(3):
        photo(31, 31, seed=k).save(data / f"{k}.png")
    reporter = Silent()
    with pytest.raises(ValueError, match="32 pixels"):
        run(recipe, data, tmp_path / "x.safetensors", reporter)
    assert not reporter.figures


def test_unreadable_pictures_are_left_out_with_a_warning(folder: Path) -> None:
    (folder / "bad.jpg").write_bytes(b"no picture")
    with pytest.warns(VqcWarning, match=r"bad\.jpg"):
        assert len(find_pictures(folder)) == 5
