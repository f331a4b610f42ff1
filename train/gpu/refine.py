"""Compress pictures at an effort on a GPU, several at once, until the time is over.

    PYTHONPATH=. python3 train/gpu/refine.py PICTURES --out $OUT/files.tar --effort 9 \
        -q 4 -q 8 -q 6 --seconds 240

writes a tar of files QUALITY/PICTURE.vqc, quality by quality: where time does not suffice, the last
ones of the qualities lack some pictures. Any machine decodes them to the same pixels; what they
gain is told by `python -m vqcodec_bench.made`.
"""

from __future__ import annotations

import argparse
import io
import tarfile
import time
from concurrent.futures import ProcessPoolExecutor, as_completed
from multiprocessing import get_context
from pathlib import Path

import numpy as np
from PIL import Image

import vqcodec
from vqcodec import processors
from vqcodec.storage import write_whole


def compress(path: Path, quality: float, effort: int, device: str, ends: float) -> bytes | None:
    """Return a picture's file, or None if it is too late to begin with it."""
    if time.time() > ends:
        return None
    pixels = np.asarray(Image.open(path).convert("RGB"))
    return vqcodec.compress(pixels, quality=quality, effort=effort, device=device)


def main() -> None:
    """Compress what the command line says."""
    parser = argparse.ArgumentParser(description=str(__doc__).partition("\n")[0])
    parser.add_argument("pictures", type=Path, help="folder of PNG files")
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("-q", "--quality", type=float, action="append", required=True)
    parser.add_argument("--effort", type=int, required=True)
    parser.add_argument("--seconds", type=float, required=True, help="begin nothing after these")
    parser.add_argument("--processes", type=int, default=14)
    parser.add_argument("--device", default="cuda")
    options = parser.parse_args()
    began = time.time()
    context = get_context("spawn")
    files: dict[str, bytes] = {}
    with ProcessPoolExecutor(options.processes, context, processors.prepare, (1,)) as pool:
        ends = began + options.seconds
        tasks = {
            pool.submit(compress, path, quality, options.effort, options.device, ends): (
                f"{quality:g}/{path.stem}.vqc"
            )
            for quality in options.quality
            for path in sorted(options.pictures.glob("*.png"))
        }
        for task in as_completed(tasks):
            if (data := task.result()) is not None:
                files[tasks[task]] = data
                print(f"{time.time() - began:.0f} s: {tasks[task]}, {len(data)} bytes", flush=True)
    write_whole(options.out, _tar(files), overwrite=True)
    print(f"{len(files)} of {len(tasks)} files, {time.time() - began:.0f} s", flush=True)


def _tar(files: dict[str, bytes]) -> bytes:
    made = io.BytesIO()
    with tarfile.open(fileobj=made, mode="w") as tar:
        for name, data in sorted(files.items()):
            entry = tarfile.TarInfo(name)
            entry.size = len(data)
            tar.addfile(entry, io.BytesIO(data))
    return made.getvalue()


if __name__ == "__main__":
    main()
