"""The training loop, once for every stage: draw, step, log, validate, checkpoint.

A stage says what a batch is and what its loss is. The loop owns the optimiser,
the learning rate, checkpoints and interruption. A checkpoint holds the network,
Adam's moments and the step; as every draw is a function of the step (see
`data`), a resumed run continues exactly.
"""

from __future__ import annotations

import json
import os
import signal
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType
from typing import Any, Protocol

import torch
from safetensors import safe_open
from safetensors.torch import save_file
from torch import Tensor, nn

from vqcodec.errors import ModelCorruptError
from vqcodec.training.config import ScheduleConfig
from vqcodec.training.data import prefetch

Metrics = dict[str, float]


class Stage(Protocol):
    """One network to train."""

    name: str

    @property
    def schedule(self) -> ScheduleConfig:
        """Steps, rates and bookkeeping."""
        ...

    @property
    def module(self) -> nn.Module:
        """What is trained."""
        ...

    def batch(self, step: int) -> Tensor:
        """Draw the batch of a step; a pure function of the step. Runs in a thread."""
        ...

    def loss(self, batch: Tensor, step: int) -> tuple[Tensor, Metrics]:
        """Return the scalar to minimise and figures to log."""
        ...

    def after(self, batch: Tensor, step: int) -> None:
        """Do what follows the optimiser's step."""
        ...

    def validate(self) -> Metrics:
        """Return figures on the validation pictures."""
        ...


class Reporter(Protocol):
    """Shows progress."""

    def start(self, stage: str, step: int, steps: int) -> None:
        """A stage begins at `step` of `steps`."""
        ...

    def step(self, stage: str, step: int, metrics: Metrics) -> None:
        """A step is done."""
        ...

    def validation(self, stage: str, step: int, metrics: Metrics) -> None:
        """A validation is done."""
        ...


class InterruptedRunError(Exception):
    """The run was stopped from outside; its checkpoint is written."""


def learning_rate(schedule: ScheduleConfig, step: int) -> float:
    """Return the rate of a step: linear warm-up, plateau, linear decay to 0.

    A plateau, unlike a cosine, leaves the run extendable: only the decay knows
    where the end is.
    """
    rise = (step + 1) / max(1, schedule.warmup)
    left = (schedule.steps - step) / max(1.0, schedule.decay * schedule.steps)
    return schedule.learning_rate * min(1.0, rise, left)


