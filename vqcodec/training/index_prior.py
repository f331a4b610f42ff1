"""Training of a prior on indices, whatever they are the indices of.

The prior sees pieces of the indices that a frozen autoencoder gives, with nothing around them,
as it will when it codes. For the last part of the steps it runs on its integer grid.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Generic, TypeVar

import numpy as np
import torch
from torch import Tensor

from vqcodec.networks.model_files.codebook import CodebookParts
from vqcodec.networks.pixelcnn import IndexPrior, bits_per_index
from vqcodec.training.config import Recipe
from vqcodec.training.config_sound_vqvae import SoundVqVaeRecipe
from vqcodec.training.distributed import share
from vqcodec.training.index_cache import Indices
from vqcodec.training.precision import autocast
from vqcodec.training.quantisation import usage

_Network = TypeVar("_Network", bound=IndexPrior)
_VALIDATION_PIECES = 96
_VALIDATION_BATCH = 8


class IndexPriorStage(Generic[_Network]):
    """All of a `loop.Stage` but its batches: pieces, (B, crop, crop) indices of pictures or
    (B, crop) of sound.
    """

    name = "prior"

    def __init__(
        self,
        recipe: Recipe | SoundVqVaeRecipe,
        network: Callable[..., _Network],
        validation: Indices,
        codebook: Tensor,
        device: torch.device,
        start: CodebookParts | None = None,
    ) -> None:
        """`network` makes what is trained of `recipe.prior`; `validation` are pieces to
        validate on, of which some are taken; `codebook` is (K, D).

        The first weights are those of `start`, or else come from the codebook.
        """
        self.schedule = recipe.train.prior
        self._share = share(self.schedule.batch, "train.prior.batch")
        self._seed = recipe.seed
        self._precision = recipe.train.precision
        self._device = device
        torch.manual_seed(recipe.seed + 1)
        self.module = network(recipe.prior).to(device)
        if start is not None:
            self.module.load_state_dict(start.prior.state_dict())
        else:
            self.module.start_from(codebook)
        spread = validation[:: -(-len(validation) // _VALIDATION_PIECES)]
        self._validation = torch.from_numpy(spread.astype(np.int64))

    def loss(self, batch: Tensor, step: int) -> tuple[Tensor, dict[str, float]]:
        """Mean bits per index of one batch."""
        integer = step >= self.schedule.integer_from * self.schedule.steps
        indices = batch.to(self._device)
        with autocast(self._device, self._precision):
            logits = self.module(indices, self.told(step, integer=integer), integer=integer)
        bits = bits_per_index(logits, indices)
        return bits, {"bits": float(bits.detach())}

    def told(self, step: int, *, integer: bool) -> Tensor | None:
        """Return what the network is told of a step's pieces besides their indices: nothing."""
        return None

    def after(self, batch: Tensor, step: int) -> None:
        """Nothing follows a step."""

    @torch.inference_mode()
    def validate(self) -> dict[str, float]:
        """Bits per index on the validation pieces: in real numbers, in integers, and unigram."""
        totals = {"float_bits": 0.0, "integer_bits": 0.0}
        for part in torch.split(self._validation, _VALIDATION_BATCH):
            indices = part.to(self._device)
            for name in totals:
                logits = self.module(indices, integer=name == "integer_bits")
                totals[name] += float(bits_per_index(logits, indices)) * len(part)
        figures = {name: total / len(self._validation) for name, total in totals.items()}
        size = self.module.config.codebook_size
        return figures | {"unigram_bits": usage(self._validation, size)["unigram_bits"]}
