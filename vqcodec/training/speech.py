"""First stage of `speech`: transform and context in real numbers.

As photo-1's first stage (`transform`), with sound's rate and distortion. The loss of a crop at
quality q is

    (kbit/s + lambda_q D) / sqrt(lambda_q),     D as in `sound_distortion`,

the rate with noise for quantisation, and for the last part of the steps with two candidates
(`rate`), while context and synthesis see rounded latents.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

from vqcodec.models.stft import HOP, RATE
from vqcodec.networks.latent_prior import bits
from vqcodec.networks.latent_wavenet import LatentWaveNet
from vqcodec.networks.spectrum import features, samples
from vqcodec.networks.speech import Analysis, Synthesis
from vqcodec.networks.transform import Gains
from vqcodec.training.config_speech import SpeechRecipe
from vqcodec.training.data import draws
from vqcodec.training.distributed import rank, share
from vqcodec.training.listening import listen
from vqcodec.training.precision import autocast
from vqcodec.training.rate import candidate_bits
from vqcodec.training.sound_distortion import sound_distortion
from vqcodec.training.sounds import Recordings, level, read_recording
from vqcodec.training.transform import rate_weights, spread_qualities

_VALIDATION_SAMPLES = 4 * RATE
_VALIDATION_LEVEL = 0.05


class Speech(nn.Module):
    """The parts as one module, for the optimiser and the checkpoint."""

    def __init__(
        self, analysis: Analysis, synthesis: Synthesis, gains: Gains, prior: LatentWaveNet
    ) -> None:
        super().__init__()
        self.analysis = analysis
        self.synthesis = synthesis
        self.gains = gains
        self.prior = prior


class SpeechTransformStage:
    """See the module's docstring."""

    name = "transform"

    def __init__(
        self,
        recipe: SpeechRecipe,
        recordings: Recordings,
        validation: Sequence[Path],
        device: torch.device,
    ) -> None:
        """Raises ValueError for a validation recording that cannot be read."""
        self.schedule = recipe.train.transform
        self._share = share(self.schedule.batch, "train.transform.batch")
        self._recipe = recipe
        self._recordings = recordings
        self._device = device
        torch.manual_seed(recipe.seed)
        config = recipe.transform
        self.module = Speech(
            Analysis(config),
            Synthesis(config),
            Gains(config),
            LatentWaveNet(recipe.latent_prior, qualities=config.qualities),
        ).to(device)
        self._lambdas = rate_weights(self.schedule.lambdas, config.qualities, device)
        self._validation = [_validation_crop(path) for path in validation]

    def batch(self, step: int) -> Tensor:
        """Draw samples: float32 (B, crop)."""
        rng = draws(self._recipe.seed, 1, step)
        return torch.from_numpy(self._recordings.crops(self._share, self.schedule.crop, rng))

    def loss(self, batch: Tensor, step: int) -> tuple[Tensor, dict[str, float]]:
        """Rate and distortion of one batch."""
        module, settings = self.module, self.schedule
        seed = (self._recipe.seed << 32) + step
        generator = torch.Generator(self._device).manual_seed(seed)
        original = batch.to(self._device)
        qualities = spread_qualities(len(batch), len(self._lambdas), generator)
        gains = module.gains(qualities.float())[..., 0]
        scaled = self._latents(original) * gains
        rounded = scaled + (scaled.round() - scaled).detach()
        means, scales = self._context(rounded, qualities)
        if step < settings.candidates_from * settings.steps:
            if rank():  # noise of its own; on CPUs a generator heeds only the seed's low 32 bits
                generator.manual_seed(seed + (rank() << 24))
            noise = torch.rand(scaled.shape, generator=generator, device=self._device) - 0.5
            costs = bits(scaled + noise, means, scales)
        else:
            costs = candidate_bits(scaled, means, scales, settings.temperature)
        rates = _kilobits_per_second(costs)
        found = sound_distortion(
            self._sound(rounded / gains), original, self._recipe.train.distortion
        )
        lambdas = self._lambdas[qualities - 1]
        losses = (rates + lambdas * found.total) / lambdas.sqrt()
        return losses.mean(), {"kbps": float(rates.detach().mean()), **found.figures()}

    def after(self, batch: Tensor, step: int) -> None:
        """Nothing follows a step."""

    @torch.inference_mode()
    def validate(self) -> dict[str, float]:
        """Rate, distortion and what instruments say, with rounded latents, per quality; and the
        loss of all of them.
        """
        figures: dict[str, float] = {}
        losses = []
        for quality, weight in enumerate(self._lambdas.tolist(), 1):
            rows: defaultdict[str, list[float]] = defaultdict(list)
            for original in self._validation:
                for name, value in self._measure(original, quality).items():
                    rows[name].append(value)
            means = {name: float(np.mean(values)) for name, values in rows.items()}
            losses.append((means["kbps"] + weight * means.pop("total")) / weight**0.5)
            figures |= {f"{name}{quality}": value for name, value in means.items()}
        return {"loss": float(np.mean(losses)), **figures}

    def _measure(self, crop: Tensor, quality: int) -> dict[str, float]:
        """Return figures of one sound (1, n)."""
        original = crop.to(self._device)
        at = torch.tensor([quality], device=self._device)
        gains = self.module.gains(at.float())[..., 0]
        rounded = (self._latents(original) * gains).round()
        costs = bits(rounded, *self._context(rounded, at))
        decoded = self._sound(rounded / gains)
        found = sound_distortion(decoded, original, self._recipe.train.distortion)
        return {
            "kbps": float(_kilobits_per_second(costs)),
            "total": float(found.total),
            **found.figures(),
            **listen(crop[0].numpy(), decoded[0].cpu().numpy()),
        }

    def _latents(self, original: Tensor) -> Tensor:
        """Map samples (B, 320 T) to latents (B, D, T)."""
        read = features(original)
        with self._autocast():
            latents: Tensor = self.module.analysis(read)[:, :, 0]
        return latents.float()

    def _context(self, rounded: Tensor, qualities: Tensor) -> tuple[Tensor, Tensor]:
        """Return the prior's means and scales, (B, D, T) each."""
        with self._autocast():
            means, scales = self.module.prior(torch.asinh(rounded), qualities)
        return means, scales

    def _sound(self, latents: Tensor) -> Tensor:
        """Map latents (B, D, T) to samples (B, 320 T)."""
        with self._autocast():
            made = self.module.synthesis(latents[:, :, None])
        return samples(made.float())

    def _autocast(self) -> torch.autocast:
        return autocast(self._device, self._recipe.train.precision)


def _kilobits_per_second(costs: Tensor) -> Tensor:
    """Of bits (B, D, T): (B,)."""
    per_frame: Tensor = costs.sum(1).mean(1)
    return per_frame * (RATE / HOP / 1000.0)


def _validation_crop(path: Path) -> Tensor:
    """Read the middle of a recording, at the level that most are trained at: (1, n)."""
    recording = read_recording(path)
    length = min(_VALIDATION_SAMPLES, len(recording) // HOP * HOP)
    start = (len(recording) - length) // 2
    cut = recording[start : start + length]
    if not length or not cut.any():
        raise ValueError(f"{path}: too short, or silent, to validate on")
    return torch.from_numpy(cut * np.float32(_VALIDATION_LEVEL / level(recording)))[None]
