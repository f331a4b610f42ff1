"""Stage 2 of clips: the prior over space and time, on indices that the frozen autoencoder gives.

It sees random tiles of frames, each with the same tile of the frame before and the action between
the two. Some are told of no frame, as a clip's first one, and some of no action. For the last part
of the steps it runs on its integer grid.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from vqcodec.models.clip import UNKNOWN_ACTION
from vqcodec.networks.clip_prior import ClipPrior
from vqcodec.networks.pixelcnn import bits_per_index
from vqcodec.training.clips import Frames
from vqcodec.training.config_clip import ClipRecipe
from vqcodec.training.data import draws
from vqcodec.training.distributed import share
from vqcodec.training.precision import autocast

_VALIDATION_PAIRS = 256
_VALIDATION_BATCH = 16


@dataclass(frozen=True, slots=True, eq=False)
class IndexedClips:
    """Indices of clips, and the actions between their frames."""

    frames: Sequence[Frames]
    """(T, N, M) of each clip."""
    actions: Sequence[Sequence[int]]
    """T of each clip."""

    @property
    def pairs(self) -> list[tuple[int, int]]:
        """Clip and frame of every frame that has one before."""
        return [
            (clip, frame)
            for clip, frames in enumerate(self.frames)
            for frame in range(1, len(frames))
        ]


class ClipPriorStage:
    """See the module's docstring."""

    name = "prior"

    def __init__(
        self,
        recipe: ClipRecipe,
        clips: IndexedClips,
        validation: IndexedClips,
        codebook: Tensor,
        device: torch.device,
    ) -> None:
        """`codebook` is (K, D)."""
        self.schedule = recipe.train.prior
        self._share = share(self.schedule.batch, "train.prior.batch")
        self._recipe = recipe
        self._clips = clips
        self._pairs = clips.pairs
        self._device = device
        torch.manual_seed(recipe.seed + 1)
        network = ClipPrior(recipe.prior, recipe.temporal, len(recipe.clip.actions))
        self.module = network.to(device)
        self.module.start_from(codebook)
        spread = validation.pairs[:: -(-len(validation.pairs) // _VALIDATION_PAIRS)]
        self._validation = torch.from_numpy(
            np.stack([self._tiles(validation, pair, (0, 0)) for pair in spread])
        )
        known = [validation.actions[clip][frame] for clip, frame in spread]
        self._validation_actions = torch.tensor(known)

    def batch(self, step: int) -> Tensor:
        """Draw tiles of frames, each behind that of the frame before: int64 (B, 2, crop, crop)."""
        tiles = []
        for pair, (down, right) in self._drawn(step):
            clip, _ = pair
            rows, columns = np.array(self._clips.frames[clip].shape[1:]) - self.schedule.crop + 1
            tiles.append(self._tiles(self._clips, pair, (int(down * rows), int(right * columns))))
        return torch.from_numpy(np.stack(tiles))

    def loss(self, batch: Tensor, step: int) -> tuple[Tensor, dict[str, float]]:
        """Mean bits per index of one batch."""
        integer = step >= self.schedule.integer_from * self.schedule.steps
        actions = [self._clips.actions[clip][frame] for (clip, frame), _ in self._drawn(step)]
        untold, unseen = self._withheld(step)
        told = torch.tensor(actions).masked_fill(untold | unseen, UNKNOWN_ACTION)
        bits = self._bits(batch, told, ~unseen, integer=integer)
        return bits, {"bits": float(bits.detach())}

    def after(self, batch: Tensor, step: int) -> None:
        """Nothing follows a step."""

    @torch.inference_mode()
    def validate(self) -> dict[str, float]:
        """Bits per index of held-out frames: in real numbers and in integers given the frame before
        and the action, in integers without the action, and of frames alone.
        """
        names = ("float_bits", "integer_bits", "unknown_bits", "alone_bits")
        totals = dict.fromkeys(names, 0.0)
        pieces = zip(
            torch.split(self._validation, _VALIDATION_BATCH),
            torch.split(self._validation_actions, _VALIDATION_BATCH),
            strict=True,
        )
        for tiles, actions in pieces:
            unknown = torch.full_like(actions, UNKNOWN_ACTION)
            for name in names:
                told = actions if name in ("float_bits", "integer_bits") else unknown
                seen = torch.full_like(actions, name != "alone_bits", dtype=torch.bool)
                bits = self._bits(tiles, told, seen, integer=name != "float_bits")
                totals[name] += float(bits) * len(tiles)
        return {name: total / len(self._validation) for name, total in totals.items()}

    def _bits(self, tiles: Tensor, actions: Tensor, seen: Tensor, *, integer: bool) -> Tensor:
        """Return the mean bits per index of frames, (B, 2, crop, crop) with those before."""
        before, indices = tiles.to(self._device).unbind(1)
        with autocast(self._device, self._recipe.train.precision):
            logits = self.module(
                indices,
                before,
                actions.to(self._device),
                seen=seen.to(self._device).float(),
                integer=integer,
            )
        return bits_per_index(logits.float(), indices)

    def _tiles(
        self, clips: IndexedClips, pair: tuple[int, int], corner: tuple[int, int]
    ) -> np.ndarray:
        """Cut a tile out of a frame and the one before: int64 (2, crop, crop)."""
        clip, frame = pair
        top, left = corner
        side = self.schedule.crop
        own = clips.frames[clip][frame - 1 : frame + 1, top : top + side, left : left + side]
        return own.astype(np.int64)

    def _drawn(self, step: int) -> list[tuple[tuple[int, int], tuple[float, float]]]:
        """Draw a step's pairs, and where in its frame each tile lies, 0 to less than 1."""
        rng = draws(self._recipe.seed, 2, step)
        numbers = rng.integers(len(self._pairs), size=self._share)
        places = rng.random((self._share, 2)).tolist()
        return [
            (self._pairs[number], (down, right))
            for number, (down, right) in zip(numbers, places, strict=True)
        ]

    def _withheld(self, step: int) -> tuple[Tensor, Tensor]:
        """Draw of which of a step's tiles the action, and of which all, is not told: (B,) each."""
        chances = draws(self._recipe.seed, 6, step).random((2, self._share))
        limits = np.array([[self.schedule.unknown], [self.schedule.alone]])
        untold, unseen = torch.from_numpy(chances < limits)
        return untold, unseen
