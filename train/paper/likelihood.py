"""Continuous and discrete latents by their likelihood (arXiv 1711.00937, section 4.1).

    python train/paper/likelihood.py --data FOLDER --validation FOLDER --out build/likelihood

Trains models of 32x32 pictures whose encoder and decoder are the same networks, with 8x8x10 latents
each, and prints bits per dimension of held-out pictures beside the paper's:

- `vae`: continuous latents, Gaussian posterior and prior (paper 4.51);
- `vq`: indices of K = 512 codewords (4.67);
- `vimco`: the same indices drawn from a softmax posterior, 50 samples (5.14).

While these two train, all indices are alike to the prior. After that it is fitted, as in section
3.3, here by counting how often each of the ten latents has each index in pictures of the training
data. Both figures are printed.

Variants of `vae`, for their reconstructions and what a latent changes (`--models ae,dae,beta`):
`ae`, no noise and no prior; `dae`, the same from pictures with noise; `beta`, the divergence from
the prior counted four times. `--smoke` runs everything for a few steps on pictures of noise.

Pictures of 32x32 pixels, as CIFAR-10 has, are taken as they are with `--scale 1 1`. Random numbers
are drawn where the models are: a run is repeated exactly on the same kind of device only. With
`--minutes`, one number or one for each model, training lasts so long instead of `--steps`.
"""

from __future__ import annotations

import argparse
import math
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from bounds import fitted_prior
from latent_models import LATENTS, SIDE, Model
from PIL import Image
from torch import Tensor

from vqcodec.engines.devices import DEVICES, pick_device
from vqcodec.training.config import DataConfig, ScheduleConfig
from vqcodec.training.data import Pictures, draws, find_pictures
from vqcodec.training.loop import Lines, Metrics, Trainer
from vqcodec.training.timed import TimedTrainer

DIMENSIONS = SIDE * SIDE * 3
PAPER = {"vae": 4.51, "vq": 4.67, "vimco": 5.14}
NAMES = ("vae", "vq", "vimco", "ae", "dae", "beta")
HELD_OUT = 1024
COUNTED = 8192
"""Pictures that are drawn to fit the prior."""
_REVIVE_EVERY, _REVIVE_BELOW = 50, 0.5
"""Steps between revivals of codewords that are used less often than this per step."""


