"""Work on many files by Ray Data, which starts the workers, feeds them and holds them back.

The files of a machine that dies are done again by others. Results are written whole or not at all,
so that this is harmless.
"""

from __future__ import annotations

import itertools
import logging
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass

import pyarrow as pa
import ray
from ray.data import ActorPoolStrategy, DataContext

from vqcodec import processors
from vqcodec.batch.job import Work
from vqcodec.cluster.log import Log, Row
from vqcodec.cluster.places import Folder, Task
from vqcodec.cluster.worker import Worker, row_of

_WAVE = 200_000
"""Files whose names are in the cluster's memory at once."""
_LOST = "its worker was lost, and no other could be had"


@dataclass(slots=True)
class Progress:
    """What has come of the files so far."""

    done: int = 0
    failed: int = 0
    before: int = 0
    after: int = 0

    def add(self, row: Row) -> None:
        """Count a row of the log."""
        if row["error"]:
            self.failed += 1
            return
        self.done += 1
        self.before += row["before"]
        self.after += row["after"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Cluster:
    """Ray, here or elsewhere."""

    address: str | None = None
    """Of a running cluster, as `ray.init` takes it; None starts one on this machine."""
    gpus: float = 0.0
    """Of each worker; a part lets workers share one."""

    def connect(self) -> None:
        """Connect, or start. Raises: ConnectionError if no cluster is there."""
        if not ray.is_initialized():
            own = {"num_cpus": processors.granted()} if self.address is None else {}
            ray.init(self.address, logging_level=logging.ERROR, log_to_driver=False, **own)

    def workers(self) -> int:
        """Return how many workers there is room for."""
        there = ray.cluster_resources()
        room = int(there.get("CPU", 1))
        return max(1, min(room, int(there.get("GPU", 0) / self.gpus)) if self.gpus else room)


def run(
    cluster: Cluster,
    work: Work,
    source: Folder,
    target: Folder,
    tasks: Iterator[Task],
    report: Callable[[Row], None],
    kind: type[Worker] = Worker,
) -> Progress:
    """Work on all files, by workers of a kind; `report` is told each row of the log.

    Raises: what `work.ready` raises, ConnectionError.
    """
    cluster.connect()
    context = DataContext.get_current()
    context.max_errored_blocks = -1  # the log has what is wrong
    context.print_on_execution_start = False
    context.enable_progress_bars = False
    logging.getLogger("ray").setLevel(logging.ERROR)
    log, progress = Log(target), Progress()

    def note(rows: Sequence[Row]) -> None:
        log.add(rows)
        for row in rows:
            progress.add(row)
            report(row)

    try:
        while wave := list(itertools.islice(tasks, _WAVE)):
            waiting = {task.source: task for task in wave}
            for rows in _rows(cluster, kind, work, source, target, wave):
                note([row for row in rows if waiting.pop(row["source"], None)])
            note([row_of(task, _LOST) for task in waiting.values()])
    finally:
        log.flush()
    return progress


def _rows(
    cluster: Cluster,
    kind: type[Worker],
    work: Work,
    source: Folder,
    target: Folder,
    tasks: Sequence[Task],
) -> Iterator[list[Row]]:
    """Yield rows of the log as they come; files whose worker was lost for good are missing."""
    blocks = [
        pa.Table.from_pylist([asdict(task) for task in tasks[first : first + kind.BATCH]])
        for first in range(0, len(tasks), kind.BATCH)
    ]
    workers = min(cluster.workers(), len(blocks))
    data = ray.data.from_arrow(blocks).map_batches(
        kind,
        fn_constructor_args=(work, source, target),
        compute=ActorPoolStrategy(min_size=1, max_size=workers),
        batch_size=None,  # a block
        batch_format="pyarrow",
        num_cpus=1,
        num_gpus=cluster.gpus,
    )
    for table in data.iter_batches(batch_size=None, batch_format="pyarrow"):
        yield table.to_pylist()
