"""`vqcodec bench`: what its figures mean, and that a run loses nothing."""

from __future__ import annotations

import json
import math
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from conftest import photo

pytest.importorskip("bjontegaard", reason="needs the extra 'bench'")
pytest.importorskip("ssimulacra2", reason="needs the extra 'bench'")
pytest.importorskip("pytorch_msssim", reason="needs the extra 'bench'")

from scipy.integrate import trapezoid
from scipy.interpolate import PchipInterpolator
from vqcodec_bench import run as runs
from vqcodec_bench.bdrate import Curve, curve_of
from vqcodec_bench.codec import Codec, MissingPeerError
from vqcodec_bench.comparisons import agreement, bd_rates_published, ratios
from vqcodec_bench.measure import Cache, measure
from vqcodec_bench.peers import PEERS
from vqcodec_bench.pictures import Pictures
from vqcodec_bench.published import LABELS, published
from vqcodec_bench.speed import time_codecs
from vqcodec_bench.summary import mean_curves, summarise, to_csv
from vqcodec_bench.workers import sigint_blocked

from vqcodec.metrics import Pixels, decibels


def synthetic(factor: float, metric: str = "psnr") -> list[dict[str, float | None]]:
    """A curve of the form that codecs have, at `factor` times the rate."""
    rates = np.geomspace(0.1, 2.0, 7)
    values = 34.0 + 5.0 * np.log2(rates) - 0.3 * np.log2(rates) ** 2
    if metric == "ms_ssim":
        values = 1.0 - 10.0 ** (-values / 20.0)
    return [{"bpp": factor * r, metric: v} for r, v in zip(rates, values, strict=True)]


@pytest.mark.parametrize("metric", ["psnr", "ms_ssim", "ssimulacra2"])
@pytest.mark.parametrize("factor", [0.6, 1.0, 1.7])
def test_bd_rate_of_a_scaled_curve_is_the_factor(metric: str, factor: float) -> None:
    anchor, test = (curve_of(synthetic(f, metric), metric) for f in (1.0, factor))
    assert anchor is not None
    assert test is not None
    saving = test.saving(anchor)
    assert saving is not None
    assert saving.percent == pytest.approx(100.0 * (factor - 1.0), abs=1e-6)
    values = [row[metric] for row in synthetic(1.0, metric)]
    assert (saving.low, saving.high) == pytest.approx((values[0], values[-1]))


def test_published_curves_give_the_known_bd_rates() -> None:
    known = {"jpeg": 208, "webp": 79, "bpg444": 22, "av1": 16, "mlic++[mse]": -15}
    curves = {row["name"]: curve_of(row["points"], "psnr") for row in published()}
    anchor = curves["vtm"]
    assert anchor is not None
    for name, percent in known.items():
        curve = curves[name]
        saving = curve.saving(anchor) if curve else None
        assert saving is not None
        assert saving.percent == pytest.approx(percent, abs=2.0)


def test_curves_are_compared_with_published_ones() -> None:
    others = published()
    for row in bd_rates_published({"twin": others[0]["points"]}, others[:2]):
        if row["against"] == others[0]["label"]:
            assert row["percent"] == pytest.approx(0.0, abs=1e-9)
        else:
            assert abs(row["percent"]) > 1.0
    assert bd_rates_published({"none": []}, others) == []


def test_bd_rate_equals_that_of_a_second_library() -> None:
    """scipy's interpolation, integrated numerically."""
    points = {row["name"]: row["points"] for row in published()}
    for metric in ("psnr", "ms_ssim"):
        both = []
        for name in ("webp", "vtm"):
            values = [(p["bpp"], p[metric]) for p in points[name]]
            quality = [decibels(v) if metric == "ms_ssim" else v for _, v in values]
            both.append((PchipInterpolator(quality, np.log([b for b, _ in values])), quality))
        low = max(quality[0] for _, quality in both)
        high = min(quality[-1] for _, quality in both)
        grid = np.linspace(low, high, 20001)
        gap = trapezoid(both[0][0](grid) - both[1][0](grid), grid) / (high - low)
        curve, anchor = (curve_of(points[name], metric) for name in ("webp", "vtm"))
        assert curve is not None
        assert anchor is not None
        saving = curve.saving(anchor)
        assert saving is not None
        assert saving.percent == pytest.approx(100.0 * math.expm1(gap), abs=0.01)


