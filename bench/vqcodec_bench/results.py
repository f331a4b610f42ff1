"""results.json and what is made of it: measure first, then write."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any, Generic

from vqcodec_bench import run as runs
from vqcodec_bench.codec import Codec, Content
from vqcodec_bench.measure import Cache, Point
from vqcodec_bench.medium import Medium, Row
from vqcodec_bench.page import Shown, render
from vqcodec_bench.plots import draw
from vqcodec_bench.speed import time_codecs
from vqcodec_bench.summary import summarise, to_csv

Progress = Callable[[str, int, int], None]
"""Told what is being done, how much of it is done, and how much there is."""

_PAGE_BYTES = 96 << 20
"""What the page shows stops here, of large files sooner than of small ones."""
_PRIVATE = ("key", "index_counts")
"""Fields of points that results.json leaves out."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Collected(Generic[Content]):
    """All that a run found out."""

    medium: Medium[Content]
    results: dict[str, Any]
    """As in results.json."""
    points: list[Point]
    """With their keys in the cache."""
    paths: dict[str, Path]
    """Files by name."""
    cache: Cache


def collect(
    medium: Medium[Content],
    codecs: Sequence[Codec[Content]],
    paths: Sequence[Path],
    *,
    folder: Path,
    jobs: int,
    progress: Progress,
) -> Collected[Content]:
    """Measure codecs on files, with results kept in `folder`/cache.

    KeyboardInterrupt passes through, with what was measured in the cache.
    """
    run = runs.plan(medium, paths, codecs)
    cache = Cache(folder / "cache")
    points = runs.execute(run, cache, jobs, lambda n, of: progress("measuring", n, of))
    results: dict[str, Any] = {
        "medium": medium.noun,
        **runs.circumstances(medium.packages),
        f"widest_{medium.rate}": medium.widest,
        medium.plural: run.files,
        "codecs": [_described(codec) for codec in run.codecs],
        "missing": run.missing,
        "failed": run.failed,
        **summarise(medium, points, run.codecs, len(run.files)),
    }
    results |= {
        **medium.conclusions(run.codecs, results),
        "speed": [],
        "points": [{k: v for k, v in point.items() if k not in _PRIVATE} for point in points],
    }
    return Collected(medium=medium, results=results, points=points, paths=run.paths, cache=cache)


def _described(codec: Codec[Content]) -> Row:
    keys = ("name", "label", "settings", "scale", "mime", "ours")
    return {key: getattr(codec, key) for key in keys} | {"version": codec.version()}


def measure_speed(
    collected: Collected[Content], codecs: Sequence[Codec[Content]], progress: Progress
) -> None:
    """Time every codec on the medium's number of files, untrained ones too.

    Rows are added to the results as they come, so an interruption keeps the ones there.
    """
    medium, results = collected.medium, collected.results
    if not collected.paths:
        return
    untrained = runs.plan(medium, [], medium.untrained)
    results["missing"] += untrained.missing
    there = {codec["name"] for codec in results["codecs"]}
    jobs = []
    for codec in codecs:
        rows = [row for row in results["curves"] if row["codec"] == codec.name]
        gaps = {row["quality"]: abs(row[medium.rate] - medium.timed_rate) for row in rows}
        nearest = min(gaps, key=lambda q: gaps[q], default=codec.qualities[0])
        if codec.name in there:
            jobs.append((codec, nearest))
    jobs += [(codec, codec.qualities[0]) for codec in untrained.codecs]
    progress("timing", 0, 2 * len(jobs))
    for row in time_codecs(medium, jobs, dict(islice(collected.paths.items(), medium.timed_files))):
        results["speed"].append(row)
        progress("timing", len(results["speed"]), 2 * len(jobs))


def write(
    collected: Collected[Content], page_files: int | None
) -> Iterator[tuple[str, bytes | None]]:
    """Yield the names and contents of a report's files; None for a plot that is not to be."""
    medium, results = collected.medium, collected.results
    yield "results.json", (json.dumps(results, indent=1, allow_nan=False) + "\n").encode()
    yield "summary.csv", to_csv(medium, results["curves"]).encode()
    for metric in medium.metrics:
        yield from draw(medium, results, metric).items()
    most = medium.page_files if page_files is None else page_files
    yield "report.html", render(results, list(_shown(collected, most))).encode()


def _shown(collected: Collected[Content], most: int) -> Iterator[Shown]:
    """Pick the files that the page shows, evenly from all, with every codec and rate."""
    names = list(collected.paths)
    room = _PAGE_BYTES
    for name in names[:: -(-len(names) // most)] if most and names else []:
        versions = list(_versions(collected, name))
        room -= sum(len(version.data) for version in versions)
        if room < 0:
            return
        yield from versions


def _versions(collected: Collected[Content], name: str) -> Iterator[Shown]:
    medium = collected.medium
    mimes = {codec["name"]: codec["mime"] for codec in collected.results["codecs"]}
    kind, original = medium.page_mime, medium.original_file(medium.read(collected.paths[name]))
    yield Shown(item=name, codec=None, quality=None, mime=kind, data=original, exact=True)
    for point in collected.points:
        if point[medium.noun] == name and point[medium.rate] <= medium.widest:
            mime = mimes[point["codec"]]
            yield Shown(
                item=name,
                codec=point["codec"],
                quality=point["quality"],
                mime=mime or kind,
                data=collected.cache.shown(point["key"]).read_bytes(),
                exact=mime is not None or medium.decoded_exactly,
            )
