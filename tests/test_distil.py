"""The last stage of photo-2: the analysis learns cheaper indices, and nothing else moves."""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
import torch
from conftest import photo
from graphs import CodedSteps, steps_of
from test_deep import CPU
from test_deep_product import RECIPE, SETTINGS, make
from test_deep_product import place as place
from test_training import Silent
from test_training import one_thread as one_thread

from vqcodec.errors import ModelCorruptError
from vqcodec.models import packed
from vqcodec.models.file import read_tensors
from vqcodec.networks.model_files import read_photo2, rounded_weight
from vqcodec.training.architectures import load_recipe
from vqcodec.training.config_deep import DeepPhotoRecipe
from vqcodec.training.data import Pictures, find_pictures
from vqcodec.training.deep_medium import DeepPhotoMedium
from vqcodec.training.deep_start import advance, begin
from vqcodec.training.distil import DistilStage
from vqcodec.training.loop import InterruptedRunError, learning_rate
from vqcodec.training.optimise import Optimisers
from vqcodec.training.weights import read_average, save_weights

START = RECIPE.partition("[train.transform]")[0]
PRODUCT = "[train.product]" + RECIPE.partition("[train.product]")[2]
DISTIL = f"\n[train.distil]\nsteps = 6\n{SETTINGS}"


def recipe(
    place: Path, tables: str = DISTIL, start: str = "whole.safetensors", **changes: str
) -> DeepPhotoRecipe:
    """A recipe that goes on from a model with the last stage, or with other ones."""
    (place / "distil.toml").write_text(START + tables)
    settings = {name.replace("__", "."): value for name, value in changes.items()}
    loaded = load_recipe(place / "distil.toml", {"start": f"'{start}'", **settings})
    assert isinstance(loaded, DeepPhotoRecipe)
    return loaded


def stage(place: Path, **changes: str) -> DistilStage:
    """The stage at its start, validated on pictures that it is not trained on."""
    of = recipe(place, **changes)
    settings = of.train.distil
    assert settings is not None
    (place / "others").mkdir(exist_ok=True)
    for seed in (11, 12):
        photo(64, 64, seed=seed).save(place / "others" / f"{seed}.png")
    pictures = Pictures(find_pictures(place / "pictures"), of.data)
    held_out = find_pictures(place / "others")
    learnt = advance(of, "distil", begin(of, pictures, torch.float32), pictures, torch.float32)
    assert learnt.codebooks is not None
    medium = DeepPhotoMedium(of, settings, learnt.networks, pictures, [""], held_out, CPU)
    return DistilStage(of, settings, medium, learnt.codebooks, CPU)


def parts(path: Path) -> tuple[dict[str, np.ndarray], dict[str, np.ndarray]]:
    """Tensors of a model file: those of the analysis, and all others."""
    tensors = read_tensors(path.read_bytes())
    own = {name: value for name, value in tensors.items() if name.startswith("analysis.")}
    return own, {name: value for name, value in tensors.items() if name not in own}


def trained(tried: DistilStage) -> dict[str, float]:
    optimisers = Optimisers(tried.module, tried.schedule)
    for step in range(tried.schedule.steps):
        loss, metrics = tried.loss(tried.batch(step), step)
        optimisers.step(loss, learning_rate(tried.schedule, step))
        assert np.isfinite(list(metrics.values())).all()
    return tried.validate()


def test_indices_of_other_pictures_cost_less(place: Path) -> None:
    """An analysis that has lost its way finds back, by the prices of indices alone."""
    tried = stage(
        place,
        train__distil__steps="60",
        train__distil__batch="4",
        train__distil__learning_rate="2e-4",
        train__distil__decay="1.0",
        train__distil__pages="0.0",
    )
    best = tried.validate()["loss"]
    torch.manual_seed(6)
    with torch.no_grad():
        for weight in tried.module.networks.analysis.parameters():
            weight.add_(0.3 * weight.std() * torch.randn_like(weight))
    before = tried.validate()["loss"]
    after = trained(tried)["loss"]
    assert before > 1.5 * best
    assert after < before - 0.3 * (before - best)


def test_the_price_is_that_of_the_indices_that_an_encoder_chooses(place: Path) -> None:
    """When it is cold; then the integer prior's bits and the synthesis' pixels are what a file has,
    but for the rounding of pixels.
    """
    tried = stage(place)
    found = tried.validate()
    crops = torch.cat(list(tried._medium.validation))
    for quality in range(1, 5):
        layout = tried.layout([quality] * len(crops))
        with torch.no_grad():
            cost = tried.cost(crops, layout, torch.tensor(1e-4), torch.Generator())
        assert float(cost.means["bpp"]) == pytest.approx(found[f"integer{quality}"], rel=0.01)
        assert cost.distortion.figures()["psnr"] == pytest.approx(found[f"psnr{quality}"], abs=0.1)


def test_only_the_analysis_moves(place: Path) -> None:
    of = recipe(place, train__distil__learning_rate="0.01")
    made = make(place, "moved", of)
    found, others = parts(made)
    expected, same = parts(place / "whole.safetensors")
    assert others.keys() == same.keys()
    assert all(np.array_equal(others[name], same[name]) for name in same)
    assert found.keys() == expected.keys()
    assert not any(np.array_equal(found[name], expected[name]) for name in expected)