def test_curves_read_off_between_points() -> None:
    curve = Curve("psnr", [(0.2, 30.0), (0.4, 33.0), (0.1, 27.0)])
    assert curve.rate_at(30.0) == pytest.approx(0.2)
    assert 0.2 < (curve.rate_at(31.0) or 0.0) < 0.4
    assert curve.rate_at(33.1) is None
    assert curve.value_at(0.4) == pytest.approx(33.0)
    assert curve.value_at(0.41) is None
    apart = Curve("psnr", [(0.2, 40.0), (0.4, 43.0)])
    assert curve.saving(apart) is None


def test_points_that_cost_more_and_are_no_better_are_left_out() -> None:
    curve = Curve("psnr", [(0.1, 27.0), (0.2, 30.0), (0.3, 29.0), (0.4, 33.0)])
    assert curve.rate_at(30.0) == pytest.approx(0.2)
    with pytest.raises(ValueError, match="two points"):
        Curve("psnr", [(0.1, 27.0), (0.2, 27.0)])


def test_every_published_curve_has_a_source() -> None:
    rows = published()
    assert [row["name"] for row in rows] == list(LABELS)
    assert all(row["source"] and len(row["points"]) >= 6 for row in rows)


PICTURES = Pictures()


class Rounding(Codec[Pixels]):
    """Keeps the high bits of each byte; its files are as large as it says."""

    name = "rounding"
    label = "Rounding"
    settings = "none"
    qualities = (2, 4)

    def version(self) -> str:
        return "1"

    def encode(self, pixels: Pixels, quality: float) -> bytes:
        step = 1 << (8 - int(quality))
        coarse = (pixels // step * step + step // 2).astype(np.uint8)
        head = np.array(pixels.shape, "<u4").tobytes()
        return head + coarse.tobytes()

    def decode(self, data: bytes) -> Pixels:
        return np.frombuffer(data[12:], np.uint8).reshape(np.frombuffer(data[:12], "<u4"))


class Absent(Rounding):
    name = "absent"

    def version(self) -> str:
        raise MissingPeerError("not there")


class Failing(Rounding):
    name = "failing"

    def encode(self, pixels: Pixels, quality: float) -> bytes:
        raise TypeError("cannot")


class Undecodable(Rounding):
    name = "undecodable"

    def decode(self, data: bytes) -> Pixels:
        raise ImportError("no decoder")


class Dying(Rounding):
    name = "dying"

    def encode(self, pixels: Pixels, quality: float) -> bytes:
        if quality == 4:
            os._exit(9)
        return super().encode(pixels, quality)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    data = tmp_path / "data"
    data.mkdir()
    photo(60, 40, seed=1).save(data / "a.png")
    photo(180, 170, seed=2).save(data / "b.png")
    (data / "broken.png").write_bytes(b"\x89PNG\r\n\x1a\n and no more")
    return data


def pictures(folder: Path) -> list[Path]:
    return sorted(folder.iterdir())


def test_a_second_run_computes_only_what_changed(folder: Path, tmp_path: Path) -> None:
    cache = Cache(tmp_path / "cache")
    seen: list[tuple[int, int]] = []
    first = runs.plan(PICTURES, pictures(folder), [Rounding(), Absent()])
    assert [(m["codec"], m["why"]) for m in first.missing] == [("absent", "not there")]
    assert [f["picture"] for f in first.failed] == ["broken.png"]
    points = runs.execute(first, cache, 1, lambda n, of: seen.append((n, of)))
    assert seen == [(0, 4), (1, 4), (2, 4), (3, 4), (4, 4)]
    assert [(p["picture"], p["quality"]) for p in points] == [
        ("a.png", 2),
        ("a.png", 4),
        ("b.png", 2),
        ("b.png", 4),
    ]
    small, large = points[0], points[2]
    assert small["ms_ssim"] is None
    assert 0.0 < large["ms_ssim"] < 1.0
    assert small["bytes"] == 12 + 60 * 40 * 3
    assert small["bpp"] == pytest.approx(8 * small["bytes"] / (60 * 40))

    photo(60, 40, seed=3).save(folder / "a.png")
    seen.clear()
    again = runs.plan(PICTURES, pictures(folder), [Rounding()])
    runs.execute(again, cache, 1, lambda n, of: seen.append((n, of)))
    assert seen == [(2, 4), (3, 4), (4, 4)]


def test_an_interrupted_run_keeps_what_was_done(folder: Path, tmp_path: Path) -> None:
    cache = Cache(tmp_path / "cache")

    def stop(done: int, total: int) -> None:
        if done == 1:
            raise KeyboardInterrupt

    run = runs.plan(PICTURES, pictures(folder), [Rounding()])
    with pytest.raises(KeyboardInterrupt):
        runs.execute(run, cache, 1, stop)
    seen: list[int] = []
    runs.execute(run, cache, 1, lambda n, _: seen.append(n))
    assert seen[0] >= 1
    assert seen[-1] == 4


def test_a_failing_codec_is_reported_and_the_others_go_on(folder: Path, tmp_path: Path) -> None:
    run = runs.plan(PICTURES, pictures(folder)[:1], [Failing(), Rounding()])
    points = runs.execute(run, Cache(tmp_path / "cache"), 1, lambda *_: None)
    assert {p["codec"] for p in points} == {"rounding"}
    assert [f["why"] for f in run.failed] == [
        "failing at 2: cannot",
        "failing at 4: cannot",
    ]
    assert not mean_curves(PICTURES, points, [Failing()], 1)


@pytest.mark.parametrize("jobs", [1, 2])
def test_a_dying_process_fails_its_own_task_alone(folder: Path, tmp_path: Path, jobs: int) -> None:
    run = runs.plan(PICTURES, pictures(folder)[:2], [Dying()])
    points = runs.execute(run, Cache(tmp_path / "cache"), jobs, lambda *_: None)
    assert [(p["picture"], p["quality"]) for p in points] == [("a.png", 2), ("b.png", 2)]
    assert [f["picture"] for f in run.failed] == ["a.png", "b.png"]
    assert all("process died" in f["why"] for f in run.failed)


def test_equal_pictures_are_measured_once(folder: Path, tmp_path: Path) -> None:
    (folder / "c.png").write_bytes((folder / "a.png").read_bytes())
    run = runs.plan(PICTURES, [folder / "a.png", folder / "c.png"], [Rounding()])
    seen: list[tuple[int, int]] = []
    points = runs.execute(run, Cache(tmp_path / "cache"), 1, lambda n, of: seen.append((n, of)))
    assert seen == [(0, 2), (1, 2), (2, 2)]
    assert [p["picture"] for p in points] == ["a.png", "a.png", "c.png", "c.png"]


def test_keys_depend_on_what_decides_the_result(folder: Path) -> None:
    other = Rounding()
    other.settings = "others"
    plans = [runs.plan(PICTURES, pictures(folder)[:2], [codec]) for codec in (Rounding(), other)]
    keys = [task.key for plan in plans for task in plan.tasks]
    assert len(set(keys)) == len(keys) == 8


@pytest.mark.parametrize("name", PEERS)
def test_peers_lose_less_at_more_bytes(name: str) -> None:
    codec = PEERS[name]()
    try:
        assert codec.version()
    except MissingPeerError as error:
        pytest.skip(str(error))
    pixels = np.asarray(photo(192, 176, seed=4))
    qualities = codec.qualities[1], codec.qualities[-2]
    points = [measure(PICTURES, codec, quality, pixels)[0] for quality in qualities]
    for key in ("bytes", "psnr", "ms_ssim", "ssimulacra2"):
        assert points[0][key] < points[1][key]


def test_summary_says_what_the_points_say() -> None:
    class Ours(Rounding):
        name = "paper"
        label = "vqcodec paper"
        qualities = (1,)
        ours = True

    codec, peer = Ours(), Rounding()
    points = [
        {"codec": "paper", "quality": 1, "picture": p, "bpp": bpp, "psnr": 30.0, "ms_ssim": 0.9}
        | {"ssimulacra2": 20.0, "index_counts": counts, "index_bits": bits}
        for p, bpp, counts, bits in (("a", 0.2, [[3, 1]], 0.5), ("b", 0.4, [[1, 3]], 0.7))
    ]
    points += [
        {"codec": "rounding", "quality": q, "picture": p, "bpp": b, "psnr": v, "ms_ssim": None}
        | {"ssimulacra2": None}
        for q, b, v in ((2, 0.4, 28.0), (4, 0.8, 32.0))
        for p in "ab"
    ]
    found = summarise(PICTURES, points, [peer, codec], 2)
    assert found["curves"][-1]["bpp"] == pytest.approx(0.3)
    assert ratios([peer], by_codec(found) | {"paper": []}) == []
    rows = {row["codec"]: row for row in ratios([peer, codec], by_codec(found))}
    assert next(iter(rows)) == "paper"
    assert rows["paper"]["ratio"] == pytest.approx(80.0)
    assert rows["paper"]["equal_psnr"] == pytest.approx(80.0)
    assert rows["paper"]["fixed_bits"] == 1.0
    assert to_csv(PICTURES, found["curves"]).splitlines()[-1].startswith("paper,1,0.3,30,")
    assert rows["paper"]["unigram_bits"] == pytest.approx(1.0)
    assert rows["paper"]["prior_bits"] == pytest.approx(0.6)
    assert rows["rounding"]["ratio"] is None
    assert 30.0 < rows["rounding"]["equal_psnr"] < 60.0
    assert rows["rounding"]["equal_ms_ssim"] is rows["rounding"]["equal_ssimulacra2"] is None
    assert found["bd_rate"] == []


def by_codec(found: dict[str, list[dict[str, float]]]) -> dict[str, list[dict[str, float]]]:
    names = {str(row["codec"]) for row in found["curves"]}
    return {name: [r for r in found["curves"] if r["codec"] == name] for name in names}


def test_agreement_is_zero_with_the_published_curve_itself() -> None:
    rows = next(row["points"] for row in published() if row["name"] == "webp")
    raised = [{**row, "psnr": row["psnr"] + 0.25} for row in rows]
    (found,) = agreement({"webp": raised}, published())
    assert found["mean"] == pytest.approx(0.25)
    assert found["low"] == pytest.approx(found["high"])


def test_speed_is_measured_in_processes_of_their_own(folder: Path) -> None:
    jobs = [(PEERS["jpeg"](), 50), (Failing(), 2), (Undecodable(), 2)]
    rows = list(time_codecs(PICTURES, jobs, {"b.png": folder / "b.png"}))
    assert [(r["codec"], r["direction"], r["note"]) for r in rows] == [
        ("jpeg", "encode", ""),
        ("jpeg", "decode", ""),
        ("failing", "encode", "cannot"),
        ("undecodable", "encode", ""),
        ("undecodable", "decode", "no decoder"),
    ]
    for row in rows[:2]:
        assert 0.0 < row["seconds"] <= 2.0 * row["first_seconds"]
        assert row["mp_per_s"] == pytest.approx(180 * 170 / 1e6 / row["seconds"])
        assert row["peak_mib"] is None or 10.0 < row["peak_mib"] < 2000.0
    assert rows[2]["seconds"] is None


def bench(*arguments: object, **options: object) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "vqcodec", "bench", *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, check=False, **options)


