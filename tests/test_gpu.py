"""Training on a rented GPU (train/gpu/README.md), rehearsed on the CPU."""

from __future__ import annotations

import json
import shutil
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

import lease
import needs
import numpy as np
import pack
import probe
import pytest
import slim
import speed
import take
import torch
from conftest import MODELS, photo
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image
from safetensors.torch import load_file
from shelf import Shelf
from stage import Shelves
from test_deep import CPU, recipe, run
from test_deep import place as place
from test_exact_training import BOTH_STAGES
from test_training import Silent
from test_training import one_thread as one_thread

from vqcodec.errors import ModelCorruptError
from vqcodec.registry.load import load_model
from vqcodec.training.canvas import find_fonts
from vqcodec.training.config_deep import DeepPhotoRecipe
from vqcodec.training.data import Pictures, find_pictures, read_rgb
from vqcodec.training.deep import DeepTransformStage
from vqcodec.training.deep_medium import DeepPhotoMedium
from vqcodec.training.loop import InterruptedRunError
from vqcodec.training.pages import page
from vqcodec.training.run_deep_photo import DeepStage

PLENTY = 1 << 30


def weights(seed: int = 0) -> dict[str, torch.Tensor]:
    generator = torch.Generator().manual_seed(seed)
    shapes = {
        "analysis.a.weight": (3, 5, 2),
        "analysis.a.bias": (3,),
        "gains.octaves": (4, 2),
        "prior.b": (),
        "codebooks.0.vectors": (2, 3),
    }
    drawn = {name: torch.randn(shape, generator=generator) for name, shape in shapes.items()}
    return drawn | {"codebooks.0.channels": torch.tensor([[3], [70000]])}


def as_it_travels(name: str, value: torch.Tensor) -> torch.Tensor:
    """Matrices of layers lose digits, what scales others and whole numbers do not."""
    halved = value.dim() > 1 and name.startswith(("analysis.", "synthesis.", "prior."))
    return value.half().float() if halved else value


# --- checkpoints ---


@pytest.mark.parametrize("part", [1, 7, 100, 1 << 20])
def test_a_checkpoint_comes_back_from_its_parts(tmp_path: Path, part: int) -> None:
    written = slim.save_slim(weights(), tmp_path, stage="a", start=3, step=9, part=part)
    files = slim.slim_files(tmp_path)
    assert sorted(files) == sorted(tmp_path.iterdir())
    assert len(files) == written.parts + 1
    assert all(path.stat().st_size <= part for path in files if path.suffix != ".json")
    manifest, found = slim.load_slim(tmp_path)
    assert (manifest.stage, manifest.start, manifest.step) == ("a", 3, 9)
    assert found.keys() == weights().keys()
    for name, value in weights().items():
        assert torch.equal(found[name], as_it_travels(name, value))


def test_a_checkpoint_replaces_a_longer_one(tmp_path: Path) -> None:
    slim.save_slim(weights(0), tmp_path, stage="a", start=0, step=1, part=10)
    slim.save_slim(weights(1), tmp_path, stage="a", start=0, step=2, part=200)
    manifest, found = slim.load_slim(tmp_path)
    assert manifest.step == 2
    assert torch.equal(found["gains.octaves"], weights(1)["gains.octaves"])


def without_a_part(folder: Path) -> None:
    (folder / "checkpoint.1").unlink()


def with_a_part_of_another(folder: Path) -> None:
    slim.save_slim(weights(1), folder / "other", stage="a", start=0, step=2, part=100)
    last = slim.slim_files(folder)[-1]
    shutil.copyfile(folder / "other" / last.name, last)


def with_a_changed_byte(folder: Path) -> None:
    data = bytearray((folder / "checkpoint.2").read_bytes())
    data[-1] ^= 1
    (folder / "checkpoint.2").write_bytes(data)


def without_a_manifest(folder: Path) -> None:
    (folder / "checkpoint.json").unlink()


def with_manifest(text: str) -> Callable[[Path], None]:
    def change(folder: Path) -> None:
        (folder / "checkpoint.json").write_text(text)

    return change


@pytest.mark.parametrize(
    "change",
    [
        without_a_part,
        with_a_part_of_another,
        with_a_changed_byte,
        without_a_manifest,
        with_manifest(""),
        with_manifest("[]"),
        with_manifest('{"start": 0, "step": 1}'),
        with_manifest('{"start": 0, "step": 1, "stage": "a", "parts": "3", "sha256": ""}'),
        with_manifest('{"start": 0, "step": 1, "stage": "a", "parts": 0, "sha256": ""}'),
        with_manifest(
            '{"start": 0, "step": 1, "stage": "a", "parts": 1000000000000, "sha256": ""}'
        ),
    ],
)
def test_a_checkpoint_that_is_not_whole_is_refused(
    tmp_path: Path, change: Callable[[Path], None]
) -> None:
    slim.save_slim(weights(), tmp_path, stage="a", start=0, step=1, part=100)
    change(tmp_path)
    with pytest.raises(ModelCorruptError):
        slim.load_slim(tmp_path)


