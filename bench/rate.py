"""Rate and distortion of a model on a folder of pictures.

    python bench/rate.py FOLDER [--model NAME|FILE] [--out FILE.json]

bpp counts the whole file, container included. PSNR is that of decoded 8-bit
RGB, MS-SSIM that of pytorch-msssim on RGB; both are means of per-picture values.
Bits per index are given three ways: fixed length, unigram (the entropy of the index
histogram of all pictures together), and what the prior pays.
"""

from __future__ import annotations

import argparse
import json
import platform
import time
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from pytorch_msssim import ms_ssim

import vqcodec
from vqcodec.container import parse
from vqcodec.models.vqvae import VqVae


def psnr(original: np.ndarray, decoded: np.ndarray) -> float:
    """PSNR in dB of uint8 arrays."""
    return float(10 * np.log10(255.0**2 / np.mean((original.astype(float) - decoded) ** 2)))


def similarity(original: np.ndarray, decoded: np.ndarray) -> float:
    """MS-SSIM, 0..1, of uint8 arrays (H, W, 3)."""
    a, b = (torch.from_numpy(x.copy()).permute(2, 0, 1)[None].float() for x in (original, decoded))
    return float(ms_ssim(a, b, data_range=255.0))


def measure(path: Path, model: VqVae, counts: np.ndarray) -> dict[str, float | str]:
    """Compress and decompress one picture; its indices are added to the histogram `counts`."""
    with Image.open(path) as image:
        rgb = image.convert("RGB")
    original = np.asarray(rgb)
    start = time.perf_counter()
    data = vqcodec.compress(rgb, model=model)
    compressed = time.perf_counter()
    decoded = np.asarray(vqcodec.decompress(data, model=model))
    end = time.perf_counter()
    fixed = vqcodec.compress(rgb, model=model, prior=False)
    indices = vqcodec.indices(data, model=model)
    counts += np.bincount(indices.ravel(), minlength=model.config.codebook_size)
    return {
        "picture": path.name,
        "bpp": 8 * len(data) / (rgb.width * rgb.height),
        "ratio": original.size / len(data),
        "fixed_bpp": 8 * len(fixed) / (rgb.width * rgb.height),
        "fixed_ratio": original.size / len(fixed),
        "psnr": psnr(original, decoded),
        "ms_ssim": similarity(original, decoded),
        "prior_bits": 8 * sum(map(len, parse(data).tiles)) / indices.size,
        "compress_seconds": compressed - start,
        "decompress_seconds": end - compressed,
    }


def main() -> None:
    """Print a table, and write it as JSON."""
    arguments = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    arguments.add_argument("folder", type=Path)
    arguments.add_argument("--model")
    arguments.add_argument("--out", type=Path)
    options = arguments.parse_args()
    model = vqcodec.load_model(options.model)
    suffixes = {".png", ".webp", ".jpg", ".tif"}
    paths = sorted(p for p in options.folder.iterdir() if p.suffix.lower() in suffixes)
    counts = np.zeros(model.config.codebook_size, dtype=np.int64)
    rows = [measure(path, model, counts) for path in paths]
    keys = [key for key in rows[0] if key != "picture"]
    mean = {key: float(np.mean([row[key] for row in rows])) for key in keys}
    used = counts[counts > 0] / counts.sum()
    log2_k = float(np.log2(len(counts)))
    unigram_bits = float(-(used * np.log2(used)).sum())
    print(f"{'picture':24} {'bpp':>6} {'ratio':>6} {'PSNR':>6} {'MS-SSIM':>8} {'bits':>6}")
    for row in [*rows, {"picture": f"mean of {len(rows)}", **mean}]:
        print(
            f"{row['picture']:24} {row['bpp']:6.4f} {row['ratio']:6.1f} {row['psnr']:6.2f} "
            f"{row['ms_ssim']:8.4f} {row['prior_bits']:6.3f}"
        )
    pixels_over_bits = 24 / mean["bpp"]
    print(
        f"\nratio of the mean bpp: {pixels_over_bits:.1f}x, fixed length {mean['fixed_ratio']:.1f}x"
    )
    print(
        f"bits per index: {log2_k:.2f} fixed, {unigram_bits:.3f} unigram, "
        f"{mean['prior_bits']:.3f} prior"
    )
    if options.out:
        report = {
            "model": {"name": model.name, "sha256": model.sha256},
            "vqcodec": vqcodec.__version__,
            "torch": torch.__version__,
            "python": platform.python_version(),
            "machine": f"{platform.machine()}, {torch.get_num_threads()} threads",
            "date": time.strftime("%Y-%m-%d"),
            "log2_k": log2_k,
            "unigram_bits": unigram_bits,
            "mean": mean,
            "pictures": rows,
        }
        options.out.parent.mkdir(parents=True, exist_ok=True)
        options.out.write_text(json.dumps(report, indent=1) + "\n")


if __name__ == "__main__":
    main()
