"""A model of one's own: what it saves, what it keeps of its start, and when there is none."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from block_model import block_photo
from conftest import Run, one_line_error, photo
from PIL import Image
from test_deep_product import place as place
from test_training import Silent
from test_training import one_thread as one_thread

import vqcodec
from vqcodec.cli import train as command
from vqcodec.errors import NoGainError, VqcWarning
from vqcodec.metrics import bits_per_pixel, psnr
from vqcodec.models.file import read_metadata, read_tensors
from vqcodec.models.photo2 import Photo2
from vqcodec.networks.model_files import read_photo, read_photo2, write_photo, write_photo2
from vqcodec.registry.load import load_model
from vqcodec.training import run_custom
from vqcodec.training.architectures import load_recipe
from vqcodec.training.between import between
from vqcodec.training.config_custom import CustomRecipe
from vqcodec.training.data import open_pictures, read_rgb, split
from vqcodec.training.gain import percent_saved
from vqcodec.training.loop import InterruptedRunError
from vqcodec.training.replay import draw_samples
from vqcodec.training.run import train
from vqcodec.training.shipped import find_recipe, recipe_names

TINY = {
    "name": "'mine'",
    "seed": "3",
    "data.least_side": "64",
    "train.precision": "'float32'",
    "train.product.steps": "36",
    "train.product.least_steps": "36",
    "train.product.reports": "3",
    "train.product.batch": "2",
    "train.product.crop": "32",
    "train.product.learning_rate": "3e-4",
    "train.product.synthesis": "1.0",
    "train.product.prior": "1.0",
    "train.product.warmup": "2",
    "train.product.average": "0.9",
    "train.product.ms_ssim": "0.0",
    "train.product.checkpoint_every": "10",
    "train.product.lambdas": "{photo-1 = [0.0001, 0.0016], photo-2 = [0.0001, 0.0064]}",
}
"""What makes the shipped recipe quick, for the models below."""
ARCHITECTURES = ("photo-1", "photo-2")
MODEL_FILES: dict[str, tuple[Any, Any]] = {
    "photo-1": (read_photo, write_photo),
    "photo-2": (read_photo2, write_photo2),
}
"""How a model of each architecture is read and written."""
REST = ("analysis.", "gains", "codebooks.")
"""Names of what is not between."""


@pytest.fixture(scope="module")
def starts(place: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """A small model of each architecture, both of which are codecs."""
    path = tmp_path_factory.mktemp("starts") / "blocks.safetensors"
    path.write_bytes(write_photo(block_photo(), name="blocks", licence="CC0-1.0", description="-"))
    return {"photo-1": path, "photo-2": place / "whole.safetensors"}


@pytest.fixture(scope="module")
def pictures(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of sixteen, all of one kind."""
    folder = tmp_path_factory.mktemp("pictures")
    for seed in range(16):
        photo(96, 80, seed=seed).save(folder / f"{seed:02}.png")
    return folder


