"""What files that were made elsewhere are worth, beside the curves of a report.

    python -m vqcodec_bench.made KODAK files.tar --results bench/results/kodak/results.json

reads a tar of files QUALITY/PICTURE.vqc, as `train/gpu/refine.py` makes them, decodes each, and
prints in Markdown the mean of every quality that all pictures have, and BD-rates of the curve of
these against those of the report and published ones.
"""

from __future__ import annotations

import argparse
import json
import tarfile
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import Future
from pathlib import Path

import numpy as np

import vqcodec
from vqcodec_bench.bdrate import curve_of
from vqcodec_bench.medium import Row
from vqcodec_bench.pictures import Pictures
from vqcodec_bench.workers import Workers, limit_threads

_MEDIUM = Pictures()
_COLUMNS = (_MEDIUM.rate, *_MEDIUM.metrics)


def measure(path: Path, data: bytes, model: str | None) -> Row:
    """Compare a file with its picture."""
    pixels = _MEDIUM.read(path)
    decoded = np.asarray(vqcodec.decompress(data, model=model))
    rate = _MEDIUM.rate_of(len(data), pixels)
    return {_MEDIUM.rate: rate, **_MEDIUM.compare(pixels, decoded)}


def read_files(path: Path) -> Iterator[tuple[float, str, bytes]]:
    """Yield quality, picture's name without suffix, and bytes of each file of a tar."""
    with tarfile.open(path) as tar:
        for entry in tar:
            if (file := tar.extractfile(entry)) is not None:
                name = Path(entry.name)
                yield float(name.parent.name), name.stem, file.read()


def mean_curve(pictures: Mapping[str, Path], made: Path, model: str | None, jobs: int) -> list[Row]:
    """Return a row for each quality, ascending, that all pictures have."""
    tasks: defaultdict[float, list[Future[Row]]] = defaultdict(list)
    with Workers(jobs, limit_threads, 1) as workers:
        for quality, name, data in read_files(made):
            tasks[quality].append(workers.submit(measure, pictures[name], data, model))
        rows = {quality: [task.result() for task in each] for quality, each in tasks.items()}
    return [
        {"quality": quality} | {name: _mean([row[name] for row in each]) for name in _COLUMNS}
        for quality, each in sorted(rows.items())
        if len(each) == len(pictures)
    ]


def _mean(values: Sequence[float | None]) -> float | None:
    """Return the mean of the figures that there are: a metric may have none of small pictures."""
    found = [value for value in values if value is not None]
    return float(np.mean(found)) if found else None


def compared(curve: Sequence[Row], results: Mapping[str, Sequence[Row]]) -> Iterator[list[str]]:
    """Yield the names of a report's curves, and the BD-rate against each by every metric."""
    others = {
        row["codec"]: [r for r in results["curves"] if r["codec"] == row["codec"]]
        for row in results["curves"]
    }
    others |= {row["label"]: row["points"] for row in results["published"]}
    for name, points in others.items():
        told = [name]
        for metric in _MEDIUM.metrics:
            own, other = curve_of(curve, metric), curve_of(points, metric)
            saving = own.saving(other) if own and other else None
            told.append(f"{saving.percent:+.1f} %" if saving else "")
        yield told


def main() -> None:
    """Print the tables."""
    parser = argparse.ArgumentParser(description=str(__doc__).partition("\n")[0])
    parser.add_argument("pictures", type=Path, help="folder of the pictures")
    parser.add_argument("made", type=Path, help="tar of the files")
    parser.add_argument("--results", type=Path, required=True, help="results.json of a report")
    parser.add_argument("--model")
    parser.add_argument("--jobs", type=int, default=2)
    options = parser.parse_args()
    pictures = {path.stem: path for path in sorted(options.pictures.glob("*.png"))}
    curve = mean_curve(pictures, options.made, options.model, options.jobs)
    labels = [metric.label for metric in _MEDIUM.metrics.values()]
    _table(["quality", _MEDIUM.rate, *labels], ([_told(v) for v in row.values()] for row in curve))
    results = json.loads(options.results.read_text(encoding="utf-8"))
    _table(["against", *labels], compared(curve, results))


def _told(value: float | None) -> str:
    return "" if value is None else f"{value:.4f}"


def _table(titles: Sequence[str], rows: Iterator[list[str]]) -> None:
    print("|", " | ".join(titles), "|")
    print("| --- |", " | ".join("---:" for _ in titles[1:]), "|")
    for row in rows:
        print("|", " | ".join(row), "|")
    print(flush=True)


if __name__ == "__main__":
    main()
