"""What a process of the cluster does with files: it is an actor of Ray Data's `map_batches`.

The work itself is done in a process of its own, so that a file that ends it costs no other: Ray
would try such a file again for ever, and all that came with it.
"""

from __future__ import annotations

import platform
import tempfile
import time
from pathlib import Path, PurePosixPath

import pyarrow as pa

from vqcodec.batch.job import EXPECTED, Failure, Job, Outcome, Work
from vqcodec.batch.run import WorkerProcess
from vqcodec.cluster.log import SCHEMA, Row
from vqcodec.cluster.places import Folder, Task


class Worker:
    """Works on files one after the other, with the model loaded once."""

    BATCH = 16
    """Files that it is given at once."""

    def __init__(self, work: Work, source: Folder, target: Folder) -> None:
        self._work = work
        self._source, self._target = source, target
        self._process: WorkerProcess | None = None

    def __call__(self, batch: pa.Table) -> pa.Table:
        """Take tasks as rows, and return rows of the log. Nothing that is wrong with a file is
        raised: it is in its row.
        """
        rows = [self._row(Task(**row)) for row in batch.to_pylist()]
        return pa.Table.from_pylist(rows, SCHEMA)

    def _row(self, task: Task) -> Row:
        began = time.perf_counter()
        try:
            outcome = self._outcome(task)
            failure = outcome.failure
        except Exception as error:  # a fault of ours, which must not cost the other files
            outcome, failure = None, described(error)
        row = row_of(task, "" if failure is None else failure.message)
        if outcome is not None:
            row |= {"after": outcome.after, "rate": outcome.rate}
            row |= {"warnings": list(outcome.warnings), "before": outcome.before or task.size}
        return row | {"seconds": time.perf_counter() - began, "node": platform.node()}

    def _outcome(self, task: Task) -> Outcome:
        if self._source.is_local and self._target.is_local:
            source, target = self._source.path(task.source), self._target.path(task.target)
            return self._attempt(Job(source, target, overwrite=True))
        with tempfile.TemporaryDirectory() as folder:
            # Their own names, by which formats are told apart.
            source = str(Path(folder, PurePosixPath(task.source).name))
            target = str(Path(folder, "made", PurePosixPath(task.target).name))
            self._source.fetch(task.source, source)
            outcome = self._attempt(Job(source, target))
            if outcome.failure is None:
                self._target.put(target, task.target)
            return outcome

    def _attempt(self, job: Job) -> Outcome:
        process, self._process = self._process, None
        if process is None:
            process = WorkerProcess(self._work, 1, job)
        else:
            process.begin(job)
        outcome, lives = process.outcome()
        if lives:
            self._process = process
        return outcome


def row_of(task: Task, error: str) -> Row:
    """Return the row of a file of which nothing else is known."""
    known = {"source": task.source, "target": task.target, "before": task.size, "after": 0}
    return known | {"rate": 0.0, "seconds": 0.0, "warnings": [], "error": error, "node": ""}


def described(error: Exception) -> Failure:
    """Say what is wrong, also if it is a fault of ours."""
    if isinstance(error, EXPECTED) and not isinstance(error, RuntimeError):
        return Failure.of(error)
    return Failure(f"{type(error).__name__}: {' '.join(str(error).split())}")
