"""Inputs that can be read but once: pipes with and without a name, devices, sockets and stdin."""

from __future__ import annotations

import io
import os
import signal
import socket
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import closing, suppress
from pathlib import Path

import pytest
from clip_commands import posix, save
from conftest import Run, one_line_error, photo
from test_sound import babble
from tiny_clip import walk

from vqcodec.batch import job

pytestmark = posix
soundfile = pytest.importorskip("soundfile")
pytest.importorskip("soxr")
SOURCES = {"photo.png": "random", "talk.wav": "tiny-sound", "walk.gif": "clips"}
"""A file of each medium and the model that codes it."""


@pytest.fixture(autouse=True)
def models(no_shipped_sound: None, clip_models: None, run: Run, sound_data: bytes) -> None:
    """A model of each medium is installed."""
    Path("../sound.safetensors").write_bytes(sound_data)
    assert run("models", "install", "../sound.safetensors").code == 0


@pytest.fixture(autouse=True)
def in_time() -> Iterator[None]:
    """A command that waits for a writer which is gone is interrupted; and as a command is a process
    of its own elsewhere, what was read for another is forgotten.
    """

    def late(*_: object) -> None:
        raise AssertionError("it waits")

    job._kept.cache_clear()
    before = signal.signal(signal.SIGALRM, late)
    signal.alarm(60)
    yield
    signal.alarm(0)
    signal.signal(signal.SIGALRM, before)


def make_sources() -> None:
    photo(40, 30).save("photo.png")
    soundfile.write("talk.wav", babble(16000).T, 16000)
    save("walk.gif", walk(4), duration=40)


def named(data: bytes) -> str:
    """Return the name of a pipe that gives bytes once, to whoever opens it first."""
    path = Path("pipe").absolute()  # the thread may outlive the test and its folder
    os.mkfifo(path)

    def give() -> None:
        with suppress(BrokenPipeError), path.open("wb") as pipe:
            pipe.write(data)

    threading.Thread(target=give, daemon=True).start()
    return "pipe"


def substituted(data: bytes) -> str:
    """Return what a shell makes of <(program): the name of a descriptor."""
    read, write = os.pipe()

    def give() -> None:
        with suppress(BrokenPipeError), os.fdopen(write, "wb") as pipe:
            pipe.write(data)

    threading.Thread(target=give, daemon=True).start()
    return f"/dev/fd/{read}"


def stdin(data: bytes) -> str:
    """Give bytes on stdin."""
    sys.stdin = io.TextIOWrapper(io.BytesIO(data))
    return "-"


@pytest.fixture(params=[named, substituted, stdin])
def piped(
    request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch
) -> Callable[[bytes], str]:
    """Returns the name of an input that can be read once, of the bytes that it is to give."""
    monkeypatch.setattr(sys, "stdin", sys.stdin)
    if request.param is substituted and not Path("/dev/fd").is_dir():
        pytest.skip("descriptors have no names here")
    give: Callable[[bytes], str] = request.param
    return give


@pytest.mark.parametrize("source", SOURCES)
def test_pipes_are_compressed_as_files_are(
    run: Run, piped: Callable[[bytes], str], source: str
) -> None:
    make_sources()
    own = ["--model", SOURCES[source]]
    assert run("compress", source, "-o", "expected.vqc", "--no-mtime", *own).code == 0
    assert run("compress", piped(Path(source).read_bytes()), "-o", "found.vqc", *own).code == 0
    assert Path("found.vqc").read_bytes() == Path("expected.vqc").read_bytes()


@pytest.mark.parametrize("source", SOURCES)
def test_pipes_are_decompressed_as_files_are(
    run: Run, piped: Callable[[bytes], str], source: str
) -> None:
    make_sources()
    run("compress", source, "-o", "in.vqc", "--model", SOURCES[source])
    assert run("decompress", "in.vqc", "-o", f"expected.{source}").code == 0
    name = piped(Path("in.vqc").read_bytes())
    assert run("decompress", name, "-o", f"found.{source}").code == 0
    assert Path(f"found.{source}").read_bytes() == Path(f"expected.{source}").read_bytes()


@pytest.mark.parametrize("source", SOURCES)
def test_pipes_are_inspected_as_files_are(
    run: Run, piped: Callable[[bytes], str], source: str
) -> None:
    make_sources()
    run("compress", source, "-o", "in.vqc", "--model", SOURCES[source])
    expected = run("inspect", "in.vqc", "--verify")
    assert expected.code == 0
    assert run("inspect", piped(Path("in.vqc").read_bytes()), "--verify").out == expected.out


def test_results_of_pipes_have_the_suffix_of_their_medium(run: Run) -> None:
    make_sources()
    run("compress", "talk.wav", "-o", "in.vqc")
    assert run("decompress", named(Path("in.vqc").read_bytes()), "-d", "there").code == 0
    assert soundfile.info("there/pipe.wav").frames == 16000


