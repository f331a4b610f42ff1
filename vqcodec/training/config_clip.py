"""Recipes of clips; see `config`."""

from __future__ import annotations

import math
from dataclasses import dataclass, field

from vqcodec.models.config_clip import ClipConfig, TemporalConfig
from vqcodec.training.config import PriorTraining, Recipe, TrainConfig


@dataclass(frozen=True, slots=True, kw_only=True)
class ClipPriorTraining(PriorTraining):
    """Training of the prior on pairs of frames that follow each other."""

    views: int = 1
    """Frames are indexed once, as they are: a flip would change what an action means."""
    alone: float = 0.1
    """Part of the frames that are coded without the frame before, as the first of a clip."""
    steadiness: float = 2.0
    """How readily indices stay from frame to frame, as files of the model will have them; see
    `models.steady`."""
    unknown: float = 0.15
    """Part of the others whose action is not told."""

    def __post_init__(self) -> None:
        PriorTraining.__post_init__(self)
        if self.views != 1:
            raise ValueError("train.prior.views must be 1: frames are indexed as they are")
        if not 0.0 <= self.alone <= 1.0 or not 0.0 <= self.unknown <= 1.0:
            raise ValueError("train.prior: alone and unknown must be 0 to 1")
        if not 0.0 <= self.steadiness < math.inf:
            raise ValueError("train.prior.steadiness must be a number from 0 on")


@dataclass(frozen=True, slots=True, kw_only=True)
class ClipTrainConfig(TrainConfig):
    """The stages: that of `paper`'s autoencoder, and the prior of clips."""

    prior: ClipPriorTraining


@dataclass(frozen=True, slots=True, kw_only=True)
class ClipRecipe(Recipe):
    """Everything that decides what a run makes, but for the clips."""

    clip: ClipConfig = field(default_factory=ClipConfig)
    temporal: TemporalConfig = field(default_factory=TemporalConfig)
    train: ClipTrainConfig

    def __post_init__(self) -> None:
        Recipe.__post_init__(self)
        if self.train.prior.label:
            raise ValueError("train.prior.label: clips have no classes")
        if self.start:
            raise ValueError("start: clips begin with random weights")
