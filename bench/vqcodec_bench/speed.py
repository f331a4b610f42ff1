"""Seconds and memory of one codec, each direction in a process of its own.

The process reads its input before the clock starts. The first call is stated
apart, as it loads libraries and models; the median of the following ones counts.
"""

from __future__ import annotations

import os
import statistics
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures.process import BrokenProcessPool
from functools import partial
from pathlib import Path
from typing import Any

from vqcodec_bench.codec import Codec, Content
from vqcodec_bench.medium import Medium, Row
from vqcodec_bench.workers import Workers, limit_threads

_CALLS = 15
_SECONDS = 4.0
"""Calls are repeated up to this many times or, all files together, for this long, and at least
twice for each file.
"""
_SLOW = 20.0
"""A first call that takes longer is not repeated."""


def time_codecs(
    medium: Medium[Content],
    jobs: Sequence[tuple[Codec[Content], float]],
    paths: Mapping[str, Path],
) -> Iterator[Row]:
    """Yield results.json's "speed", a row per codec, quality and direction, each over all files
    whose paths are given by their names.
    """
    amounts = {name: medium.amount(medium.read(path)) for name, path in paths.items()}
    for codec, quality in jobs:
        codec.threads = medium.timed_threads or os.cpu_count() or 1
        row = {"codec": codec.name, "label": codec.label, "quality": quality}
        row["amount"] = sum(amounts.values())
        direction = "encode"
        try:
            encoded, data = _apart(medium, _encode, medium, codec, quality, list(paths.values()))
            yield row | {"direction": direction} | _summed(medium, encoded, amounts)
            direction = "decode"
            decoded, _ = _apart(medium, _decode, codec, data)
            yield row | {"direction": direction} | _summed(medium, decoded, amounts)
        except Exception as error:  # whatever a codec raises: the others go on
            died = isinstance(error, BrokenProcessPool)
            note = "its process died, perhaps for want of memory" if died else str(error)
            lacking = dict.fromkeys((*_TIMES, medium.timed_unit, "peak_mib"))
            yield row | {"direction": direction, "note": note} | lacking


_TIMES = ("seconds", "cpu_seconds", "first_seconds")


def _summed(medium: Medium[Content], rows: Sequence[Row], amounts: Mapping[str, float]) -> Row:
    """Make one row of those of all files; of several, each one's speed is kept too."""
    total = {key: sum(row[key] for row in rows) for key in _TIMES[:2]}
    speeds = {
        name: amount / row["seconds"]
        for row, (name, amount) in zip(rows, amounts.items(), strict=True)
    }
    return {
        "note": "",
        **total,
        "first_seconds": rows[0]["first_seconds"],
        medium.timed_unit: sum(amounts.values()) / total["seconds"],
        "peak_mib": rows[-1]["peak_mib"],
        **({"files": speeds} if len(speeds) > 1 else {}),
    }


def _apart(
    medium: Medium[Content], function: Callable[..., tuple[list[Row], list[bytes]]], *arguments: Any
) -> tuple[list[Row], list[bytes]]:
    """Run in a fresh process, whose memory is its own."""
    threads = medium.timed_threads
    with Workers(1, *((limit_threads, threads) if threads else ())) as workers:
        result: tuple[list[Row], list[bytes]] = workers.submit(function, *arguments).result()
        return result


def _encode(
    medium: Medium[Content], codec: Codec[Content], quality: float, paths: Sequence[Path]
) -> tuple[list[Row], list[bytes]]:
    rows, files = [], []
    for path in paths:
        content = medium.read(path)
        last: dict[str, bytes] = {}
        call = partial(_keep, last, codec, content, quality)
        rows.append(_timed(call, _SECONDS / len(paths)))
        files.append(last["data"])
    return rows, files


def _keep(last: dict[str, bytes], codec: Codec[Content], content: Content, quality: float) -> None:
    last["data"] = codec.encode(content, quality)


def _decode(codec: Codec[Content], files: Sequence[bytes]) -> tuple[list[Row], list[bytes]]:
    seconds = _SECONDS / len(files)
    return [_timed(partial(codec.decode, data), seconds) for data in files], []


def _timed(call: Callable[[], object], seconds: float) -> Row:
    first, first_cpu = _clocked(call)
    later: list[tuple[float, float]] = []
    end = time.perf_counter() + seconds
    while first < _SLOW and len(later) < _CALLS and (len(later) < 2 or time.perf_counter() < end):
        later.append(_clocked(call))
    runs = later or [(first, first_cpu)]
    return {
        "seconds": statistics.median(wall for wall, _ in runs),
        "cpu_seconds": statistics.median(cpu for _, cpu in runs),
        "first_seconds": first,
        "peak_mib": _peak_mib(),
    }


def _clocked(call: Callable[[], object]) -> tuple[float, float]:
    wall, cpu = time.perf_counter(), _cpu_seconds()
    call()
    return time.perf_counter() - wall, _cpu_seconds() - cpu


def _cpu_seconds() -> float:
    """Return the time that processors spent on this process and on programs that it ran."""
    try:
        import resource
    except ImportError:  # Windows
        return time.process_time()
    programs = resource.getrusage(resource.RUSAGE_CHILDREN)
    return time.process_time() + programs.ru_utime + programs.ru_stime


def _peak_mib() -> float | None:
    """Return the most memory that this process had resident, MiB."""
    try:
        status = Path("/proc/self/status").read_text(encoding="ascii")
        return int(status.partition("VmHWM:")[2].split()[0]) / 1024.0
    except (OSError, ValueError, IndexError):
        pass
    try:
        import resource
    except ImportError:  # Windows
        return None
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak / (2**20 if sys.platform == "darwin" else 2**10)  # bytes there, else KiB
