"""A whole run: pictures x codecs x qualities, over worker processes.

Every result is in the cache as soon as it is there, so an interrupted run loses
only what was being computed.
"""

from __future__ import annotations

import multiprocessing
import os
import platform
import signal
import time
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ProcessPoolExecutor, as_completed
from dataclasses import dataclass, field
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from vqcodec.errors import VqcError
from vqcodec_bench.measure import Cache, Point, key_of, measure, picture_hash, read_picture
from vqcodec_bench.peers import Codec, MissingPeerError


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
    folder = Path(os.path.commonpath([path.parent for path in paths])) if paths else Path()
    for path in paths:
        name = str(path.relative_to(folder))
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


def execute(run: Run, cache: Cache, jobs: int, progress: Callable[[int, int], None]) -> list[Point]:
    """Return a point for every task, computing those that the cache has not.

    `progress` is told the number of results there and in all. A task that fails is
    added to `run.failed`. KeyboardInterrupt passes through once the workers have stopped.
    """
    found = {task.key: point for task in run.tasks if (point := cache.get(task.key)) is not None}
    wanted = [task for task in run.tasks if task.key not in found]
    progress(len(found), len(run.tasks))
    if wanted:
        _compute(run, wanted, cache, jobs, found, progress)
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
    run: Run,
    wanted: Sequence[Task],
    cache: Cache,
    jobs: int,
    found: dict[str, Point],
    progress: Callable[[int, int], None],
) -> None:
    threads = max(1, (os.cpu_count() or 1) // jobs)
    # Forked processes would inherit torch's threads, which do not survive a fork.
    context = multiprocessing.get_context("spawn")
    pool = ProcessPoolExecutor(jobs, context, initializer=_start_worker, initargs=(threads,))
    try:
        futures: dict[Future[Point], Task] = {
            pool.submit(work, task, cache.folder): task for task in wanted
        }
        for future in as_completed(futures):
            task = futures[future]
            try:
                found[task.key] = future.result()
            except (VqcError, ValueError, OSError, RuntimeError, MemoryError) as error:
                why = f"{task.codec.name} at {task.quality:g}: {error}"
                run.failed.append({"picture": task.picture, "why": why})
            progress(len(found), len(run.tasks))
    finally:
        pool.shutdown(wait=True, cancel_futures=True)


def work(task: Task, folder: Path) -> Point:
    """Measure one task in a worker and put the result into the cache."""
    point, shown = measure(task.codec, task.quality, read_picture(task.path))
    Cache(folder).put(task.key, point, shown)
    return point


def _start_worker(threads: int) -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is the parent's to handle
    import torch

    torch.set_num_threads(threads)


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
