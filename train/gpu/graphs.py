"""Steps of training, on a GPU as CUDA graphs.

A step is some 4000 small operations, most of them shorter on a GPU than it takes a processor to
ask for them. A graph has them all asked for at once: they are recorded once, and replayed for every
step that is alike. What differs between replays lies in tensors: crops, rate, random numbers.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import Generic, TypeAlias, TypeVar

import torch
from torch import Tensor

from vqcodec.training.adversarial import AdversarialStage
from vqcodec.training.deep import DeepTransformStage
from vqcodec.training.hard import Layout
from vqcodec.training.medium import Cost
from vqcodec.training.optimise import Optimisers
from vqcodec.training.product import ProductStage
from vqcodec.training.speech import SpeechTransformStage
from vqcodec.training.transform import spread_qualities

_WARM_STEPS = 3
"""Steps taken one operation at a time before a graph is recorded, as torch wants it."""
_GRAIN = 64
"""Parts of a stage within which all steps have the same slope."""


@dataclass(frozen=True, slots=True)
class Kind:
    """What steps must have in common to be one graph."""

    shape: torch.Size
    """Of the crops."""


KindOfStep = TypeVar("KindOfStep", bound=Kind)


class Steps(ABC, Generic[KindOfStep]):
    """Takes steps of a stage that lets the host wait for nothing."""

    def __init__(self, optimisers: Optimisers, device: torch.device) -> None:
        self._optimisers = optimisers
        self._graphs = device.type == "cuda"
        self._rate = torch.zeros((), device=device)
        self._generator: torch.Generator = (
            torch.cuda.default_generators[torch.cuda.current_device()]
            if self._graphs
            else torch.default_generator
        )
        self._kind: KindOfStep | None = None
        self._graph: torch.cuda.CUDAGraph | None = None
        self._warm = 0
        self._crops = torch.empty(0)
        self._cost: Cost | None = None
        self._norm = torch.empty(0)

    @abstractmethod
    def _kind_of(self, crops: Tensor, step: int) -> KindOfStep:
        """Return what a step is."""

    @abstractmethod
    def _prepare(self, kind: KindOfStep) -> None:
        """Make ready for steps of a kind."""

    @abstractmethod
    def _weigh(self, kind: KindOfStep) -> Cost:
        """Return what the crops cost: a part of the graph."""

    def use_graphs(self, use: bool) -> None:
        """Say whether graphs are recorded, as is the rule on a GPU."""
        self._graphs, self._kind = use, None

    def take(self, crops: Tensor, step: int, rate: float) -> None:
        """Take the recipe's step `step` with crops, (B, ...), at a rate."""
        kind = self._kind_of(crops, step)
        if kind != self._kind:
            self._begin(kind, crops)
        else:
            self._crops.copy_(crops)
        self._rate.fill_(rate)
        if self._graph is None and self._graphs and self._warm == _WARM_STEPS:
            self._record(kind)
        if self._graph is not None:
            self._graph.replay()
        elif self._graphs:
            self._beside(kind)
        else:
            self._step(kind)
        self._warm += 1

    def figures(self) -> dict[str, float]:
        """Return those of the last step; waits until it is done."""
        assert self._cost is not None
        cost = self._cost
        return {
            "loss": float(cost.loss.detach()),
            **cost.figures(),
            "gradient": float(self._norm),
        }

    def _begin(self, kind: KindOfStep, crops: Tensor) -> None:
        self._kind = kind
        self._prepare(kind)
        # What the graph before holds is given back, before the next one takes as much.
        self._graph = self._cost = None
        self._warm = 0
        self._crops = crops.clone()

    def _step(self, kind: KindOfStep) -> None:
        self._cost = self._weigh(kind)
        self._norm = self._optimisers.step(self._cost.loss, self._rate)

    def _beside(self, kind: KindOfStep) -> None:
        """Take a step on a stream of its own, as it will be recorded on one."""
        current = torch.cuda.current_stream()
        stream = torch.cuda.Stream()  # type: ignore[no-untyped-call]
        stream.wait_stream(current)
        with torch.cuda.stream(stream):
            self._step(kind)
        current.wait_stream(stream)

    def _record(self, kind: KindOfStep) -> None:
        """Record a step. If that cannot be done, it is said, and steps go on one operation at a
        time.
        """
        graph = torch.cuda.CUDAGraph()
        try:
            with torch.cuda.graph(graph):
                self._step(kind)
        except RuntimeError as error:
            print(f"no graph of {kind}: {error}", flush=True)
            self._graphs = False
            torch.cuda.synchronize()
        else:
            self._graph = graph