class Trainer:
    """Runs one stage in a folder, resumably."""

    def __init__(self, stage: Stage, folder: Path, reporter: Reporter) -> None:
        self.stage = stage
        self._checkpoint = folder / f"{stage.name}.safetensors"
        self._log = Log(folder, stage.name)
        self._reporter = reporter
        self._optimiser = torch.optim.Adam(stage.module.parameters(), fused=True)

    def run(self, *, resume: bool) -> None:
        """Train to the last step. Raises InterruptedRunError after SIGINT or SIGTERM."""
        stage, schedule = self.stage, self.stage.schedule
        if not resume:
            self._checkpoint.unlink(missing_ok=True)  # or a later resumption would take it
        start = self._load() if self._checkpoint.exists() else 0
        self._log.open(start)
        self._reporter.start(stage.name, start, schedule.steps)
        stage.module.train()
        with stop_requested() as stopped:
            for step, batch in enumerate(prefetch(stage.batch, start, schedule.steps), start):
                metrics = self._step(batch, step)
                self._reporter.step(stage.name, step + 1, metrics)
                done = step + 1
                last = done == schedule.steps
                if done % 50 == 0:
                    self._log.write("train", done, metrics)
                if done % schedule.validate_every == 0 or last:
                    stage.module.eval()
                    figures = stage.validate()
                    stage.module.train()
                    self._log.write("validation", done, figures)
                    self._reporter.validation(stage.name, done, figures)
                if done % schedule.checkpoint_every == 0 or last or stopped():
                    self._save(done)
                if stopped() and not last:
                    raise InterruptedRunError
        stage.module.eval()

    def _step(self, batch: Tensor, step: int) -> Metrics:
        schedule = self.stage.schedule
        rate = learning_rate(schedule, step)
        for group in self._optimiser.param_groups:
            group["lr"] = rate
        began = time.perf_counter()
        loss, metrics = self.stage.loss(batch, step)
        self._optimiser.zero_grad(set_to_none=True)
        loss.backward()  # type: ignore[no-untyped-call]
        norm = nn.utils.clip_grad_norm_(self.stage.module.parameters(), schedule.clip)
        self._optimiser.step()
        self.stage.after(batch, step)
        seconds = time.perf_counter() - began
        return {
            "loss": float(loss.detach()),
            **metrics,
            "gradient": float(norm),
            "seconds": seconds,
        }

    def _save(self, step: int) -> None:
        module = self.stage.module
        tensors = {f"module.{name}": value for name, value in module.state_dict().items()}
        for name, parameter in module.named_parameters():
            for key, value in self._optimiser.state.get(parameter, {}).items():
                tensors[f"adam.{key}.{name}"] = value
        tensors = {name: value.contiguous() for name, value in tensors.items()}
        partial = self._checkpoint.with_suffix(".partial")
        save_file(tensors, partial, metadata={"step": str(step)})
        os.replace(partial, self._checkpoint)

    def _load(self) -> int:
        with safe_open(self._checkpoint, framework="pt") as file:
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
            step = int((file.metadata() or {})["step"])
        state = {k.removeprefix("module."): v for k, v in tensors.items() if k[:7] == "module."}
        try:
            self.stage.module.load_state_dict(state)
        except RuntimeError as error:
            raise ModelCorruptError(
                f"{self._checkpoint}: checkpoint is of another recipe",
                hint="start anew without --resume, or go back to the recipe it was made with",
            ) from error
        for name, parameter in self.stage.module.named_parameters():
            moments = {}
            for key in ("step", "exp_avg", "exp_avg_sq"):
                value = tensors.get(f"adam.{key}.{name}")
                if value is None:
                    continue
                # The fused optimiser walks through memory: moments must be laid out as
                # the parameter is (channels last), which the file does not keep.
                like = parameter if value.dim() else torch.empty((), device=parameter.device)
                moments[key] = torch.empty_like(like, requires_grad=False).copy_(value)
            if moments:
                self._optimiser.state[parameter] = moments
        return step


class Log:
    """Figures of a run: `log.jsonl`, and TensorBoard files where it is installed."""

    def __init__(self, folder: Path, stage: str) -> None:
        self._path = folder / "log.jsonl"
        self._stage = stage
        self._board: Any = None
        try:
            from torch.utils.tensorboard import SummaryWriter
        except ImportError:
            return
        self._board = SummaryWriter(str(folder / "tensorboard"))

    def open(self, step: int) -> None:
        """Drop what an interrupted run logged after `step`, which is now run again."""
        if not self._path.exists():
            return
        rows = self._path.read_text(encoding="utf-8").splitlines()
        keep = [row for row in rows if not self._is_later(json.loads(row), step)]
        self._path.write_text("".join(row + "\n" for row in keep), encoding="utf-8")

    def _is_later(self, row: dict[str, Any], step: int) -> bool:
        return bool(row["stage"] == self._stage and row["step"] > step)

    def write(self, kind: str, step: int, metrics: Metrics) -> None:
        """Append one row."""
        rounded = {name: float(f"{value:.6g}") for name, value in metrics.items()}
        row = {"stage": self._stage, "kind": kind, "step": step, **rounded}
        with self._path.open("a", encoding="utf-8") as file:
            file.write(json.dumps(row) + "\n")
        if self._board is not None:
            for name, value in metrics.items():
                self._board.add_scalar(f"{self._stage}/{kind}/{name}", value, step)


@contextmanager
def stop_requested() -> Iterator[Any]:
    """Yield a function that tells whether SIGINT or SIGTERM came; a second one kills."""
    seen: list[int] = []

    def note(number: int, frame: FrameType | None) -> None:
        seen.append(number)
        signal.signal(number, previous[signal.Signals(number)])

    try:
        previous = {n: signal.signal(n, note) for n in (signal.SIGINT, signal.SIGTERM)}
    except ValueError:  # not the main thread: signals go to the embedding program
        previous = {}
    try:
        yield lambda: bool(seen)
    finally:
        for number, handler in previous.items():
            signal.signal(number, handler)
