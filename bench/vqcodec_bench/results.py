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
from vqcodec_bench.plots import draw
from vqcodec_bench.published import is_kodak, published
from vqcodec_bench.speed import time_codecs
from vqcodec_bench.summary import Row, summarise, to_csv

Progress = Callable[[str, int, int], None]
"""Told what is being done, how much of it is done, and how much there is."""

_SHOWN_BPP = 1.5
"""Above this rate pictures look like the original, and would fill the page."""
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
    speed: bool,
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
    if speed and by_name:
        results["speed"] = list(_speed(run, results["curves"], progress))
    return Collected(results=results, points=points, paths=by_name, cache=cache)


def _described(codec: Codec) -> Row:
    keys = ("name", "label", "settings", "scale", "mime", "ours")
    return {key: getattr(codec, key) for key in keys} | {"version": codec.version()}


def _speed(run: runs.Run, curves: Sequence[Row], progress: Progress) -> Iterator[Row]:
    """Time every codec on the first picture, the learned ones with untrained weights too."""
    learned = runs.plan([], [CompressAi(name) for name in LEARNED])
    run.missing += learned.missing
    jobs = []
    for codec in run.codecs:
        rates = {row["quality"]: row["bpp"] for row in curves if row["codec"] == codec.name}
        nearest = min(rates, key=lambda q: abs(rates[q] - _TIMED_BPP), default=codec.qualities[0])
        jobs.append((codec, nearest))
    jobs += [(codec, codec.qualities[0]) for codec in learned.codecs]
    progress("timing", 0, 2 * len(jobs))
    for done, row in enumerate(time_codecs(jobs, run.tasks[0].path), 1):
        progress("timing", done, 2 * len(jobs))
        yield row


def write(collected: Collected, folder: Path, page_pictures: int) -> Iterator[tuple[str, bytes]]:
    """Yield the names and contents of a report's files; draws the plots into `folder`."""
    results = collected.results
    yield "results.json", (json.dumps(results, indent=1, allow_nan=False) + "\n").encode()
    yield "summary.csv", to_csv(results["curves"]).encode()
    for metric in METRICS:
        draw(results, metric, folder)
    yield "report.html", render(results, list(_shown(collected, page_pictures))).encode()


def _shown(collected: Collected, most: int) -> Iterator[Shown]:
    """Pick the pictures of the page's slider, evenly from all, with every codec and rate."""
    names = [picture["name"] for picture in collected.results["pictures"]]
    picked = names[:: -(-len(names) // most)] if most and names else []
    mimes = {codec["name"]: codec["mime"] for codec in collected.results["codecs"]}
    for name in picked:
        original = webp(read_picture(collected.paths[name]), lossless=True)
        yield Shown(
            picture=name, codec=None, quality=None, mime="image/webp", data=original, exact=True
        )
        for point in collected.points:
            if point["picture"] == name and point["bpp"] <= _SHOWN_BPP:
                mime = mimes[point["codec"]]
                yield Shown(
                    picture=name,
                    codec=point["codec"],
                    quality=point["quality"],
                    mime=mime or "image/webp",
                    data=collected.cache.shown(point["key"]).read_bytes(),
                    exact=mime is not None,
                )
