"""Recipes of `speech`; see `config`."""

from __future__ import annotations

from dataclasses import dataclass, field

from vqcodec.models.config import ProductConfig
from vqcodec.models.config_sound import LatentWaveNetConfig, SpeechConfig
from vqcodec.models.stft import HOP
from vqcodec.training.config import BaseRecipe, ProductTraining, ScheduleConfig, StagesConfig


@dataclass(frozen=True, slots=True, kw_only=True)
class SoundConfig:
    """Where crops of sound come from, and how they are varied."""

    weights: dict[str, float] = field(default_factory=dict)
    """Share of crops by source, the part of a file's path that comes first below the folder of
    data: a folder, or the file itself; '*' is every other source together. Empty: every second
    alike."""
    levels: tuple[float, float] = (-6.0, 6.0)
    """How much louder a crop is than the level that models see speech at (`audio.level`), dB:
    drawn from this range."""
    speeds: tuple[float, float] = (0.92, 1.08)
    """Crops are played faster by a factor drawn from this range, voices higher with it."""

    def __post_init__(self) -> None:
        if not (-60.0 <= self.levels[0] <= self.levels[1] <= 20.0):
            raise ValueError("data.levels must ascend within -60 to 20")
        if not (0.5 <= self.speeds[0] <= self.speeds[1] <= 2.0):
            raise ValueError("data.speeds must ascend within 0.5 to 2")


@dataclass(frozen=True, slots=True, kw_only=True)
class SpeechDistortionConfig:
    """How far decoded sound is from its original (`sound_distortion`)."""

    phase: float = 0.3
    """Share of the complex difference of compressed spectra; the rest is that of magnitudes."""
    log_mel: float = 1.0
    """Weight of the difference of logarithmic mel spectra beside that of compressed ones."""
    envelope: float = 1.0
    """Weight of how differently bands rise and fall."""

    def __post_init__(self) -> None:
        weights = (self.log_mel, self.envelope)
        if not (0.0 <= self.phase <= 1.0 and all(0.0 <= weight < 1e6 for weight in weights)):
            raise ValueError(
                "train.distortion: phase must be 0 to 1, log_mel and envelope 0 to 1e6"
            )


@dataclass(frozen=True, slots=True, kw_only=True)
class SpeechTraining(ScheduleConfig):
    """Training of transform and context with noise, then with two candidates, for quantisation."""

    crop: int = 16000
    """Samples of a crop, whole frames."""
    lambdas: tuple[float, float] = (6.0, 120.0)
    """Weight of the distortion against kbit/s, of the lowest and the highest quality; the others
    lie between, evenly on a logarithmic scale."""
    candidates_from: float = 0.66
    """Part of the steps after which the rate is that of two candidates instead of noise."""
    temperature: float = 0.15
    """How softly a latent passes from one candidate to the other, in its unit."""

    def __post_init__(self) -> None:
        ScheduleConfig.__post_init__(self)
        if not 0.0 < self.lambdas[0] <= self.lambdas[1]:
            raise ValueError("train.transform.lambdas must ascend from above 0")
        if not 0.0 <= self.candidates_from <= 1.0 or self.temperature <= 0.0:
            raise ValueError("train.transform: candidates_from 0 to 1, temperature above 0")


@dataclass(frozen=True, slots=True, kw_only=True)
class AdversarialTraining(ScheduleConfig):
    """Training of the synthesis against discriminators (`adversarial`)."""

    crop: int = 16000
    """Samples of a crop, whole frames."""
    sizes: tuple[int, ...] = (256, 512, 1024)
    """Windows of the discriminators, samples."""
    channels: int = 16
    """Width of a discriminator."""
    alone: int = 200
    """First steps, in which the synthesis does not heed the discriminators yet."""
    deceived: float = 0.03
    """Weight of being taken for a recording, beside the distortion."""
    alike: float = 0.1
    """Weight of what the discriminators' layers see of the difference."""
    mix: float = 1.0
    """Where the model's synthesis lies between the one before this stage, at 0, and the one that it
    ends with, at 1."""

    def __post_init__(self) -> None:
        ScheduleConfig.__post_init__(self)
        if not self.sizes or any(size < 16 or size % 4 for size in self.sizes):
            raise ValueError("train.adversarial.sizes must be multiples of 4 from 16 on")
        if self.channels < 1 or self.alone < 0 or min(self.deceived, self.alike) < 0.0:
            raise ValueError(
                "train.adversarial: channels must be 1 at least, alone, deceived and alike 0"
            )
        if not 0.0 <= self.mix <= 1.0:
            raise ValueError("train.adversarial.mix must be 0 to 1")


@dataclass(frozen=True, slots=True, kw_only=True)
class SpeechTrainConfig(StagesConfig):
    """The stages of `speech`, and what all compare sound by."""

    transform: SpeechTraining
    product: ProductTraining
    adversarial: AdversarialTraining | None = None
    """Left out: the model is what `product` ends with."""
    distortion: SpeechDistortionConfig = field(default_factory=SpeechDistortionConfig)

    @property
    def stages(self) -> dict[str, ScheduleConfig]:
        """Stages that there are, by name."""
        every = {
            "transform": self.transform,
            "product": self.product,
            "adversarial": self.adversarial,
        }
        return {name: settings for name, settings in every.items() if settings is not None}


@dataclass(frozen=True, slots=True, kw_only=True)
class SpeechRecipe(BaseRecipe):
    """Everything that decides what a run of `speech` makes, but for the recordings."""

    start: str = ""
    """Folder of weights that the first stage goes on from, as train/checkpoint.py writes it;
    empty: random weights."""
    transform: SpeechConfig = field(default_factory=SpeechConfig)
    latent_prior: LatentWaveNetConfig = field(default_factory=LatentWaveNetConfig)
    product: ProductConfig = field(default_factory=ProductConfig)
    data: SoundConfig = field(default_factory=SoundConfig)
    train: SpeechTrainConfig

    def __post_init__(self) -> None:
        BaseRecipe.__post_init__(self)
        for name, stage in self.train.stages.items():
            if stage.crop % HOP or stage.crop < HOP:
                raise ValueError(f"train.{name}.crop must be a multiple of {HOP}")
        if sum(self.latent_prior.slices) != self.transform.latents:
            raise ValueError("latent_prior.slices must be transform.latents in all")
