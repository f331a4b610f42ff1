"""Which file becomes which, and processes that share the work and come to an end."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from copying import Copying, runs, workers_of

from vqcodec import processors
from vqcodec.batch import run as running
from vqcodec.batch.job import Job, Outcome
from vqcodec.batch.listing import describe_left_out, list_files
from vqcodec.batch.plan import Existing, Outputs, Plan, plan
from vqcodec.container import Container, Header, Mode, serialise
from vqcodec.errors import PictureError

VQC = serialise(
    Container(
        header=Header(
            mode=Mode.FIXED,
            quality=0,
            shape=(8, 8),
            model=bytes(8),
            stride_log2=3,
            tile_log2=6,
        ),
        chunks=(),
        tiles=(b"\0",),
    )
)

COPYING = Path(__file__).with_name("copying.py")
WITH_LINKS = pytest.mark.skipif(sys.platform == "win32", reason="links need rights there")


@pytest.fixture(autouse=True)
def in_a_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def files(*names: str, data: bytes = b"picture") -> None:
    for name in names:
        Path(name).parent.mkdir(parents=True, exist_ok=True)
        Path(name).write_bytes(data)


def planned(*inputs: str, existing: Existing = Existing.KEEP, **places: str) -> Plan:
    return plan(
        inputs,
        Outputs(existing=existing, **places),
        suffix_of=lambda _: ".vqc",
        is_input=lambda path: path.suffix.lower() in (".png", ".jpg"),
    )


def unpacked(*inputs: str, **places: str) -> Plan:
    return plan(
        inputs,
        Outputs(**places),
        suffix_of=lambda _: ".png",
        is_input=lambda path: path.suffix == ".vqc",
    )


def pairs(found: Plan) -> dict[str, str]:
    return {Path(j.source).as_posix(): Path(j.target).as_posix() for j in found.jobs}


def refusals(found: Plan) -> list[str]:
    return [failure.message.replace(os.sep, "/") for failure in found.failures]


def test_a_pair_of_one_name_is_named_apart_and_stops_nothing() -> None:
    files("in/1.jpg", "in/1.png", "in/2.png")
    found = planned("in")
    assert pairs(found) == {
        "in/1.jpg": "in/1.jpg.vqc",
        "in/1.png": "in/1.png.vqc",
        "in/2.png": "in/2.vqc",
    }
    (note,) = found.notes
    assert "in/1.jpg.vqc and in/1.png.vqc" in note
    assert pairs(planned("in", directory="out"))["in/1.jpg"] == "out/1.jpg.vqc"


def test_a_name_that_was_kept_apart_stays_the_result() -> None:
    files("1.png", "2.png")
    files("1.png.vqc", data=VQC)
    found = planned("1.png", "2.png")
    assert pairs(found) == {"2.png": "2.vqc"}
    assert [job.target for job in found.done] == ["1.png.vqc"]
    files("1.vqc", data=VQC)
    assert [job.target for job in planned("1.png", "2.png").done] == ["1.vqc"]


def test_names_kept_apart_lose_the_inner_suffix_again() -> None:
    files("in/1.jpg.vqc", "in/1.png.vqc", "in/2.v1.vqc")
    assert pairs(unpacked("in")) == {
        "in/1.jpg.vqc": "in/1.jpg.png",
        "in/1.png.vqc": "in/1.png",
        "in/2.v1.vqc": "in/2.v1.png",
    }


def test_an_input_that_is_named_twice_is_one() -> None:
    files("in/a.png", "b.png")
    found = planned("in", "in/a.png", "./in/a.png", "b.png", "in/../b.png", "in/")
    assert list(pairs(found).values()) == ["in/a.vqc", "b.vqc"]
    assert not found.notes


def test_places_are_compared_not_texts() -> None:
    files("p/x.png", "p/x.jpg")
    found = planned("p/x.png", "p/../p/x.jpg")
    assert list(pairs(found).values()) == ["p/x.png.vqc", "p/../p/x.jpg.vqc"]


@WITH_LINKS
def test_places_are_compared_through_links() -> None:
    files("p/x.png", "p/x.jpg")
    Path("q").symlink_to("p")
    found = planned("p/x.png", "q/x.jpg")
    assert list(pairs(found).values()) == ["p/x.png.vqc", "q/x.jpg.vqc"]


def test_case_is_ignored_where_the_file_system_does(monkeypatch: pytest.MonkeyPatch) -> None:
    files("A.png", "a.jpg", "b.png")
    assert pairs(planned("A.png", "a.jpg"))["A.png"] == "A.vqc"
    monkeypatch.setattr(os.path, "normcase", str.lower)
    assert list(pairs(planned("A.png", "a.jpg", "b.png")).values()) == [
        "A.png.vqc",
        "a.jpg.vqc",
        "b.vqc",
    ]


@WITH_LINKS
def test_case_that_folders_themselves_tell_of() -> None:
    """A file system that finds files under names of any case, as those of macOS do."""
    files("in/A.png", "in/a.jpg")
    Path("in/a.PNG").symlink_to("A.png")  # so that the swapped name is there and the same file
    Path("in/A.JPG").symlink_to("a.jpg")
    assert list(pairs(planned("in/A.png", "in/a.jpg")).values()) == [
        "in/A.png.vqc",
        "in/a.jpg.vqc",
    ]


@WITH_LINKS
def test_outputs_that_links_make_one_are_refused() -> None:
    files("a.png", "b.png", "c.png", "d.png", "e.png")
    Path("a.vqc").symlink_to("b.png")
    Path("c.vqc").symlink_to("common.vqc")
    Path("d.vqc").symlink_to("common.vqc")
    for existing in (Existing.OVERWRITE, Existing.KEEP):
        found = planned(*(f"{name}.png" for name in "abcde"), existing=existing)
        assert "e.png" in pairs(found)
        assert not {"a.png"} & set(pairs(found))
        (first, *_) = refusals(found)
        assert "b.png" in first
        assert "same file" in first
        # Inputs that would meet in one file are kept apart, as if their names met.
        assert pairs(found)["c.png"] == "c.png.vqc"
        assert pairs(found)["d.png"] == "d.png.vqc"


def test_what_cannot_be_kept_apart_is_refused_alone() -> None:
    files("p/x.png", "q/x.png", "p/y.png")
    found = planned("p", "q", directory="out")
    assert pairs(found) == {"p/y.png": "out/y.vqc"}
    assert not found.notes
    (failure,) = found.failures
    assert refusals(found) == ["p/x.png and q/x.png would become one file, out/x.png.vqc"]
    assert "-d" in failure.hint
    assert failure.code == 2
    files("q/y.jpg", "q/x.jpg")
    found = planned("p", "q", directory="out")
    assert pairs(found) == {
        "p/y.png": "out/y.png.vqc",
        "q/y.jpg": "out/y.jpg.vqc",
        "q/x.jpg": "out/x.jpg.vqc",
    }
    assert len(found.failures) == len(found.notes) == 1


@WITH_LINKS
def test_outputs_stay_in_their_folder() -> None:
    files("in/deep/a.png", "in/b.png", "else/keep")
    Path("out").mkdir()
    Path("out/deep").symlink_to("../else")
    found = planned("in", directory="out")
    assert list(pairs(found)) == ["in/b.png"]
    assert "leads out of" in refusals(found)[0]
    Path("in/b.vqc").symlink_to("../nowhere.vqc")
    assert list(pairs(planned("in"))) == ["in/deep/a.png"]
    assert [job.inside for job in planned("in").jobs] == [Path("in")]


@WITH_LINKS
def test_links_to_folders_are_counted_not_followed() -> None:
    files("in/a.png", "else/b.png")
    Path("in/loop").symlink_to(".")
    Path("in/away").symlink_to("../else")
    Path("in/gone.png").symlink_to("nowhere")
    found = planned("in")
    assert list(pairs(found)) == ["in/a.png", "in/gone.png"]
    assert found.left_out == {"linked folders": 2}


def test_other_files_are_counted_and_named_once() -> None:
    files("in/a.png", "in/b.HEIC", "in/c.heic", "in/d.txt", "in/README", "in/e.vqc", "in/.f.xyz")
    found = planned("in")
    told = describe_left_out(found.left_out, {".heic": "read elsewhere"})
    assert told == "left out: 2 .heic (read elsewhere), 1 .txt, 1 without a suffix"
    many = {f".{number:03}": 1 for number in range(1000)}
    assert describe_left_out(many, {}).endswith(".011, 988 of other kinds")
    assert describe_left_out({}, {}) == ""


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="no pipes with names")
def test_pipes_in_folders_are_not_opened() -> None:
    files("in/a.png")
    os.mkfifo("in/pipe.png")
    found = planned("in")
    assert list(pairs(found)) == ["in/a.png"]
    assert found.left_out == {"devices and pipes": 1}


def test_folders_that_cannot_be_read_are_named(monkeypatch: pytest.MonkeyPatch) -> None:
    files("in/a.png", "in/secret/b.png")
    scandir = os.scandir

    def forbidding(path: os.PathLike[str] | str) -> object:
        if Path(path).name == "secret":
            raise PermissionError(13, "Permission denied", os.fspath(path))
        return scandir(path)

    monkeypatch.setattr(os, "scandir", forbidding)
    found = planned("in")
    assert list(pairs(found)) == ["in/a.png"]
    assert refusals(found) == ["in/secret: Permission denied"]
    assert found.failures[0].code == 1
    assert refusals(planned("in/secret")) == ["in/secret: Permission denied"]


def test_a_deep_folder_is_listed() -> None:
    depth = 400
    deep = Path(*["d"] * depth)
    deep.mkdir(parents=True)
    (deep / "a.png").write_bytes(b"")
    assert len(list_files("d", lambda path: path.suffix == ".png").files) == 1


def test_a_second_run_does_what_is_new() -> None:
    files("in/a.png", "in/b.png", "in/c.png")
    files("in/a.vqc", "in/b.vqc", data=VQC)
    found = planned("in")
    assert list(pairs(found)) == ["in/c.png"]
    assert [job.source for job in found.done] == ["in/a.png", "in/b.png"]
    assert not found.failures
    assert len(planned("in/a.png", "in/b.png").done) == 2
    single = planned("in/a.png")
    assert refusals(single) == ["in/a.vqc exists; -f overwrites it, -o FILE or -d DIR avoids it"]
    assert single.failures[0].code == 2
    assert len(planned("in", existing=Existing.OVERWRITE).jobs) == 3


@pytest.mark.parametrize("existing", [Existing.SKIP, Existing.MATCH])
def test_what_is_skipped_is_whole(existing: Existing) -> None:
    """A later version's file counts, a damaged one does not, a file of others is not touched."""
    later = bytearray(VQC)
    later[8] = 99
    damaged = {"empty": b"", "cut": VQC[:-1], "changed": VQC[:-1] + b"?"}
    whole = {"whole": VQC, "later": bytes(later)}
    foreign = {"foreign": b"precious"}
    for name, data in (damaged | whole | foreign).items():
        files(f"in/{name}.png")
        files(f"in/{name}.vqc", data=data)
    found = planned("in", existing=existing)
    again = {Path(job.source).stem for job in found.jobs if job.overwrite}
    assert again == set(damaged)
    taken = found.done if existing is Existing.SKIP else found.jobs
    assert {Path(job.source).stem for job in taken if not job.overwrite} == set(whole)
    assert refusals(found) == ["in/foreign.vqc is no .vqc file; -f overwrites it"]
    assert len(refusals(planned("in"))) == len(damaged | foreign)


