"""First stage of `paper-speech`: encoder, codebook, speakers and decoder, trained together.

As the first stage of `paper` (`autoencoder`; arXiv 1711.00937, eq. 3), with sound's distortion
(`sound_distortion`) in the place of the likelihood. The decoder is told who speaks, so that the
codebook need not say it (section 4.3).
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

from vqcodec.models.stft import RATE
from vqcodec.networks.autoencoder import codeword_images
from vqcodec.networks.codebook import Codebook, nearest
from vqcodec.networks.model_files import SoundVqVaeParts
from vqcodec.networks.sound_autoencoder import SoundDecoder, SoundEncoder
from vqcodec.networks.spectrum import samples
from vqcodec.training.config_sound_vqvae import SoundVqVaeRecipe
from vqcodec.training.distributed import share
from vqcodec.training.listening import listen
from vqcodec.training.path_names import Speakers
from vqcodec.training.precision import autocast
from vqcodec.training.quantisation import Quantisation, usage
from vqcodec.training.sound_distortion import sound_distortion
from vqcodec.training.sounds import Recordings
from vqcodec.training.voices import Voices, middles, voice_of

_VALIDATION_SAMPLES = 4 * RATE


class SoundVqVae(nn.Module):
    """The parts as one module, for the optimiser and the checkpoint."""

    def __init__(
        self, encoder: SoundEncoder, codebook: Codebook, decoder: SoundDecoder, voices: Tensor
    ) -> None:
        super().__init__()
        self.encoder = encoder
        self.codebook = codebook
        self.decoder = decoder
        self.speaker_embedding = nn.Parameter(voices)


class SoundAutoencoderStage:
    """See the module's docstring."""

    name = "autoencoder"

    def __init__(
        self,
        recipe: SoundVqVaeRecipe,
        recordings: Recordings,
        speakers: Speakers,
        validation: Sequence[Path],
        device: torch.device,
        start: SoundVqVaeParts | None = None,
    ) -> None:
        """`speakers` are those of the recordings; `start` gives the first weights, its codewords
        replacing the plain steps.

        Raises ValueError for a recording that cannot be read.
        """
        self.schedule = settings = recipe.train.autoencoder
        count = share(settings.batch, "train.autoencoder.batch")
        self._recipe = recipe
        self._voices = Voices(
            recordings, speakers, seed=recipe.seed, count=count, length=settings.crop
        )
        self._device = device
        torch.manual_seed(recipe.seed)
        config = recipe.autoencoder
        codebook = Codebook(
            config, update=settings.codebook_update, beta=settings.beta, gamma=settings.gamma
        )
        voices = torch.randn(len(speakers.names), config.speaker_dim)
        self.module = SoundVqVae(SoundEncoder(config), codebook, SoundDecoder(config), voices)
        self._quantisation = Quantisation(
            codebook, settings, recipe.seed, batch=self.batch, latents=self._latents
        )
        if start is not None:
            self.module.encoder.load_state_dict(start.encoder.state_dict())
            self.module.decoder.load_state_dict(start.decoder.state_dict())
            self.module.speaker_embedding.data.copy_(start.voices)
            latents = settings.batch * settings.crop // config.hop
            self._quantisation.start_from(start.codebook, latents)
        self.module.to(device)
        self._validation = middles(validation, speakers, _VALIDATION_SAMPLES, config.hop)

    def batch(self, step: int) -> Tensor:
        """Draw samples: float32 (B, crop)."""
        return self._voices.batch(step)

    def loss(self, batch: Tensor, step: int) -> tuple[Tensor, dict[str, float]]:
        """Distortion and commitment of one batch."""
        original = batch.to(self._device)
        latents = self._latents(batch)
        codewords, commitment, metrics = self._quantisation.quantise(latents, step)
        numbers = self._voices.speakers(step).to(self._device)
        decoded = self._decoded(codewords, self.module.speaker_embedding[numbers])
        found = sound_distortion(decoded, original, self._recipe.train.distortion)
        loss = found.total.mean() + self.schedule.commitment * commitment
        return loss, {**found.figures(), "commitment": float(commitment.detach()), **metrics}

    def after(self, batch: Tensor, step: int) -> None:
        """Revive unused codewords."""
        self._quantisation.after(batch, step, self.schedule.steps)

    @torch.inference_mode()
    def validate(self) -> dict[str, float]:
        """Distortion, what instruments say, and usage of the codebook on the middles of the
        validation recordings; a speaker who is not known has the mean of all voices.
        """
        module, indices = self.module, []
        rows: defaultdict[str, list[float]] = defaultdict(list)
        for crop, number in self._validation:
            original = crop.to(self._device)
            latents = self._latents(crop)
            _, dim, _, count = latents.shape
            flat = latents.float().permute(0, 2, 3, 1).reshape(-1, dim)
            picked = nearest(module.codebook.vectors, flat).view(1, 1, count)
            indices.append(picked.flatten())
            voice = voice_of(number, module.speaker_embedding)
            decoded = self._decoded(codeword_images(module.codebook.vectors, picked), voice)
            found = sound_distortion(decoded, original, self._recipe.train.distortion)
            heard = listen(original[0].cpu().numpy(), decoded[0].cpu().numpy())
            figures = {"distortion": float(found.total), **found.figures(), **heard}
            for name, value in figures.items():
                rows[name].append(value)
        size = self._recipe.autoencoder.codebook_size
        means = {name: float(np.mean(values)) for name, values in rows.items()}
        return means | usage(torch.cat(indices), size)

    def _latents(self, batch: Tensor) -> Tensor:
        """Map samples (B, hop N) to latents (B, D, 1, N)."""
        with self._autocast():
            latents: Tensor = self.module.encoder(batch.to(self._device))
        return latents

    def _decoded(self, codewords: Tensor, voices: Tensor) -> Tensor:
        """Map codewords (B, D, 1, N) and voices (B, E) to samples (B, hop N)."""
        with self._autocast():
            made = self.module.decoder.spectra(codewords, voices)
        return samples(made.float())

    def _autocast(self) -> torch.autocast:
        return autocast(self._device, self._recipe.train.precision)
