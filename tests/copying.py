"""Work that is quick and does as the files' contents say, for tests of batches."""

from __future__ import annotations

import os
import signal
import sys
import time
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from vqcodec.batch.job import Bar, Job, Outcome
from vqcodec.batch.run import run
from vqcodec.errors import PictureError, VqcWarning


@dataclass(frozen=True)
class Copying:
    """Files are copied, with their process's number; some contents are commands."""

    hopeless: bool = False

    def ready(self) -> Callable[[Job, Bar], Outcome]:
        if self.hopeless:
            raise PictureError("none can be done", hint="give up")
        return self._copy

    def foresee(self, job: Job) -> Outcome:
        return Outcome(job=job, line=f"{job.source} -> {job.target}")

    def seconds(self, job: Job) -> float:
        return 4.0

    def _copy(self, job: Job, bar: Bar) -> Outcome:
        data = job.read()
        if data == b"warn":
            warnings.warn("it warns", VqcWarning, stacklevel=1)
        if data == b"fail":
            raise PictureError("it fails", hint="mend it")
        if data == b"die":
            os.kill(os.getpid(), signal.SIGKILL)
        if data == b"last":
            job.write(data)
            time.sleep(600)
        job.write(data)
        return Outcome(job=job, line=str(os.getpid()), before=len(data), after=len(data))


def workers_of(pid: int) -> set[int]:
    """The processes among which a process has divided its work; needs /proc."""
    listed = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    commands = {int(child): Path(f"/proc/{child}/cmdline").read_bytes() for child in listed}
    return {child for child, command in commands.items() if b"spawn_main" in command}


def runs(pid: int) -> bool:
    """Tell whether a process lives; needs /proc."""
    try:
        return ") Z" not in Path(f"/proc/{pid}/stat").read_text()
    except OSError:
        return False


if __name__ == "__main__":
    jobs = [Job(path, f"{path}.out") for path in sys.argv[1:]]
    for _ in run(jobs, Copying(), count=2, threads=None):
        pass