def test_an_empty_picture_is_not_a_result() -> None:
    files("a.vqc", "b.vqc")
    files("a.png", data=b"")
    files("b.png", data=b"something")
    found = plan(
        ["a.vqc", "b.vqc"],
        Outputs(existing=Existing.SKIP),
        suffix_of=lambda _: ".png",
        is_input=lambda path: path.suffix == ".vqc",
    )
    assert [(job.source, job.overwrite) for job in found.jobs] == [("a.vqc", True)]


@pytest.mark.parametrize(
    ("inputs", "places"),
    [
        (["a.png"], {"output": "b.vqc", "directory": "c"}),
        (["a.png", "b.png"], {"output": "c.vqc"}),
        (["-", "-"], {}),
        (["-"], {"directory": "c"}),
        ([""], {}),
        (["empty"], {}),
    ],
)
def test_what_is_ambiguous_is_refused(inputs: list[str], places: dict[str, str]) -> None:
    Path("empty").mkdir()
    with pytest.raises(ValueError, match=r"."):
        planned(*inputs, **places)


@pytest.fixture
def jobs() -> Callable[..., list[Job]]:
    def make(*contents: bytes) -> list[Job]:
        for number, data in enumerate(contents):
            files(f"{number}", data=data)
        return [Job(f"{number}", f"{number}.out") for number in range(len(contents))]

    return make


