"""Folders of files on a cluster of Ray's: every file once, whatever dies."""

from __future__ import annotations

import os
import signal
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from conftest import MODELS, Run, one_line_error, photo

import vqcodec
from vqcodec import tokens
from vqcodec.batch.job import Bar, Job, Outcome
from vqcodec.image.jobs import Compression, is_picture

ray = pytest.importorskip("ray")
pq = pytest.importorskip("pyarrow.parquet")

from ray.cluster_utils import Cluster as Machines  # noqa: E402

from vqcodec.cluster import run as running  # noqa: E402
from vqcodec.cluster.log import NAME, Log, finished  # noqa: E402
from vqcodec.cluster.places import Folder, Task  # noqa: E402
from vqcodec.cluster.places import tasks as tasks_of  # noqa: E402
from vqcodec.cluster.run import Cluster, run  # noqa: E402
from vqcodec.cluster.worker import row_of  # noqa: E402

MODEL = str(MODELS / "random.safetensors")


@pytest.fixture(scope="module")
def machines() -> Iterator[Machines]:
    """Three machines, of which the first does no work."""
    os.environ["PYTHONPATH"] = os.pathsep.join(
        [str(Path(__file__).parent), os.environ.get("PYTHONPATH", "")]
    )
    there = Machines(initialize_head=True, head_node_args={"num_cpus": 0})
    for _ in range(2):
        there.add_node(num_cpus=1)
    ray.init(there.address, log_to_driver=False)
    yield there
    ray.shutdown()
    there.shutdown()


@pytest.fixture
def pictures(tmp_path: Path) -> Path:
    folder = tmp_path / "pictures"
    for number in range(40):
        path = folder / f"{number % 4}" / f"{number}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        photo(40, 32, seed=number).save(path)
    return folder


def rows_of(folder: Path) -> list[dict[str, Any]]:
    logs = sorted((folder / NAME).glob("*.parquet"))
    return [row for path in logs for row in pq.read_table(path).to_pylist()]


def all_decode(folder: Path) -> set[str]:
    found = {str(path.relative_to(folder)) for path in folder.rglob("*.vqc")}
    for name in found:
        vqcodec.verify(folder / name, model=MODEL)
    return found


@dataclass(frozen=True)
class Slow:
    """Compresses, slowly; and dies over files of that name."""

    poison: str = ""

    def ready(self) -> Callable[[Job, Bar], Outcome]:
        do = Compression(model=MODEL).ready()

        def slowly(job: Job, bar: Bar) -> Outcome:
            time.sleep(0.05)
            if self.poison and Path(job.source).name == self.poison:
                os.kill(os.getpid(), signal.SIGKILL)
            return do(job, bar)

        return slowly

    def foresee(self, job: Job) -> Outcome:
        raise NotImplementedError

    def seconds(self, job: Job) -> float:
        return 0.05


def work_on(pictures: Path, results: Path, work: Any) -> running.Progress:
    source, target = Folder(str(pictures)), Folder(str(results))
    found = tasks_of(source, is_picture, ".vqc")
    return run(Cluster(), work, source, target, found, lambda _: None)


@pytest.mark.usefixtures("machines")
def test_a_file_that_kills_workers_costs_no_other(pictures: Path, tmp_path: Path) -> None:
    results = tmp_path / "results"
    (pictures / "0/broken.png").write_bytes(b"nothing")
    progress = work_on(pictures, results, Slow(poison="7.png"))
    rows = rows_of(results)
    assert sorted(row["source"] for row in rows) == sorted(
        str(path.relative_to(pictures)) for path in pictures.rglob("*.png")
    )
    errors = {row["source"]: row["error"] for row in rows if row["error"]}
    assert set(errors) == {"3/7.png", "0/broken.png"}
    assert "SIGKILL" in errors["3/7.png"]
    assert (progress.done, progress.failed) == (39, 2)
    assert len(all_decode(results)) == 39


def test_a_machine_that_dies_costs_no_file(
    machines: Machines, pictures: Path, tmp_path: Path
) -> None:
    results = tmp_path / "results"
    lost = machines.add_node(num_cpus=1)

    def kill() -> None:
        while len(list(results.rglob("*.vqc"))) < 8:
            time.sleep(0.05)
        machines.remove_node(lost, allow_graceful=False)

    killer = threading.Thread(target=kill)
    killer.start()
    progress = work_on(pictures, results, Slow())
    killer.join()
    rows = rows_of(results)
    assert (progress.done, progress.failed, len(rows)) == (40, 0, 40)
    assert len({row["source"] for row in rows}) == 40
    assert all_decode(results) == {row["target"] for row in rows}
    assert all(row["after"] == (results / row["target"]).stat().st_size for row in rows)
    assert not list(results.rglob("*.part"))


