"""Recipes of `photo-2`; see `config`."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TypeAlias

from vqcodec.models.config import DeepTransformConfig, LatentPriorConfig, ProductConfig
from vqcodec.networks.distortion import MS_SSIM_SIDE
from vqcodec.training.config import (
    BaseRecipe,
    DataConfig,
    ProductTraining,
    ScheduleConfig,
    StagesConfig,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class DeepTransformTraining(ScheduleConfig):
    """Training of photo-2's networks with noise, then with two candidates, for quantisation."""

    lambdas: tuple[float, float] = (0.00012, 0.7)
    """As for `TransformTraining`."""
    ms_ssim: float = 600.0
    """As for `TransformTraining`."""
    pages: float = 0.08
    """Share of crops that are drawn pages."""
    decoder_steps: int = 400
    """First steps, which train synthesis and prior alone: the networks of new latents know
    nothing yet, and the rate that they ask would silence these latents."""
    rectified_from: float = 0.0
    """Part of the steps after which blocks of the synthesis have ReLU; until then the slope of
    what is negative falls from photo-1's in a straight line."""
    candidates_from: float = 0.66
    """Part of the steps after which the rate is that of two candidates instead of noise."""
    temperature: float = 0.15
    """How softly a latent passes from one candidate to the other, in its unit."""
    large_from: float = 1.0
    """Part of the steps after which batches have `large_batch` crops of `large_crop`."""
    large_batch: int = 4
    """Crops per step then, of all processes together."""
    large_crop: int = 256
    """Side of a crop then, pixels."""

    def __post_init__(self) -> None:
        ScheduleConfig.__post_init__(self)
        parts = (self.pages, self.rectified_from, self.candidates_from, self.large_from)
        if not all(0.0 <= part <= 1.0 for part in parts):
            raise ValueError(
                "train.*: pages, rectified_from, candidates_from and large_from must be 0 to 1"
            )
        if self.temperature <= 0.0 or self.large_batch < 1:
            raise ValueError("train.*: temperature must be above 0, large_batch >= 1")

    @property
    def sides(self) -> dict[str, int]:
        """Sides of crops, pixels, by their names in a recipe."""
        return {"crop": self.crop, "large_crop": self.large_crop}


@dataclass(frozen=True, slots=True, kw_only=True)
class DeepProductTraining(ProductTraining):
    """Training of photo-2 with codebooks and hard indices."""

    lambdas: tuple[float, float] = (0.00012, 0.7)
    """As for `TransformTraining`."""
    ms_ssim: float = 600.0
    """As for `TransformTraining`."""
    pages: float = 0.08
    """As for `DeepTransformTraining`."""
    synthesis: bool = True
    """Whether the synthesis trains too, its integers rounded at every step."""

    def __post_init__(self) -> None:
        ScheduleConfig.__post_init__(self)
        if not 0.0 <= self.pages <= 1.0:
            raise ValueError("train.product.pages must be 0 to 1")

    @property
    def sides(self) -> dict[str, int]:
        """Sides of crops, pixels, by their names in a recipe."""
        return {"crop": self.crop}


DeepTraining: TypeAlias = "DeepTransformTraining | DeepProductTraining"


@dataclass(frozen=True, slots=True, kw_only=True)
class DeepPhotoTrainConfig(StagesConfig):
    """The stages of `photo-2`, in their order; those that are left out are not trained."""

    transform: DeepTransformTraining | None = None
    """With a synthesis of real numbers."""
    exact: DeepTransformTraining | None = None
    """With a synthesis of integers."""
    product: DeepProductTraining | None = None
    """With codebooks; what the run makes is then a model."""
    precision: str = "auto"
    """As for `StagesConfig`, of the convolutions inside blocks and of the prior: all else is
    float32, as pictures of 40 dB need."""

    @property
    def stages(self) -> dict[str, DeepTraining]:
        """Stages that there are, by name."""
        every = {"transform": self.transform, "exact": self.exact, "product": self.product}
        return {name: settings for name, settings in every.items() if settings is not None}


@dataclass(frozen=True, slots=True, kw_only=True)
class DeepPhotoRecipe(BaseRecipe):
    """Everything that decides what a run of `photo-2` makes, but for the pictures."""

    start: str
    """What training goes on from: a model, a name or a file, of architecture photo-2, or of
    photo-1, which the first stage alone can grow from; or a folder of weights as
    train/checkpoint.py writes it."""
    transform: DeepTransformConfig
    latent_prior: LatentPriorConfig
    product: ProductConfig = field(default_factory=ProductConfig)
    data: DataConfig = field(default_factory=DataConfig)
    train: DeepPhotoTrainConfig

    def __post_init__(self) -> None:
        BaseRecipe.__post_init__(self)
        if not self.train.stages:
            raise ValueError("train: at least one of transform, exact and product must be there")
        for stage, settings in self.train.stages.items():
            self._check_crops(stage, settings)
        if sum(self.latent_prior.slices) != self.transform.latents:
            raise ValueError("latent_prior.slices must be transform.latents in all")

    def _check_crops(self, stage: str, settings: DeepTraining) -> None:
        stride = self.transform.analysis.stride
        for name, side in settings.sides.items():
            if side % stride:
                raise ValueError(f"train.{stage}.{name} must be a multiple of {stride}")
            if settings.ms_ssim and side < MS_SSIM_SIDE:
                raise ValueError(
                    f"train.{stage}.{name} must be at least {MS_SSIM_SIDE} for MS-SSIM"
                )
