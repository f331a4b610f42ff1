"""Curves that others published for Kodak (published/kodak.csv), as figures with their source."""

from __future__ import annotations

import csv
from importlib.resources import files
from typing import Any

LABELS = {
    "jpeg": "JPEG",
    "webp": "WebP",
    "av1": "AV1",
    "bpg444": "BPG 4:4:4",
    "vtm": "VTM (VVC)",
    "bmshj2018-factorized[mse]": "factorized prior (Ballé 2018)",
    "bmshj2018-hyperprior[mse]": "hyperprior (Ballé 2018)",
    "elic2022[mse]": "ELIC",
    "mlic++[mse]": "MLIC++",
    "ms-illm": "MS-ILLM",
}
"""The curves that are drawn; the model in brackets is the one trained for that metric."""

TWINS = {"jpeg": "jpeg", "webp": "webp", "avif": "av1"}
"""Peers measured here that have a published curve."""


def published() -> list[dict[str, Any]]:
    """Return results.json's "published"."""
    text = (files("vqcodec_bench") / "published" / "kodak.csv").read_text(encoding="utf-8")
    curves: dict[str, dict[str, Any]] = {}
    for row in csv.DictReader(text.splitlines()):
        name = row["codec"]
        curve = curves.setdefault(
            name, {"name": name, "label": LABELS[name], "source": row["source"], "points": []}
        )
        psnr, ms_ssim = row["psnr_rgb_db"], row["ms_ssim"]
        curve["points"].append(
            {
                "bpp": float(row["bpp"]),
                "psnr": float(psnr) if psnr else None,
                "ms_ssim": float(ms_ssim) if ms_ssim else None,
                "ssimulacra2": None,
            }
        )
    return [curves[name] for name in LABELS]
