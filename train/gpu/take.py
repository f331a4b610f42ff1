"""Take a checkpoint from a rented GPU back into a run, so that training goes on from it.

    python train/gpu/take.py FOLDER --run runs/photo-2.run

FOLDER is what came back of `lease.py`. `vqcodec train ... --resume` then continues at the step
that was reached, with fresh moments in the optimiser. The run must not be training meanwhile;
its checkpoint of before stays beside the new one, as `transform.before` if that is the stage.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
from pathlib import Path

from safetensors import safe_open
from slim import load_slim, save_full

from vqcodec.errors import ModelCorruptError
from vqcodec.training.loop import Log


def take(folder: Path, run: Path) -> tuple[str, int, int]:
    """Put checkpoint and log of a folder into a run; return its stage and the steps at which they
    begin and end.

    Rows of the run's log after the step at which the GPU took over give way to the GPU's.

    Raises: ModelCorruptError if the checkpoint is not whole; ValueError if the run's own is
    as far.
    """
    manifest, weights = load_slim(folder)
    target = run / f"{manifest.stage}.safetensors"
    if target.exists():
        with safe_open(target, framework="pt") as file:
            reached = int((file.metadata() or {})["step"])
        if reached >= manifest.step:
            raise ValueError(f"{run} is at step {reached}, {folder} at step {manifest.step}")
        os.replace(target, target.with_suffix(".before"))
    save_full(weights, manifest.step, target)
    Log(run, manifest.stage).open(manifest.start)
    rows = (folder / "log.jsonl").read_text(encoding="utf-8").splitlines()
    added = [row for row in rows if json.loads(row)["step"] > manifest.start]
    with (run / "log.jsonl").open("a", encoding="utf-8") as log:
        log.writelines(row + "\n" for row in added)
    return manifest.stage, manifest.start, manifest.step


def main() -> None:
    """Take back what the command line says."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("--run", type=Path, required=True)
    options = parser.parse_args()
    try:
        stage, start, step = take(options.folder, options.run)
    except (OSError, ModelCorruptError, ValueError) as error:
        sys.exit(str(error))
    print(f"{options.run}: {stage}, steps {start} to {step}; --resume continues")


if __name__ == "__main__":
    main()
