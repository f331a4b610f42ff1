"""How a codebook learns: the comparisons that arXiv 1711.00937 argues from, on small pictures.

    python train/paper/comparisons.py --data FOLDER --validation FOLDER --out build/comparisons

Trains the same small autoencoder again and again (comparisons.toml; about ten minutes each on two
cores; what is there is not run again) and draws one plot, `comparisons.png`:

- codewords that learn by the second term of eq. 3, beta from 0.1 to 2.0: "the results did not vary"
  (section 3.2);
- codewords that learn by moving averages (appendix A.1);
- a relaxation from soft to hard: of each latent the mean of codewords, weighted by a softmax of
  distances whose temperature falls. "The decoder was always able to invert the continuous
  relaxation" (section 5): then its PSNR on soft mixtures is high and that on codewords low.

`--set a.b=c` changes the recipe of all: on pictures of 32x32 pixels, as CIFAR-10 has,
`--set data.scale=[1.0,1.0] --set train.autoencoder.crop=32`. With `--minutes` each arm trains
so long, instead of the recipe's steps. `--smoke` runs everything for a few steps on pictures of
noise.
"""

from __future__ import annotations

import argparse
import json
import tempfile
import time
from collections.abc import Iterator, Mapping
from pathlib import Path

import matplotlib as mpl
import numpy as np
import torch
from PIL import Image
from torch import Tensor

from vqcodec.engines.devices import DEVICES, pick_device
from vqcodec.networks.autoencoder import psnr_of_mse
from vqcodec.training.architectures import load_recipe
from vqcodec.training.autoencoder import AutoencoderStage
from vqcodec.training.config import Recipe
from vqcodec.training.data import open_pictures
from vqcodec.training.loop import Lines, Metrics, Trainer
from vqcodec.training.timed import TimedTrainer

mpl.use("Agg")
import matplotlib.pyplot as plt

RECIPE = Path(__file__).with_suffix(".toml")
ARMS: dict[str, dict[str, str]] = {
    f"loss, beta {beta}": {"codebook_update": "loss", "beta": str(beta)}
    for beta in (0.1, 0.25, 0.5, 1.0, 2.0)
} | {
    "averages, beta 0.25": {"codebook_update": "ema", "beta": "0.25"},
    "soft to hard": {"codebook_update": "loss", "plain_steps": "0"},
}
SMOKE = {"steps": "6", "batch": "4", "crop": "32", "plain_steps": "2", "validate_every": "3"}
TEMPERATURES = 1.0, 0.002
"""Of the relaxation, from first to last, in units of a latent's mean squared length."""


class SoftStage(AutoencoderStage):
    """The autoencoder with mixtures of codewords in place of the nearest one."""

    def loss(self, batch: Tensor, step: int) -> tuple[Tensor, Metrics]:
        """The first term of eq. 3."""
        self._step = step
        pixels = batch.to(self._device).float() / 255.0
        mse = (self.module.decoder(self._mixture(pixels)) - pixels).square().mean()
        return mse / self.schedule.pixel_variance, {"psnr": float(psnr_of_mse(mse.detach()))}

    def after(self, batch: Tensor, step: int) -> None:
        """Codewords learn with the rest; none is revived."""

    @torch.inference_mode()
    def validate(self) -> Metrics:
        """Figures of the nearest codewords, and PSNR with the mixtures that it was trained on."""
        psnrs = []
        for crop in self._validation:
            pixels = crop.to(self._device).float() / 255.0
            decoded = self.module.decoder(self._mixture(pixels)).clamp(0.0, 1.0)
            psnrs.append(float(psnr_of_mse((decoded - pixels).square().mean())))
        return {**super().validate(), "soft_psnr": float(np.mean(psnrs))}

    def _mixture(self, pixels: Tensor) -> Tensor:
        """Return the mean codewords (B, D, N, M) under softmax(-distance / temperature)."""
        latents = self.module.encoder(pixels).permute(0, 2, 3, 1)
        vectors = self.module.codebook.vectors
        flat = latents.flatten(0, 2)
        first, last = TEMPERATURES
        temperature = first * (last / first) ** (self._step / max(1, self.schedule.steps - 1))
        scale = temperature * flat.detach().square().sum(1).mean()
        weights = torch.softmax(-torch.cdist(flat, vectors).square() / scale, dim=1)
        mixture: Tensor = (weights @ vectors).view(latents.shape).permute(0, 3, 1, 2)
        return mixture


