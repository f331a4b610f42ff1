"""Keep what a run of photo-2 or speech has learnt, small enough for the repository.

    python train/checkpoint.py runs/photo-2.run/transform.safetensors train/photo-2

takes the checkpoint of any stage, and writes two files of weights into the folder, of the last
stage three (`vqcodec.training.weights` says which). A recipe goes on from them, with fresh
moments, by `start = "train/photo-2"`.
"""

from __future__ import annotations

import sys
from pathlib import Path

from vqcodec.training.weights import read_average, save_weights


def main(checkpoint: str, folder: str) -> None:
    """Write the averaged weights of a checkpoint to a folder."""
    save_weights(read_average(Path(checkpoint)), Path(folder))
    for path in sorted(Path(folder).glob("*.safetensors")):
        print(f"{path}: {path.stat().st_size / 2**20:.1f} MiB")


if __name__ == "__main__":
    main(*sys.argv[1:])