@pytest.mark.usefixtures("machines", "installed")
def test_command(run: Run, pictures: Path, tmp_path: Path) -> None:
    results = tmp_path / "results"
    (pictures / "bad.png").write_bytes(b"nothing")
    line = ["compress", str(pictures), "-d", str(results), "--model", MODEL, "--ray"]
    first = run(*line)
    assert first.code == 1
    assert "40 of 41 files done" in first.out
    assert "bad.png: " in first.err
    assert len(all_decode(results)) == 40
    one_line_error(run(*line), 2)  # there are results
    photo(40, 32).save(pictures / "new.png")
    (pictures / "bad.png").unlink()
    again = run(*line, "--skip-existing")
    assert again.code == 0
    assert "1 of 1 files done" in again.out
    assert len(rows_of(results)) == 42
    back = tmp_path / "back"
    decoded = run("decompress", str(results), "-d", str(back), "--model", MODEL, "--ray")
    assert decoded.code == 0
    assert len(list(back.rglob("*.png"))) == 41
    for wrong in (["-o", "x.vqc"], ["-d", str(results), "-j", "2"]):
        one_line_error(run("compress", str(pictures), "--ray", "", *wrong), 2)


def test_files_go_to_any_address(tmp_path: Path) -> None:
    local = tmp_path / "a.txt"
    local.write_text("there")
    far = Folder("memory://bucket/results")
    far.put(str(local), "below/a.txt")
    far.fetch("below/a.txt", str(tmp_path / "b.txt"))
    assert (tmp_path / "b.txt").read_text() == "there"
    assert [task.source for task in tasks_of(far, lambda _: True, ".vqc")] == ["below/a.txt"]
    near = Folder(str(tmp_path / "near"))
    near.put(str(local), "below/a.txt")
    assert [path.name for path in (tmp_path / "near/below").iterdir()] == ["a.txt"]


def test_names_of_results(tmp_path: Path) -> None:
    for name in ("a.png", "a.jpg", "b.png", "c/a.png", ".hidden.png", ".d/a.png", "notes.txt"):
        path = tmp_path / name
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(b"123")
    found = list(tasks_of(Folder(str(tmp_path)), is_picture, ".vqc"))
    assert sorted((task.source, task.target, task.size) for task in found) == [
        ("a.jpg", "a.jpg.vqc", 3),
        ("a.png", "a.png.vqc", 3),
        ("b.png", "b.vqc", 3),
        ("c/a.png", "c/a.vqc", 3),
    ]
    with pytest.raises(NotADirectoryError):
        list(tasks_of(Folder(str(tmp_path / "none")), is_picture, ".vqc"))


def test_the_log_knows_what_is_done(tmp_path: Path) -> None:
    folder = Folder(str(tmp_path))
    assert finished(folder) == set()
    for name, error in (("a", ""), ("b", "wrong")):
        log = Log(folder)
        log.add([row_of(Task(name, f"{name}.vqc", 1), error)])
        log.flush()
        log.flush()
    assert finished(folder) == {"a"}
    assert len(list((tmp_path / NAME).iterdir())) == 2


@pytest.mark.usefixtures("machines", "installed")
def test_tokens(run: Run, pictures: Path, tmp_path: Path) -> None:
    results = tmp_path / "tokens"
    (pictures / "bad.png").write_bytes(b"nothing")
    line = ["tokens", str(pictures), "-o", str(results), "--model", MODEL, "--ray"]
    assert run(*line).code == 1
    (shard,) = results.glob("*.parquet")
    found = {one.name: one for one in tokens.read(shard)}
    assert len(found) == 40
    expected = tokens.tokenize(pictures / "3/7.png", model=MODEL)
    assert np.array_equal(found["3/7.png"].indices, expected.indices)
    assert len(tokens.codebooks(shard)) == 1
    (pictures / "bad.png").unlink()
    assert run(*line).code == 0  # there is nothing left to do
    assert {row["target"] for row in rows_of(results)} == {shard.name}
