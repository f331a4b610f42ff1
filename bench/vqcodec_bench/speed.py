"""Seconds and memory of one codec, each direction in a process of its own.

The process reads its input before the clock starts. The first call is stated
apart, as it loads libraries and models; the median of the following ones counts.
"""

from __future__ import annotations

import os
import statistics
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures.process import BrokenProcessPool
from pathlib import Path
from typing import Any

from vqcodec_bench.measure import read_picture
from vqcodec_bench.peers import Codec
from vqcodec_bench.workers import Workers

_CALLS = 15
_SECONDS = 4.0
"""Calls are repeated up to this many times or for this long, and at least twice."""
_SLOW = 20.0
"""A first call that takes longer is not repeated."""

Row = dict[str, Any]


def time_codecs(jobs: Sequence[tuple[Codec, float]], picture: Path) -> Iterator[Row]:
    """Yield results.json's "speed", a row per codec, quality and direction. Codecs may use
    a thread per core.
    """
    pixels = read_picture(picture)
    size = pixels.shape[0] * pixels.shape[1]
    for codec, quality in jobs:
        codec.threads = os.cpu_count() or 1
        row = {"codec": codec.name, "label": codec.label, "quality": quality, "pixels": size}
        direction = "encode"
        try:
            encoded, data = _apart(_encode, codec, quality, picture)
            yield row | {"direction": direction} | _rates(encoded, size)
            direction = "decode"
            decoded, _ = _apart(_decode, codec, data)
            yield row | {"direction": direction} | _rates(decoded, size)
        except Exception as error:  # whatever a codec raises: the others go on
            died = isinstance(error, BrokenProcessPool)
            note = "its process died, perhaps for want of memory" if died else str(error)
            yield row | {"direction": direction, "note": note} | dict.fromkeys(_FIGURES)


_FIGURES = ("seconds", "cpu_seconds", "first_seconds", "mp_per_s", "peak_mib")


def _rates(figures: Row, size: int) -> Row:
    return {"note": "", **figures, "mp_per_s": size / 1e6 / figures["seconds"]}


def _apart(function: Callable[..., tuple[Row, bytes]], *arguments: Any) -> tuple[Row, bytes]:
    """Run in a fresh process, whose memory is its own."""
    with Workers(1) as workers:
        result: tuple[Row, bytes] = workers.submit(function, *arguments).result()
        return result


def _encode(codec: Codec, quality: float, picture: Path) -> tuple[Row, bytes]:
    pixels = read_picture(picture)
    last: dict[str, bytes] = {}
    figures = _timed(lambda: last.update(data=codec.encode(pixels, quality)))
    return figures, last["data"]


def _decode(codec: Codec, data: bytes) -> tuple[Row, bytes]:
    return _timed(lambda: codec.decode(data)), b""


def _timed(call: Callable[[], object]) -> Row:
    first, first_cpu = _clocked(call)
    later: list[tuple[float, float]] = []
    end = time.perf_counter() + _SECONDS
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
    wall, cpu = time.perf_counter(), time.process_time()
    call()
    return time.perf_counter() - wall, time.process_time() - cpu


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
