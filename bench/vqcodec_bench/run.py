"""A whole run: pictures x codecs x qualities, over worker processes.

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
from typing import Any

from vqcodec.errors import VqcError
from vqcodec_bench.measure import Cache, Point, key_of, measure, picture_hash, read_picture
from vqcodec_bench.peers import Codec, MissingPeerError
from vqcodec_bench.workers import Workers


@dataclass(frozen=True, slots=True, kw_only=True)
class Task:
    """One result to be had."""

    codec: Codec
    quality: float
    path: Path
    picture: str
    key: str


@dataclass(slots=True)
class Run:
    """What there is to measure, and what could not be."""

    tasks: list[Task] = field(default_factory=list)
    pictures: list[dict[str, Any]] = field(default_factory=list)
    codecs: list[Codec] = field(default_factory=list)
    missing: list[dict[str, str]] = field(default_factory=list)
    failed: list[dict[str, str]] = field(default_factory=list)


def plan(paths: Sequence[Path], codecs: Sequence[Codec]) -> Run:
    """Read every picture and ask every codec for its version; pair those that are there."""
    run = Run()
    for codec in codecs:
        try:
            codec.version()
        except MissingPeerError as error:
            run.missing.append({"codec": codec.name, "why": str(error)})
        else:
            run.codecs.append(codec)
    names = _names(paths)
    for path, name in zip(paths, names, strict=True):
        try:
            pixels = read_picture(path)
        except (VqcError, OSError) as error:
            why = (isinstance(error, OSError) and error.strerror) or str(error)
            run.failed.append({"picture": name, "why": why})
            continue
        digest = picture_hash(pixels)
        height, width = pixels.shape[:2]
        run.pictures.append({"name": name, "width": width, "height": height, "sha256": digest})
        run.tasks += [
            Task(
                codec=codec,
                quality=quality,
                path=path,
                picture=name,
                key=key_of(digest, codec, quality),
            )
            for codec in run.codecs
            for quality in codec.qualities
        ]
    return run


def _names(paths: Sequence[Path]) -> list[str]:
    """Name pictures by their paths within the folder that has them all."""
    try:
        folder = os.path.commonpath([path.parent for path in paths])
    except ValueError:  # none, or on several drives
        return [str(path) for path in paths]
    return [path.relative_to(folder).as_posix() for path in paths]


def execute(run: Run, cache: Cache, jobs: int, progress: Callable[[int, int], None]) -> list[Point]:
    """Return a point for every task, computing those that the cache has not.

    `progress` is told the number of results there and in all. A task that fails is
    added to `run.failed`. KeyboardInterrupt passes through once the workers have stopped.
    """
    by_key = {task.key: task for task in run.tasks}  # equal pictures are measured once
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
            "picture": task.picture,
            "key": task.key,
            **found[task.key],
        }
        for task in run.tasks
        if task.key in found
    ]


def _compute(
    tasks: Sequence[Task],
    run: Run,
    cache: Cache,
    jobs: int,
    found: dict[str, Point],
    progress: Callable[[int], None],
) -> list[Task]:
    """Add results to `found` and tell `progress` how many are left. Returns the tasks that
    are left when a worker died, which ends the others too.
    """
    left = {task.key: task for task in tasks}
    threads = max(1, (os.cpu_count() or 1) // jobs)
    with Workers(min(jobs, len(tasks)), _start_worker, threads) as workers:
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


def _fail(run: Run, task: Task, why: str) -> None:
    about = f"{task.codec.name} at {task.quality:g}: {why}"
    run.failed.append({"picture": task.picture, "why": about})


def work(task: Task, folder: Path) -> Point:
    """Measure one task in a worker and put the result into the cache."""
    point, shown = measure(task.codec, task.quality, read_picture(task.path))
    Cache(folder).put(task.key, point, shown)
    return point


def _start_worker(threads: int) -> None:
    # Read by torch when it is loaded, which not every task needs.
    os.environ["OMP_NUM_THREADS"] = str(threads)


_STATED = (
    "vqcodec",
    "torch",
    "constriction",
    "numpy",
    "pillow",
    "pytorch-msssim",
    "ssimulacra2",
    "bjontegaard",
)


def circumstances() -> dict[str, Any]:
    """Date, versions and machine of a run, as results.json states them."""
    versions = {"python": platform.python_version()}
    for name in _STATED:
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
