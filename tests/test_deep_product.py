"""photo-2 from one end to the other: three stages on drawn pictures, a model file, files of it."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import torch
from block_model import block_photo
from conftest import Run, photo
from test_training import Silent
from test_training import one_thread as one_thread

import vqcodec
from vqcodec.codec import effort as efforts
from vqcodec.errors import ModelCorruptError
from vqcodec.metrics import psnr
from vqcodec.models.file import read_tensors
from vqcodec.models.packed import is_packed, quantise, restore, unpack
from vqcodec.models.photo2 import Photo2
from vqcodec.networks.model_files import read_photo2, rounded_weight, write_photo
from vqcodec.registry.load import load_model
from vqcodec.training.architectures import load_recipe
from vqcodec.training.config_deep import DeepPhotoRecipe
from vqcodec.training.loop import InterruptedRunError
from vqcodec.training.run import train
from vqcodec.training.weights import read_average, read_weights, save_weights

SETTINGS = """
batch = 2
crop = 32
optimiser = "muon"
learning_rate = 2e-4
warmup = 2
average = 0.9
lambdas = [0.0001, 0.0064]
ms_ssim = 0.0
pages = 0.2
validate_every = 4
checkpoint_every = 3
"""
RECIPE = f"""
architecture = "photo-2"
name = "tiny"
licence = "CC0-1.0"
seed = 3
start = "blocks.safetensors"
[transform]
widths = [12, 24, 24]
analysis_depths = [1, 2, 2]
synthesis_depths = [1, 1, 2]
latents = 40
details = 24
qualities = 4
[latent_prior]
channels = 16
layers = 1
slices = [8, 8, 8, 16]
hidden = 12
[product]
codebook_size = 256
distance_bits = 8.0
[train]
precision = "float32"
[train.transform]
steps = 4
decoder_steps = 1
{SETTINGS}
[train.exact]
steps = 4
decoder_steps = 0
{SETTINGS}
[train.product]
steps = 6
integer_from = 0.5
{SETTINGS}
"""
STAGES = ("transform", "exact", "product")


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A folder with pictures, a recipe, the model of photo-1 that it starts from, and the model
    `whole` that it makes.
    """
    place = tmp_path_factory.mktemp("photo-2")
    (place / "pictures").mkdir()
    for seed in range(4):
        photo(70, 60, seed=seed).save(place / "pictures" / f"{seed}.png")
    start = write_photo(block_photo(), name="blocks", licence="CC0-1.0", description="-")
    (place / "blocks.safetensors").write_bytes(start)
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(place)
        make(place, "whole")
        yield place


def recipe(place: Path, *stages: str, **changes: str) -> DeepPhotoRecipe:
    """The recipe with some of its stages alone."""
    text = RECIPE
    for stage in set(STAGES) - set(stages or STAGES):
        before, _, rest = text.partition(f"[train.{stage}]")
        _, next_table, after = rest.partition("\n[")
        text = before + next_table + after
    (place / "tiny.toml").write_text(text)
    loaded = load_recipe(
        place / "tiny.toml", {name.replace("__", "."): value for name, value in changes.items()}
    )
    assert isinstance(loaded, DeepPhotoRecipe)
    return loaded


def make(
    place: Path,
    name: str,
    of: DeepPhotoRecipe | None = None,
    reporter: Silent | None = None,
    resume: bool = False,
) -> Path:
    return train(
        of or recipe(place),
        data=place / "pictures",
        out=place / f"{name}.safetensors",
        run=place / f"{name}.run",
        resume=resume,
        device=torch.device("cpu"),
        reporter=reporter or Silent(),
    )


def picture() -> np.ndarray:
    return np.asarray(photo(150, 120, seed=9))


def integers(path: Path) -> dict[str, np.ndarray]:
    """Tensors of a model file that say what indices decode to."""
    tensors = read_tensors(path.read_bytes())
    kept = ("synthesis.", "prior.", "codebooks.", "scales")
    return {name: value for name, value in tensors.items() if name.startswith(kept)}


