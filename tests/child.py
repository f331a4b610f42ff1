"""The command line in a process of its own, which may run out of room or be killed.

Processes are forked from one that has imported what is slow to import; this module
must not import more.
"""

from __future__ import annotations

import multiprocessing
import os
import random
import resource
import signal
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from multiprocessing.process import BaseProcess
from pathlib import Path

_FORKS = multiprocessing.get_context("forkserver")
_FORKS.set_forkserver_preload(
    ["vqcodec.cli.compress", "vqcodec.image.pipeline", "vqcodec.registry.load"]
)
_TOUCHING = frozenset({"open", "os.link", "os.rename", "os.remove", "os.mkdir"})


def start(folder: Path, *arguments: object, **conditions: int | bool) -> BaseProcess:
    """Start `vqcodec` in a folder; `output(folder)` is what it prints."""
    process = _FORKS.Process(
        target=_command, args=(folder, [str(a) for a in arguments]), kwargs=conditions
    )
    process.start()
    return process


def finish(folder: Path, *arguments: object, **conditions: int | bool) -> int:
    """Run `vqcodec` to its end and return its exit code, negative if it was killed."""
    process = start(folder, *arguments, **conditions)
    process.join()
    code = process.exitcode
    assert code is not None
    return code


def output(folder: Path) -> str:
    return (folder / "output.txt").read_text()


def kill_at_random_moments(
    folder: Path, arguments: list[str], kills: int, add: Callable[[int], None]
) -> Iterator[None]:
    """Run `vqcodec` in a folder again and again, and kill it; yield after each run.

    `add` puts so many sources into `pictures`; a moment is counted from a result there. Where
    a process ends before it is killed, as on a busy machine, the next ones have more to do.
    """
    random_ = random.Random(0)
    results = folder / "pictures"
    killed, count = 0, 4
    while killed < kills:
        add(count)
        process = start(folder, *arguments)
        enough = len(list(results.glob("*.vqc"))) + random_.randint(1, 3)
        while process.is_alive() and len(list(results.glob("*.vqc"))) < enough:
            time.sleep(0.003)
        time.sleep(random_.uniform(0.0, 0.03))
        process.kill()
        process.join()
        assert process.exitcode in (-signal.SIGKILL, 0), output(folder)
        if process.exitcode:
            killed += 1
        else:
            count *= 2
        yield


def _command(
    folder: Path,
    arguments: list[str],
    *,
    largest_file: int = 0,
    last_touch: int = 0,
    nameless: bool = True,
) -> None:
    """Do the work of a process.

    Files can be no larger than `largest_file` bytes. The process kills itself when it is
    about to touch files of its folder for the `last_touch`-th time. Without `nameless`
    files it works as where the system has none.
    """
    os.chdir(folder)
    printed = os.open("output.txt", os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o666)
    for descriptor in (1, 2):
        os.dup2(printed, descriptor)
    if largest_file:
        resource.setrlimit(resource.RLIMIT_FSIZE, (largest_file, largest_file))
    if not nameless and hasattr(os, "O_TMPFILE"):
        del os.O_TMPFILE
        tempfile._O_TMPFILE_WORKS = False  # it found out before
    from vqcodec.cli import main

    if last_touch:
        _kill_at(last_touch)
    sys.argv = ["vqcodec", *arguments, "--threads", "1"]
    main()


def _kill_at(last: int) -> None:
    touched = 0

    def hook(event: str, arguments: tuple[object, ...]) -> None:
        nonlocal touched
        if event in _TOUCHING and any("pictures" in str(argument) for argument in arguments):
            touched += 1
            if touched == last:
                os.kill(os.getpid(), signal.SIGKILL)

    sys.addaudithook(hook)