def test_a_model_file_holds_what_was_validated(place: Path) -> None:
    made = make(place, "held", recipe(place, train__distil__learning_rate="0.01"))
    analysis = read_photo2(made.read_bytes()).analysis.state_dict()
    for name, average in read_average(place / "held.run/distil.safetensors").items():
        if name.startswith("analysis."):
            key = name.removeprefix("analysis.")
            assert torch.equal(analysis[key], rounded_weight(key, average)), name


@pytest.mark.parametrize("scale", [0.0, 1e-42, 1e-3, 1.0, 100.0])
def test_weights_are_rounded_as_files_round_them(scale: float) -> None:
    torch.manual_seed(1)
    weight = scale * torch.randn(7, 5, 3, 3)
    inside = rounded_weight("layers.1.first.weight", weight)
    expected = packed.restore(*packed.quantise(weight.numpy()))
    assert np.array_equal(inside.numpy(), expected)
    assert torch.equal(rounded_weight("layers.1.first.weight", inside), inside)
    assert torch.equal(rounded_weight("layers.0.weight", weight), weight.half().float())


@pytest.mark.parametrize("stop_at", [1, 3, 4])
def test_resumed_runs_make_the_same_model(place: Path, stop_at: int) -> None:
    whole = make(place, "distilled", recipe(place)).read_bytes()
    with pytest.raises(InterruptedRunError):
        make(place, "cut", recipe(place), reporter=Silent(("distil", stop_at)))
    assert make(place, "cut", recipe(place), resume=True).read_bytes() == whole


def test_it_follows_the_stage_with_codebooks(place: Path) -> None:
    """Which trains as without it; and resumption leaves out what has ended."""
    both = recipe(place, PRODUCT + DISTIL)
    with pytest.raises(InterruptedRunError):
        make(place, "both", both, reporter=Silent(("distil", 2)))
    made = make(place, "both", both, resume=True)
    alone = make(place, "alone", recipe(place, PRODUCT))
    (found, others), (expected, same) = parts(made), parts(alone)
    assert all(np.array_equal(others[name], same[name]) for name in same)
    assert any(not np.array_equal(found[name], expected[name]) for name in expected)


def test_without_codebooks_there_is_nothing_to_learn(place: Path) -> None:
    save_weights(read_average(place / "whole.run/exact.safetensors"), place / "uncoded")
    with pytest.raises(ValueError, match=r"train\.product"):
        make(place, "x", recipe(place, DISTIL, start="uncoded"))
    (place / "exact.run").mkdir()
    shutil.copy(place / "whole.run/exact.safetensors", place / "exact.run/distil.safetensors")
    with pytest.raises(ModelCorruptError, match="no codebooks"):
        make(place, "exact", recipe(place), resume=True)


def test_crops_of_a_quality_lie_side_by_side(place: Path) -> None:
    tried = stage(place, train__distil__batch="6", train__distil__pages="0.0")
    seen, drawn = [], set()
    for step in range(40):
        batch, qualities = tried.batch(step), tried.qualities(step)
        assert torch.equal(batch, tried.batch(step))
        layout = tried.layout(qualities)
        assert layout.qualities.tolist() == sorted(qualities)
        assert [q for q, crops in layout.runs for _ in range(6)[crops]] == list(qualities)
        assert all(one.stop == two.start for (_, one), (_, two) in pairwise(layout.runs))
        seen += qualities
        drawn.add(qualities)
    assert len(drawn) > 1
    counts = np.bincount(seen)[1:]
    assert counts.max() < 1.5 * counts.min()


def test_batches_of_a_multiple_of_the_qualities_are_all_laid_out_alike(place: Path) -> None:
    """So that one CUDA graph serves all steps."""
    tried = stage(place, train__distil__batch="8")
    assert {tried.qualities(step) for step in range(20)} == {(1, 1, 2, 2, 3, 3, 4, 4)}


def test_a_rented_gpu_takes_the_same_steps(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """All of one kind, so that it records one graph; here they are taken one by one."""
    tried = stage(place, train__distil__batch="8")
    kept = {name: value.clone() for name, value in tried.module.state_dict().items()}
    laid: list[Sequence[int]] = []
    layout = tried.layout
    monkeypatch.setattr(tried, "layout", lambda q: laid.append(q) or layout(q))
    steps = steps_of(tried, Optimisers(tried.module, tried.schedule), CPU)
    assert isinstance(steps, CodedSteps)
    for step in range(3):
        steps.take(tried.batch(step), step, 1e-3)
        assert np.isfinite(list(steps.figures().values())).all()
    assert len(laid) == 1
    for name, value in tried.module.state_dict().items():
        moved = name.startswith("networks.analysis.")
        assert torch.equal(value, kept[name]) != moved, name


@pytest.mark.parametrize(
    ("override", "named"),
    [
        ({"train.distil.pages": "-0.1"}, "distil.pages"),
        ({"train.distil.temperatures": "[0.3, 0.0]"}, "distil.temperatures"),
        ({"train.distil.crop": "50"}, "distil.crop"),
        ({"train.distil.ms_ssim": "600.0"}, "distil.crop"),
        ({"train.distil.synthesis": "true"}, "distil"),
    ],
)
def test_wrong_recipes_name_the_key(place: Path, override: dict[str, str], named: str) -> None:
    with pytest.raises(ValueError, match=named.replace(".", r"\.")):
        load_recipe(place / "distil.toml", override)
