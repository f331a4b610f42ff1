"""Files that are made on a GPU, several at once, and what they are worth beside a report."""

from __future__ import annotations

import json
import sys
import tarfile
from pathlib import Path

import numpy as np
import pytest
from conftest import photo

pytest.importorskip("bjontegaard", reason="needs the extra 'bench'")
pytest.importorskip("ssimulacra2", reason="needs the extra 'bench'")
pytest.importorskip("pytorch_msssim", reason="needs the extra 'bench'")

import refine
from vqcodec_bench import made
from vqcodec_bench.bdrate import curve_of

import vqcodec
from vqcodec import metrics

QUALITIES = (3.0, 5.0, 8.0)
WIDTH, HEIGHT = 176, 96


@pytest.fixture(scope="module")
def pictures(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("pictures")
    for seed in (1, 2):
        photo(WIDTH, HEIGHT, seed=seed).save(folder / f"{seed}.png")
    return folder


def compress(pictures: Path, out: Path, seconds: float) -> None:
    words = ["--effort", "1", "--processes", "1", "--device", "cpu", "--seconds", seconds]
    words += [word for quality in QUALITIES for word in ("-q", quality)]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(
            sys, "argv", ["refine.py", str(pictures), "--out", str(out), *map(str, words)]
        )
        refine.main()


@pytest.fixture(scope="module")
def files(pictures: Path) -> Path:
    compress(pictures, pictures / "files.tar", 1000.0)
    return pictures / "files.tar"


def original(name: str) -> np.ndarray:
    return np.asarray(photo(WIDTH, HEIGHT, seed=int(name)))


def own_curve(files: Path) -> list[dict[str, float]]:
    """Mean figures of the files, ascending in quality."""
    rows = []
    for wanted in QUALITIES:
        each = []
        for quality, name, data in made.read_files(files):
            if quality == wanted:
                decoded = np.asarray(vqcodec.decompress(data))
                bpp = 8 * len(data) / (WIDTH * HEIGHT)
                each.append((bpp, metrics.psnr(original(name), decoded)))
        bpp, psnr = np.mean(each, axis=0)
        rows.append({"quality": wanted, "bpp": float(bpp), "psnr": float(psnr)})
    return rows


def test_the_files_are_those_that_compressing_makes(pictures: Path, files: Path) -> None:
    with tarfile.open(files) as tar:
        found = sorted(tar.getnames())
    assert found == [f"{quality:g}/{name}.vqc" for quality in QUALITIES for name in (1, 2)]
    for quality, name, data in list(made.read_files(files))[:2]:
        assert data == vqcodec.compress(original(name), quality=quality)


def test_nothing_is_begun_when_the_time_is_over(pictures: Path, tmp_path: Path) -> None:
    compress(pictures, tmp_path / "none.tar", -1.0)
    assert list(made.read_files(tmp_path / "none.tar")) == []


def test_means_are_those_of_the_files_of_whole_qualities(
    pictures: Path, files: Path, tmp_path: Path
) -> None:
    with tarfile.open(files) as tar:
        tar.extractall(tmp_path, filter="data")
    (tmp_path / "5/2.vqc").unlink()
    with tarfile.open(tmp_path / "some.tar", "w") as some:
        for path in sorted(tmp_path.glob("*/*.vqc")):
            some.add(path, path.relative_to(tmp_path).as_posix())
    paths = {path.stem: path for path in pictures.glob("*.png")}
    found = made.mean_curve(paths, tmp_path / "some.tar", None, 1)
    expected = [row for row in own_curve(files) if row["quality"] != 5.0]
    assert [row["quality"] for row in found] == [3.0, 8.0]
    for row, other in zip(found, expected, strict=True):
        assert row["bpp"] == pytest.approx(other["bpp"])
        assert row["psnr"] == pytest.approx(other["psnr"])


def test_they_are_compared_with_all_curves(
    pictures: Path, files: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    ours = own_curve(files)
    dearer = [row | {"codec": "dear", "bpp": 2.0 * row["bpp"]} for row in ours]
    same = [row | {"codec": "same"} for row in ours]
    for row in (*dearer, *same):
        row |= {"ms_ssim": None, "ssimulacra2": None}
    results = {"curves": [*dearer, *same], "published": [{"label": "Old", "points": dearer}]}
    (tmp_path / "results.json").write_text(json.dumps(results))
    assert curve_of(ours, "psnr") is not None
    words = (pictures, files, "--results", tmp_path / "results.json", "--jobs", 1)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sys, "argv", ["made", *map(str, words)])
        made.main()
    told = capsys.readouterr().out
    assert "| dear | -50.0 % |  |  |" in told
    assert "| Old | -50.0 % |  |  |" in told
    assert "| same | " in told
    assert "| 8.0000 | " in told
