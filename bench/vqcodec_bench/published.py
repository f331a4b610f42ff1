"""Curves that others published for Kodak (published/kodak.csv), as figures with their source."""

from __future__ import annotations

import csv
import hashlib
from collections.abc import Sequence
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

TWINS = {
    "jpeg": "jpeg",
    "jpeg-plain": "jpeg",
    "webp": "webp",
    "webp-4": "webp",
    "avif": "av1",
    "avif-psnr": "av1",
}
"""Peers measured here that have a published curve."""


KODAK = "9d2fddc339cb44249411cc9225fe9901e37e0fcfc9f057a718260951c8f325cf"
"""SHA-256 of the 24 pictures' hashes (`Pictures.digest`), sorted and joined."""


def is_kodak(pictures: Sequence[dict[str, Any]]) -> bool:
    """Tell whether these are Kodak's 24 pictures; curves of other pictures cannot be compared."""
    joined = "".join(sorted(picture["sha256"] for picture in pictures))
    return hashlib.sha256(joined.encode()).hexdigest() == KODAK


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