def test_all_stages_make_a_model_that_compresses(place: Path, run: Run) -> None:
    path = place / "whole.safetensors"
    model = load_model(path)
    assert isinstance(model, Photo2)
    sizes, likeness = [], []
    for quality in range(1, 5):
        data = vqcodec.compress(picture(), model=model, quality=quality)
        decoded = np.asarray(vqcodec.decompress(data, model=model))
        sizes.append(len(data))
        likeness.append(psnr(picture(), decoded))
    assert sizes == sorted(sizes)
    assert 20.0 < likeness[0] < likeness[1] < likeness[2]
    assert likeness[3] > 30.0
    assert sizes[-1] < picture().size / 4
    Path("a.vqc").write_bytes(data)
    assert run("inspect", "a.vqc", "--verify", "--model", path).code == 0


def test_files_are_as_large_as_their_networks(place: Path) -> None:
    path = place / "whole.safetensors"
    parts = read_photo2(path.read_bytes())
    inside = sum(v.numel() for k, v in parts.analysis.state_dict().items() if is_packed(k))
    outside = sum(v.numel() for v in parts.analysis.state_dict().values()) - inside
    tensors = read_tensors(path.read_bytes())
    analysis = sum(v.nbytes for k, v in tensors.items() if k.startswith("analysis."))
    scales = sum(v.nbytes for k, v in tensors.items() if k.endswith(".scale"))
    assert analysis == inside * 3 // 4 + 2 * outside + scales
    assert path.stat().st_size < 1.2 * sum(v.nbytes for v in tensors.values()) + 20000


def test_the_last_stage_trained_with_the_analysis_of_the_file(place: Path) -> None:
    tensors = read_tensors((place / "whole.safetensors").read_bytes())
    for name, trained in read_average(place / "whole.run/product.safetensors").items():
        if not name.startswith("analysis."):
            continue
        found = tensors[name]
        if is_packed(name):
            levels = unpack(found, tuple(trained.shape))
            found = restore(levels, tensors[f"{name}.scale"])
        assert np.allclose(found, trained, rtol=1e-6, atol=0.0), name


def test_fixtures_have_as_many_threads_as_the_tests(request: pytest.FixtureRequest) -> None:
    """Pytest makes fixtures in the order of their names here. One made before `one_thread` would
    train with other sums than the tests that compare runs with it.
    """
    tests = [item for item in request.session.items if isinstance(item, pytest.Function)]
    training = [test for test in tests if {"place", "one_thread"} <= set(test.fixturenames)]
    assert training
    for test in training:
        names = test.fixturenames
        assert names.index("one_thread") < names.index("place"), test.nodeid


@pytest.mark.parametrize(("stage", "stop_at"), [("exact", 3), ("product", 1), ("product", 4)])
def test_resumed_runs_make_the_same_model(place: Path, stage: str, stop_at: int) -> None:
    name = f"{stage}-{stop_at}"
    with pytest.raises(InterruptedRunError):
        make(place, name, reporter=Silent((stage, stop_at)))
    made = make(place, name, resume=True)
    assert made.read_bytes() == (place / "whole.safetensors").read_bytes()


def test_a_checkpoint_of_the_last_stage_needs_no_file_beside_it(place: Path) -> None:
    (place / "taken.run").mkdir()
    shutil.copy(place / "whole.run/product.safetensors", place / "taken.run")
    made = make(place, "taken", resume=True)
    assert made.read_bytes() == (place / "whole.safetensors").read_bytes()


@pytest.mark.parametrize("stages", [STAGES[:1], STAGES[1:2], STAGES[2:], STAGES[1:], STAGES])
def test_training_goes_on_from_a_model_at_any_stage(place: Path, stages: tuple[str, ...]) -> None:
    still = {f"train__{stage}__learning_rate": "0.0" for stage in stages}
    of = recipe(place, *stages, start="'whole.safetensors'", **still)
    made = make(place, f"from-{'-'.join(stages)}", of)
    if stages[-1] != "product":
        assert made == place / f"from-{stages[0]}.run/{stages[-1]}.safetensors"
    elif stages == ("product",):
        found, expected = integers(made), integers(place / "whole.safetensors")
        assert found.keys() == expected.keys()
        assert all(np.array_equal(found[name], expected[name]) for name in expected)
    else:
        data = vqcodec.compress(picture(), model=made, quality=3)
        assert psnr(picture(), np.asarray(vqcodec.decompress(data, model=made))) > 24.0


