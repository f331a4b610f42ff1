"""What commands do with `--ray`: a folder by the workers of a cluster."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Sequence
from importlib.util import find_spec
from pathlib import PurePath
from typing import TYPE_CHECKING

import click

from vqcodec.batch.job import Work, compared
from vqcodec.cli.options import Compute, Placing, Running
from vqcodec.cli.terminal import echo, error_in_log, report, warn
from vqcodec.counting import counted
from vqcodec.errors import MissingPackageError

if TYPE_CHECKING:
    from vqcodec.cluster.log import Row

_SHOWN = 20
"""Errors that are printed; the log has all."""
_EVERY = 60.0
"""Seconds between lines of progress."""


def run_cluster(
    inputs: Sequence[str],
    placing: Placing,
    running: Running,
    work: Work,
    compute: Compute,
    address: str,
    *,
    suffix: str,
    is_input: Callable[[PurePath], bool],
    shards: bool = False,
) -> int:
    """Do the work on all files of a folder; return the exit code. With `shards` the results of many
    files are one file.
    """
    if len(inputs) != 1 or placing.directory is None or placing.output is not None:
        raise click.UsageError("--ray takes one folder IN and a folder for the results, -d DIR")
    if running.jobs is not None or running.dry_run or compute.threads is not None:
        raise click.UsageError("--ray excludes --jobs, --threads and --dry-run")
    require_ray()
    from vqcodec.cluster.log import NAME, finished
    from vqcodec.cluster.places import Folder, tasks
    from vqcodec.cluster.run import Cluster, run
    from vqcodec.cluster.shards import ShardWorker
    from vqcodec.cluster.worker import Worker

    source, target = Folder(inputs[0]), Folder(placing.directory)
    work.ready()  # what is wrong with the model or the device is wrong for all files
    done = finished(target)
    if done and not (placing.skip_existing or placing.force):
        results = counted(len(done), "result")
        raise click.UsageError(
            f"{placing.directory} has {results} of an earlier run; --skip-existing goes on with "
            "it, -f begins anew"
        )
    known = done if placing.skip_existing else set()
    waiting = (task for task in tasks(source, is_input, suffix) if task.source not in known)
    lines = _Lines()
    gpus = 0.0 if compute.device == "cpu" else 1.0
    cluster = Cluster(address=address or None, gpus=gpus)
    kind = ShardWorker if shards else Worker
    progress = run(cluster, work, source, target, waiting, lines, kind)
    if known:
        echo(f"vqcodec: {len(known)} skipped: the log has them", err=True)
    if progress.failed > _SHOWN:
        more = counted(progress.failed - _SHOWN, "more error")
        report(f"the log has {more}: {placing.directory}/{NAME}")
    total = progress.done + progress.failed
    line = f"{progress.done} of {total} files done"
    if progress.done and progress.after:
        sizes = f"{progress.before} -> {progress.after} bytes"
        line += f": {sizes}, {compared(progress.before, progress.after)}"
    echo(line)
    return 1 if progress.failed else 0


def require_ray() -> None:
    """Raise MissingPackageError where Ray, or what goes with it, is not installed."""
    if not all(map(find_spec, ("ray", "pyarrow", "fsspec"))):
        raise MissingPackageError("--ray needs Ray", hint="pip install 'vqcodec[ray]'")


class _Lines:
    """Tells what comes of files: errors, warnings, and now and then how many are done."""

    def __init__(self) -> None:
        self._done = self._errors = 0
        self._began = self._last = time.monotonic()

    def __call__(self, row: Row) -> None:
        """Take a row of the log."""
        self._done += 1
        if row["error"]:
            self._errors += 1
            if self._errors <= _SHOWN:
                report(f"{row['source']}: {error_in_log(row['error'])}")
        else:
            for warning in row["warnings"]:
                warn(row["source"], warning)
        now = time.monotonic()
        if now - self._last >= _EVERY:
            self._last = now
            speed = self._done / (now - self._began)
            echo(f"vqcodec: {counted(self._done, 'file')}, {speed:.1f} a second", err=True)
            sys.stderr.flush()
