"""Jobs done one after the other in this process, or by several processes at once."""

from __future__ import annotations

import multiprocessing
import os
import signal
import threading
import time
import warnings
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import replace
from multiprocessing import resource_tracker
from multiprocessing.connection import Connection, wait
from multiprocessing.process import BaseProcess
from types import FrameType

from vqcodec import processors
from vqcodec.batch.job import EXPECTED, Bar, Failure, Job, Outcome, Work, no_bar
from vqcodec.errors import ModelWarning, VqcWarning

Do = Callable[[Job, Bar], Outcome]

_MOST = 61
"""Windows waits for no more processes than this."""
_WORTH_STARTING = 10.0
"""Seconds of work from which on several processes are sooner done, as they take some to start."""
_GRACE = 3.0
"""Seconds that a process has to remove what it has begun, when all is to end."""


def processes_that_pay(jobs: Sequence[Job], work: Work) -> int:
    """Return how many processes have the jobs done soonest."""
    if len(jobs) < 2 or sum(work.seconds(job) for job in jobs) < _WORTH_STARTING:
        return 1
    return min(len(jobs), processors.granted())


def run(
    jobs: Sequence[Job], work: Work, *, count: int, threads: int | None, bar: Bar = no_bar
) -> Iterator[Outcome]:
    """Do all jobs in `count` processes; yield what came of each as soon as it is done.

    One is this process, more are others, which share the threads (None: as many as there are
    processors). `bar` shows the progress of jobs that are done in this process. When the
    generator is closed or interrupted, the processes end.

    Raises: what `work.ready` raises, and BrokenPipeError if nobody reads an output.
    """
    if count == 1:
        processors.prepare(threads)
        do = work.ready()
        for job in jobs:
            yield _attempt(do, job, bar)
        return
    noted: set[str] = set()
    share = max(1, (threads or processors.granted()) // count)
    waiting = deque(jobs)
    workers: list[WorkerProcess] = []
    try:
        while waiting and len(workers) < min(count, _MOST):
            workers.append(WorkerProcess(work, share, waiting.popleft()))
        while workers:
            ready = wait([worker.connection for worker in workers])
            for worker in [worker for worker in workers if worker.connection in ready]:
                outcome, lives = worker.outcome()
                if not waiting:
                    workers.remove(worker)
                    worker.release()
                elif lives:
                    worker.begin(waiting.popleft())
                else:
                    workers.remove(worker)
                    workers.append(WorkerProcess(work, share, waiting.popleft()))
                new = tuple(note for note in outcome.notes if note not in noted)
                noted.update(new)
                yield replace(outcome, notes=new)
    finally:
        _end(workers)


class WorkerProcess:
    """A fresh process, as a forked one would inherit torch's threads, which do not survive it."""

    def __init__(self, work: Work, threads: int, job: Job) -> None:
        """Start it with its first job."""
        context = multiprocessing.get_context("spawn")
        self.connection, theirs = context.Pipe()
        self.process: BaseProcess = context.Process(
            target=_serve, args=(theirs, work, threads), daemon=True
        )
        with sigint_blocked():  # the process inherits it from its first moment on
            self.process.start()
        theirs.close()  # so that the connection ends with the process
        self.begin(job)

    def begin(self, job: Job) -> None:
        """Hand over a job."""
        self.job = job
        with suppress(BrokenPipeError):  # if it has been killed, `outcome` tells
            self.connection.send(job)

    def outcome(self) -> tuple[Outcome, bool]:
        """Return what came of the job, and whether the process still lives.

        Raises: what `Work.ready` raised in it.
        """
        try:
            answer = self.connection.recv()
        except (EOFError, ConnectionError):
            self.process.join()
            return Outcome(job=self.job, failure=_describe_end(self.process)), False
        if isinstance(answer, Exception):
            raise answer
        assert isinstance(answer, Outcome)
        return answer, True

    def release(self) -> None:
        """Let it end."""
        self.connection.close()


def _end(workers: Sequence[WorkerProcess]) -> None:
    for worker in workers:
        worker.process.terminate()
    deadline = time.monotonic() + _GRACE
    for worker in workers:
        worker.process.join(max(0.0, deadline - time.monotonic()))
        if worker.process.is_alive():
            worker.process.kill()
            worker.process.join()
        worker.release()


def _describe_end(process: BaseProcess) -> Failure:
    code = process.exitcode or 0
    if code >= 0:
        return Failure(f"the process that worked on it ended with exit code {code}")
    name = signal.Signals(-code).name
    hint = "memory may have run out: fewer processes at once take less" if name == "SIGKILL" else ""
    return Failure(f"the process that worked on it was ended by {name}", hint)


def _serve(connection: Connection[Outcome | Exception, Job], work: Work, threads: int) -> None:
    """Do jobs until there are no more, or until the process that sends them is no more."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for the other process to handle
    signal.signal(signal.SIGTERM, _exit)
    threading.Thread(target=_end_with_parent, daemon=True).start()
    warnings.simplefilter("ignore")
    processors.prepare(threads)
    do = None
    with suppress(EOFError):
        while True:
            job = connection.recv()
            with _heard() as early:
                try:
                    do = do or work.ready()
                except EXPECTED as error:
                    connection.send(error)
                    break
            connection.send(_with_warnings(_attempt(do, job, no_bar), early))
    signal.signal(signal.SIGTERM, signal.SIG_DFL)


def _exit(number: int, frame: FrameType | None) -> None:
    """End as an exception does, so that what has been begun is removed. A second time there is
    no more to remove, and the interpreter, which is ending, would print the exception.
    """
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    raise SystemExit(1)


def _end_with_parent() -> None:
    parent = multiprocessing.parent_process()
    assert parent is not None
    parent.join()
    os.kill(os.getpid(), signal.SIGTERM)
    time.sleep(_GRACE)
    os._exit(1)


def _attempt(do: Do, job: Job, bar: Bar) -> Outcome:
    with _heard() as caught:
        try:
            outcome = do(job, bar)
        except BrokenPipeError:
            raise
        except EXPECTED as error:
            outcome = Outcome(job=job, failure=Failure.of(error))
    return _with_warnings(outcome, caught)


@contextmanager
def _heard() -> Iterator[list[warnings.WarningMessage]]:
    """Collect the warnings that are meant for users."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("ignore")
        warnings.simplefilter("always", VqcWarning)
        yield caught


def _with_warnings(outcome: Outcome, caught: Sequence[warnings.WarningMessage]) -> Outcome:
    """Put warnings before those that an outcome has."""
    notes = tuple(str(w.message) for w in caught if issubclass(w.category, ModelWarning))
    own = tuple(str(w.message) for w in caught if not issubclass(w.category, ModelWarning))
    return replace(outcome, warnings=own + outcome.warnings, notes=notes + outcome.notes)


@contextmanager
def sigint_blocked() -> Iterator[None]:
    """Hold back Ctrl-C: processes that start meanwhile never hear it, this one afterwards."""
    if not hasattr(signal, "pthread_sigmask"):  # Windows
        yield
        return
    resource_tracker.ensure_running()  # when it starts, it lets the signal through again
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)
