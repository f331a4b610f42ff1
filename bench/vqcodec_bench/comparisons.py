"""What is said of pictures besides: ratios to the pixels, and published curves."""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import product

import numpy as np

from vqcodec.metrics import Pixels
from vqcodec_bench.bdrate import curve_of
from vqcodec_bench.codec import Codec
from vqcodec_bench.medium import Row
from vqcodec_bench.published import TWINS
from vqcodec_bench.summary import INDEX_BITS, saved

BASELINE = "paper-fixed"
REFERENCE = "paper"
METRICS = ("psnr", "ms_ssim", "ssimulacra2")
"""Names in results.json; MS-SSIM is compared in dB."""
_AGREEMENT_STEPS = 40


def bd_rates_published(by_codec: dict[str, list[Row]], published: Sequence[Row]) -> list[Row]:
    """Compare every curve with every published one, by its label, by every metric."""
    found = []
    for metric, theirs, (name, rows) in product(METRICS, published, by_codec.items()):
        curve, anchor = curve_of(rows, metric), curve_of(theirs["points"], metric)
        saving = curve.saving(anchor) if curve and anchor else None
        if saving:
            found.append(saved(name, theirs["label"], metric, saving))
    return found


def ratios(codecs: Sequence[Codec[Pixels]], by_codec: dict[str, list[Row]]) -> list[Row]:
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
        row |= {name: curve[0].get(name) if only else None for name in INDEX_BITS}
        for metric in METRICS:
            row[f"equal_{metric}"] = _ratio_at(curve, metric, target)
        rows.append(row)
    return rows


def _ratio_at(curve: Sequence[Row], metric: str, target: Row) -> float | None:
    if not curve or target[metric] is None:
        return None
    if len(curve) == 1:
        same = curve[0][metric] is not None and math.isclose(curve[0][metric], target[metric])
        return 24.0 / curve[0]["bpp"] if same else None
    made = curve_of(curve, metric)
    bpp = made.rate_at(target[metric]) if made else None
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
