"""Recipes: TOML tables that become frozen dataclasses.

Each field's docstring is its manual. An unknown key, a wrong type (`tables`) or an
impossible value is a `ValueError` that names the key.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field

from vqcodec.models.config import (
    AutoencoderConfig,
    LatentPriorConfig,
    PriorConfig,
    ProductConfig,
    TransformConfig,
)
from vqcodec.networks.distortion import MS_SSIM_SIDE


def require_group(setting: str, pattern: str) -> None:
    """Raise ValueError unless a setting is a regular expression with a group, or empty."""
    try:
        groups = re.compile(pattern).groups
    except re.error as error:
        raise ValueError(f"{setting}: no regular expression: {error}") from error
    if pattern and not groups:
        raise ValueError(f"{setting} must have a group, in parentheses")


@dataclass(frozen=True, slots=True, kw_only=True)
class DataConfig:
    """Where crops come from."""

    scale: tuple[float, float] = (0.5, 1.0)
    """Each crop is taken from the picture scaled by a factor drawn from this range."""
    weights: dict[str, float] = field(default_factory=dict)
    """Share of crops by source, the part of a file's name before its first '-';
    '*' is every other source together. Empty: all pictures alike."""
    cache_mib: int = 2048
    """Decoded pictures kept in memory, MiB."""
    least_side: int = 1
    """Pictures with a shorter side are left out, pixels."""
    held_out: int = 1
    """Pictures that are held out to validate on, at least, where no folder of these is given."""

    def __post_init__(self) -> None:
        if self.held_out < 1:
            raise ValueError("data.held_out must be >= 1")


@dataclass(frozen=True, slots=True, kw_only=True)
class BaseRecipe:
    """What recipes of all architectures have."""

    architecture: str
    """What is trained: a name in `vqcodec.training.architectures`."""
    name: str
    """Name of the model, a-z, 0-9 and '-'."""
    licence: str = "unspecified"
    """Licence of the weights."""
    description: str = ""
    """One line on the model, for `vqcodec models list`."""
    seed: int = 0
    """Seed of every random draw."""

    def __post_init__(self) -> None:
        if not self.name or not all(c.islower() or c.isdigit() or c == "-" for c in self.name):
            raise ValueError("name must be made of a-z, 0-9 and '-'")


@dataclass(frozen=True, slots=True, kw_only=True)
class ScheduleConfig:
    """Steps, learning rate and bookkeeping of one stage of training."""

    steps: int
    """Optimiser steps in all."""
    batch: int = 8
    """Crops per step, of all processes together."""
    crop: int = 128
    """Side of a crop: pixels, or indices for a prior on its own; of sound its samples."""
    optimiser: str = "adam"
    """'adam', or 'muon': Muon for the weights of layers, Adam for the rest."""
    learning_rate: float = 3e-4
    """Peak rate of the optimiser."""
    rates: dict[str, float] = field(default_factory=dict)
    """How many times the rate it is for parameters whose names begin so; of several that fit the
    longest counts."""
    warmup: int = 100
    """Steps over which the rate rises from 0 to its peak."""
    decay: float = 0.25
    """Last part of the steps, over which the rate falls linearly to 0."""
    clip: float = 1.0
    """Largest norm of the gradient."""
    average: float = 0.0
    """Decay per step of the weights' moving average, which is what is validated and
    kept; 0: the weights themselves."""
    validate_every: int = 250
    """Steps between validations."""
    validate_first: bool = False
    """Whether there is a validation before the first step too."""
    checkpoint_every: int = 250
    """Steps between checkpoints."""

    def __post_init__(self) -> None:
        if self.steps < 1 or self.batch < 1 or not 0.0 <= self.decay <= 1.0:
            raise ValueError("train.*: steps and batch must be >= 1, decay 0 to 1")
        if self.optimiser not in ("adam", "muon"):
            raise ValueError("train.*.optimiser must be 'adam' or 'muon'")
        if not 0.0 <= self.average < 1.0:
            raise ValueError("train.*.average must be 0 to less than 1")
        if not all(factor >= 0.0 for factor in self.rates.values()):
            raise ValueError("train.*.rates must be >= 0")


@dataclass(frozen=True, slots=True, kw_only=True)
class StagesConfig:
    """What the stages of a recipe share."""

    precision: str = "auto"
    """'bfloat16' (autocast), 'float32', or 'auto': bfloat16 where the hardware has it."""

    def __post_init__(self) -> None:
        if self.precision not in ("auto", "bfloat16", "float32"):
            raise ValueError("train.precision must be 'auto', 'bfloat16' or 'float32'")


@dataclass(frozen=True, slots=True, kw_only=True)
class CodebookTraining(ScheduleConfig):
    """Training of encoder, codebook and decoder (arXiv 1711.00937, eq. 3)."""

    codebook_update: str = "ema"
    """'ema' (appendix A.1) or 'loss' (second term of eq. 3)."""
    beta: float = 0.25
    """Weight of the commitment term."""
    gamma: float = 0.99
    """Decay of the codewords' moving averages."""
    plain_steps: int = 200
    """First steps without quantisation; the codebook then starts by k-means."""
    revive_every: int = 50
    """Steps between revivals of unused codewords; 0 never revives."""
    revive_below: float = 0.5
    """A codeword used less often than this per step, on average, is unused."""


@dataclass(frozen=True, slots=True, kw_only=True)
class AutoencoderTraining(CodebookTraining):
    """The same of pictures."""

    pixel_variance: float = 0.06
    """Variance of pixels in 0..1, the unit of the distortion term."""


