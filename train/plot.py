"""Draw the validation curves of a model's runs, in their order.

python train/plot.py train/paper.png train/paper-first.log.jsonl train/paper.log.jsonl \
    train/paper-float.log.jsonl
python train/plot.py train/photo.png train/photo.log.jsonl
python train/plot.py train/photo-2.png train/photo-2.log.jsonl

Runs of a first stage are joined end to end; priors are drawn beside each other. Logs of several
runs in one file tell them apart by `run`.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import matplotlib as mpl

mpl.use("Agg")
import matplotlib.pyplot as plt

PANELS = (("psnr", "PSNR, dB"), ("unigram_bits", "unigram entropy, bits per index"))


def validations(log: Path, stage: str) -> list[dict[str, Any]]:
    """Return the validations of a stage."""
    rows = [json.loads(line) for line in log.read_text(encoding="utf-8").splitlines()]
    return [row for row in rows if row["kind"] == "validation" and row["stage"] == stage]


def main(picture: str, *logs: str) -> None:
    """Draw the curves of the architecture that the first log is of."""
    if validations(Path(logs[0]), "exact"):
        draw_photo2(picture, logs[0])
    elif validations(Path(logs[0]), "transform"):
        draw_photo(picture, *logs)
    else:
        draw_vqvae(picture, *logs)


def draw_photo(picture: str, *logs: str) -> None:
    """Draw the loss of both stages over the steps, and rate and PSNR at the last one."""
    figure, axes = plt.subplots(1, 2, figsize=(11, 3.8), layout="constrained")
    done = 0
    for log in map(Path, logs):
        for stage in ("transform", "product"):
            rows = validations(log, stage)
            if not rows:
                continue
            steps = [done + row["step"] for row in rows]
            name = f"{log.name.split('.')[0]}, {stage}"
            axes[0].plot(steps, [row["loss"] for row in rows], marker=".", label=name)
            last, rate = rows[-1], "integer" if stage == "product" else "bpp"
            qualities = range(1, 1 + sum(key.startswith("psnr") for key in last))
            axes[1].plot(
                [last[f"{rate}{q}"] for q in qualities],
                [last[f"psnr{q}"] for q in qualities],
                marker=".",
                label=f"{name}, step {last['step']}",
            )
            done += rows[-1]["step"]
    axes[0].set(xlabel="step", ylabel="loss", yscale="log")
    axes[1].set(xlabel="bits per pixel", ylabel="PSNR, dB")
    for axis in axes:
        axis.grid(alpha=0.3)
        axis.legend(fontsize="small")
    figure.savefig(picture, dpi=110)


def draw_photo2(picture: str, log: str) -> None:
    """Draw the losses of training before there are codebooks, those of validation with them, and
    rate and PSNR at the end.
    """
    rows = [json.loads(line) for line in Path(log).read_text(encoding="utf-8").splitlines()]
    figure, axes = plt.subplots(1, 3, figsize=(13, 3.8), layout="constrained")
    colours = {"transform": "#0072B2", "exact": "#009E73", "product": "#D55E00"}
    done, done_with_codebooks = 0, 0
    for run, stage in dict.fromkeys((row["run"], row["stage"]) for row in rows):
        own = [row for row in rows if (row["run"], row["stage"]) == (run, stage)]
        trained = [(row["step"], row["loss"]) for row in own if row["kind"] == "train"]
        found = [(row["step"], row["loss"]) for row in own if row["kind"] == "validation"]
        if stage == "product":
            steps = [done_with_codebooks + step for step, _ in found]
            losses = [loss for _, loss in found]
            axes[1].plot(steps, losses, marker=".", color=colours[stage])
            done_with_codebooks += max(step for step, _ in trained)
            continue
        losses = _smooth([loss for _, loss in trained])
        axes[0].plot([done + step for step, _ in trained], losses, color=colours[stage])
        done += max(step for step, _ in trained)
    last = [row for row in rows if row["kind"] == "validation"][-1]
    qualities = range(1, 1 + sum(key.startswith("psnr") for key in last))
    rates, found = [last[f"integer{q}"] for q in qualities], [last[f"psnr{q}"] for q in qualities]
    axes[2].plot(rates, found, marker=".", color=colours["product"])
    axes[0].set(title="transform, exact: training", xlabel="step", ylabel="loss", yscale="log")
    axes[1].set(title="product: validation", xlabel="step", ylabel="loss")
    axes[2].set(title="at the end", xlabel="bits per pixel", ylabel="PSNR, dB")
    for axis in axes:
        axis.grid(alpha=0.3)
    figure.savefig(picture, dpi=110)


def _smooth(losses: list[float], width: int = 20) -> list[float]:
    """Return means over the last `width` of what is logged."""
    return [
        sum(losses[max(0, end - width) : end]) / min(width, end)
        for end in range(1, len(losses) + 1)
    ]


def draw_vqvae(picture: str, *logs: str) -> None:
    """Draw one panel per figure of the autoencoder, and one for the priors."""
    figure, axes = plt.subplots(1, 3, figsize=(13, 3.6), layout="constrained")
    done = 0
    for log in map(Path, logs):
        rows = validations(log, "autoencoder")
        for axis, (key, label) in zip(axes, PANELS if rows else (), strict=False):
            steps = [done + row["step"] for row in rows]
            axis.plot(steps, [row[key] for row in rows], marker=".", label=log.name.split(".")[0])
            axis.set(title="autoencoder", xlabel="step", ylabel=label)
        done += rows[-1]["step"] if rows else 0
        rows = validations(log, "prior")
        name = log.name.split(".")[0]
        key = "float_bits" if name.endswith("-float") else "integer_bits"
        kind = "real numbers" if name.endswith("-float") else "integers"
        steps = [row["step"] for row in rows]
        axes[2].plot(steps, [row[key] for row in rows], marker=".", label=f"{name}, {kind}")
    axes[2].set(title="prior", xlabel="step", ylabel="bits per index")
    for axis in axes:
        axis.grid(alpha=0.3)
        axis.legend(fontsize="small")
    figure.savefig(picture, dpi=110)


if __name__ == "__main__":
    main(*sys.argv[1:])