@pytest.mark.parametrize("trains", [True, False])
def test_the_recipe_says_whether_the_synthesis_trains_in_the_last_stage(
    place: Path, trains: bool
) -> None:
    settings = {
        "start": "'whole.safetensors'",
        "train__product__synthesis": str(trains).lower(),
        "train__product__learning_rate": "0.01",
    }
    made = make(place, f"synthesis-{trains}", recipe(place, "product", **settings))
    found, expected = integers(made), integers(place / "whole.safetensors")
    for part, moved in (("synthesis.", trains), ("prior.", True), ("codebooks.", True)):
        same = [np.array_equal(found[k], expected[k]) for k in expected if k.startswith(part)]
        assert all(same) != moved


@pytest.mark.parametrize("stage", STAGES)
def test_training_goes_on_from_the_weights_of_any_stage(place: Path, stage: str) -> None:
    checkpoint = read_average(place / f"whole.run/{stage}.safetensors")
    save_weights(checkpoint, place / f"weights-{stage}")
    kept = read_weights(place / f"weights-{stage}")
    assert kept.keys() == checkpoint.keys()
    for name, value in checkpoint.items():
        assert kept[name].dtype == value.dtype
        assert torch.allclose(
            kept[name].float(), value.float(), atol=0.01 * float(value.abs().max())
        )
    following = STAGES[STAGES.index(stage) :]
    of = recipe(place, *following, start=f"'weights-{stage}'")
    made = make(place, f"again-{stage}", of)
    data = vqcodec.compress(picture(), model=made, quality=4)
    assert psnr(picture(), np.asarray(vqcodec.decompress(data, model=made))) > 24.0


def test_codebooks_need_a_synthesis_of_integers(place: Path) -> None:
    with pytest.raises(ValueError, match=r"train\.transform"):
        make(place, "x", recipe(place, "exact", "product"))
    with pytest.raises(ValueError, match=r"train\.exact"):
        make(place, "x", recipe(place, "transform", "product"))
    with pytest.raises(ValueError, match="train"):
        recipe(place, "none")


def test_models_of_other_networks_are_no_start(place: Path) -> None:
    for change in ({"latent_prior__hidden": "8"}, {"product__codebook_size": "64"}):
        of = recipe(place, "product", start="'whole.safetensors'", **change)
        with pytest.raises(ValueError, match="another architecture"):
            make(place, "x", of)


def test_a_checkpoint_without_codebooks_is_none_of_the_last_stage(place: Path) -> None:
    (place / "uncoded.run").mkdir()
    shutil.copy(place / "whole.run/exact.safetensors", place / "uncoded.run/product.safetensors")
    with pytest.raises(ModelCorruptError, match="no codebooks"):
        make(place, "uncoded", recipe(place, "product", start="'whole.safetensors'"), resume=True)


@pytest.mark.parametrize("scale", [0.0, 1e-42, 1e-3, 1.0, 100.0])
def test_weights_are_rounded_as_files_round_them(scale: float) -> None:
    torch.manual_seed(1)
    weight = scale * torch.randn(7, 5, 3, 3)
    inside = rounded_weight("layers.1.first.weight", weight)
    assert np.array_equal(inside.numpy(), restore(*quantise(weight.numpy())))
    assert torch.equal(rounded_weight("layers.1.first.weight", inside), inside)
    assert torch.equal(rounded_weight("layers.0.weight", weight), weight.half().float())


@pytest.mark.parametrize("quality", [3.0, 3.4])
def test_effort_refines_indices(
    place: Path, monkeypatch: pytest.MonkeyPatch, quality: float
) -> None:
    monkeypatch.setattr(efforts, "_STEPS", 30)
    monkeypatch.setattr(efforts, "_GROWTH", 1.0)
    model = load_model(place / "whole.safetensors")
    plain, refined = (
        vqcodec.compress(picture(), model=model, quality=quality, effort=effort)
        for effort in (1, 3)
    )
    assert refined != plain
    likeness = [
        psnr(picture(), np.asarray(vqcodec.decompress(data, model=model)))
        for data in (plain, refined)
    ]
    assert len(refined) < len(plain) or likeness[1] > likeness[0]