def train(
    name: str,
    recipe: Recipe,
    data: Path,
    validation: Path,
    folder: Path,
    device: torch.device,
    minutes: float | None,
) -> list[Metrics]:
    """Train an arm in a folder of its own, or take what is there; return its validations. With
    `minutes` it trains so long, anew each time.
    """
    folder.mkdir(parents=True, exist_ok=True)
    log = folder / "log.jsonl"
    rows = list(validations(log))
    if minutes or not rows or rows[-1]["step"] < recipe.train.autoencoder.steps:
        print(name, flush=True)
        pictures, held_out = open_pictures([data], validation, recipe.data)
        kind = SoftStage if name == "soft to hard" else AutoencoderStage
        stage = kind(recipe, pictures, held_out, device)
        if minutes:
            until = time.monotonic() + 60.0 * minutes
            TimedTrainer(stage, folder, Lines(), until=until).run(resume=False)
        else:
            Trainer(stage, folder, Lines()).run(resume=True)
        rows = list(validations(log))
    return rows


def validations(log: Path) -> Iterator[Metrics]:
    """Yield the validations of a log, if it is there."""
    if log.exists():
        rows = map(json.loads, log.read_text("utf-8").splitlines())
        yield from (row for row in rows if row["kind"] == "validation")


def draw(found: Mapping[str, list[Metrics]], path: Path) -> None:
    """Plot PSNR and the codewords in use over the steps."""
    figure, axes = plt.subplots(1, 2, figsize=(12, 4.2), layout="constrained")
    for name, rows in found.items():
        steps = [row["step"] for row in rows]
        (line,) = axes[0].plot(steps, [row["psnr"] for row in rows], marker=".", label=name)
        axes[1].plot(steps, [row["perplexity"] for row in rows], marker=".", color=line.get_color())
        if "soft_psnr" in rows[-1]:
            soft = [row["soft_psnr"] for row in rows]
            axes[0].plot(steps, soft, "--", color=line.get_color(), label=f"{name}: the mixtures")
    axes[0].set(xlabel="step", ylabel="PSNR of held-out pictures, dB")
    axes[1].set(xlabel="step", ylabel="perplexity of the indices")
    axes[0].legend(fontsize="small")
    for axis in axes:
        axis.grid(alpha=0.3)
    figure.savefig(path, dpi=110)


def main() -> None:
    """Run all arms."""
    parser = argparse.ArgumentParser(description=str(__doc__).partition("\n")[0])
    parser.add_argument("--data", type=Path, help="folder of pictures to train on")
    parser.add_argument("--validation", type=Path, help="folder of others")
    parser.add_argument("--out", type=Path, default=Path("build/comparisons"))
    parser.add_argument("--minutes", type=float, help="time of each arm, instead of steps")
    parser.add_argument("--device", choices=DEVICES, default="auto")
    parser.add_argument("--set", dest="settings", metavar="a.b=c", action="append", default=[])
    parser.add_argument("--smoke", action="store_true", help="only show that it runs")
    given = parser.parse_args()
    if not given.smoke and not (given.data and given.validation):
        parser.error("--data and --validation are needed")
    if not all("=" in setting for setting in given.settings):
        parser.error("--set: expected a.b=c")
    common = dict(setting.split("=", 1) for setting in given.settings)
    device = torch.device(pick_device(given.device))
    with tempfile.TemporaryDirectory() as noise:
        if given.smoke:
            given.data = given.validation = Path(noise)
            for number in range(3):
                pixels = np.random.default_rng(number).integers(0, 256, (64, 64, 3), np.uint8)
                Image.fromarray(pixels).save(Path(noise, f"{number}.png"))
        found = {}
        for name, settings in ARMS.items():
            values = {**settings, **SMOKE} if given.smoke else settings
            own = {f"train.autoencoder.{key}": value for key, value in values.items()}
            recipe = load_recipe(RECIPE, common | own)
            folder = given.out / name.replace(", ", "-").replace(" ", "-")
            assert isinstance(recipe, Recipe)
            found[name] = train(
                name, recipe, given.data, given.validation, folder, device, given.minutes
            )
    draw(found, given.out / "comparisons.png")
    for name, rows in found.items():
        last = rows[-1]
        soft = f", mixtures {last['soft_psnr']:.2f} dB" if "soft_psnr" in last else ""
        print(f"{name}: {last['psnr']:.2f} dB, perplexity {last['perplexity']:.0f}{soft}")


if __name__ == "__main__":
    main()