def outcomes(jobs: list[Job], count: int) -> dict[str, Outcome]:
    found = list(running.run(jobs, Copying(), count=count, threads=2))
    return {outcome.job.source: outcome for outcome in found}


@pytest.mark.parametrize("count", [1, 2])
def test_each_job_has_its_own_outcome(jobs: Callable[..., list[Job]], count: int) -> None:
    found = outcomes(jobs(b"fail", b"warn", b"a", b"b", b"c"), count)
    assert len(found) == 5
    failure = found["0"].failure
    assert failure is not None
    assert (failure.message, failure.hint, failure.code) == ("it fails", "mend it", 1)
    assert found["1"].warnings == ("it warns",)
    assert not found["2"].warnings
    assert sum(outcome.after for outcome in found.values()) == 4 + 1 + 1 + 1
    assert Path("4.out").read_bytes() == b"c"
    numbers = {outcome.line for outcome in found.values() if outcome.line}
    assert (numbers == {str(os.getpid())}) == (count == 1)


@pytest.mark.skipif(sys.platform == "win32", reason="no SIGKILL")
def test_a_process_that_is_killed_fails_its_file_alone(jobs: Callable[..., list[Job]]) -> None:
    found = outcomes(jobs(b"die", b"a", b"die", b"b"), 2)
    failures = {source: outcome.failure for source, outcome in found.items() if outcome.failure}
    assert set(failures) == {"0", "2"}
    assert "SIGKILL" in failures["0"].message
    assert "fewer processes" in failures["0"].hint
    assert Path("3.out").exists()
    assert not Path("0.out").exists()