@dataclass(frozen=True, slots=True, kw_only=True)
class IndexPriorTraining(ScheduleConfig):
    """Training of the prior on the frozen autoencoder's indices."""

    integer_from: float = 0.6
    """Part of the steps after which the network runs on its integer grid."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PriorTraining(IndexPriorTraining):
    """The same of pictures."""

    views: int = 2
    """Times each picture is indexed, at random scales and flips."""
    label: str = ""
    """Regular expression that is searched in a picture's path below its folder of data, with
    slashes between its parts: the first group names its class, of which samples can be drawn then.
    Empty: there are no classes."""
    unlabelled: float = 0.15
    """Part of the tiles whose class is not told, as it is not in files."""

    def __post_init__(self) -> None:
        IndexPriorTraining.__post_init__(self)
        if not 0.0 <= self.unlabelled <= 1.0:
            raise ValueError("train.prior.unlabelled must be 0 to 1")
        require_group("train.prior.label", self.label)


@dataclass(frozen=True, slots=True, kw_only=True)
class TrainConfig(StagesConfig):
    """The stages of `paper`."""

    autoencoder: AutoencoderTraining
    prior: PriorTraining


@dataclass(frozen=True, slots=True, kw_only=True)
class Recipe(BaseRecipe):
    """Everything that decides what a training run makes, but for the pictures."""

    start: str = ""
    """Model whose weights training starts from, a name or a file; empty: random weights."""
    autoencoder: AutoencoderConfig
    prior: PriorConfig
    data: DataConfig = field(default_factory=DataConfig)
    train: TrainConfig

    def __post_init__(self) -> None:
        BaseRecipe.__post_init__(self)
        if self.start and self.train.prior.label:
            raise ValueError("train.prior.label: training with classes begins with random weights")
        if self.prior.codebook_size != self.autoencoder.codebook_size:
            raise ValueError("prior.codebook_size must equal autoencoder.codebook_size")
        side = self.train.autoencoder.crop // self.autoencoder.stride
        if self.train.autoencoder.batch * side**2 < self.autoencoder.codebook_size:
            raise ValueError("train.autoencoder: a batch has fewer latents than codewords")
        if self.train.autoencoder.crop % self.autoencoder.stride:
            raise ValueError(
                f"train.autoencoder.crop must be a multiple of {self.autoencoder.stride}"
            )


@dataclass(frozen=True, slots=True, kw_only=True)
class TransformTraining(ScheduleConfig):
    """Training of transform and context with noise for quantisation."""

    lambdas: tuple[float, float] = (0.0003, 0.04)
    """Weight of the MSE (0..255) against bits per pixel, of the lowest and the highest
    quality; the others lie between, evenly on a logarithmic scale."""
    ms_ssim: float = 0.0
    """MSE (0..255) that 1 - MS-SSIM counts as, beside the MSE itself."""
    blocks: bool = True
    """Whether the transform begins as the Karhunen-Loeve transform of 16x16 blocks."""


@dataclass(frozen=True, slots=True, kw_only=True)
class FineCells:
    """Codewords that begin closer to each other than steps are wide; see `fine`."""

    channels: int = 16
    """The channels that vary most, for which `spacing` counts."""
    spacing: float = 0.85
    """Of theirs, in steps."""
    lowest: int = 5
    """Quality from which on any are finer."""
    least: float = 0.25
    """Least spacing, in steps."""

    def __post_init__(self) -> None:
        if self.channels < 0 or self.lowest < 1 or not 0.03125 <= self.least <= self.spacing <= 1.0:
            raise ValueError(
                "train.product.fine: channels must be >= 0, lowest >= 1, and least and spacing "
                "0.03125 to 1, in this order"
            )


@dataclass(frozen=True, slots=True, kw_only=True)
class ProductTraining(ScheduleConfig):
    """Training of everything with codebooks and hard indices."""

    group_bits: float = 1.0
    """Channels share a group while their rounded values have at most this entropy together."""
    integer_from: float = 0.5
    """Part of the steps after which the prior runs on its integer grid."""
    codewords: int = 256
    """Codewords that a group begins with, at most, before any are finer."""
    fine: FineCells | None = None
    """Which codewords begin closer to each other than steps are wide; none if left out."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PhotoTrainConfig(StagesConfig):
    """The stages of `photo`."""

    transform: TransformTraining
    product: ProductTraining


@dataclass(frozen=True, slots=True, kw_only=True)
class PhotoRecipe(BaseRecipe):
    """Everything that decides what a run of `photo` makes, but for the pictures."""

    start: str = ""
    """Model whose weights and codebooks training goes on from, a name or a file, without
    the first stage; empty: random weights."""
    transform: TransformConfig
    latent_prior: LatentPriorConfig
    product: ProductConfig = field(default_factory=ProductConfig)
    data: DataConfig = field(default_factory=DataConfig)
    train: PhotoTrainConfig

    def __post_init__(self) -> None:
        BaseRecipe.__post_init__(self)
        for name, stage in (("transform", self.train.transform), ("product", self.train.product)):
            if stage.crop % self.transform.stride:
                raise ValueError(f"train.{name}.crop must be a multiple of {self.transform.stride}")
            if self.train.transform.ms_ssim and stage.crop < MS_SSIM_SIDE:
                raise ValueError(f"train.{name}.crop must be at least {MS_SSIM_SIDE} for MS-SSIM")
        if sum(self.latent_prior.slices) != self.transform.latents:
            raise ValueError("latent_prior.slices must be transform.latents in all")