def test_the_command_writes_a_whole_report(folder: Path, tmp_path: Path) -> None:
    out = tmp_path / "report"
    done = bench(folder, "--peers", "jpeg,webp", "--models", "none", "--out", out, "--jobs", 1)
    assert done.returncode == 1
    assert "broken.png" in done.stderr
    assert "Traceback" not in done.stderr
    results = json.loads((out / "results.json").read_text())
    assert [p["name"] for p in results["pictures"]] == ["a.png", "b.png"]
    assert [f["picture"] for f in results["failed"]] == ["broken.png"]
    assert len(results["points"]) == 2 * (9 + 9)
    assert results["published"] == []  # those are of Kodak's pictures
    assert {row["metric"] for row in results["bd_rate"]} == {"psnr", "ms_ssim", "ssimulacra2"}
    assert results["ratios"] == []
    assert len((out / "summary.csv").read_text().splitlines()) == 1 + 18
    for name in ("rd-psnr.png", "rd-psnr.svg", "rd-ssimulacra2.svg", "report.html"):
        assert (out / name).stat().st_size > 5000
    assert (out / "rd-ms_ssim.svg").exists()

    (folder / "broken.png").unlink()
    options = ("--peers", "jpeg", "--models", "none", "--qualities", "jpeg=20,50")
    done = bench(folder, *options, "--out", out, "--jobs", 1)
    assert done.returncode == 0
    assert len(json.loads((out / "results.json").read_text())["points"]) == 4

    (folder / "b.png").unlink()
    done = bench(folder, *options, "--out", out, "--jobs", 1)
    assert done.returncode == 0
    assert not (out / "rd-ms_ssim.svg").exists()  # a.png is too small for MS-SSIM


