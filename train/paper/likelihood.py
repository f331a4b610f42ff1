"""Continuous and discrete latents by their likelihood (arXiv 1711.00937, section 4.1).

    python train/paper/likelihood.py --data FOLDER --validation FOLDER --out build/likelihood

Trains models of 32x32 pictures whose encoder and decoder are the same networks, with 8x8x10 latents
each, and prints bits per dimension of held-out pictures beside the paper's:

- `vae`: continuous latents, Gaussian posterior and prior (paper 4.51);
- `vq`: indices of K = 512 codewords, uniform prior (4.67);
- `vimco`: the same indices drawn from a softmax posterior, 50 samples (5.14).

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
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from bounds import (
    gaussian_divergence,
    log_logistic,
    multi_sample_bound,
    uniform_divergence,
    vimco,
)
from PIL import Image
from torch import Tensor, nn

from vqcodec.engines.devices import DEVICES, pick_device
from vqcodec.models.config import AutoencoderConfig
from vqcodec.networks.autoencoder import Decoder, Encoder
from vqcodec.networks.codebook import Codebook
from vqcodec.training.config import DataConfig, ScheduleConfig
from vqcodec.training.data import Pictures, draws, find_pictures
from vqcodec.training.loop import Lines, Metrics, Trainer
from vqcodec.training.timed import TimedTrainer

SIDE, LATENTS, SIZE, SAMPLES = 32, 10, 512, 50
DIMENSIONS = SIDE * SIDE * 3
PAPER = {"vae": 4.51, "vq": 4.67, "vimco": 5.14}
NAMES = ("vae", "vq", "vimco", "ae", "dae", "beta")
HELD_OUT = 1024
_BETA, _NOISE = 4.0, 0.1
_REVIVE_EVERY, _REVIVE_BELOW = 50, 0.5
"""Steps between revivals of codewords that are used less often than this per step."""


@dataclass(frozen=True)
class Pass:
    """What a pass through a model gives, of pictures (B, ...)."""

    bound: Tensor
    """Bound of the log-likelihood in nats, (B,), NaN where there is none."""
    objective: Tensor
    """What training raises, (B,)."""
    means: Tensor
    """Reconstructions (B, 3, 32, 32), 0..255."""


class Model(nn.Module):
    """Encoder and decoder, the same for all; `kind` says what is between them."""

    def __init__(self, kind: str, hidden: int) -> None:
        super().__init__()
        self.kind = kind
        self.dim = 1 if kind in ("vae", "ae", "dae", "beta") else 16
        outputs = {"vae": 2, "beta": 2, "vimco": SIZE}.get(kind, self.dim)
        config = AutoencoderConfig(hidden=hidden, code_dim=LATENTS * self.dim)
        self.encoder, self.decoder = Encoder(config), Decoder(config)
        self.encoder.project = nn.Conv2d(hidden, LATENTS * outputs, 1)
        self.decoder.up2 = nn.ConvTranspose2d(hidden, 6, 4, stride=2, padding=1)
        self.codebook = Codebook(AutoencoderConfig(codebook_size=SIZE, code_dim=16))
        self.embedding = nn.Parameter(torch.randn(SIZE, 16) * 0.25)

    def forward(self, levels: Tensor, generator: torch.Generator, samples: int = SAMPLES) -> Pass:
        """Take samples 0..255, float (B, 3, 32, 32), on the device of model and generator."""
        pixels = levels / 255.0
        if self.kind == "dae":
            pixels = pixels + _NOISE * normal(pixels, generator)
        encoded = self.encoder(pixels)
        match self.kind:
            case "ae" | "dae":
                penalty = encoded.new_zeros(())
                return self._sure(levels, encoded, penalty=penalty, divergence=math.nan)
            case "vq":
                return self._vector_quantised(levels, encoded)
            case "vimco":
                return self._many(levels, encoded, generator, samples)
        means, log_variances = encoded.chunk(2, dim=1)
        latents = means + normal(means, generator) * torch.exp(0.5 * log_variances)
        found, decoded = self._likelihood(levels, latents)
        divergence = gaussian_divergence(means, log_variances).sum((1, 2, 3))
        weight = _BETA if self.kind == "beta" else 1.0
        return Pass(found - divergence, found - weight * divergence, decoded)

    def decode(self, latents: Tensor) -> tuple[Tensor, Tensor]:
        """Return means, 0..255, and log scales, (B, 3, 32, 32) each."""
        means, log_scales = self.decoder(latents).chunk(2, dim=1)
        return 255.0 * means, 4.0 * log_scales

    def latents(self, levels: Tensor) -> Tensor:
        """Return what the codebook quantises, (P, 16), of samples as `forward` takes them."""
        return self._apart(self.encoder(levels / 255.0)).permute(0, 2, 3, 1).flatten(0, 2)

    def _apart(self, encoded: Tensor) -> Tensor:
        """Latents of a position share the codebook; each is a position of its own to it."""
        apart = encoded.view(len(encoded), LATENTS, self.dim, -1)
        return apart.transpose(1, 2).contiguous()

    def _likelihood(self, levels: Tensor, latents: Tensor) -> tuple[Tensor, Tensor]:
        means, log_scales = self.decode(latents)
        return log_logistic(levels, means, log_scales).sum((1, 2, 3)), means

    def _sure(self, levels: Tensor, latents: Tensor, *, penalty: Tensor, divergence: float) -> Pass:
        found, decoded = self._likelihood(levels, latents)
        return Pass(found - divergence, found - penalty, decoded)

    def _vector_quantised(self, levels: Tensor, encoded: Tensor) -> Pass:
        rows, columns = encoded.shape[2:]
        apart = self._apart(encoded)
        quantised = self.codebook(apart)
        together = quantised.codewords.transpose(1, 2).reshape(encoded.shape)
        penalty = quantised.loss * apart[0].numel()
        divergence = uniform_divergence(LATENTS * rows * columns, SIZE)
        return self._sure(levels, together, penalty=penalty, divergence=divergence)

    def _many(
        self, levels: Tensor, encoded: Tensor, generator: torch.Generator, samples: int
    ) -> Pass:
        batch, _, rows, columns = encoded.shape
        logits = encoded.view(batch, LATENTS, SIZE, rows, columns).permute(0, 1, 3, 4, 2)
        log_posterior = F.log_softmax(logits, dim=-1)  # (B, 10, n, m, K)
        flat = log_posterior.detach().exp().reshape(-1, SIZE)
        drawn = torch.multinomial(flat, samples, replacement=True, generator=generator)
        indices = drawn.view(*log_posterior.shape[:-1], samples)
        log_q = log_posterior.gather(-1, indices).sum((1, 2, 3))  # (B, S)
        latents = F.embedding(indices, self.embedding)  # (B, 10, n, m, S, 16)
        latents = latents.permute(0, 4, 1, 5, 2, 3).reshape(batch * samples, -1, rows, columns)
        found, decoded = self._likelihood(levels.repeat_interleave(samples, 0), latents)
        prior = uniform_divergence(LATENTS * rows * columns, SIZE)
        weights = found.view(batch, samples) - prior - log_q
        first = decoded.view(batch, samples, *levels.shape[1:])[:, 0]
        return Pass(multi_sample_bound(weights), vimco(weights, log_q), first)


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

    def generator(self, seed: int) -> torch.Generator:
        """Return random numbers on the module's device."""
        return torch.Generator(self.held_out.device).manual_seed(seed)


def normal(like: Tensor, generator: torch.Generator) -> Tensor:
    """Draw standard normal numbers, as many as `like` has and where it is."""
    return torch.randn(like.shape, generator=generator, device=like.device)


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
        figures = stage.validate()
        bits = f"{figures['bits']:.3f} bits per dimension" if "bits" in figures else "no bound"
        paper = f", the paper's {PAPER[stage.name]}" if stage.name in PAPER else ""
        print(f"{stage.name}: {bits}{paper}, {figures['psnr']:.2f} dB")


if __name__ == "__main__":
    main()
