"""Draw the validation curves of a run.

python train/plot.py train/paper.log.jsonl train/paper.png
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

import matplotlib as mpl

mpl.use("Agg")
import matplotlib.pyplot as plt

CURVES = {
    "autoencoder": (("psnr", "PSNR, dB"), ("unigram_bits", "unigram entropy, bits per index")),
    "prior": (("float_bits", "in real numbers"), ("integer_bits", "in integers")),
}


def main(log: str, picture: str) -> None:
    """Draw one panel per figure of the autoencoder, and one for the prior."""
    rows = [json.loads(line) for line in Path(log).read_text().splitlines()]
    rows = [row for row in rows if row["kind"] == "validation"]
    figure, axes = plt.subplots(1, 3, figsize=(13, 3.6), layout="constrained")
    for axis, (key, label) in zip(axes, CURVES["autoencoder"], strict=False):
        points = [(row["step"], row[key]) for row in rows if row["stage"] == "autoencoder"]
        axis.plot(*zip(*points, strict=True), marker=".")
        axis.set(title="autoencoder", xlabel="step", ylabel=label)
    for key, label in CURVES["prior"]:
        points = [(row["step"], row[key]) for row in rows if row["stage"] == "prior"]
        axes[2].plot(*zip(*points, strict=True), marker=".", label=label)
    axes[2].set(title="prior", xlabel="step", ylabel="bits per index")
    axes[2].legend()
    for axis in axes:
        axis.grid(alpha=0.3)
    figure.savefig(picture, dpi=110)


if __name__ == "__main__":
    main(*sys.argv[1:])
