"""Samples of a class (arXiv 1711.00937, section 4.2).

    python train/paper/classes/classes.py --data FOLDER --validation FOLDER --out build/classes

Trains the recipe `classes.toml`, or goes on where it was stopped: a VQ-VAE makes 8x8 indices of
pictures of 32x32 pixels, whose prior is told the class. A picture's class is what its file's name
begins with: `ship-00017.png`. Writes the model and `samples.png`, a row of each class, and says of
held-out pictures

- what an index costs with its class told, and without;
- of how many their own class is the one under which their indices are likeliest, which the prior
  knows without having been trained for it (Bayes' rule, all classes alike before).

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
from PIL import Image

import vqcodec
from vqcodec.codec.transform import measure_pixels
from vqcodec.image.sampling import sheet
from vqcodec.models.vqvae import VqVae
from vqcodec.prior.likelihood import bits_of
from vqcodec.training.architectures import load_recipe
from vqcodec.training.loop import InterruptedRunError, Lines
from vqcodec.training.run import train

RECIPE = Path(__file__).with_name("classes.toml")
SMOKE = {
    "autoencoder.hidden": "8",
    "autoencoder.codebook_size": "32",
    "prior.codebook_size": "32",
    "prior.channels": "8",
    "prior.layers": "1",
    "train.autoencoder.steps": "4",
    "train.autoencoder.batch": "2",
    "train.autoencoder.plain_steps": "2",
    "train.prior.steps": "4",
    "train.prior.batch": "2",
}
SIDE = 32
SAMPLES = 10
"""Of each class."""


def measure(model: VqVae, paths: Sequence[Path]) -> str:
    """Say what indices of pictures cost, and what class they tell."""
    labels = list(model.labels)
    costs, own = [], []
    for path in paths:
        pixels = np.asarray(Image.open(path).convert("RGB"))
        grid = model.nearest(measure_pixels(model, pixels), 0)[..., 0]
        priors = (model.prior, *map(model.prior_of_label, labels))
        costs.append([bits_of(prior, grid) / grid.size for prior in priors])
        own.append(labels.index(path.name.partition("-")[0]))
    alone, told = np.hsplit(np.array(costs), [1])
    right = told.argmin(1) == own
    return (
        f"{len(paths)} held-out pictures: {told[np.arange(len(own)), own].mean():.3f} bits of an "
        f"index with its class, {alone.mean():.3f} without; the likeliest class is right of "
        f"{right.mean():.1%}"
    )


def main() -> None:
    """Train, measure and draw."""
    parser = argparse.ArgumentParser(description=str(__doc__).partition("\n")[0])
    parser.add_argument("--data", type=Path, help="folder of pictures to train on")
    parser.add_argument("--validation", type=Path, help="folder of others")
    parser.add_argument("--out", type=Path, default=Path("build/classes"))
    parser.add_argument("--temperature", type=float, default=1.0, help="of samples")
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--smoke", action="store_true", help="only show that it runs")
    given = parser.parse_args()
    if not given.smoke and not (given.data and given.validation):
        parser.error("--data and --validation are needed")
    with tempfile.TemporaryDirectory() as noise:
        if given.smoke:
            given.data, given.validation = (Path(noise, name) for name in ("data", "others"))
            make_noise(given.data)
            make_noise(given.validation)
        path = train(
            load_recipe(RECIPE, SMOKE if given.smoke else {}),
            data=given.data,
            validation=given.validation,
            out=given.out / "cifar-classes.safetensors",
            run=given.out,
            resume=True,
            device=torch.device(given.device),
            reporter=Lines(),
        )
        model = cast(VqVae, vqcodec.load_model(path))
        print(measure(model, sorted(given.validation.glob("*.png"))))
    drawn = [
        picture
        for label in model.labels
        for picture in vqcodec.sample(
            model, count=SAMPLES, size=(SIDE, SIDE), label=label, temperature=given.temperature
        )
    ]
    rows = sheet(drawn)  # as many columns as rows, where there are ten classes
    rows.resize((rows.width * 2, rows.height * 2), Image.Resampling.NEAREST).save(
        given.out / "samples.png"
    )
    print("rows of samples.png:", ", ".join(model.labels))


def make_noise(folder: Path) -> None:
    """Make pictures of two classes for a run that only shows that it runs."""
    folder.mkdir()
    for number in range(8):
        pixels = np.random.default_rng(number).integers(0, 256, (SIDE, SIDE, 3), np.uint8)
        Image.fromarray(pixels).save(folder / f"{'ab'[number % 2]}-{number}.png")


if __name__ == "__main__":
    try:
        main()
    except InterruptedRunError:
        sys.exit("stopped; the same command goes on from here")
