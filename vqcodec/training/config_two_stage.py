"""Recipes of two stages; see `config`."""

from __future__ import annotations

from dataclasses import dataclass, field

from vqcodec.models.config_two_stage import SecondStageConfig
from vqcodec.training.config import Recipe, TrainConfig


@dataclass(frozen=True, slots=True, kw_only=True)
class LatentsTraining:
    """How the codebooks of the second stage's latents learn."""

    beta: float = 0.25
    """Weight of the commitment term."""
    gamma: float = 0.99
    """Decay of the codewords' moving averages."""
    plain_steps: int = 500
    """First steps without quantisation; the codebooks then start by k-means."""
    revive_every: int = 200
    """Steps between revivals of unused codewords; 0 never revives."""
    revive_below: float = 0.1
    """A codeword used less often than this part of the mean is unused."""
    blind: float = 0.25
    """Part of the pictures of which the decoder sees the latents alone, no indices (word dropout,
    Bowman et al., arXiv 1511.06349, section 3.1): the latents then learn sooner."""
    pool: int = 4096
    """Pictures whose latents codewords start from and are revived from."""

    def __post_init__(self) -> None:
        if not 0.0 <= self.gamma < 1.0 or self.plain_steps < 0:
            raise ValueError("train.latents: gamma must be 0 to less than 1, plain_steps >= 0")
        if not 0.0 <= self.blind <= 1.0:
            raise ValueError("train.latents.blind must be 0 to 1")


@dataclass(frozen=True, slots=True, kw_only=True)
class TwoStageTrainConfig(TrainConfig):
    """The stages: that of `paper`'s autoencoder, and `prior`, which trains all of the second."""

    latents: LatentsTraining = field(default_factory=LatentsTraining)


@dataclass(frozen=True, slots=True, kw_only=True)
class TwoStageRecipe(Recipe):
    """Everything that decides what a run makes, but for the pictures."""

    second: SecondStageConfig
    train: TwoStageTrainConfig

    def __post_init__(self) -> None:
        Recipe.__post_init__(self)
        if self.train.prior.label:
            raise ValueError("train.prior.label: two stages have no classes")
        if self.start:
            raise ValueError("start: two stages begin with random weights")
        if self.train.prior.crop != self.second.side:
            raise ValueError("train.prior.crop must be second.side")
        if self.train.latents.pool < self.second.codebook_size:
            raise ValueError("train.latents.pool must be at least second.codebook_size")
