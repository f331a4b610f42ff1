"""photo-2's first stage: a tiny run from end to end, and what it can go on from."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from conftest import Run, photo
from safetensors import safe_open
from safetensors.torch import load_file, save_file
from test_training import Silent, threads
from test_training import one_thread as one_thread

from vqcodec.errors import ModelCorruptError, ModelNotFoundError
from vqcodec.training.architectures import load_recipe
from vqcodec.training.config import DataConfig
from vqcodec.training.config_deep import DeepPhotoRecipe
from vqcodec.training.data import Pictures, find_pictures
from vqcodec.training.deep import DeepTransformStage, flat_white
from vqcodec.training.deep_medium import DeepPhotoMedium
from vqcodec.training.growth import blank
from vqcodec.training.loop import InterruptedRunError
from vqcodec.training.run import train
from vqcodec.training.weights import load_weights, read_average, save_weights

RECIPE = """
architecture = "photo-2"
name = "tiny"
seed = 3
start = "photo-1.safetensors"
[transform]
widths = [8, 12, 16]
analysis_depths = [1, 2, 2]
synthesis_depths = [1, 1, 2]
latents = 40
details = 24
qualities = 4
[latent_prior]
channels = 16
layers = 2
slices = [8, 8, 8, 16]
hidden = 12
[train]
precision = "float32"
[train.transform]
steps = 8
batch = 2
crop = 32
optimiser = "muon"
warmup = 2
average = 0.9
ms_ssim = 0.0
pages = 0.4
decoder_steps = 2
candidates_from = 0.5
large_from = 0.75
large_batch = 1
large_crop = 48
validate_every = 4
checkpoint_every = 3
"""
CPU = torch.device("cpu")


@pytest.fixture
def place(tmp_path: Path, photo_data: bytes, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with photo-1, a recipe that starts from it, and two folders of pictures."""
    (tmp_path / "photo-1.safetensors").write_bytes(photo_data)
    (tmp_path / "tiny.toml").write_text(RECIPE)
    for folder, count in (("many", 5), ("few", 2)):
        (tmp_path / folder).mkdir()
        for k in range(count):
            photo(70, 60, seed=k).save(tmp_path / folder / f"a-{k}.png")
    monkeypatch.chdir(tmp_path)
    return tmp_path


def recipe(place: Path, **changes: str) -> DeepPhotoRecipe:
    changed = {name.replace("__", "."): value for name, value in changes.items()}
    loaded = load_recipe(place / "tiny.toml", changed)
    assert isinstance(loaded, DeepPhotoRecipe)
    return loaded


def run(
    of: DeepPhotoRecipe, place: Path, name: str, reporter: Silent, resume: bool = False
) -> Path:
    return train(
        of,
        data=[place / "many", place / "few"],
        out=place / f"{name}.safetensors",
        run=place / f"{name}.run",
        resume=resume,
        device=CPU,
        reporter=reporter,
    )


def stage(of: DeepPhotoRecipe, place: Path) -> DeepTransformStage:
    paths = find_pictures(place / "many")
    torch.manual_seed(0)
    module = blank(of.transform, of.latent_prior)
    settings = of.train.transform
    assert settings is not None
    pictures = Pictures(paths, of.data)
    medium = DeepPhotoMedium(of, settings, module, pictures, [""], paths[:2], CPU)
    return DeepTransformStage("transform", settings, of.seed, medium, CPU)


def test_a_run_ends_with_a_checkpoint_and_no_model(place: Path) -> None:
    reporter = Silent()
    written = run(recipe(place), place, "whole", reporter)
    assert written == place / "whole.run/transform.safetensors"
    assert not (place / "whole.safetensors").exists()
    with safe_open(written, framework="pt") as file:
        assert file.metadata() == {"step": "8"}
    rows = [json.loads(row) for row in (place / "whole.run/log.jsonl").read_text().splitlines()]
    assert rows[0]["kind"] == "fonts"
    assert rows[0]["fonts"][0] == ""
    assert [(row["kind"], row["step"]) for row in rows[1:]] == [
        ("validation", 4),
        ("validation", 8),
    ]
    names = {"bpp", "psnr", "page_psnr", "page_white"}
    assert set(rows[1]) >= {f"{name}{quality}" for name in names for quality in range(1, 5)}
    assert rows[1]["psnr1"] < rows[1]["psnr4"]
    assert rows[1]["bpp1"] < rows[1]["bpp4"]


