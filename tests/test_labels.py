"""Classes of pictures: a prior that is told them, and samples of one of them."""

from __future__ import annotations

import hashlib
from pathlib import Path

import numpy as np
import pytest
import reference
import torch
from conftest import Run, one_line_error
from PIL import Image
from safetensors.numpy import load
from test_training import RECIPE, Silent
from test_training import run as train

import vqcodec
from vqcodec.errors import ModelCorruptError
from vqcodec.models import file
from vqcodec.models.vqvae import VqVae, parse_model
from vqcodec.networks.labelled_pixelcnn import UNKNOWN, LabelledPixelCNN
from vqcodec.training.architectures import load_recipe
from vqcodec.training.config import Recipe
from vqcodec.training.data import Pictures
from vqcodec.training.labelled_prior import LabelledPriorStage

LABEL = {"train.prior.label": "'^([a-z]+)/'", "data.scale": "[1.0, 1.0]"}


def labelled(tmp_path: Path, **settings: str) -> Recipe:
    (tmp_path / "labelled.toml").write_text(RECIPE)
    given = {f"train.prior.{key}": value for key, value in settings.items()}
    recipe = load_recipe(tmp_path / "labelled.toml", LABEL | given)
    assert isinstance(recipe, Recipe)
    return recipe


def save_pictures(folder: Path) -> Path:
    """Save pictures of two classes: dark ones and light ones."""
    for number in range(6):
        name, base = ("dark", 20) if number % 2 else ("light", 200)
        noise = np.random.default_rng(number).integers(0, 30, (48, 48, 3), np.uint8)
        (folder / name).mkdir(parents=True, exist_ok=True)
        Image.fromarray(noise + np.uint8(base)).save(folder / name / f"{number}.png")
    return folder


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    tmp_path = tmp_path_factory.mktemp("labels")
    data, out = save_pictures(tmp_path / "data"), tmp_path / "m.safetensors"
    recipe = labelled(tmp_path, steps="30", learning_rate="0.05", unlabelled="0.2")
    train(recipe, data, out, Silent())
    return out.read_bytes()


def parsed(data: bytes) -> VqVae:
    return parse_model(data, sha256=hashlib.sha256(data).hexdigest())


@pytest.mark.usefixtures("level")
def test_samples_are_of_a_class(trained: bytes) -> None:
    """And those of a seed the same by all ways to compute them."""
    model = parsed(trained)
    assert list(model.labels) == ["dark", "light"]
    drawn = {
        label: vqcodec.sample(model, count=2, size=(32, 32), seed=3, label=label)
        for label in (None, "dark", "light")
    }
    pixels = {label: b"".join(one.tobytes() for one in found) for label, found in drawn.items()}
    assert len(set(pixels.values())) == 3
    prior = model.prior_of_label("light")
    assert np.array_equal(prior.trunk.offset, model.labels["light"])
    assert not model.prior.trunk.offset.any()  # files are coded without


def test_files_are_coded_without_classes(trained: bytes) -> None:
    tensors = load(trained)
    said = file.read_metadata(trained)
    del said["labels"], tensors["prior.labels"]
    plain = parsed(file.write(tensors, said))
    assert not plain.labels
    picture = Image.fromarray(np.full((40, 40, 3), 90, np.uint8))
    both = parsed(trained), plain
    files = [vqcodec.compress(picture, model=one) for one in both]
    codes = [vqcodec.indices(data, model=one) for data, one in zip(files, both, strict=True)]
    assert np.array_equal(*codes)
    assert np.array_equal(reference.decode(files[0], trained), codes[0])


@pytest.mark.parametrize(
    "labels", [None, [], ["a"], ["a", "a"], ["a", ""], ["a", "b", "c"], "ab", [1, 2]]
)
def test_damaged_models(trained: bytes, labels: object) -> None:
    said = file.read_metadata(trained)
    data = file.write(load(trained), {**said, "labels": labels})
    with pytest.raises(ModelCorruptError):
        parsed(data)


def test_a_class_tells_what_it_decides(tmp_path: Path) -> None:
    """Indices are all alike in a picture, and its class says which: told it, they cost nothing."""
    recipe = labelled(tmp_path, steps="60", learning_rate="0.05", batch="8", unlabelled="0.3")
    pictures = Pictures([Path(f"{number}.png") for number in range(4)], recipe.data)
    grids = [[np.full((8, 8), 3 + 5 * (number % 2), np.uint16)] for number in range(4)]
    validation = [(grids[0][0], 0), (grids[1][0], 1), (grids[1][0], None)]
    stage = LabelledPriorStage(
        recipe, grids, pictures, [0, 1, 0, 1], validation, torch.randn(16, 4), torch.device("cpu")
    )
    optimiser = torch.optim.Adam(stage.module.parameters(), 0.03)
    for step in range(60):
        loss, _ = stage.loss(stage.batch(step), step)
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
    found = stage.validate()
    assert found["labelled_bits"] < found["unlabelled_bits"] - 0.004  # one of 64 is a toss-up
    assert found["labelled_bits"] < 0.1


def test_what_is_told_is_rounded_as_it_is_exported(tmp_path: Path) -> None:
    recipe = labelled(tmp_path)
    module = LabelledPixelCNN(recipe.prior, 3)
    torch.nn.init.normal_(module.labels, std=3.0)
    exported = module.export()["labels"]
    told = module.told(torch.tensor([2, UNKNOWN]), integer=True)
    assert told.shape == (2, recipe.prior.channels, 1, 1)
    scale = exported[2].float() / told[0, :, 0, 0]
    assert torch.allclose(scale, scale[:1].expand_as(scale))
    assert not told[1].any()


@pytest.mark.usefixtures("installed")
def test_command(run: Run, trained: bytes) -> None:
    Path("m.safetensors").write_bytes(trained)
    line = ["sample", "m.safetensors", "-n", "2", "--size", "16x16", "--label"]
    assert run(*line, "dark", "-o", "dark.png").code == 0
    assert run(*line, "light", "-o", "light.png").code == 0
    assert Path("dark.png").read_bytes() != Path("light.png").read_bytes()
    assert "'dark', 'light'" in one_line_error(run(*line, "grey", "-o", "grey.png"), 2)
    wrong = run("sample", "random", "--label", "dark", "-o", "grey.png")
    assert "no label 'dark'" in one_line_error(wrong, 2)
    assert not Path("grey.png").exists()
    assert '"light"' in run("models", "show", "m.safetensors").out


@pytest.mark.parametrize("wrong", ["'['", "'abc'"])
def test_wrong_patterns(tmp_path: Path, wrong: str) -> None:
    (tmp_path / "m.toml").write_text(RECIPE)
    with pytest.raises(ValueError, match=r"train\.prior\.label"):
        load_recipe(tmp_path / "m.toml", {"train.prior.label": wrong})


def test_pictures_without_a_class(tmp_path: Path) -> None:
    data = save_pictures(tmp_path / "data")
    for number in range(3):
        Image.new("RGB", (48, 48)).save(data / f"{number}.png")
    recipe = labelled(tmp_path)
    with pytest.raises(ValueError, match=r"train\.prior\.label: a label of the model is ''"):
        train(recipe, data, tmp_path / "m.safetensors", Silent())
