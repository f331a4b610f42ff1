"""results.json and what is made of it: measure first, then write."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from vqcodec_bench import run as runs
from vqcodec_bench.bdrate import METRICS
from vqcodec_bench.learned import LEARNED, CompressAi
from vqcodec_bench.measure import Cache, Point, read_picture, webp
from vqcodec_bench.page import Shown, render
from vqcodec_bench.peers import Codec
from vqcodec_bench.plots import WIDEST, draw
from vqcodec_bench.published import is_kodak, published
from vqcodec_bench.speed import time_codecs
from vqcodec_bench.summary import Row, summarise, to_csv

Progress = Callable[[str, int, int], None]
"""Told what is being done, how much of it is done, and how much there is."""

_PAGE_BYTES = 96 << 20
"""The page's pictures stop here, of large photos sooner than of small ones."""
_TIMED_BPP = 0.25
"""Codecs are timed at the quality whose mean rate is nearest to this, that of `paper`."""
_PRIVATE = ("key", "index_counts")
"""Fields of points that results.json leaves out."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Collected:
    """All that a run found out."""

    results: dict[str, Any]
    """As in results.json."""
    points: list[Point]
    """With their keys in the cache."""
    paths: dict[str, Path]
    """Pictures by name."""
    cache: Cache


def collect(
    codecs: Sequence[Codec],
    paths: Sequence[Path],
    *,
    folder: Path,
    jobs: int,
    progress: Progress,
) -> Collected:
    """Measure codecs on pictures, with results kept in `folder`/cache.

    KeyboardInterrupt passes through, with what was measured in the cache.
    """
    run = runs.plan(paths, codecs)
    cache = Cache(folder / "cache")
    points = runs.execute(run, cache, jobs, lambda n, of: progress("measuring", n, of))
    others = published() if is_kodak(run.pictures) else []
    results: dict[str, Any] = {
        **runs.circumstances(),
        "widest_bpp": WIDEST,
        "pictures": run.pictures,
        "codecs": [_described(codec) for codec in run.codecs],
        "missing": run.missing,
        "failed": run.failed,
        **summarise(points, run.codecs, len(run.pictures), others),
        "published": others,
        "speed": [],
        "points": [{k: v for k, v in point.items() if k not in _PRIVATE} for point in points],
    }
    by_name = {task.picture: task.path for task in run.tasks}
    return Collected(results=results, points=points, paths=by_name, cache=cache)


def _described(codec: Codec) -> Row:
    keys = ("name", "label", "settings", "scale", "mime", "ours")
    return {key: getattr(codec, key) for key in keys} | {"version": codec.version()}


def measure_speed(collected: Collected, codecs: Sequence[Codec], progress: Progress) -> None:
    """Time every codec on the first picture, and learned ones with untrained weights.

    Rows are added to the results as they come, so an interruption keeps the ones there.
    """
    results = collected.results
    if not collected.paths:
        return
    learned = runs.plan([], [CompressAi(name) for name in LEARNED])
    results["missing"] += learned.missing
    there = {codec["name"] for codec in results["codecs"]}
    jobs = []
    for codec in codecs:
        rows = [row for row in results["curves"] if row["codec"] == codec.name]
        rates = {row["quality"]: row["bpp"] for row in rows}
        nearest = min(rates, key=lambda q: abs(rates[q] - _TIMED_BPP), default=codec.qualities[0])
        if codec.name in there:
            jobs.append((codec, nearest))
    jobs += [(codec, codec.qualities[0]) for codec in learned.codecs]
    progress("timing", 0, 2 * len(jobs))
    for row in time_codecs(jobs, next(iter(collected.paths.values()))):
        results["speed"].append(row)
        progress("timing", len(results["speed"]), 2 * len(jobs))


def write(collected: Collected, page_pictures: int) -> Iterator[tuple[str, bytes | None]]:
    """Yield the names and contents of a report's files; None for a plot that is not to be."""
    results = collected.results
    yield "results.json", (json.dumps(results, indent=1, allow_nan=False) + "\n").encode()
    yield "summary.csv", to_csv(results["curves"]).encode()
    for metric in METRICS:
        yield from draw(results, metric).items()
    yield "report.html", render(results, list(_shown(collected, page_pictures))).encode()


def _shown(collected: Collected, most: int) -> Iterator[Shown]:
    """Pick the pictures of the page's slider, evenly from all, with every codec and rate."""
    names = [picture["name"] for picture in collected.results["pictures"]]
    room = _PAGE_BYTES
    for name in names[:: -(-len(names) // most)] if most and names else []:
        versions = list(_versions(collected, name))
        room -= sum(len(version.data) for version in versions)
        if room < 0:
            return
        yield from versions


def _versions(collected: Collected, name: str) -> Iterator[Shown]:
    mimes = {codec["name"]: codec["mime"] for codec in collected.results["codecs"]}
    original = webp(read_picture(collected.paths[name]), lossless=True)
    kind = "image/webp"
    yield Shown(picture=name, codec=None, quality=None, mime=kind, data=original, exact=True)
    for point in collected.points:
        if point["picture"] == name and point["bpp"] <= WIDEST:
            mime = mimes[point["codec"]]
            yield Shown(
                picture=name,
                codec=point["codec"],
                quality=point["quality"],
                mime=mime or kind,
                data=collected.cache.shown(point["key"]).read_bytes(),
                exact=mime is not None,
            )