@pytest.mark.parametrize(("stop_at", "count"), [(1, 1), (3, 1), (5, 1), (7, 1), (5, 2), (5, 3)])
def test_resumed_run_equals_the_uninterrupted_one_with_as_many_threads(
    place: Path, stop_at: int, count: int
) -> None:
    with threads(count):
        whole = run(recipe(place), place, "whole", Silent())
        with pytest.raises(InterruptedRunError):
            run(recipe(place), place, "parts", Silent(("transform", stop_at)))
        parts = run(recipe(place), place, "parts", Silent(), resume=True)
    expected, found = load_file(whole), load_file(parts)
    assert expected.keys() == found.keys()
    assert all(torch.equal(expected[name], found[name]) for name in expected)
    logs = [(place / f"{name}.run/log.jsonl").read_text() for name in ("whole", "parts")]
    assert logs[0] == logs[1]


def test_the_first_steps_leave_the_encoder_alone(place: Path) -> None:
    tried = stage(recipe(place), place)
    for step, trained in ((1, False), (2, True)):
        tried.module.zero_grad(set_to_none=True)
        loss, _ = tried.loss(tried.batch(step), step)
        loss.backward()
        parts = tried.module.analysis, tried.module.gains
        assert all((p.grad is not None) == trained for part in parts for p in part.parameters())
        assert tried.module.prior.first.weight.grad is not None
        assert tried.module.synthesis.layers[0].weight.grad is not None