# --- parcels ---


@given(st.lists(st.integers(0, 9000), max_size=12), st.integers(1, 4), st.integers(1, 30000))
def test_transfers_hold_no_more_than_they_may(sizes: list[int], count: int, room: int) -> None:
    with tempfile.TemporaryDirectory() as folder:
        source, out = Path(folder) / "source", Path(folder) / "out"
        source.mkdir()
        transfers = pack.Transfers(out, count, room)
        taken: dict[Path, bytes] = {}
        for number, size in enumerate(sizes):
            path = source / f"{number}.jpg"
            path.write_bytes(bytes([number]) * size)  # a block has 4096 bytes
            if transfers.add(path, Path("deep") / path.name):
                taken[Path("deep") / path.name] = path.read_bytes()
            else:
                with pytest.raises(ValueError, match="room"):
                    transfers.require(path, Path(path.name))
        folders = [out / str(number + 1) for number in range(count)]
        found = {
            path.relative_to(each): path.read_bytes()
            for each in folders
            for path in each.rglob("*")
            if path.is_file()
        }
        assert found == taken
        for each in folders:
            sizes = [path.stat().st_size for path in each.rglob("*") if path.is_file()]
            assert sum(-(-size // 4096) * 4096 for size in sizes) <= room


def parcel_of(of: DeepPhotoRecipe, place: Path, count: int = 2, room: int = PLENTY) -> Path:
    """Pack the run `first` and copy all transfers into one folder."""
    transfers = pack.Transfers(place / "packed", count, room)
    data = [place / "many", place / "few"]
    pack.pack(of, place / "first.run", data, place / "few", transfers, pages=3)
    for folder in sorted((place / "packed").iterdir()):
        shutil.copytree(folder, place / "parcel", dirs_exist_ok=True)
    return place / "parcel"


def opened(of: DeepPhotoRecipe, parcel: Path) -> DeepStage:
    work = lease.Work.of(of, parcel)
    return lease.open_work(of, work, parcel, Shelves(of, parcel, CPU), CPU)


@pytest.fixture
def first(place: Path) -> DeepPhotoRecipe:
    """A recipe whose run `first` was stopped after its third step."""
    of = recipe(place)
    with pytest.raises(InterruptedRunError):
        run(of, place, "first", Silent(("transform", 3)))
    return of


def test_a_parcel_holds_what_was_packed(first: DeepPhotoRecipe, place: Path) -> None:
    parcel = parcel_of(first, place)
    for number, name in enumerate(("many", "few")):
        packed = {p.name: p.read_bytes() for p in (parcel / f"pictures/{number}").iterdir()}
        assert packed == {p.name: p.read_bytes() for p in (place / name).iterdir()}
    sheets = find_pictures(parcel / "pages")
    assert len(sheets) == 3
    for number, path in enumerate(sheets):
        rng = np.random.default_rng([first.seed, 8, number])
        assert np.array_equal(read_rgb(path), page(rng, 48 + 64, find_fonts()))
    manifest, found = slim.load_slim(parcel / "checkpoint")
    assert (manifest.stage, manifest.start, manifest.step) == ("transform", 3, 3)
    kept = load_file(place / "first.run/transform.safetensors")
    for name, value in found.items():
        assert torch.equal(value, as_it_travels(name, kept[f"average.{name}"]))


def test_what_does_not_fit_is_missing_from_all_folders_alike(
    first: DeepPhotoRecipe, place: Path
) -> None:
    listed = list(pack.evenly([place / "many", place / "few"], seed=1))
    assert len({name for _, name in listed}) == 7
    for end in range(1, 8):
        of_many = sum(path.parent.name == "many" for path, _ in listed[:end])
        assert abs(of_many / 5 - (end - of_many) / 2) <= 0.5


def test_a_parcel_without_room_is_refused(first: DeepPhotoRecipe, place: Path) -> None:
    size = (place / "first.run/transform.safetensors").stat().st_size
    with pytest.raises(ValueError, match="no room for checkpoint"):
        parcel_of(first, place, room=size // 1000)


def test_validation_is_that_of_the_run(first: DeepPhotoRecipe, place: Path) -> None:
    photo(300, 290, seed=9).save(place / "few/large.png")
    parcel = parcel_of(first, place)
    rented = opened(first, parcel)
    paths = find_pictures(place / "few")
    pictures, settings = Pictures(paths, first.data), first.train.transform
    assert settings is not None
    medium = DeepPhotoMedium(first, settings, rented.module, pictures, [""], paths, CPU)
    figures = DeepTransformStage("transform", settings, first.seed, medium, CPU).validate()
    assert rented.validate() == {n: v for n, v in figures.items() if not n.startswith("page_")}


# --- crops ---


def places_of(crop: np.ndarray, picture: np.ndarray) -> int:
    """Count the places of a picture where a crop may be from."""
    windows = np.lib.stride_tricks.sliding_window_view(picture, crop.shape)
    return int((windows == crop).all((-1, -2, -3)).sum())


def test_crops_are_copies_of_their_pictures() -> None:
    pictures = [np.asarray(photo(40 + 9 * k, 50 - 3 * k, seed=k)) for k in range(3)]
    shelf, rng = Shelf(pictures, [1.0], 20, CPU), np.random.default_rng(0)
    numbers = rng.integers(3, size=60)
    for mirror in (False, True):
        crops = shelf.crops(numbers, 20, rng, mirror=mirror)
        assert crops.dtype == torch.uint8
        assert crops.is_contiguous(memory_format=torch.channels_last)
        turned = 0
        for number, crop in zip(numbers, crops.permute(0, 2, 3, 1).numpy(), strict=True):
            plain, back = (places_of(c, pictures[number]) for c in (crop, crop[:, ::-1]))
            assert plain + back == 1
            turned += back
        assert (turned > 15) == mirror
        assert turned < 45


def test_every_place_of_a_picture_is_cropped() -> None:
    picture = np.arange(7 * 9 * 3, dtype=np.uint8).reshape(7, 9, 3)
    shelf, rng = Shelf([picture], [1.0], 5, CPU), np.random.default_rng(0)
    crops = shelf.crops(np.zeros(400, np.int64), 5, rng, mirror=False)
    assert len(np.unique(crops[:, 0, 0, 0])) == 3 * 5


@pytest.mark.parametrize(
    ("scale", "size"), [(0.5, (40, 30)), (0.8, (64, 48)), (0.1, (27, 20)), (1.0, (80, 60))]
)
def test_views_are_scaled_as_in_training(scale: float, size: tuple[int, int]) -> None:
    image = photo(80, 60)
    expected = np.asarray(image.resize(size, Image.Resampling.BILINEAR)).astype(int)
    shelf, rng = Shelf([np.asarray(image)], [scale], 20, CPU), np.random.default_rng(0)
    for crop in shelf.crops(np.zeros(5, np.int64), 20, rng, mirror=False).permute(0, 2, 3, 1):
        windows = np.lib.stride_tricks.sliding_window_view(expected, (20, 20, 3))
        assert np.abs(windows - crop.numpy()).max((-1, -2, -3)).min() <= 1


def test_pictures_smaller_than_a_crop_are_enlarged() -> None:
    shelf = Shelf([np.full((10, 30, 3), 7, np.uint8)], [0.5, 1.0], 20, CPU)
    crops = shelf.crops(np.zeros(4, np.int64), 20, np.random.default_rng(0), mirror=True)
    assert crops.shape == (4, 3, 20, 20)
    assert bool((crops == 7).all())


def test_batches_are_those_of_the_recipe(first: DeepPhotoRecipe, place: Path) -> None:
    parcel = parcel_of(first, place)
    rented = opened(lease.enlarged(first, "transform", 6), parcel)
    for step, shape in ((0, (6, 3, 32, 32)), (5, (6, 3, 32, 32)), (6, (3, 3, 48, 48))):
        batch = rented.batch(step)
        assert batch.shape == shape
        assert batch.is_contiguous(memory_format=torch.channels_last)
    sheets = [read_rgb(path) for path in find_pictures(parcel / "pages")]
    crops = torch.cat([rented.batch(0) for _ in range(10)]).permute(0, 2, 3, 1).numpy()
    drawn = sum(any(places_of(crop, sheet) for sheet in sheets) for crop in crops)
    assert 12 <= drawn <= 36  # of 60, a share of 0.4


# --- the lease ---


@given(
    st.integers(0, 100),
    st.integers(1, 100),
    st.floats(0.1, 600),
    st.lists(st.floats(0, 700), min_size=1, max_size=20),
)
def test_steps_follow_the_clock(start: int, more: int, seconds: float, times: list[float]) -> None:
    span = lease.Span(start=start, until=start + more, seconds=seconds)
    steps = [span.step(span.part(now, 0)) for now in sorted(times)]
    assert steps == sorted(steps)
    assert start <= steps[0]
    assert steps[-1] <= span.until
    assert (steps[-1] == span.until) == (max(times) >= seconds)


def test_steps_end_with_their_number_or_the_time() -> None:
    span = lease.Span(start=10, until=20, seconds=60.0, steps=4)
    assert [span.step(span.part(0.1, done)) for done in range(5)] == [10, 12, 15, 17, 20]
    assert span.part(60.0, 1) == 1.0
    assert lease.Span(start=10, until=20, seconds=-3.0).part(0.0, 0) == 1.0


def command(monkeypatch: pytest.MonkeyPatch, module: object, *words: object) -> None:
    """Run a script's `main`."""
    monkeypatch.setattr(sys, "argv", ["script", *map(str, words)])
    module.main()  # type: ignore[attr-defined]


def rent(monkeypatch: pytest.MonkeyPatch, place: Path, *words: object) -> Path:
    """Rehearse two steps that count as those up to the sixth."""
    out = place / "out"
    options = ("--minutes", 9, "--steps", 2, "--batch", 3, "--device", "cpu", "--until", 6)
    arguments = (place / "tiny.toml", place / "parcel", "--out", out, *options, *words)
    command(monkeypatch, lease, *arguments)
    return out


def test_training_goes_there_and_back(
    first: DeepPhotoRecipe, place: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Pack, rehearse, take back and resume, by the commands that README.md gives."""
    folders = ("--data", place / "many", "--data", place / "few", "--validation", place / "few")
    options = ("--out", place / "packed", "--transfers", 2, "--pages", 3)
    command(
        monkeypatch, pack, place / "tiny.toml", "--run", place / "first.run", *folders, *options
    )
    for folder in (place / "packed").iterdir():
        shutil.copytree(folder, place / "parcel", dirs_exist_ok=True)
    out = rent(monkeypatch, place)
    assert {path.name for path in out.iterdir()} == {
        *("checkpoint.0", "checkpoint.json", "log.jsonl"),
    }
    _, sent = slim.load_slim(place / "parcel/checkpoint")
    manifest, back = slim.load_slim(out)
    assert (manifest.start, manifest.step) == (3, 6)
    assert not torch.equal(sent["gains.octaves"], back["gains.octaves"])
    command(monkeypatch, take, out, "--run", place / "first.run")
    taken = load_file(place / "first.run/transform.safetensors")
    for name, value in back.items():
        assert torch.equal(taken[f"module.{name}"], value)
        assert torch.equal(taken[f"average.{name}"], value)
    assert (place / "first.run/transform.before").exists()
    run(first, place, "first", Silent(), resume=True)
    rows = [json.loads(row) for row in (place / "first.run/log.jsonl").read_text().splitlines()]
    assert [row["step"] for row in rows if row["kind"] == "validation"] == [6, 8]


PRODUCT = """[train.product]
steps = 6
batch = 2
crop = 32
ms_ssim = 0.0
pages = 0.4
average = 0.9
"""


@pytest.mark.parametrize(
    ("stopped", "trained", "steps"),
    [
        (("exact", 3), "exact", (3, 6)),
        (None, "product", (0, 6)),
        (("product", 2), "product", (2, 6)),
    ],
)
def test_later_stages_go_there_and_back(
    place: Path,
    monkeypatch: pytest.MonkeyPatch,
    stopped: tuple[str, int] | None,
    trained: str,
    steps: tuple[int, int],
) -> None:
    """A stage that has ended when it is packed is followed by the next."""
    every = BOTH_STAGES + PRODUCT
    (place / "tiny.toml").write_text(BOTH_STAGES if stopped is None else every)
    if stopped is None:
        run(recipe(place), place, "first", Silent())
        (place / "tiny.toml").write_text(every)
    else:
        with pytest.raises(InterruptedRunError):
            run(recipe(place), place, "first", Silent(stopped))
    of = recipe(place)
    parcel_of(of, place)
    out = rent(monkeypatch, place)
    manifest, _ = slim.load_slim(out)
    assert (manifest.stage, manifest.start, manifest.step) == (trained, *steps)
    assert take.take(out, place / "first.run") == (trained, *steps)
    made = run(of, place, "first", Silent(), resume=True)
    assert load_model(made).qualities == 4


def test_a_run_that_has_ended_is_not_trained(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    of = recipe(place)
    run(of, place, "first", Silent())
    parcel_of(of, place)
    with pytest.raises(SystemExit, match="the last stage has ended"):
        rent(monkeypatch, place)


def test_a_run_that_is_as_far_is_kept(
    first: DeepPhotoRecipe, place: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    parcel_of(first, place)
    out = rent(monkeypatch, place)
    run(first, place, "first", Silent(), resume=True)
    before = (place / "first.run/transform.safetensors").read_bytes()
    with pytest.raises(ValueError, match="step 8"):
        take.take(out, place / "first.run")
    assert (place / "first.run/transform.safetensors").read_bytes() == before


def test_diverging_leaves_the_checkpoint_before(
    first: DeepPhotoRecipe, place: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    parcel_of(first, place)
    out = rent(monkeypatch, place)
    before = {path.name: path.read_bytes() for path in out.iterdir()}
    with pytest.raises(SystemExit, match="no numbers"):
        rent(monkeypatch, place, "--factor", "1e30")
    assert {path.name: path.read_bytes() for path in out.iterdir()} == before


def test_steps_are_timed(
    first: DeepPhotoRecipe,
    place: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    (place / "tiny.toml").write_text(BOTH_STAGES + PRODUCT)
    options = ("--batches", 2, 3, "--count", 1, "--device", "cpu")
    command(monkeypatch, probe, place / "tiny.toml", *options)
    told = [line.partition(" crops")[0] for line in capsys.readouterr().out.splitlines()]
    assert told == [f"{stage}, {n}" for stage in ("transform", "exact") for n in (2, 3)]


def test_stages_follow_each_other(
    first: DeepPhotoRecipe, place: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In one lease; what the first ended with is kept."""
    (place / "tiny.toml").write_text(BOTH_STAGES)
    parcel = parcel_of(recipe(place), place)
    out = place / "out"
    options = ("--minutes", 9, 9, "--steps", 2, "--batch", 3, "--device", "cpu")
    command(monkeypatch, lease, place / "tiny.toml", parcel, "--out", out, *options)
    for folder, expected in (
        (parcel / "ended/transform", ("transform", 3)),
        (out, ("exact", 0)),
    ):
        manifest, _ = slim.load_slim(folder)
        assert (manifest.stage, manifest.start) == expected
        assert manifest.step == recipe(place).train.stages[manifest.stage].steps
        take.take(folder, place / "first.run")
    rows = [json.loads(row) for row in (place / "first.run/log.jsonl").read_text().splitlines()]
    ended = {(row["stage"], row["step"]) for row in rows if row["kind"] == "validation"}
    assert {("transform", 8), ("exact", 8)} <= ended


def test_a_parcel_of_another_recipe_is_refused(first: DeepPhotoRecipe, place: Path) -> None:
    parcel = parcel_of(first, place)
    other = recipe(place, latent_prior__hidden="20")
    with pytest.raises(ModelCorruptError, match="another recipe"):
        opened(other, parcel)


def test_commands_refuse_in_one_line(
    first: DeepPhotoRecipe, place: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(SystemExit, match=r"checkpoint.json: no checkpoint"):
        rent(monkeypatch, place)
    with pytest.raises(SystemExit, match=r"checkpoint.json: no checkpoint"):
        command(monkeypatch, take, place / "none", "--run", place / "first.run")
    folders = ("--data", place / "many", "--validation", place / "few", "--out", place / "packed")
    arguments = (place / "tiny.toml", "--run", place / "first.run", *folders)
    with pytest.raises(SystemExit, match="no room"):
        command(monkeypatch, pack, *arguments, "--room", "0.01")


@pytest.mark.parametrize("until", [1, 3, 9])
def test_a_lease_ends_inside_the_schedule(
    first: DeepPhotoRecipe, place: Path, monkeypatch: pytest.MonkeyPatch, until: int
) -> None:
    parcel_of(first, place)
    with pytest.raises(SystemExit):
        rent(monkeypatch, place, "--until", until)
    assert not (place / "out").exists()


# --- other commands of a lease ---


def test_what_is_missing_is_said_in_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    assert {"torch", "numpy", "pillow", "safetensors"} <= set(needs.needed())
    monkeypatch.setattr(needs, "needed", lambda: ["torch", "none-such", "nor-this"])
    with pytest.raises(SystemExit, match=r"^missing: none-such, nor-this$"):
        needs.main()


def test_nothing_is_missing_here(capsys: pytest.CaptureFixture[str]) -> None:
    needs.main()
    assert f"torch {torch.__version__}" in capsys.readouterr().out


def test_times_are_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    photo().save(tmp_path / "a.png")
    model = MODELS / "random-photo.safetensors"
    command(monkeypatch, speed, tmp_path / "a.png", "--model", model, "--device", "cpu")
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == 6
    assert all("compress" in line and line.endswith("differ by 0") for line in lines)
