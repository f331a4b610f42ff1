"""Stage 2 where pictures have classes: the prior is told them, of most tiles."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

import torch
from torch import Tensor

from vqcodec.networks.labelled_pixelcnn import UNKNOWN, LabelledPixelCNN
from vqcodec.networks.pixelcnn import bits_per_index
from vqcodec.training.config import Recipe
from vqcodec.training.data import Pictures, draws
from vqcodec.training.index_cache import Indices
from vqcodec.training.prior import PriorStage


class LabelledPriorStage(PriorStage):
    """See the module's docstring."""

    module: LabelledPixelCNN

    def __init__(
        self,
        recipe: Recipe,
        grids: list[list[Indices]],
        pictures: Pictures,
        numbers: Sequence[int],
        validation: list[tuple[Indices, int | None]],
        codebook: Tensor,
        device: torch.device,
    ) -> None:
        """Take what `PriorStage` takes, and the numbers of the pictures' classes. `validation` are
        grids with theirs, None where a class is not known.
        """
        network = partial(LabelledPixelCNN, labels=1 + max(numbers))
        checked = [grid for grid, _ in validation]
        super().__init__(recipe, grids, pictures, checked, codebook, device, network=network)
        self._numbers = numbers
        self._unlabelled = recipe.train.prior.unlabelled
        self._labelled = [
            (torch.from_numpy(grid.astype("int64")), number)
            for grid, number in validation
            if number is not None
        ]

    def told(self, step: int, *, integer: bool) -> Tensor:
        """Return what the network is told of a step's pictures: (B, C, 1, 1)."""
        drawn = torch.tensor([self._numbers[picture] for picture, _ in self.drawn(step)])
        untold = draws(self._seed, 6, step).random(len(drawn)) < self._unlabelled
        drawn[torch.from_numpy(untold)] = UNKNOWN
        return self.module.told(drawn.to(self._device), integer=integer)

    @torch.inference_mode()
    def validate(self) -> dict[str, float]:
        """Bits per index as of a `PriorStage`, in integers without classes; and of whole pictures
        whose class is known, in integers, with it and without.
        """
        totals = {"labelled_bits": 0.0, "unlabelled_bits": 0.0}
        count = 0
        for grid, number in self._labelled:
            indices = grid[None].to(self._device)
            for name in totals:
                shown = number if name == "labelled_bits" else UNKNOWN
                told = self.module.told(torch.tensor([shown], device=self._device), integer=True)
                bits = bits_per_index(self.module(indices, told, integer=True), indices)
                totals[name] += float(bits) * indices.numel()
            count += grid.numel()
        return super().validate() | {name: total / count for name, total in totals.items() if count}