def test_noise_gives_way_to_candidates(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    asked = []
    from vqcodec.training import deep

    rate = deep.candidate_bits
    monkeypatch.setattr(deep, "candidate_bits", lambda *a: asked.append(1) or rate(*a))
    tried = stage(recipe(place), place)
    for step, called in ((3, 0), (4, 1)):
        tried.loss(tried.batch(step), step)
        assert len(asked) == called


def test_batches_hold_pages_and_grow(place: Path) -> None:
    tried = stage(recipe(place), place)
    assert tried.batch(5).shape == (2, 3, 32, 32)
    assert tried.batch(6).shape == (1, 3, 48, 48)
    assert torch.equal(tried.batch(3), tried.batch(3))
    photographs = stage(recipe(place, train__transform__pages="0.0"), place)
    drawn = stage(recipe(place, train__transform__pages="1.0"), place)
    flat = [
        sum(len(np.unique(crop)) < 40 for step in range(5) for crop in one.batch(step).numpy())
        for one in (photographs, drawn)
    ]
    assert flat[0] == 0
    assert flat[1] >= 3


def test_folders_are_drawn_from_alike(place: Path) -> None:
    folders = [place / "many", place / "few"]
    paths = [path for folder in folders for path in find_pictures(folder)]
    pictures = Pictures(paths, DataConfig(), folders)
    rng = np.random.default_rng(0)
    drawn = [pictures.paths[pictures.draw(rng)].parent.name for _ in range(800)]
    assert 0.45 < drawn.count("few") / len(drawn) < 0.55
    with pytest.raises(ValueError, match="few: no picture is left"):
        Pictures(find_pictures(folders[0]), DataConfig(), folders)


def test_flat_white_is_white_all_around() -> None:
    crop = torch.full((1, 3, 40, 40), 255, dtype=torch.uint8)
    crop[0, 1, 20, 20] = 254
    flat = flat_white(crop)
    assert flat.shape == (1, 40, 40)
    assert int((~flat).sum()) == 81
    assert not bool(flat[0, 16:25, 16:25].any())


def test_training_goes_on_from_small_weights(place: Path) -> None:
    checkpoint = run(recipe(place), place, "first", Silent())
    average = read_average(checkpoint)
    save_weights(average, place / "weights")
    loaded = blank(recipe(place).transform, recipe(place).latent_prior)
    load_weights(loaded, place / "weights")
    for name, value in loaded.state_dict().items():
        inside = name.endswith(("first.weight", "second.weight")) and value.dim() == 4
        reach = average[name].abs().amax((1, 2, 3), keepdim=True) if inside else average[name].abs()
        step = reach / 254.0 if inside else reach / 2000.0 + 1e-7
        assert bool(((value - average[name]).abs() <= 1.01 * step).all()), name
    still = recipe(place, start="'weights'", train__transform__learning_rate="0.0")
    again = read_average(run(still, place, "again", Silent()))
    assert all(
        torch.allclose(again[name], value)
        for name, value in loaded.state_dict().items()
        if name != "gains.octaves"  # which may be too high to begin with
    )


def test_a_folder_of_another_kind_hides_no_model(place: Path) -> None:
    (place / "photo-1.safetensors").rename(place / "elsewhere.safetensors")
    (place / "photo-1.safetensors").mkdir()
    with pytest.raises(ModelNotFoundError):
        run(recipe(place), place, "x", Silent())
    (place / "photo").mkdir()
    with pytest.raises(ValueError, match="no part of"):
        run(recipe(place, start="'photo'"), place, "y", Silent())


def test_weights_of_other_networks_are_refused(place: Path) -> None:
    tiny = recipe(place)
    module = blank(tiny.transform, tiny.latent_prior)
    with pytest.raises(ModelCorruptError, match="weights"):
        load_weights(module, place / "weights")
    save_weights(module.state_dict(), place / "weights")
    other = recipe(place, transform__synthesis_depths="[1, 1, 1]")
    with pytest.raises(ModelCorruptError, match="weights"):
        load_weights(blank(other.transform, other.latent_prior), place / "weights")
    (place / "weights/synthesis.safetensors").write_bytes(b"no weights")
    with pytest.raises(ModelCorruptError, match="weights"):
        load_weights(module, place / "weights")
    with pytest.raises(ModelCorruptError, match="checkpoint"):
        read_average(place / "weights/synthesis.safetensors")
    save_file({"a": torch.zeros(1)}, place / "other.safetensors")
    with pytest.raises(ModelCorruptError, match="checkpoint"):
        read_average(place / "other.safetensors")


def test_the_command_says_that_there_is_no_model(place: Path, run: Run) -> None:
    (place / "tiny.toml").write_text(RECIPE.replace("photo-1.saf", f"{place}/photo-1.saf"))
    result = run(
        *("train", place / "tiny.toml", "--out", place / "x.safetensors"),
        *("--data", place / "many", "--data", place / "few"),
    )
    assert result.code == 0
    assert "x.run/transform.safetensors" in result.out
    assert "none of them makes a model" in result.out
    assert not (place / "x.safetensors").exists()


@pytest.mark.parametrize(
    ("override", "named"),
    [
        ({"architecture": "'photo-9'"}, "architecture"),
        ({"architecture": "2"}, "architecture"),
        ({"train.transform.pages": "1.5"}, "pages"),
        ({"train.transform.temperature": "0.0"}, "temperature"),
        ({"train.transform.large_batch": "0"}, "large_batch"),
        ({"train.transform.large_crop": "50"}, "train.transform.large_crop"),
        ({"train.transform.crop": "50"}, "train.transform.crop"),
        ({"train.transform.ms_ssim": "600.0"}, "train.transform.crop"),
        ({"latent_prior.slices": "[8, 8, 8]"}, "latent_prior.slices"),
        ({"transform.analysis_depths": "[1, 2]"}, "transform.analysis_depths"),
        ({"transform.depths": "[1, 2, 2]"}, "transform.depths"),
        ({"train.product.steps": "5"}, "train.product"),
    ],
)
def test_wrong_recipes_name_the_key(place: Path, override: dict[str, str], named: str) -> None:
    with pytest.raises(ValueError, match=named.replace(".", r"\.")):
        load_recipe(place / "tiny.toml", override)


def test_a_start_of_another_architecture_is_refused(place: Path) -> None:
    for start, message in (("paper", "another architecture"), ("photo", "no part of")):
        with pytest.raises(ValueError, match=message):
            run(recipe(place, start=f"'{start}'"), place, "x", Silent())


def test_the_recipe_of_photo_2_is_valid() -> None:
    loaded = load_recipe(Path(__file__).parent.parent / "train/photo-2.toml")
    assert isinstance(loaded, DeepPhotoRecipe)
    assert loaded.transform.qualities == 12
