"""Rate-distortion plots of a run's mean curves, as PNG and SVG."""

from __future__ import annotations

import io
from collections.abc import Sequence
from typing import Any

from vqcodec.metrics import decibels
from vqcodec_bench.codec import Content
from vqcodec_bench.medium import Medium

# Okabe and Ito's palette, which the colour-blind can tell apart.
_COLOURS = ("#0072B2", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000")
_OURS = ("#D55E00", "#B03060", "#7A3E00")
_DRAWN = ("vtm", "mlic++[mse]", "bmshj2018-hyperprior[mse]")
"""Published curves that the plots show; the page has them all."""


def draw(medium: Medium[Content], results: dict[str, Any], metric: str) -> dict[str, bytes | None]:
    """Draw rd-METRIC.png and .svg; None where no codec has the metric."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    matplotlib.rcParams["svg.hashsalt"] = "vqcodec"  # the same plot is the same file
    figure, axes = pyplot.subplots(figsize=(8.0, 5.2), layout="constrained")
    drawn = 0
    styles = {True: iter(_OURS * 9), False: iter(_COLOURS * 9)}
    for codec in results["codecs"]:
        rows = [row for row in results["curves"] if row["codec"] == codec["name"]]
        x, y = _points(medium, rows, metric)
        if not x:
            continue
        drawn += 1
        ours = codec["ours"]
        axes.plot(
            x,
            y,
            label=codec["label"],
            color=next(styles[ours]),
            marker="D" if ours else "o",
            markersize=8 if ours else 3.5,
            linewidth=2.4 if ours else 1.4,
            zorder=4 if ours else 3,
        )
    for curve in results.get("published", ()):
        x, y = _points(medium, curve["points"], metric)
        if curve["name"] in _DRAWN and x:
            label = f"{curve['label']}, published"
            axes.plot(x, y, label=label, color="#999999", linestyle=_dash(curve["name"]), zorder=2)
    axes.set_xlabel(medium.rate_label)
    axes.set_ylabel(medium.metrics[metric].axis)
    axes.set_xlim(0.0, medium.widest)
    count = len(results[medium.plural])
    files = medium.noun if count == 1 else medium.plural
    axes.set_title(f"Mean of {count} {files}, {results['date']}")
    axes.grid(alpha=0.3)
    plots: dict[str, bytes | None] = {}
    if drawn:
        axes.legend(loc="lower right", fontsize="small")
    for suffix, metadata in (("png", {"Software": None}), ("svg", {"Date": None})):
        file = io.BytesIO()
        figure.savefig(file, format=suffix, dpi=160, metadata=metadata)
        plots[f"rd-{metric}.{suffix}"] = file.getvalue() if drawn else None
    pyplot.close(figure)
    return plots


def _points(
    medium: Medium[Content], rows: Sequence[dict[str, Any]], metric: str
) -> tuple[list[float], list[float]]:
    kept = sorted(
        (row[medium.rate], row[metric])
        for row in rows
        if row[metric] is not None and row[medium.rate] <= medium.widest
    )
    values = [decibels(value) if metric == "ms_ssim" else value for _, value in kept]
    return [rate for rate, _ in kept], values


def _dash(name: str) -> str:
    return ("--", ":", "-.")[_DRAWN.index(name)]