@dataclass(frozen=True, slots=True)
class TransformKind(Kind):
    """Of the first two stages of photo-2."""

    noisy: bool
    with_analysis: bool
    slope: float


class TransformSteps(Steps[TransformKind]):
    """Takes steps of the first two stages of photo-2."""

    def __init__(
        self, stage: DeepTransformStage, optimisers: Optimisers, device: torch.device
    ) -> None:
        super().__init__(optimisers, device)
        self._stage = stage

    def _kind_of(self, crops: Tensor, step: int) -> TransformKind:
        stage = self._stage
        grain = max(1, stage.schedule.steps // _GRAIN)
        return TransformKind(
            crops.shape,
            stage.is_noisy(step),
            step >= stage.schedule.decoder_steps,
            stage.slope(step // grain * grain),
        )

    def _prepare(self, kind: TransformKind) -> None:
        self._stage.set_slope(kind.slope)

    def _weigh(self, kind: TransformKind) -> Cost:
        stage, crops = self._stage, self._crops
        qualities = spread_qualities(len(crops), stage.qualities, self._generator)
        noise = stage.noise(crops, self._generator) if kind.noisy else None
        return stage.cost(crops, qualities, noise, with_analysis=kind.with_analysis)


@dataclass(frozen=True, slots=True)
class SpeechTransformKind(Kind):
    """Of the first stage of speech."""

    noisy: bool


class SpeechTransformSteps(Steps[SpeechTransformKind]):
    """Takes steps of the first stage of speech."""

    def __init__(
        self, stage: SpeechTransformStage, optimisers: Optimisers, device: torch.device
    ) -> None:
        super().__init__(optimisers, device)
        self._stage = stage

    def _kind_of(self, crops: Tensor, step: int) -> SpeechTransformKind:
        return SpeechTransformKind(crops.shape, self._stage.is_noisy(step))

    def _prepare(self, kind: SpeechTransformKind) -> None:
        """Nothing is to be made ready."""

    def _weigh(self, kind: SpeechTransformKind) -> Cost:
        stage, crops = self._stage, self._crops
        qualities = spread_qualities(len(crops), stage.qualities, self._generator)
        noise = stage.noise(crops, self._generator) if kind.noisy else None
        return stage.cost(crops, qualities, noise)


@dataclass(frozen=True, slots=True)
class CodedKind(Kind):
    """Of a stage with codebooks."""

    qualities: tuple[int, ...]
    """Of the crops. Codebooks of each have other shapes. They are the same at every step if the
    batch is a multiple of their number; else hardly any step is like the one before, and there
    are no graphs.
    """
    part: bool = False
    """What else a stage of two parts has it depend on."""


class CodedSteps(Steps[CodedKind]):
    """Takes steps of a stage with codebooks."""

    def __init__(
        self,
        stage: ProductStage | AdversarialStage,
        optimisers: Optimisers,
        device: torch.device,
    ) -> None:
        super().__init__(optimisers, device)
        self._stage = stage
        self._layout: Layout | None = None

    def _kind_of(self, crops: Tensor, step: int) -> CodedKind:
        stage = self._stage
        qualities = stage.qualities(step)
        match stage:
            case ProductStage():
                return CodedKind(crops.shape, qualities, stage.is_integer(step))
            case AdversarialStage():
                return CodedKind(crops.shape, qualities, stage.is_fooling(step))

    def _prepare(self, kind: CodedKind) -> None:
        self._layout = self._stage.layout(kind.qualities)

    def _weigh(self, kind: CodedKind) -> Cost:
        stage, crops, layout = self._stage, self._crops, self._layout
        assert layout is not None
        match stage:
            case ProductStage():
                return stage.cost(crops, layout, integer=kind.part)
            case AdversarialStage():
                return stage.cost(crops, layout, fooling=kind.part)


TrainedStage: TypeAlias = (
    "DeepTransformStage | SpeechTransformStage | ProductStage | AdversarialStage"
)


def steps_of(
    stage: TrainedStage, optimisers: Optimisers, device: torch.device
) -> TransformSteps | SpeechTransformSteps | CodedSteps:
    """Return what takes a stage's steps."""
    match stage:
        case DeepTransformStage():
            return TransformSteps(stage, optimisers, device)
        case SpeechTransformStage():
            return SpeechTransformSteps(stage, optimisers, device)
        case _:
            return CodedSteps(stage, optimisers, device)