class Likelihood:
    """A stage of training (`vqcodec.training.loop.Stage`)."""

    def __init__(
        self,
        kind: str,
        schedule: ScheduleConfig,
        hidden: int,
        data: Pictures,
        held_out: Tensor,
        device: torch.device,
    ) -> None:
        torch.manual_seed(0)
        self.name = kind
        self.schedule = schedule
        self.module = Model(kind, hidden).to(device)
        self.held_out = held_out.to(device)
        self._data = data

    def batch(self, step: int) -> Tensor:
        """Draw uint8 (B, 3, 32, 32)."""
        return self._data.crops(self.schedule.batch, SIDE, draws(0, 1, step))

    def loss(self, batch: Tensor, step: int) -> tuple[Tensor, Metrics]:
        """Bits per dimension of the objective."""
        levels = batch.to(self.held_out.device).float()
        found = self.module(levels, self.generator(step))
        bits = bits_per_dimension(found.objective)
        return bits, {}

    @torch.no_grad()
    def after(self, batch: Tensor, step: int) -> None:
        """Move codewords that are not used to latents, until the rate decays."""
        schedule = self.schedule
        decaying = step >= schedule.steps * (1.0 - schedule.decay)
        if self.name == "vq" and step % _REVIVE_EVERY == 0 and not decaying:
            latents = self.module.latents(batch.to(self.held_out.device).float())
            generator = torch.Generator().manual_seed(step)
            self.module.codebook.revive(latents, _REVIVE_BELOW, generator)

    @torch.inference_mode()
    def validate(self) -> Metrics:
        """Bits per dimension of held-out pictures, and the error of reconstructions."""
        generator = self.generator(0)
        parts = torch.split(self.held_out, self.schedule.batch)
        found = [self.module(part.float(), generator) for part in parts]
        bounds, means = (torch.cat([getattr(p, key) for p in found]) for key in ("bound", "means"))
        mse = (means.clamp(0.0, 255.0) - self.held_out).square().mean((1, 2, 3))
        psnr = 10.0 * torch.log10(255.0**2 / mse)
        figures = {"bits": float(bits_per_dimension(bounds)), "psnr": float(psnr.mean())}
        return {name: value for name, value in figures.items() if not math.isnan(value)}

    @torch.inference_mode()
    def fit_prior(self, pictures: int) -> None:
        """Fit the prior of indices to so many pictures of the training data."""
        size = self.schedule.batch
        total = torch.zeros_like(self.module.prior)
        for number in range(-(-pictures // size)):
            drawn = self._data.crops(size, SIDE, draws(0, 3, number))
            total += self.module.counts(drawn.to(self.held_out.device).float())
        self.module.prior.copy_(fitted_prior(total))

    def generator(self, seed: int) -> torch.Generator:
        """Return random numbers on the module's device."""
        return torch.Generator(self.held_out.device).manual_seed(seed)


def bits_per_dimension(bounds: Tensor) -> Tensor:
    """Return the mean of bounds in nats as bits per sample of a picture."""
    return -bounds.mean() / (DIMENSIONS * math.log(2.0))


@torch.inference_mode()
def draw(stages: Sequence[Likelihood], folder: Path) -> None:
    """Write `reconstructions.png`, a row of originals and one for each model, and for each model
    of continuous latents `traversal-KIND.png`: rows are latents of the middle, changed from left
    to right.
    """
    originals = stages[0].held_out[:12]
    rows = [originals.float()]
    for stage in stages:
        generator = stage.generator(1)
        rows.append(stage.module(originals.float(), generator, 2).means)
        if stage.module.dim > 1:
            continue
        encoded = stage.module.encoder(originals[:1].float() / 255.0)
        latents = encoded[:, :LATENTS].repeat(LATENTS * 9, 1, 1, 1)
        for number in range(LATENTS * 9):
            step = (number % 9 - 4) * encoded[0, number // 9].std().clamp_min(0.75)
            latents[number, number // 9, 3:5, 3:5] += step
        changed = stage.module.decode(latents)[0]
        _save(torch.split(changed, 9), folder / f"traversal-{stage.name}.png")
    _save(rows, folder / "reconstructions.png")


def _save(rows: Sequence[Tensor], path: Path) -> None:
    levels = torch.stack(list(rows)).clamp(0.0, 255.0).round().byte()  # (rows, columns, 3, h, w)
    together = levels.permute(0, 3, 1, 4, 2).flatten(2, 3).flatten(0, 1)
    image = Image.fromarray(together.cpu().numpy())
    image.resize((image.width * 3, image.height * 3), Image.Resampling.NEAREST).save(path)


def report(stage: Likelihood, counted: int) -> str:
    """Say what a model reaches; `counted` pictures fit the prior of one that has indices."""
    figures = stage.validate()
    psnr = f"{figures['psnr']:.2f} dB"
    if "bits" not in figures:
        return f"{stage.name}: no bound, {psnr}"
    found = f"{stage.name}: {figures['bits']:.3f} bits per dimension"
    if stage.name in ("vq", "vimco"):
        stage.fit_prior(counted)
        found += f", {stage.validate()['bits']:.3f} with a fitted prior"
    paper = f", the paper's {PAPER[stage.name]}" if stage.name in PAPER else ""
    return f"{found}{paper}, {psnr}"


def main() -> None:
    """Train and compare the models."""
    parser = argparse.ArgumentParser(description=str(__doc__).partition("\n")[0])
    parser.add_argument("--data", type=Path, help="folder of pictures to train on")
    parser.add_argument("--validation", type=Path, help="folder of others")
    parser.add_argument("--scale", type=float, nargs=2, default=(0.1, 0.25), metavar="FACTOR")
    parser.add_argument("--models", default="vae,vq,vimco", help=f"some of {','.join(NAMES)}")
    parser.add_argument("--steps", type=int, default=10000)
    parser.add_argument("--minutes", type=float, nargs="+", help="time instead of steps, by model")
    parser.add_argument("--batch", type=int, default=32)
    parser.add_argument("--hidden", type=int, default=128)
    parser.add_argument("--out", type=Path, default=Path("build/likelihood"))
    parser.add_argument("--device", choices=DEVICES, default="auto")
    parser.add_argument("--smoke", action="store_true", help="only show that it runs")
    given = parser.parse_args()
    if not given.smoke and not (given.data and given.validation):
        parser.error("--data and --validation are needed")
    if given.minutes and len(given.minutes) not in (1, len(given.models.split(","))):
        parser.error("--minutes: one number, or one for each model")
    device = torch.device(pick_device(given.device))
    with tempfile.TemporaryDirectory() as noise:
        if given.smoke:
            given.data = given.validation = Path(noise)
            given.steps, given.batch, given.hidden, given.models = 2, 2, 8, ",".join(NAMES)
            for number in range(2):
                pixels = np.random.default_rng(number).integers(0, 256, (64, 64, 3), np.uint8)
                Image.fromarray(pixels).save(Path(noise, f"{number}.png"))
        config = DataConfig(scale=tuple(given.scale))
        data, others = (Pictures(find_pictures(f), config) for f in (given.data, given.validation))
        held_out = others.crops(4 if given.smoke else HELD_OUT, SIDE, draws(0, 2))
        schedule = ScheduleConfig(
            steps=given.steps,
            batch=given.batch,
            learning_rate=5e-4,
            average=0.999,
            decay=0.5,
            validate_every=max(1, given.steps // 10),
        )
        given.out.mkdir(parents=True, exist_ok=True)
        stages = []
        for number, kind in enumerate(given.models.split(",")):
            stage = Likelihood(kind, schedule, given.hidden, data, held_out, device)
            if given.minutes:
                until = time.monotonic() + 60.0 * given.minutes[number % len(given.minutes)]
                TimedTrainer(stage, given.out, Lines(), until=until).run(resume=False)
            else:
                Trainer(stage, given.out, Lines()).run(resume=True)
            stages.append(stage)
        draw(stages, given.out)
        for stage in stages:
            print(report(stage, given.batch if given.smoke else COUNTED))


if __name__ == "__main__":
    main()