def test_a_report_in_the_folder_is_not_measured(folder: Path) -> None:
    options = ("--peers", "jpeg", "--models", "none", "--qualities", "jpeg=20,50")
    (folder / "broken.png").unlink()
    for _ in range(2):
        done = bench(".", *options, "--jobs", 1, cwd=folder)
        assert done.returncode == 0
    results = json.loads((folder / "report" / "results.json").read_text())
    assert [p["name"] for p in results["pictures"]] == ["a.png", "b.png"]


@pytest.fixture
def _terminal() -> Iterator[None]:
    """SIGINT as in a terminal: shells have jobs in the background ignore it."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


@pytest.mark.usefixtures("_terminal")
@pytest.mark.skipif(sys.platform == "win32", reason="signals")
def test_ctrl_c_while_processes_start_is_not_lost() -> None:
    reached = []

    def start() -> None:
        with sigint_blocked():
            signal.raise_signal(signal.SIGINT)
            reached.append(True)

    with pytest.raises(KeyboardInterrupt):
        start()
    assert reached


@pytest.mark.usefixtures("_terminal")
@pytest.mark.skipif(sys.platform == "win32", reason="signals")
def test_ctrl_c_ends_a_run_with_one_line(folder: Path, tmp_path: Path) -> None:
    out = tmp_path / "report"
    command = [sys.executable, "-m", "vqcodec", "bench", str(folder), "--out", str(out)]
    command += ["--peers", "avif,webp", "--models", "none", "--jobs", "1"]
    process = subprocess.Popen(
        command, stderr=subprocess.PIPE, text=True, start_new_session=True, env=dict(os.environ)
    )
    deadline = time.monotonic() + 60
    while not any((out / "cache").glob("*.json")) and time.monotonic() < deadline:
        time.sleep(0.05)
    os.killpg(process.pid, signal.SIGINT)
    _, errors = process.communicate(timeout=60)
    assert process.returncode == 130
    assert "interrupted" in errors
    assert "Traceback" not in errors
    assert any((out / "cache").glob("*.json"))
    assert not list((out / "cache").glob("*.part"))


@pytest.mark.parametrize(
    ("arguments", "named"),
    [
        (["--peers", "gif"], "gif"),
        (["--qualities", "jpeg=high"], "jpeg=high"),
        (["--qualities", "jpeg=20.5"], "whole numbers"),
        (["--qualities", "webp=500"], "0 to 100"),
        (["--qualities", "tiff=1"], "tiff"),
        (["--peers", "jpeg,jpeg"], "two codecs"),
        (["--peers", "none"], "--models"),
    ],
)
def test_wrong_options_are_named(folder: Path, arguments: list[str], named: str) -> None:
    done = bench(folder, "--models", "none", *arguments)
    assert done.returncode == 2
    assert named in done.stderr
