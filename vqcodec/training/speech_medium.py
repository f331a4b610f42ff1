"""Speech as training sees it; see `medium`."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

from vqcodec.models.stft import HOP, RATE
from vqcodec.networks.latent_wavenet import LatentWaveNet
from vqcodec.networks.spectrum import features, samples
from vqcodec.networks.speech import Analysis, Synthesis
from vqcodec.networks.transform import Gains
from vqcodec.training.config_speech import SpeechRecipe
from vqcodec.training.listening import listen
from vqcodec.training.precision import autocast
from vqcodec.training.sound_distortion import SoundDistortion, sound_distortion
from vqcodec.training.sounds import Recordings, read_middle
from vqcodec.training.transform import rate_weights

_VALIDATION_SAMPLES = 4 * RATE


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


class SpeechMedium:
    """Crops are float32 (B, n) of 16 kHz in -1..1, latents (B, D, T)."""

    rate = "kbps"

    def __init__(
        self,
        recipe: SpeechRecipe,
        recordings: Recordings,
        validation: Sequence[Path],
        device: torch.device,
    ) -> None:
        """Begin with random weights. Raises ValueError for a recording that cannot be read."""
        self._precision = recipe.train.precision
        self._weights = recipe.train.distortion
        self._recordings = recordings
        self._device = device
        torch.manual_seed(recipe.seed)
        config = recipe.transform
        self.networks = Speech(
            Analysis(config),
            Synthesis(config),
            Gains(config),
            LatentWaveNet(recipe.latent_prior, config.qualities),
        ).to(device)
        self.lambdas = rate_weights(recipe.train.transform.lambdas, config.qualities, device)
        middles = (read_middle(path, _VALIDATION_SAMPLES, HOP) for path in validation)
        self.validation = [torch.from_numpy(middle)[None] for middle in middles]

    @property
    def fixed(self) -> tuple[nn.Module, nn.Module]:
        """Analysis and gains."""
        return self.networks.analysis, self.networks.gains

    @property
    def prior(self) -> LatentWaveNet:
        """The context."""
        return self.networks.prior

    def batch(self, count: int, length: int, rng: np.random.Generator) -> Tensor:
        """Draw crops (count, length)."""
        return torch.from_numpy(self._recordings.crops(count, length, rng))

    def originals(self, batch: Tensor) -> Tensor:
        """Return the crops."""
        return batch.to(self._device)

    def latents(self, originals: Tensor) -> Tensor:
        """Map samples (B, 320 T) to latents (B, D, T)."""
        read = features(originals)
        with self._autocast():
            latents: Tensor = self.networks.analysis(read)[:, :, 0]
        return latents.float()

    def gains(self, qualities: Tensor) -> Tensor:
        """Return gains (B, D, 1)."""
        gains: Tensor = self.networks.gains(qualities.float())[..., 0]
        return gains

    def context(
        self, seen: Tensor, qualities: Tensor, *, integer: bool = False
    ) -> tuple[Tensor, Tensor]:
        """Return the prior's means and scales, (B, D, T) each."""
        with self._autocast():
            means, scales = self.networks.prior(seen, qualities, integer=integer)
        return means, scales

    def decoded(self, latents: Tensor) -> Tensor:
        """Map latents (B, D, T) to samples (B, 320 T)."""
        with self._autocast():
            made = self.networks.synthesis(latents[:, :, None])
        return samples(made.float())

    def rates(self, costs: Tensor, originals: Tensor) -> Tensor:
        """Return kbit/s."""
        return costs * (RATE / 1000.0 / originals.shape[1])

    def distortion(self, decoded: Tensor, originals: Tensor) -> SoundDistortion:
        """Compare sounds."""
        return sound_distortion(decoded, originals, self._weights)

    def written(self, decoded: Tensor) -> Tensor:
        """Return the sounds: their 16 bits add nothing to the error."""
        return decoded

    def judged(self, decoded: Tensor, originals: Tensor) -> dict[str, float]:
        """Return what instruments say of one sound."""
        return listen(originals[0].cpu().numpy(), decoded[0].cpu().numpy())

    def _autocast(self) -> torch.autocast:
        return autocast(self._device, self._precision)
