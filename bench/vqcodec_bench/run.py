"""A whole run: files x codecs x qualities, over worker processes.

Every result is in the cache as soon as it is there, so an interrupted run loses
only what was being computed.
"""

from __future__ import annotations

import os
import platform
import time
from collections.abc import Callable, Sequence
from concurrent.futures import as_completed
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass, field
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any, Generic

from vqcodec.errors import VqcError
from vqcodec_bench.codec import Codec, Content, MissingPeerError
from vqcodec_bench.measure import Cache, Point, key_of, measure
from vqcodec_bench.medium import Medium, Row
from vqcodec_bench.workers import Workers, limit_threads


@dataclass(frozen=True, slots=True, kw_only=True)
class Task(Generic[Content]):
    """One result to be had."""

    medium: Medium[Content]
    codec: Codec[Content]
    quality: float
    path: Path
    name: str
    key: str


@dataclass(slots=True)
class Run(Generic[Content]):
    """What there is to measure, and what could not be."""

    medium: Medium[Content]
    tasks: list[Task[Content]] = field(default_factory=list)
    paths: dict[str, Path] = field(default_factory=dict)
    """The files that can be read, by name."""
    files: list[Row] = field(default_factory=list)
    codecs: list[Codec[Content]] = field(default_factory=list)
    missing: list[dict[str, str]] = field(default_factory=list)
    failed: list[dict[str, str]] = field(default_factory=list)


def plan(
    medium: Medium[Content], paths: Sequence[Path], codecs: Sequence[Codec[Content]]
) -> Run[Content]:
    """Read every file and ask every codec for its version; pair those that are there."""
    run = Run(medium)
    for codec in codecs:
        try:
            codec.version()
        except MissingPeerError as error:
            run.missing.append({"codec": codec.name, "why": str(error)})
        else:
            run.codecs.append(codec)
    for path, name in zip(paths, _names(paths), strict=True):
        try:
            content = medium.read(path)
        except (VqcError, OSError) as error:
            why = (isinstance(error, OSError) and error.strerror) or str(error)
            run.failed.append({medium.noun: name, "why": why})
            continue
        digest = medium.digest(content)
        run.paths[name] = path
        run.files.append({"name": name, **medium.describe(content), "sha256": digest})
        run.tasks += [
            Task(
                medium=medium,
                codec=codec,
                quality=quality,
                path=path,
                name=name,
                key=key_of(medium, digest, codec, quality),
            )
            for codec in run.codecs
            for quality in codec.qualities
        ]
    return run


def _names(paths: Sequence[Path]) -> list[str]:
    """Name files by their paths within the folder that has them all."""
    try:
        folder = os.path.commonpath([path.parent for path in paths])
    except ValueError:  # none, or on several drives
        return [str(path) for path in paths]
    return [path.relative_to(folder).as_posix() for path in paths]


def execute(
    run: Run[Content], cache: Cache, jobs: int, progress: Callable[[int, int], None]
) -> list[Point]:
    """Return a point for every task, computing those that the cache has not.

    `progress` is told the number of results there and in all. A task that fails is
    added to `run.failed`. KeyboardInterrupt passes through once the workers have stopped.
    """
    by_key = {task.key: task for task in run.tasks}  # equal files are measured once
    found = {key: point for key in by_key if (point := cache.get(key)) is not None}
    left = [task for key, task in by_key.items() if key not in found]
    count = len(by_key)
    progress(count - len(left), count)
    while left:
        left = _compute(left, run, cache, jobs, found, lambda n: progress(count - n, count))
        if left and jobs == 1:  # tasks are begun in their order: it was the first
            _fail(run, left.pop(0), "its process died, perhaps for want of memory")
        jobs = 1
    return [
        {
            "codec": task.codec.name,
            "quality": task.quality,
            run.medium.noun: task.name,
            "key": task.key,
            **found[task.key],
        }
        for task in run.tasks
        if task.key in found
    ]


def _compute(
    tasks: Sequence[Task[Content]],
    run: Run[Content],
    cache: Cache,
    jobs: int,
    found: dict[str, Point],
    progress: Callable[[int], None],
) -> list[Task[Content]]:
    """Add results to `found` and tell `progress` how many are left. Returns the tasks that
    are left when a worker died, which ends the others too.
    """
    left = {task.key: task for task in tasks}
    threads = max(1, (os.cpu_count() or 1) // jobs)
    with Workers(min(jobs, len(tasks)), limit_threads, threads) as workers:
        futures = {workers.submit(work, task, cache.folder): task for task in tasks}
        for future in as_completed(futures):
            task = futures[future]
            try:
                found[task.key] = future.result()
            except BrokenProcessPool:
                continue
            except Exception as error:  # whatever a codec raises: the others go on
                _fail(run, task, str(error) or type(error).__name__)
            del left[task.key]
            progress(len(left))
    return list(left.values())


def _fail(run: Run[Content], task: Task[Content], why: str) -> None:
    about = f"{task.codec.name} at {task.quality:g}: {why}"
    run.failed.append({run.medium.noun: task.name, "why": about})


def work(task: Task[Content], folder: Path) -> Point:
    """Measure one task in a worker and put the result into the cache."""
    content = task.medium.read(task.path)
    point, shown = measure(task.medium, task.codec, task.quality, content)
    Cache(folder).put(task.key, point, shown)
    return point


def circumstances(packages: Sequence[str]) -> dict[str, Any]:
    """Date, versions and machine of a run, as results.json states them."""
    versions = {"python": platform.python_version()}
    for name in packages:
        try:
            versions[name] = version(name)
        except PackageNotFoundError:
            versions[name] = "not installed"
    return {
        "date": time.strftime("%Y-%m-%d"),
        "versions": versions,
        "machine": {
            "processor": _processor(),
            "cores": os.cpu_count(),
            "system": f"{platform.system()} {platform.machine()}",
        },
    }


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        return platform.processor() or "unknown"
    names = (line.partition(":")[2].strip() for line in lines if line.startswith("model name"))
    return next(names, platform.processor() or "unknown")