@pytest.fixture(autouse=True)
def few_samples(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(run_custom, "_COMPARED", 6)
    monkeypatch.setattr(run_custom, "_DRAWN", 16)


def recipe(start: Path, **changes: str) -> CustomRecipe:
    told = {name.replace("__", "."): value for name, value in changes.items()}
    found = load_recipe(find_recipe("custom"), TINY | {"start": f"'{start}'"} | told)
    assert isinstance(found, CustomRecipe)
    return found


def make(
    of: CustomRecipe,
    pictures: Path,
    out: Path,
    reporter: Silent | None = None,
    *,
    resume: bool = False,
) -> Silent:
    reporter = reporter or Silent()
    train(
        of,
        data=pictures,
        out=out,
        run=out.with_suffix(".run"),
        resume=resume,
        device=torch.device("cpu"),
        reporter=reporter,
    )
    return reporter


def rows(out: Path) -> list[dict[str, object]]:
    lines = (out.with_suffix(".run") / "log.jsonl").read_text("utf-8").splitlines()
    return [json.loads(line) for line in lines]


@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_it_saves_bits_on_pictures_that_it_has_not_seen(
    starts: dict[str, Path], pictures: Path, tmp_path: Path, architecture: str
) -> None:
    start, out = starts[architecture], tmp_path / "mine.safetensors"
    reporter = make(recipe(start), pictures, out)
    other = np.asarray(photo(320, 256, seed=99))
    curves = []
    for model in map(load_model, (start, out)):
        files = [
            vqcodec.compress(other, model=model, quality=q + 1) for q in range(model.qualities)
        ]
        decoded = [np.asarray(vqcodec.decompress(data, model=model)) for data in files]
        curves.append(
            [
                (bits_per_pixel(len(data), other), psnr(other, read))
                for data, read in zip(files, decoded, strict=True)
            ]
        )
    assert percent_saved(*curves) > 2.0

    told = [(stage, step) for stage, step, _ in reporter.figures]
    assert told[:-1] == [("product", 12), ("product", 24), ("product", 36)]
    last = reporter.figures[-1][2]
    assert last["percent_saved"] > 2.0
    assert last["megapixels_to_pay"] > 0.0
    assert last["percent_saved_on_others"] < last["percent_saved"]
    gain = rows(out)[-1]
    assert (gain["stage"], gain["kind"]) == ("files", "gain")
    assert gain["percent_saved"] == last["percent_saved"]


@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_what_measures_pictures_stays_and_what_codes_them_moves(
    starts: dict[str, Path], pictures: Path, tmp_path: Path, architecture: str
) -> None:
    out = tmp_path / "mine.safetensors"
    # The recipe's own rates must move what a file holds of every part, which is rounded.
    make(recipe(starts[architecture], train__product__least_percent="-1e9"), pictures, out)
    before, after = (read_tensors(p.read_bytes()) for p in (starts[architecture], out))
    assert before.keys() == after.keys()
    for part, moves in (("analysis.", False), ("synthesis.", True), ("prior.", True)):
        names = [name for name in before if name.startswith(part)]
        same = [np.allclose(before[name], after[name], rtol=1e-6, atol=0.0) for name in names]
        assert all(same) != moves, part
    assert np.allclose(before["gains"], after["gains"], rtol=1e-6, atol=0.0)
    for quality in (1, load_model(out).qualities):
        names = [n for n in before if n.startswith(f"codebooks.{quality}.")]
        assert not all(np.array_equal(before[name], after[name]) for name in names)
    about = [read_metadata(p.read_bytes()) for p in (starts[architecture], out)]
    assert about[1]["name"] == "mine"
    assert about[1]["licence"] == about[0]["licence"] == "CC0-1.0"
    assert str(about[0]["name"]) in str(about[1]["description"])


@pytest.mark.parametrize("stays", ["synthesis", "prior"])
def test_the_recipe_says_how_far_each_network_goes(
    starts: dict[str, Path], pictures: Path, tmp_path: Path, stays: str
) -> None:
    out = tmp_path / "mine.safetensors"
    still = {f"train__product__{stays}": "0.0", "train__product__least_percent": "-1e9"}
    make(recipe(starts["photo-1"], **still), pictures, out)
    before, after = (read_tensors(p.read_bytes()) for p in (starts["photo-1"], out))
    moved = {name for name in before if not np.allclose(before[name], after[name], rtol=1e-6)}
    moving = {"synthesis", "prior", "codebooks"} - {stays}
    assert {name.partition(".")[0] for name in moved} == moving


@pytest.mark.parametrize("stop_at", [1, 17])
def test_a_resumed_run_equals_the_uninterrupted_one(
    starts: dict[str, Path], pictures: Path, tmp_path: Path, stop_at: int
) -> None:
    of = recipe(starts["photo-1"])
    whole, parts = tmp_path / "whole.safetensors", tmp_path / "parts.safetensors"
    uninterrupted = make(of, pictures, whole)
    with pytest.raises(InterruptedRunError):
        make(of, pictures, parts, Silent(("product", stop_at)))
    assert not parts.exists()
    resumed = make(of, pictures, parts, resume=True)
    assert parts.read_bytes() == whole.read_bytes()
    assert rows(parts) == rows(whole)
    expected = uninterrupted.figures[-len(resumed.figures) :]
    for found, (stage, step, figures) in zip(resumed.figures, expected, strict=True):
        assert found == (stage, step, pytest.approx(figures, rel=1e-3))  # logs are rounded
    again = make(of, pictures, parts, resume=True)
    assert again.figures == expected[-1:]


@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_networks_between_two_others(starts: dict[str, Path], architecture: str) -> None:
    start = starts[architecture].read_bytes()
    read, write = MODEL_FILES[architecture]
    parts = read(start)
    generator = torch.Generator().manual_seed(5)
    for module in (parts.synthesis, parts.prior, *parts.codebooks):
        for parameter in module.parameters():
            noise = torch.randn(parameter.shape, generator=generator)
            parameter.data += 0.3 * parameter.abs().mean() * noise
    end = write(parts, name="end", licence="MIT", description="moved")
    assert between(start, end, synthesis=1.0, prior=1.0) == end
    for shares in ((0.0, 0.0), (0.3, 0.6), (0.5, 0.0)):
        made = between(start, end, synthesis=shares[0], prior=shares[1])
        assert read_metadata(made) == read_metadata(end)
        each = zip(networks(read(start)), networks(read(end)), networks(read(made)), strict=True)
        for share, (before, after, both) in zip(shares, each, strict=True):
            errors = [
                float((found - torch.lerp(first, last, share)).norm() / (last - first).norm())
                for found, first, last in zip(both, before, after, strict=True)
                if not torch.equal(first, last)
            ]
            assert np.mean(errors) <= (0.15 if share else 1e-6)  # as files round
        others = [
            {name: value for name, value in read_tensors(data).items() if name.startswith(REST)}
            for data in (made, end)
        ]
        assert others[0].keys() == others[1].keys()
        assert all(np.array_equal(others[0][name], others[1][name]) for name in others[0])


def networks(parts: Any) -> list[list[torch.Tensor]]:
    """Return the weights of synthesis and prior."""
    modules = (parts.synthesis, parts.prior)
    return [[parameter.detach() for parameter in module.parameters()] for module in modules]


def test_a_validation_before_the_first_step_is_logged_once(
    starts: dict[str, Path], pictures: Path, tmp_path: Path
) -> None:
    of, out = recipe(starts["photo-1"]), tmp_path / "mine.safetensors"
    for _ in range(2):
        make(of, pictures, out)
    first = [row for row in rows(out) if row["step"] == 0 and row["kind"] == "validation"]
    assert len(first) == 1
    assert first[0]["psnr3"] > first[0]["psnr1"]  # type: ignore[operator]


def test_a_model_that_saves_nothing_is_not_written(
    starts: dict[str, Path], pictures: Path, tmp_path: Path
) -> None:
    out = tmp_path / "mine.safetensors"
    reporter = Silent()
    still = recipe(starts["photo-1"], train__product__learning_rate="0.0")
    with pytest.raises(NoGainError, match=r"0\.0 % of bits .* blocks .* no model is written"):
        make(still, pictures, out, reporter)
    assert not out.exists()
    told = [(stage, step) for stage, step, _ in reporter.figures]
    assert told == [("product", 12), ("product", 24)]  # stopped when half of the steps were done


def test_pictures_that_are_stored_exactly_need_no_model(
    starts: dict[str, Path], tmp_path: Path
) -> None:
    folder = tmp_path / "flat"
    folder.mkdir()
    for shade in range(16):
        Image.new("RGB", (80, 80), (shade, 0, 0)).save(folder / f"{shade:02}.png")
    reporter = Silent()
    with pytest.raises(NoGainError, match=r"4 of 4 pictures .* stored exactly"):
        make(recipe(starts["photo-1"]), folder, tmp_path / "mine.safetensors", reporter)
    assert not reporter.figures


def test_few_or_small_pictures_are_refused(
    starts: dict[str, Path], pictures: Path, tmp_path: Path
) -> None:
    of, out = recipe(starts["photo-1"]), tmp_path / "mine.safetensors"
    few = tmp_path / "few"
    few.mkdir()
    for seed in range(15):
        photo(70, 70, seed=seed).save(few / f"{seed:02}.png")
    with pytest.raises(ValueError, match="12 are needed"):
        make(of, few, out)
    photo(63, 99, seed=15).save(few / "15.png")
    with (
        pytest.warns(VqcWarning, match=r"15\.png has a side of less than 64 pixels"),
        pytest.raises(ValueError, match="12 are needed"),
    ):
        make(of, few, out)
    larger = recipe(starts["photo-1"], data__least_side="81")
    with (
        pytest.warns(VqcWarning, match="less than 81"),
        pytest.raises(ValueError, match="no pictures with sides of at least 81 pixels"),
    ):
        make(larger, pictures, out)


def test_starts_have_an_architecture_that_the_recipe_knows(
    starts: dict[str, Path], pictures: Path, tmp_path: Path
) -> None:
    out = tmp_path / "mine.safetensors"
    with pytest.raises(ValueError, match="paper is of architecture vqvae-pixelcnn-1, not photo-1"):
        make(recipe(Path("paper")), pictures, out)
    # Without a start it is the default model of pictures.
    lambdas = "{photo-1 = [0.0001, 0.01]}"
    default = load_recipe(find_recipe("custom"), {"train.product.lambdas": lambdas})
    assert isinstance(default, CustomRecipe)
    with pytest.raises(ValueError, match="photo-2 is of architecture photo-2, not photo-1"):
        make(default, pictures, out)


@pytest.mark.parametrize(
    ("change", "named"),
    [
        ({"train__product__lambdas": "{speech-1 = [1.0, 2.0]}"}, "lambdas.speech-1"),
        ({"train__product__lambdas": "{photo-1 = [1.0]}"}, "lambdas"),
        ({"train__product__least_steps": "37"}, "least_steps"),
        ({"train__product__least_steps": "0"}, "least_steps"),
        ({"train__product__reports": "0"}, "reports"),
        ({"train__product__steps_per_picture": "0"}, "steps_per_picture"),
        ({"data__held_out": "0"}, "held_out"),
        ({"train__product__pages": "0.5"}, "pages"),
        ({"train__product__samples": "1.5"}, "samples"),
        ({"train__product__synthesis": "1.5"}, "synthesis"),
        ({"train__product__prior": "-0.5"}, "prior"),
        ({"train__product__rates": "{codebooks = -1.0}"}, "rates"),
    ],
)
def test_wrong_recipes_name_the_key(change: dict[str, str], named: str) -> None:
    with pytest.raises(ValueError, match=named.replace(".", r"\.")):
        recipe(Path("photo"), **change)


def test_more_pictures_are_worth_more_steps() -> None:
    settings = load_recipe(find_recipe("custom")).train.product  # type: ignore[union-attr]
    steps = [settings.schedule(count)["steps"] for count in (12, 75, 76, 400, 800, 10**6)]  # type: ignore[union-attr]
    assert steps == [150, 150, 152, 800, 1600, 1600]


def curve(octave: float, factor: float = 1.0, qualities: range = range(4)) -> list:
    """Rates that double every `octave` decibels."""
    return [(0.1 * factor * 2.0 ** (3.0 * q / octave), 25.0 + 3.0 * q) for q in qualities]


def test_percent_saved_is_that_of_rates_at_equal_psnr() -> None:
    assert percent_saved(curve(6.0), curve(6.0)) == pytest.approx(0.0)
    assert percent_saved(curve(6.0), curve(6.0, 0.9)) == pytest.approx(10.0)
    assert percent_saved(curve(6.0), curve(6.0, 1.25)) == pytest.approx(-25.0)
    # Neither the order of the points matters nor where they lie on the curve.
    assert percent_saved(curve(6.0)[::-1], curve(6.0, 0.9)) == pytest.approx(10.0)
    between = [(0.9 * 0.1 * 2.0 ** (d / 6.0), 25.0 + d) for d in (0.5, 2.0, 8.5)]
    assert percent_saved(curve(6.0), between) == pytest.approx(10.0)
    # Half a decibel more at the same rates.
    higher = [(rate, decibels + 0.5) for rate, decibels in curve(6.0)]
    assert percent_saved(curve(6.0), higher) == pytest.approx(100.0 * (1.0 - 2.0 ** (-0.5 / 6.0)))
    # Nothing can be said of curves that do not meet, nor of a rate that is nothing.
    assert percent_saved(curve(6.0, qualities=range(2)), curve(6.0, qualities=range(3, 5))) == 0.0
    assert math.isfinite(percent_saved([(0.0, 20.0), (1.0, 30.0)], curve(6.0)))


@pytest.mark.parametrize("least", [1, 4, 12])
@pytest.mark.parametrize("count", [13, 16, 17, 64, 200, 5000])
def test_files_are_held_out_evenly(tmp_path: Path, count: int, least: int) -> None:
    paths = [tmp_path / f"{number:04}" for number in range(count)]
    kept, held_out = split([tmp_path], None, lambda _: paths, least)
    assert sorted(kept + held_out) == paths
    assert min(least, count) <= len(held_out) <= 32
    assert len(held_out) >= count // 16 or len(held_out) > 28
    steps = np.diff([paths.index(path) for path in held_out])
    assert len(set(steps.tolist())) <= 1


def test_the_recipe_says_how_many_are_held_out(pictures: Path) -> None:
    of = recipe(Path("photo"), data__held_out="5")
    kept, held_out = open_pictures([pictures], None, of.data)
    assert len(held_out) >= 5
    assert not set(kept.paths) & set(held_out)


def test_shipped_recipes_are_found_by_name(run: Run, pictures: Path) -> None:
    assert recipe_names() == ["custom", "small"]
    for name in recipe_names():
        load_recipe(find_recipe(name))
    for wrong in ("another", "custom.toml", "../custom", ""):
        with pytest.raises(ValueError, match=r"no such file|no recipe is called"):
            find_recipe(wrong)
        error = one_line_error(run("train", wrong, "--data", pictures, "--out", "x.safetensors"), 2)
        assert "custom" in error
    Path("own.toml").write_text("name = 'x'")
    assert find_recipe("own.toml") == Path("own.toml")


def test_the_command_makes_one_and_says_what_it_saves(
    run: Run, starts: dict[str, Path], pictures: Path
) -> None:
    settings = TINY | {"start": f"'{starts['photo-1']}'"}
    given = [part for key, value in settings.items() for part in ("--set", f"{key}={value}")]
    arguments = ["train", "custom", "--data", pictures, "--out", "mine.safetensors", *given]
    done = run(*arguments, "--threads", "1", "--device", "cpu")
    assert done.code == 0, done.err
    assert done.err.count("percent_saved ") == 4
    assert "--model mine.safetensors" in done.out
    photo(96, 80, seed=99).save("a.png")
    assert run("compress", "a.png", "--model", "mine.safetensors").code == 0
    unsaved = [*arguments[:3], pictures, "--out", "none.safetensors", *given]
    error = run(*unsaved, "--set", "train.product.learning_rate=0.0", "--threads", "1")
    assert error.code == 1
    assert error.err.splitlines()[-1].startswith("vqcodec: error: 0.0 % of bits are saved")


def test_the_start_draws_pictures_of_its_own(starts: dict[str, Path], tmp_path: Path) -> None:
    model = load_model(starts["photo-2"])
    assert isinstance(model, Photo2)
    paths = draw_samples(model, tmp_path / "a", 5, seed=7, resume=False)
    assert [path.name for path in paths] == [f"{number:03}.png" for number in range(5)]
    drawn = [read_rgb(path) for path in paths]
    assert all(pixels.shape == (256, 256, 3) for pixels in drawn)
    assert len({pixels.tobytes() for pixels in drawn}) == 5
    again = draw_samples(model, tmp_path / "b", 5, seed=7, resume=True)
    assert [path.read_bytes() for path in again] == [path.read_bytes() for path in paths]
    assert draw_samples(model, tmp_path / "a", 5, seed=8, resume=True) == paths
    assert np.array_equal(read_rgb(paths[0]), drawn[0])
    draw_samples(model, tmp_path / "a", 5, seed=8, resume=False)
    assert not np.array_equal(read_rgb(paths[0]), drawn[0])


def test_samples_have_their_share_of_the_crops(pictures: Path) -> None:
    of = recipe(Path("photo"))
    kept, held_out = open_pictures([pictures], None, of.data)
    both = kept.joined(held_out[:2], 0.25)
    rng = np.random.default_rng(0)
    drawn = [both.paths[both.draw(rng)] for _ in range(2000)]
    shares = [drawn.count(path) / len(drawn) for path in both.paths]
    assert shares[:-2] == pytest.approx([0.75 / len(kept)] * len(kept), abs=0.02)
    assert shares[-2:] == pytest.approx([0.125, 0.125], abs=0.02)


def test_samples_keep_what_else_the_model_knows(
    starts: dict[str, Path], pictures: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # A small model's own samples are noise, so pictures with finer waves stand for them.
    others = [tmp_path / f"{number:02}.png" for number in range(16)]
    for seed, path in enumerate(others):
        photo(288, 240, seed=seed).resize((96, 80), Image.Resampling.BOX).save(path)
    monkeypatch.setattr(run_custom, "draw_samples", lambda *_, **__: others)
    saved = []
    for share in ("0.0", "1.0"):
        told = {"train__product__samples": share, "train__product__least_percent": "-1e9"}
        of = recipe(starts["photo-1"], **told)
        reporter = make(of, pictures, tmp_path / f"{share}.safetensors")
        saved.append(reporter.figures[-1][2]["percent_saved_on_others"])
    assert saved[1] > saved[0] + 1.0


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """The time, which tests move."""
    now = [100.0]
    monkeypatch.setattr(command.time, "monotonic", lambda: now[0])
    return now


def test_progress_without_a_terminal_is_a_line_a_minute(
    clock: list[float], capsys: pytest.CaptureFixture[str]
) -> None:
    reporter = command._Reporter()
    reporter.start("product", 40, 100)
    for step in range(41, 101):
        clock[0] += 25.0
        reporter.step("product", step, {"loss": 1.5, "gradient": 2.0})
    reporter.close()
    lines = capsys.readouterr().err.splitlines()
    assert len(lines) == 20  # three steps of 25 seconds between two of them
    assert lines[0] == "product: step 43 of 100, 25.00 s each, 24 min left, loss 1.500"
    assert lines[-1].startswith("product: step 100 of 100, 25.00 s each, 0 min left")
