"""From points to what they say: mean curves, BD-rates, the 42.6x table."""

from __future__ import annotations

import csv
import io
import math
from collections.abc import Sequence
from itertools import product
from typing import Any

import numpy as np

from vqcodec_bench.bdrate import METRICS, BdRate, Curve, curve_of
from vqcodec_bench.measure import Point
from vqcodec_bench.peers import Codec
from vqcodec_bench.published import TWINS

Row = dict[str, Any]
BASELINE = "paper-fixed"
REFERENCE = "paper"
_AGREEMENT_STEPS = 40


def summarise(
    points: Sequence[Point], codecs: Sequence[Codec], pictures: int, published: Sequence[Row]
) -> dict[str, Any]:
    """Return the parts of results.json that follow from its points.

    A codec's quality counts in the means if it was measured on all `pictures`.
    """
    curves = mean_curves(points, codecs, pictures)
    by_codec = {codec.name: [r for r in curves if r["codec"] == codec.name] for codec in codecs}
    return {
        "curves": curves,
        "bd_rate": bd_rates(by_codec),
        "bd_rate_published": bd_rates_published(
            {codec.name: by_codec[codec.name] for codec in codecs if codec.ours}, published
        ),
        "ratios": ratios(points, codecs, by_codec),
        "agreement": agreement(by_codec, published),
    }


def mean_curves(points: Sequence[Point], codecs: Sequence[Codec], pictures: int) -> list[Row]:
    """Average over the pictures, one row per codec and quality. A metric is averaged over
    the pictures that are large enough for it, and None if there is none.
    """
    rows = []
    for codec in codecs:
        for quality in codec.qualities:
            found = [p for p in points if p["codec"] == codec.name and p["quality"] == quality]
            if len(found) < pictures or not found:
                continue
            row: Row = {"codec": codec.name, "quality": quality}
            for key in ("bpp", *METRICS):
                values = [point[key] for point in found if point[key] is not None]
                row[key] = float(np.mean(values)) if values else None
            rows.append(row | _index_bits(found))
    return rows


def bd_rates(by_codec: dict[str, list[Row]]) -> list[Row]:
    """Compare every pair of curves by every metric."""
    found = []
    for metric in METRICS:
        made = {name: curve_of(rows, metric) for name, rows in by_codec.items()}
        curves: dict[str, Curve] = {name: curve for name, curve in made.items() if curve}
        for name, curve in curves.items():
            for against, anchor in curves.items():
                saving = curve.saving(anchor) if name != against else None
                if saving:
                    found.append(_saved(name, against, metric, saving))
    return found


def bd_rates_published(by_codec: dict[str, list[Row]], published: Sequence[Row]) -> list[Row]:
    """Compare every curve with every published one, by its label, by every metric."""
    found = []
    for metric, theirs, (name, rows) in product(METRICS, published, by_codec.items()):
        curve, anchor = curve_of(rows, metric), curve_of(theirs["points"], metric)
        saving = curve.saving(anchor) if curve and anchor else None
        if saving:
            found.append(_saved(name, theirs["label"], metric, saving))
    return found


def _saved(codec: str, against: str, metric: str, saving: BdRate) -> Row:
    figures = {"percent": saving.percent, "low": saving.low, "high": saving.high}
    return {"codec": codec, "against": against, "metric": metric, **figures}


def ratios(
    points: Sequence[Point], codecs: Sequence[Codec], by_codec: dict[str, list[Row]]
) -> list[Row]:
    """Return the 42.6x table: ratios to 24-bit pixels, the paper's fixed-length one first.

    Bits per index three ways: log2 K, the entropy of the histogram of all pictures'
    indices together, and what the prior pays (mean over pictures). Ratios at equal
    quality are at the model `paper`'s mean value of each metric. Empty without that model.
    """
    target = next(iter(by_codec.get(REFERENCE, [])), None)
    if target is None:
        return []
    rows = []
    for codec in sorted(codecs, key=lambda codec: (codec.name != BASELINE, not codec.ours)):
        curve = by_codec[codec.name]
        row: Row = {"codec": codec.name, "label": codec.label}
        only = curve[0]["bpp"] if len(curve) == 1 else None
        row |= {"bpp": only, "ratio": 24.0 / only if only else None}
        row |= {name: curve[0].get(name) if only else None for name in _INDEX_BITS}
        for metric in METRICS:
            row[f"equal_{metric}"] = _ratio_at(curve, metric, target)
        rows.append(row)
    return rows


_INDEX_BITS = ("fixed_bits", "unigram_bits", "prior_bits")


def _index_bits(points: Sequence[Point]) -> Row:
    """Bits per index of one quality: log2 K, the entropy of each group's histogram of all
    pictures, mean over the groups, and what the prior pays. Empty for codecs without indices.
    """
    if "index_counts" not in points[0]:
        return {}
    counts = np.sum([point["index_counts"] for point in points], axis=0)  # (G, K)
    shares = counts / counts.sum(axis=1, keepdims=True)
    information = np.where(counts > 0, -np.log2(np.where(counts > 0, shares, 1.0)), 0.0)
    unigram = float((shares * information).sum(axis=1).mean())
    paid = [point["index_bits"] for point in points if point["index_bits"] is not None]
    prior = float(np.mean(paid)) if paid else None
    return dict(zip(_INDEX_BITS, (math.log2(counts.shape[1]), unigram, prior), strict=True))


def _ratio_at(curve: Sequence[Row], metric: str, target: Row) -> float | None:
    if not curve or target[metric] is None:
        return None
    if len(curve) == 1:
        same = curve[0][metric] is not None and math.isclose(curve[0][metric], target[metric])
        return 24.0 / curve[0]["bpp"] if same else None
    made = curve_of(curve, metric)
    bpp = made.bpp_at(target[metric]) if made else None
    return 24.0 / bpp if bpp else None


def agreement(by_codec: dict[str, list[Row]], published: Sequence[Row]) -> list[Row]:
    """Compare measured with published curves of the same format: dB of PSNR, measured minus
    published, at equal rates over the range of both.
    """
    rows = []
    for name, twin in TWINS.items():
        ours = curve_of(by_codec.get(name, []), "psnr")
        theirs = next((row for row in published if row["name"] == twin), None)
        other = curve_of(theirs["points"], "psnr") if theirs else None
        if ours is None or other is None:
            continue
        gaps = []
        for bpp in np.geomspace(0.05, 4.0, _AGREEMENT_STEPS):
            mine, its = ours.value_at(bpp), other.value_at(bpp)
            if mine is not None and its is not None:
                gaps.append(mine - its)
        if gaps:
            figures = {"mean": float(np.mean(gaps)), "low": min(gaps), "high": max(gaps)}
            rows.append({"codec": name, "published": twin, **figures})
    return rows


def to_csv(curves: Sequence[Row]) -> str:
    """Write summary.csv: the mean curves."""
    file = io.StringIO()
    names = ["codec", "quality", "bpp", *METRICS, *_INDEX_BITS]
    writer = csv.DictWriter(file, names, lineterminator="\n")
    writer.writeheader()
    for row in curves:
        rounded = {k: f"{v:.6g}" if isinstance(v, float) else v for k, v in row.items()}
        writer.writerow(rounded)
    return file.getvalue()
