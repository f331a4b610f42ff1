"""The paper's decoder of sound (`networks.wavenet_decoder`), trained on the indices of a model of
`paper-speech`, whose encoder and codebook stay as they are. It is slow.

The loss is the cost of a sample's class in bits.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from vqcodec.models.stft import RATE
from vqcodec.networks.codebook import nearest
from vqcodec.networks.model_files import SoundVqVaeParts
from vqcodec.networks.mu_law import classes_of
from vqcodec.networks.wavenet_decoder import WaveNetDecoder
from vqcodec.training.config_sound_vqvae import WaveNetDecoderRecipe
from vqcodec.training.distributed import share
from vqcodec.training.path_names import Speakers
from vqcodec.training.precision import autocast
from vqcodec.training.sounds import Recordings
from vqcodec.training.voices import Voices, middles, voice_of

_VALIDATION_SAMPLES = RATE


class WaveNetDecoderStage:
    """See the module's docstring."""

    name = "decoder"

    def __init__(
        self,
        recipe: WaveNetDecoderRecipe,
        recordings: Recordings,
        speakers: Speakers,
        validation: Sequence[Path],
        parts: SoundVqVaeParts,
        device: torch.device,
    ) -> None:
        """`speakers` are those of `parts`, the model that the decoder belongs to.

        Raises ValueError for a recording that cannot be read.
        """
        self.schedule = recipe.train.decoder
        self._voices = Voices(
            recordings,
            speakers,
            seed=recipe.seed,
            count=share(self.schedule.batch, "train.decoder.batch"),
            length=self.schedule.crop,
        )
        self._precision = recipe.train.precision
        self._device = device
        self._encoder = parts.encoder.to(device).eval()
        self._codebook = parts.codebook.to(device)
        torch.manual_seed(recipe.seed)
        config = parts.config
        self.module = WaveNetDecoder(
            recipe.decoder,
            code_dim=config.code_dim,
            hop=config.hop,
            speakers=len(speakers.names),
        ).to(device)
        self._validation = middles(validation, speakers, _VALIDATION_SAMPLES, config.hop)

    def batch(self, step: int) -> Tensor:
        """Draw samples: float32 (B, crop)."""
        return self._voices.batch(step)

    def loss(self, batch: Tensor, step: int) -> tuple[Tensor, dict[str, float]]:
        """Mean bits per sample of one batch."""
        numbers = self._voices.speakers(step).to(self._device)
        bits = self._bits(batch, self.module.speaker_embedding[numbers])
        return bits, {"bits": float(bits.detach())}

    def after(self, batch: Tensor, step: int) -> None:
        """Nothing follows a step."""

    @torch.inference_mode()
    def validate(self) -> dict[str, float]:
        """Bits per sample on the middles of the validation recordings; a speaker who is not known
        has the mean of all voices.
        """
        known = self.module.speaker_embedding
        bits = [
            float(self._bits(crop, voice_of(number, known))) for crop, number in self._validation
        ]
        return {"bits": float(np.mean(bits))}

    def _bits(self, batch: Tensor, voices: Tensor) -> Tensor:
        samples = batch.to(self._device)
        classes = classes_of(samples)
        with autocast(self._device, self._precision):
            logits = self.module(classes, self._codewords(samples), voices)
        return F.cross_entropy(logits.float(), classes) / math.log(2.0)

    @torch.no_grad()
    def _codewords(self, samples: Tensor) -> Tensor:
        """Map samples (B, hop N) to the nearest codewords of their latents, (B, D, N)."""
        latents = self._encoder(samples)[:, :, 0].float().mT  # (B, N, D)
        indices = nearest(self._codebook, latents.flatten(0, 1))
        return F.embedding(indices, self._codebook).view_as(latents).mT
