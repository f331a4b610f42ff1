"""Recipes that make a model that there is one's own; see `config`."""

from __future__ import annotations

from dataclasses import dataclass, field, fields
from typing import Any

from vqcodec.models import photo, photo2
from vqcodec.training.config import BaseRecipe, DataConfig, ProductTraining, ScheduleConfig


@dataclass(frozen=True, slots=True, kw_only=True)
class CustomTraining(ProductTraining):
    """Training with codebooks and hard indices, of as many steps as the pictures are worth:
    `steps` are the most.
    """

    lambdas: dict[str, tuple[float, float]]
    """For each architecture to start from, as for `TransformTraining`: what its model was trained
    with, as files do not hold that."""
    ms_ssim: float = 600.0
    """As for `TransformTraining`."""
    steps_per_picture: int = 2
    """Steps for each picture that is trained on."""
    least_steps: int = 150
    """Steps however few the pictures are."""
    reports: int = 4
    """Validations, evenly over the steps."""
    samples: float = 0.5
    """Share of crops that are pictures which the start draws by itself (`replay`)."""
    synthesis: float = 0.25
    """Where the synthesis of the model lies between the start's, at 0, and the one that training
    ends with, at 1 (`between`): with less it gains less, and forgets far less."""
    prior: float = 0.6
    """Where its prior lies. It forgets less than the synthesis does."""
    least_percent: float = 1.0
    """Percent of bits that must be saved on the pictures held out, from half of the steps on."""

    def __post_init__(self) -> None:
        ScheduleConfig.__post_init__(self)
        if self.steps_per_picture < 1 or self.reports < 1:
            raise ValueError("train.product: steps_per_picture and reports must be >= 1")
        if unknown := self.lambdas.keys() - {photo.ARCHITECTURE, photo2.ARCHITECTURE}:
            raise ValueError(f"train.product.lambdas.{min(unknown)}: no architecture to start from")
        if not 0.0 <= self.samples <= 1.0:
            raise ValueError("train.product.samples must be 0 to 1")
        for name in ("synthesis", "prior"):
            if not 0.0 <= getattr(self, name) <= 1.0:
                raise ValueError(f"train.product.{name} must be 0 to 1")
        if not 1 <= self.least_steps <= self.steps:
            raise ValueError("train.product.least_steps must be 1 to train.product.steps")

    def schedule(self, pictures: int) -> dict[str, Any]:
        """Return the settings of a `ProductTraining` on so many pictures."""
        wanted = self.steps_per_picture * pictures
        steps = min(self.steps, max(self.least_steps, wanted))
        settings = {item.name: getattr(self, item.name) for item in fields(ProductTraining)}
        every = -(-steps // self.reports)
        return settings | {"steps": steps, "validate_every": every, "validate_first": True}


@dataclass(frozen=True, slots=True, kw_only=True)
class CustomTrainConfig:
    """The stage, and its precision."""

    product: CustomTraining
    precision: str = "auto"
    """As for `TrainConfig`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CustomRecipe(BaseRecipe):
    """Everything that decides what becomes of a model, but for the pictures."""

    licence: str = ""
    """Licence of the weights; empty: that of the start, which they derive from."""
    start: str = ""
    """Model that training goes on from, of photo-1 or photo-2, a name or a file; empty: the
    default one of pictures."""
    data: DataConfig = field(default_factory=DataConfig)
    train: CustomTrainConfig
