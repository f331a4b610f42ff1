"""A whole picture in 27 bits (arXiv 1711.00937, section 4.2 and figure 5).

    python train/paper/frames.py --out build/doom
    python train/paper/two_stages/two_stages.py --frames build/doom --out build/two_stages

Trains the recipe `doom27.toml`, or goes on where it was stopped: a VQ-VAE makes 21x21 indices of
frames of 84x84 pixels, and a second one makes 3 latents of these, whose decoder is a PixelCNN.
Writes the model and

- `reconstructions.png`: held-out frames, what the first stage alone makes of them, and what comes
  out of files of 27 bits;
- `samples.png`: pictures of latents drawn at random.

`--smoke` runs everything for a few steps on pictures of noise.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import cast

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image

import vqcodec
from vqcodec.container import parse
from vqcodec.engines.samples import to_samples, to_unit
from vqcodec.metrics import psnr
from vqcodec.models.two_stage import TwoStage
from vqcodec.training.architectures import load_recipe
from vqcodec.training.loop import InterruptedRunError, Lines
from vqcodec.training.run import train

Pixels = NDArray[np.uint8]
RECIPE = Path(__file__).with_name("doom27.toml")
SMOKE = {
    "autoencoder.hidden": "8",
    "autoencoder.codebook_size": "32",
    "prior.codebook_size": "32",
    "prior.channels": "8",
    "prior.layers": "1",
    "second.codebook_size": "8",
    "second.hidden": "8",
    "second.condition": "8",
    "train.autoencoder.steps": "4",
    "train.autoencoder.batch": "2",
    "train.autoencoder.plain_steps": "2",
    "train.prior.steps": "4",
    "train.prior.batch": "2",
    "train.latents.plain_steps": "2",
    "train.latents.pool": "16",
}
COLUMNS = 8
MEASURED = 128
"""Held-out frames that PSNR is measured on."""


def first_stage(model: TwoStage, frame: Pixels) -> Pixels:
    """Return what is left of a frame behind the first stage alone."""
    side = model.stride
    canvas = np.zeros((side, side, 3), np.uint8)
    canvas[: frame.shape[0], : frame.shape[1]] = frame
    whole = slice(0, side), slice(0, side)
    pixels = model.pixels(model.fine_features(to_unit(canvas), whole), (slice(0, 1), slice(0, 1)))
    return to_samples(pixels)[: frame.shape[0], : frame.shape[1]]


def show(model: TwoStage, paths: Sequence[Path], folder: Path) -> None:
    """Write the pictures, and print what the files of all frames are like."""
    frames = [np.asarray(Image.open(path).convert("RGB")) for path in paths]
    files = [vqcodec.compress(frame, model=model) for frame in frames]
    decoded = [np.asarray(vqcodec.decompress(data, model=model)) for data in files]
    alone = [first_stage(model, frame) for frame in frames]
    payload = {sum(map(len, parse(data).tiles)) for data in files}
    print(f"payload of {len(files)} files: {payload} bytes, files of {set(map(len, files))}")
    for name, shown in (("first stage alone", alone), ("27 bits", decoded)):
        each = [psnr(frame, other) for frame, other in zip(frames, shown, strict=True)]
        print(f"{name}: {np.mean(each):.2f} dB")
    save(
        [row[at : at + COLUMNS] for at in (0, COLUMNS) for row in (frames, alone, decoded)],
        folder / "reconstructions.png",
    )
    drawn = [np.asarray(image) for image in vqcodec.sample(model, count=4 * COLUMNS)]
    save([drawn[at : at + COLUMNS] for at in range(0, len(drawn), COLUMNS)], folder / "samples.png")


def save(rows: Sequence[Sequence[Pixels]], path: Path) -> None:
    """Lay pictures out in rows, at twice their size."""
    sheet = Image.fromarray(np.concatenate([np.concatenate(row, 1) for row in rows]))
    sheet.resize((sheet.width * 2, sheet.height * 2), Image.Resampling.NEAREST).save(path)


def main() -> None:
    """Train and show."""
    parser = argparse.ArgumentParser(description=str(__doc__).partition("\n")[0])
    parser.add_argument("--frames", type=Path, help="folder that frames.py made")
    parser.add_argument("--out", type=Path, default=Path("build/two_stages"))
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--smoke", action="store_true", help="only show that it runs")
    given = parser.parse_args()
    if not given.smoke and not given.frames:
        parser.error("--frames is needed")
    with tempfile.TemporaryDirectory() as noise:
        if given.smoke:
            given.frames = Path(noise)
            for name in ("train", "validation"):
                make_noise(Path(noise, name))
        path = train(
            load_recipe(RECIPE, SMOKE if given.smoke else {}),
            data=given.frames / "train",
            validation=given.frames / "validation",
            out=given.out / "doom27.safetensors",
            run=given.out,
            resume=True,
            device=torch.device(given.device),
            reporter=Lines(),
        )
        held_out = sorted((given.frames / "validation").rglob("*.png"))
        order = np.random.default_rng(0).permutation(len(held_out))[:MEASURED]
        model = cast(TwoStage, vqcodec.load_model(path))
        show(model, [held_out[number] for number in order], given.out)


def make_noise(folder: Path) -> None:
    """Make frames for a run that only shows that it runs."""
    folder.mkdir()
    for number in range(2 * COLUMNS):
        pixels = np.random.default_rng(number).integers(0, 256, (84, 84, 3), np.uint8)
        Image.fromarray(pixels).save(folder / f"{number}.png")


if __name__ == "__main__":
    try:
        main()
    except InterruptedRunError:
        sys.exit("stopped; the same command goes on from here")