@pytest.mark.skipif(not Path("/proc/self/fd").is_dir(), reason="all pipes have names here")
def test_pipes_without_a_name_are_as_stdin_is(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    make_sources()
    data = Path("photo.png").read_bytes()
    monkeypatch.setattr(sys, "stdin", sys.stdin)
    found, modes = [], []
    for give in (substituted, stdin):
        with monkeypatch.context() as patch:
            patch.setattr(sys, "stdout", out := io.TextIOWrapper(io.BytesIO()))
            assert run("compress", give(data), "--model", "random").code == 0
        found.append(out.buffer.getvalue())
        assert run("compress", give(data), "-o", "a.vqc", "-f", "--model", "random").code == 0
        modes.append(Path("a.vqc").stat().st_mode)
        Path("a.vqc").unlink()
        error = one_line_error(run("compress", name := give(data), "-d", "there"), 2)
        assert f"'{name}' has no name for a file in a folder" in error
    assert found[0][1:4] == b"VQC"
    assert found[0] == found[1]
    assert modes[0] == modes[1]


def test_results_of_pipes_can_be_read_by_who_can_read_those(run: Run) -> None:
    make_sources()
    name = named(Path("photo.png").read_bytes())
    Path(name).chmod(0o600)
    assert run("compress", name, "--model", "random").code == 0
    assert Path("pipe.vqc").stat().st_mode & 0o777 == 0o600


def test_pipes_are_read_by_one_process(run: Run) -> None:
    make_sources()
    photo(20, 20).save("other.png")
    name = named(Path("photo.png").read_bytes())
    arguments = ("compress", name, "other.png", "-d", "there", "-j", "2", "--model", "random")
    assert run(*arguments).code == 0
    assert len(list(Path("there").iterdir())) == 2


def test_pipes_and_devices_are_not_removed(run: Run, piped: Callable[[bytes], str]) -> None:
    make_sources()
    name = piped(Path("photo.png").read_bytes())
    arguments = ("compress", name, "-o", "a.vqc", "--remove-source", "--model", "random")
    assert f"needs files as inputs, not '{name}'" in one_line_error(run(*arguments), 2)
    assert name == "-" or Path(name).exists()
    assert not Path("a.vqc").exists()


@pytest.mark.parametrize(
    "arguments", [("compress", "-o", "a.vqc"), ("decompress", "-o", "a.png"), ("inspect",)]
)
def test_what_never_ends_is_read_so_far(
    run: Run,
    piped: Callable[[bytes], str],
    monkeypatch: pytest.MonkeyPatch,
    arguments: tuple[str, ...],
) -> None:
    command, *output = arguments
    monkeypatch.setattr(job, "STREAM_BYTES_MAX", 3 << 20)
    for name in (piped(bytes(5 << 20)), "/dev/zero"):
        error = one_line_error(run(command, name, *output), 1)
        assert f"{name}: it gives more than {3 << 20} bytes" in error
    assert not list(Path().glob("a.*"))


def test_a_pipe_may_give_as_much_as_is_taken(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(job, "STREAM_BYTES_MAX", 3 << 20)
    data = bytes(3 << 20)
    assert job.read_input(substituted(data)) == data


def test_sockets_are_no_inputs(run: Run) -> None:
    with closing(socket.socket(socket.AF_UNIX)) as listener:
        listener.bind("socket")
        error = one_line_error(run("compress", "socket", "-o", "a.vqc", "--model", "random"), 1)
    assert error.startswith("vqcodec: error: socket: ")


@pytest.mark.parametrize("arguments", [("compress", "-o", "a.vqc"), ("decompress", "-o", "a.png")])
@pytest.mark.parametrize("suffix", ["", "png", "wav", "gif", "mp4", "vqc"])
def test_files_that_are_empty_are_said_to_be(
    run: Run, arguments: tuple[str, ...], suffix: str
) -> None:
    command, *output = arguments
    Path(f"in.{suffix}").touch()
    assert f"in.{suffix}: it is empty" in one_line_error(run(command, f"in.{suffix}", *output), 1)
    assert "it is empty" in one_line_error(run("inspect", f"in.{suffix}"), 1)


@pytest.mark.parametrize("arguments", [("compress", "-o", "a.vqc"), ("decompress", "-o", "a.png")])
def test_pipes_that_are_empty_are_said_to_be(
    run: Run, piped: Callable[[bytes], str], arguments: tuple[str, ...]
) -> None:
    command, *output = arguments
    for name in (piped(b""), "/dev/null"):
        assert f"{name}: it is empty" in one_line_error(run(command, name, *output), 1)
