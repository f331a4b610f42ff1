"""From points to what they say of any medium: mean curves, BD-rates, bits per index."""

from __future__ import annotations

import csv
import io
import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from vqcodec_bench.bdrate import BdRate, Curve, curve_of
from vqcodec_bench.codec import Codec, Content
from vqcodec_bench.medium import Medium, Row

INDEX_BITS = ("fixed_bits", "unigram_bits", "prior_bits")


def summarise(
    medium: Medium[Content], points: Sequence[Row], codecs: Sequence[Codec[Content]], files: int
) -> dict[str, Any]:
    """Return the parts of results.json that follow from its points.

    A codec's quality counts in the means if it was measured on all `files`.
    """
    curves = mean_curves(medium, points, codecs, files)
    return {"curves": curves, "bd_rate": bd_rates(medium, grouped(curves, codecs))}


def grouped(curves: Sequence[Row], codecs: Sequence[Codec[Content]]) -> dict[str, list[Row]]:
    """Return each codec's part of the mean curves by its name."""
    return {codec.name: [r for r in curves if r["codec"] == codec.name] for codec in codecs}


def mean_curves(
    medium: Medium[Content], points: Sequence[Row], codecs: Sequence[Codec[Content]], files: int
) -> list[Row]:
    """Average over the files, one row per codec and quality. A metric is averaged over the files
    that it has something to say of, and None if there is none.
    """
    rows = []
    for codec in codecs:
        for quality in codec.qualities:
            found = [p for p in points if p["codec"] == codec.name and p["quality"] == quality]
            if len(found) < files or not found:
                continue
            row: Row = {"codec": codec.name, "quality": quality}
            for key in (medium.rate, *medium.metrics):
                values = [point[key] for point in found if point[key] is not None]
                row[key] = float(np.mean(values)) if values else None
            rows.append(row | _index_bits(found))
    return rows


def bd_rates(medium: Medium[Content], by_codec: dict[str, list[Row]]) -> list[Row]:
    """Compare every pair of curves by every metric."""
    found = []
    for metric in medium.metrics:
        made = {name: curve_of(rows, metric, medium.rate) for name, rows in by_codec.items()}
        curves: dict[str, Curve] = {name: curve for name, curve in made.items() if curve}
        for name, curve in curves.items():
            for against, anchor in curves.items():
                saving = curve.saving(anchor) if name != against else None
                if saving:
                    found.append(saved(name, against, metric, saving))
    return found


def saved(codec: str, against: str, metric: str, saving: BdRate) -> Row:
    """Make a row of a comparison."""
    figures = {"percent": saving.percent, "low": saving.low, "high": saving.high}
    return {"codec": codec, "against": against, "metric": metric, **figures}


def _index_bits(points: Sequence[Row]) -> Row:
    """Bits per index of one quality: log2 K, the entropy of each group's histogram of all files,
    mean over the groups, and what the prior pays. Empty for codecs without indices.
    """
    if "index_counts" not in points[0]:
        return {}
    counts = np.sum([point["index_counts"] for point in points], axis=0)  # (G, K)
    shares = counts / counts.sum(axis=1, keepdims=True)
    information = np.where(counts > 0, -np.log2(np.where(counts > 0, shares, 1.0)), 0.0)
    unigram = float((shares * information).sum(axis=1).mean())
    paid = [point["index_bits"] for point in points if point["index_bits"] is not None]
    prior = float(np.mean(paid)) if paid else None
    return dict(zip(INDEX_BITS, (math.log2(counts.shape[1]), unigram, prior), strict=True))


def to_csv(medium: Medium[Content], curves: Sequence[Row]) -> str:
    """Write summary.csv: the mean curves."""
    file = io.StringIO()
    names = ["codec", "quality", medium.rate, *medium.metrics, *INDEX_BITS]
    writer = csv.DictWriter(file, names, lineterminator="\n")
    writer.writeheader()
    for row in curves:
        rounded = {k: f"{v:.6g}" if isinstance(v, float) else v for k, v in row.items()}
        writer.writerow(rounded)
    return file.getvalue()
