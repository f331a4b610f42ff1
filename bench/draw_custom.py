"""Draw what models of one's own gain: rate and PSNR beside the model that they began as.

    vqcodec bench cells/ --models photo-2,cells.safetensors --peers none --out cells-report
    python bench/draw_custom.py docs/custom.png "blood cells=cells-report/results.json" ...

One panel for each report: pictures that the model of one's own has not seen.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

import matplotlib as mpl

mpl.use("Agg")
import matplotlib.pyplot as plt


def main(picture: str, *panels: str) -> None:
    """Draw the panels, each told as LABEL=results.json."""
    figure, row = plt.subplots(
        1, len(panels), figsize=(4.4 * len(panels), 3.8), layout="constrained", squeeze=False
    )
    for axes, panel in zip(row[0], panels, strict=True):
        label, _, path = panel.partition("=")
        results = json.loads(Path(path).read_text(encoding="utf-8"))
        first, own = (codec["name"] for codec in results["codecs"])
        for name, colour in ((first, "#0072B2"), (own, "#D55E00")):
            rows = [point for point in results["curves"] if point["codec"] == name]
            axes.plot(
                [point["bpp"] for point in rows],
                [point["psnr"] for point in rows],
                color=colour,
                marker=".",
                label=name,
            )
        saved = next(
            -found["percent"]
            for found in results["bd_rate"]
            if (found["codec"], found["against"], found["metric"]) == (own, first, "psnr")
        )
        axes.set(xlabel="bits per pixel", ylabel="PSNR, dB", title=f"{label}: {saved:.0f} % fewer")
        axes.set_xscale("log")
        axes.grid(alpha=0.3)
        axes.legend()
    figure.savefig(picture, dpi=110)


if __name__ == "__main__":
    main(*sys.argv[1:])
