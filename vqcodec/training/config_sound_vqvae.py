"""Recipes of `paper-speech`, and of the paper's decoder beside it; see `config`."""

from __future__ import annotations

from dataclasses import dataclass, field

from vqcodec.models.config_sound import (
    SoundAutoencoderConfig,
    WaveNetConfig,
    WaveNetDecoderConfig,
)
from vqcodec.training.config import (
    BaseRecipe,
    CodebookTraining,
    IndexPriorTraining,
    ScheduleConfig,
    StagesConfig,
    require_group,
)
from vqcodec.training.config_speech import SoundConfig, SpeechDistortionConfig


@dataclass(frozen=True, slots=True, kw_only=True)
class VoicesConfig(SoundConfig):
    """Where crops of sound come from, how they are varied, and whose voice it is."""

    speeds: tuple[float, float] = (1.0, 1.0)
    """As for `SoundConfig`; a voice that is played faster is another one."""
    speaker: str = ""
    """Regular expression that is searched in a file's path below its folder of data, with slashes
    between its parts: the first group names the speaker. Empty: the folder that a file lies in
    names it."""

    def __post_init__(self) -> None:
        SoundConfig.__post_init__(self)
        require_group("data.speaker", self.speaker)


@dataclass(frozen=True, slots=True, kw_only=True)
class SoundAutoencoderTraining(CodebookTraining):
    """Training of encoder, codebook, speakers and decoder: distortion and commitment."""

    crop: int = 16000
    """Samples of a crop, whole indices."""
    commitment: float = 1.0
    """Weight of the codebook's part of the loss beside the distortion."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SoundPriorTraining(IndexPriorTraining):
    """The same of sound."""

    crop: int = 512
    """Indices of a crop."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SoundVqVaeTrainConfig(StagesConfig):
    """The stages of `paper-speech`, and what the first compares sound by."""

    autoencoder: SoundAutoencoderTraining
    prior: SoundPriorTraining
    distortion: SpeechDistortionConfig = field(default_factory=SpeechDistortionConfig)


@dataclass(frozen=True, slots=True, kw_only=True)
class SoundVqVaeRecipe(BaseRecipe):
    """Everything that decides what a run of `paper-speech` makes, but for the recordings."""

    start: str = ""
    """Model whose weights training goes on from, a name or a file, of the same speakers; empty:
    random weights."""
    autoencoder: SoundAutoencoderConfig = field(default_factory=SoundAutoencoderConfig)
    prior: WaveNetConfig = field(default_factory=WaveNetConfig)
    data: VoicesConfig = field(default_factory=VoicesConfig)
    train: SoundVqVaeTrainConfig

    def __post_init__(self) -> None:
        BaseRecipe.__post_init__(self)
        if self.prior.codebook_size != self.autoencoder.codebook_size:
            raise ValueError("prior.codebook_size must equal autoencoder.codebook_size")
        stage, hop = self.train.autoencoder, self.autoencoder.hop
        if stage.crop % hop or stage.crop < hop:
            raise ValueError(f"train.autoencoder.crop must be a multiple of {hop}")
        if stage.batch * stage.crop // hop < self.autoencoder.codebook_size:
            raise ValueError("train.autoencoder: a batch has fewer latents than codewords")
        if self.train.prior.crop < 1:
            raise ValueError("train.prior.crop must be at least 1")


@dataclass(frozen=True, slots=True, kw_only=True)
class WaveNetDecoderTraining(ScheduleConfig):
    """Training of the paper's decoder on the frozen autoencoder's indices."""

    crop: int = 16000
    """Samples of a crop, whole indices."""


@dataclass(frozen=True, slots=True, kw_only=True)
class WaveNetDecoderTrainConfig(StagesConfig):
    """The only stage."""

    decoder: WaveNetDecoderTraining


@dataclass(frozen=True, slots=True, kw_only=True)
class WaveNetDecoderRecipe(BaseRecipe):
    """Everything that decides what a run of the paper's decoder makes, but for the recordings."""

    start: str
    """Model of `paper-speech` whose indices it decodes, a name or a file."""
    decoder: WaveNetDecoderConfig = field(default_factory=WaveNetDecoderConfig)
    data: VoicesConfig = field(default_factory=VoicesConfig)
    train: WaveNetDecoderTrainConfig
