"""Nothing is lost when a process is killed, a disk is full or a folder cannot be written.

VQCODEC_LONG=1 has 100 kills at random moments instead of 6.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from conftest import Run, one_line_error, photo, removing

import vqcodec
from vqcodec import storage
from vqcodec.models.vqvae import VqVae

if sys.platform == "win32":
    pytest.skip("no processes to fork", allow_module_level=True)

import child
from copying import runs, workers_of

KILLS = 100 if os.environ.get("VQCODEC_LONG") else 6


def nameless(folder: Path) -> bool:
    """Tell whether files without a name can be had here."""
    stream = storage._open_nameless(folder, 0o600)
    if stream is not None:
        stream.close()
    return stream is not None


def leftovers(folder: Path) -> list[Path]:
    return [path for path in folder.rglob("*") if ".part" in path.name]


def nothing_is_lost(
    folder: Path, model: VqVae, originals: dict[str, bytes], verified: set[bytes]
) -> None:
    """Each picture is there as source or as result, and each of these is whole.

    Results in `verified` are not decoded again, others are put there. Sources that were set
    aside get their names back, as whoever finds them would do.
    """
    for aside in folder.glob("*.set-aside-by-vqcodec-*"):
        aside.rename(folder / aside.name.split(".set-aside")[0])
    found = {path.name for path in folder.iterdir() if not path.name.startswith(".")}
    assert found <= {f"{name}{suffix}" for name in originals for suffix in (".png", ".vqc")}
    for name, original in originals.items():
        source, result = folder / f"{name}.png", folder / f"{name}.vqc"
        assert source.exists() or result.exists()
        if source.exists():
            assert source.read_bytes() == original
        if result.exists() and (data := result.read_bytes()) not in verified:
            vqcodec.verify(data, model=model)
            verified.add(data)


def test_killed_at_random_moments(folder: Path, model: VqVae) -> None:
    pictures = folder / "pictures"
    originals = {}
    verified: set[bytes] = set()

    def add(count: int) -> None:
        for number in range(len(originals), len(originals) + count):
            path = pictures / f"{number:03}.png"
            photo(240 + number % 9, 180, seed=number).save(path)
            originals[path.stem] = path.read_bytes()

    for _ in child.kill_at_random_moments(folder, removing("--skip-existing"), KILLS, add):
        nothing_is_lost(pictures, model, originals, verified)
    add(1)
    assert child.finish(folder, *removing("--skip-existing")) == 0, child.output(folder)
    nothing_is_lost(pictures, model, originals, verified)
    assert {path.name for path in pictures.glob("[!.]*")} == {f"{n}.vqc" for n in originals}
    if nameless(pictures):
        assert not leftovers(folder)


@pytest.mark.skipif(not Path("/proc/self/task").exists(), reason="needs /proc")
@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGINT])
def test_ended_while_several_processes_work(
    folder: Path, model: VqVae, number: signal.Signals
) -> None:
    pictures = folder / "pictures"
    originals: dict[str, bytes] = {}
    count, code = 12, 0
    while code == 0:  # on a busy machine a process may end first: the next one has more to do
        assert count < 500
        for name in range(len(originals), len(originals) + count):
            photo(200, 160, seed=name).save(pictures / f"{name:03}.png")
            originals[f"{name:03}"] = (pictures / f"{name:03}.png").read_bytes()
        enough = len(list(pictures.glob("*.vqc"))) + 3
        process = child.start(folder, *removing("--skip-existing", "--jobs", "2"))
        while process.is_alive() and len(list(pictures.glob("*.vqc"))) < enough:
            time.sleep(0.003)
        assert process.pid is not None
        workers = workers_of(process.pid)
        os.kill(process.pid, number)
        process.join()
        code, count = process.exitcode or 0, 2 * count
    assert code in (-signal.SIGKILL, 130), child.output(folder)
    assert len(workers) == 2
    while any(map(runs, workers)):
        time.sleep(0.003)
    if number == signal.SIGINT:
        assert child.output(folder).splitlines()[-1] == "vqcodec: interrupted"
        assert not leftovers(folder)
    nothing_is_lost(pictures, model, originals, set())
    assert len(list(pictures.glob("*.vqc"))) < len(originals)
    assert child.finish(folder, *removing("--skip-existing")) == 0, child.output(folder)
    assert {path.name for path in pictures.glob("[!.]*")} == {f"{n}.vqc" for n in originals}


@pytest.mark.parametrize("existing", [None, "--skip-existing", "--force"])
@pytest.mark.parametrize("has_nameless", [True, False], ids=["nameless", "hidden"])
def test_killed_before_each_step(
    folder: Path, model: VqVae, run: Run, existing: str | None, has_nameless: bool
) -> None:
    """A process kills itself before the n-th time that it touches a file, for each n."""
    pictures = folder / "pictures"
    photo(40, 30).save(pictures / "a.png")
    original = (pictures / "a.png").read_bytes()
    if existing:
        made = removing(*(["--skip-existing"] if existing == "--skip-existing" else []))
        del made[made.index("--remove-source")]
        assert run(*made).code == 0
    steps = 0
    for step in range(1, 100):
        code = child.finish(
            folder,
            *removing(*[existing] if existing else []),
            last_touch=step,
            nameless=has_nameless,
        )
        nothing_is_lost(pictures, model, {"a": original}, set())
        if code == 0:
            break
        assert code == -signal.SIGKILL, child.output(folder)
        steps = step
        if not existing:
            (pictures / "a.vqc").unlink(missing_ok=True)
    assert steps >= 4
    assert [path.name for path in pictures.glob("[!.]*")] == ["a.vqc"]


@pytest.fixture
def mounted(folder: Path) -> Iterator[Callable[[str], bool]]:
    """Mount a file system of memory on the folder `out`, where that is permitted."""
    out = folder / "out"
    out.mkdir()
    done = []

    def mount(options: str) -> bool:
        line = ["mount", "-t", "tmpfs", "-o", options, "none", str(out)]
        try:
            done.append(subprocess.run(line, capture_output=True, check=False).returncode == 0)
        except FileNotFoundError:
            done.append(False)
        return done[-1]

    yield mount
    if any(done):
        subprocess.run(["umount", str(out)], check=True)


def kept(folder: Path, originals: dict[str, bytes]) -> None:
    """Both sources are as they were, and there is no result, not even half of one."""
    sources = {path.name: path.read_bytes() for path in (folder / "pictures").iterdir()}
    assert sources == originals
    assert not [path for path in (folder / "out").rglob("*") if path.is_file()]


@pytest.fixture
def two_large(folder: Path) -> dict[str, bytes]:
    for name in ("a.png", "b.png"):
        photo(480, 320).save(folder / "pictures" / name)
    return {path.name: path.read_bytes() for path in (folder / "pictures").iterdir()}


@pytest.mark.parametrize("has_nameless", [True, False], ids=["nameless", "hidden"])
def test_disk_full(
    folder: Path,
    two_large: dict[str, bytes],
    mounted: Callable[[str], bool],
    has_nameless: bool,
) -> None:
    if mounted("size=4k"):
        limit, why = 0, "No space left on device"
    else:
        limit, why = 3000, "File too large"
    arguments = removing("-d", "out", "--prior", "none")
    code = child.finish(folder, *arguments, largest_file=limit, nameless=has_nameless)
    assert code == 1
    assert child.output(folder).splitlines() == [
        *(f"vqcodec: error: pictures/{name}.png: out/{name}.vqc: {why}" for name in "ab"),
        "0 of 2 files done, 2 failed",
    ]
    kept(folder, two_large)


def test_folder_that_cannot_be_written(
    folder: Path, two_large: dict[str, bytes], mounted: Callable[[str], bool], run: Run
) -> None:
    if mounted("ro"):
        why = "Read-only file system"
    elif os.geteuid():
        (folder / "out").chmod(0o500)
        why = "Permission denied"
    else:
        pytest.skip("nothing is forbidden here")
    result = run(*removing("-d", "out"))
    assert result.code == 1
    assert result.err.splitlines() == [
        f"vqcodec: error: pictures/{name}.png: out/{name}.vqc: {why}" for name in "ab"
    ]
    kept(folder, two_large)


def test_folder_that_is_a_file(folder: Path, two_large: dict[str, bytes], run: Run) -> None:
    Path("file").write_bytes(b"precious")
    arguments = ["compress", "pictures/a.png", "-o", "file/a.vqc", "--remove-source"]
    error = one_line_error(run(*arguments, "--model", "../random.safetensors"), 1)
    assert "place/file: not a folder" in error
    assert Path("file").read_bytes() == b"precious"
    kept(folder, two_large)