@pytest.mark.parametrize("count", [1, 2])
def test_what_is_wrong_for_all_is_raised_once(jobs: Callable[..., list[Job]], count: int) -> None:
    made = jobs(b"a", b"b")
    with pytest.raises(PictureError, match="none can be done") as caught:
        list(running.run(made, Copying(hopeless=True), count=count, threads=None))
    assert caught.value.hint == "give up"
    assert not list(Path().glob("*.out"))


def wait_for(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 60
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.02)


def test_processes_end_quietly(jobs: Callable[..., list[Job]]) -> None:
    line = [sys.executable, str(COPYING), *(job.source for job in jobs(b"a", b"b", b"warn"))]
    done = subprocess.run(line, capture_output=True, check=True)
    assert (done.stdout, done.stderr) == (b"", b"")
    assert len(list(Path().glob("*.out"))) == 3


@pytest.mark.skipif(not Path("/proc/self/task").exists(), reason="needs /proc")
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGKILL])
def test_nothing_outlives_the_process_that_was_asked(
    jobs: Callable[..., list[Job]], number: signal.Signals
) -> None:
    made = jobs(b"last", b"last", b"a")
    line = [sys.executable, str(COPYING), *(job.source for job in made)]
    process = subprocess.Popen(line, stderr=subprocess.PIPE)
    wait_for(lambda: Path("0.out").exists() and Path("1.out").exists())
    started = workers_of(process.pid)
    assert len(started) == 2
    began = time.monotonic()
    process.send_signal(number)
    process.communicate()
    wait_for(lambda: not any(map(runs, started)))
    assert time.monotonic() - began < 120  # their work takes 600
    assert sorted(path.name for path in Path().glob("*.out")) == ["0.out", "1.out"]


def test_processes_are_started_where_they_pay(
    jobs: Callable[..., list[Job]], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(processors, "granted", lambda: 3)
    made = jobs(*[b""] * 8)
    counts = [running.processes_that_pay(made[:count], Copying()) for count in range(1, 6)]
    assert counts == [1, 1, 3, 3, 3]  # each is guessed to take 4 seconds
