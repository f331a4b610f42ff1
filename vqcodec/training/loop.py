"""The training loop, once for every stage: draw, step, log, validate, checkpoint.

A stage says what a batch is and what its loss is. The loop owns the optimiser,
the learning rate, checkpoints and interruption. A checkpoint holds the network,
its moving average, the optimiser's moments and the step; as every draw is a function
of the step (see `data`), a resumed run continues exactly: on a CPU to the bit, if the processor,
the libraries and the number of torch's threads (`torch.get_num_threads`; OMP_NUM_THREADS sets it)
are those of before. Sums of convolutions and of their gradients are split among the threads, and
another split rounds differently. Of several processes (`distributed`) the first alone writes,
validates and reports.
"""

from __future__ import annotations

import json
import signal
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from types import FrameType
from typing import Any, Protocol

from safetensors import safe_open
from safetensors.torch import save
from torch import Tensor, nn

from vqcodec.errors import ModelCorruptError
from vqcodec.storage import write_whole
from vqcodec.training.config import ScheduleConfig
from vqcodec.training.data import prefetch
from vqcodec.training.distributed import agree, any_of, means, parallel, rank, wait
from vqcodec.training.optimise import Average, Optimisers

Metrics = dict[str, float]
LOG_FILE = "log.jsonl"
"""In a run's folder: figures of all its stages."""


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
        """Draw this process's share of the batch of a step, as a pure function of the step.

        Runs in a thread.
        """
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


class _Silence:
    """A reporter that shows nothing."""

    def start(self, stage: str, step: int, steps: int) -> None:
        """Show nothing."""

    def step(self, stage: str, step: int, metrics: Metrics) -> None:
        """Show nothing."""

    def validation(self, stage: str, step: int, metrics: Metrics) -> None:
        """Show nothing."""


class Lines:
    """A reporter of scripts: it prints a line for each stage and each validation."""

    def start(self, stage: str, step: int, steps: int) -> None:
        """Print where a stage begins."""
        print(f"{stage}: step {step} of {steps}", flush=True)

    def step(self, stage: str, step: int, metrics: Metrics) -> None:
        """Print nothing."""

    def validation(self, stage: str, step: int, metrics: Metrics) -> None:
        """Print the figures."""
        figures = ", ".join(f"{name} {value:.3f}" for name, value in metrics.items())
        print(f"{stage}, step {step}: {figures}", flush=True)


SILENCE: Reporter = _Silence()


def heard(reporter: Reporter) -> Reporter:
    """Return the reporter in process 0; the others have nothing to report."""
    return SILENCE if rank() else reporter


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
        self.log = Log(folder, stage.name)
        self._reporter = heard(reporter)
        self._loss = parallel(stage.module, stage.loss)
        self._optimisers = Optimisers(stage.module, stage.schedule)
        self._average = Average(stage.module, stage.schedule.average)

    def run(self, *, resume: bool) -> None:
        """Train to the last step; the module then holds the average, if there is one.

        Raises: InterruptedRunError after SIGINT or SIGTERM in any process; ValueError if
        processes find different checkpoints.
        """
        stage, schedule = self.stage, self.stage.schedule
        start = self._load() if resume and self._checkpoint.exists() else 0
        agree(start, f"the step of {self._checkpoint}")
        if not resume and rank() == 0:
            self._checkpoint.unlink(missing_ok=True)  # or a later resumption would take it
        self.log.open(start)
        self._reporter.start(stage.name, start, schedule.steps)
        if schedule.validate_first and start == 0 and rank() == 0:
            self._validate(0)
        stage.module.train()
        with stop_requested() as stopped:
            for step, batch in enumerate(prefetch(stage.batch, start, schedule.steps), start):
                metrics = self._step(batch, step)
                self._reporter.step(stage.name, step + 1, metrics)
                done = step + 1
                last = done == schedule.steps
                if done % 50 == 0:
                    self.log.write("train", done, means(metrics))
                if (done % schedule.validate_every == 0 or last) and rank() == 0:
                    self._validate(done)
                stop = any_of(stopped())
                if (done % schedule.checkpoint_every == 0 or last or stop) and rank() == 0:
                    self._save(done)
                if stop and not last:
                    wait()  # a process that ends sooner may take the others with it
                    raise InterruptedRunError
        self._average.swap()
        stage.module.eval()

    def _step(self, batch: Tensor, step: int) -> Metrics:
        began = time.perf_counter()
        loss, metrics = self._loss(batch, step)
        norm = float(self._optimisers.step(loss, learning_rate(self.stage.schedule, step)))
        self.stage.after(batch, step)
        self._average.update(step)
        seconds = time.perf_counter() - began
        return {
            "loss": float(loss.detach()),
            **metrics,
            "gradient": norm,
            "seconds": seconds,
        }

    def _validate(self, step: int) -> None:
        module = self.stage.module
        module.eval()
        with self._average.swapped():
            figures = self.stage.validate()
        module.train()
        self.log.write("validation", step, figures)
        self._reporter.validation(self.stage.name, step, figures)

    def _save(self, step: int) -> None:
        parts = {
            "module": self.stage.module.state_dict(),
            "optimiser": self._optimisers.tensors(),
            "average": self._average.tensors,
        }
        tensors = {
            f"{part}.{name}": value.contiguous()
            for part, values in parts.items()
            for name, value in values.items()
        }
        data = save(tensors, metadata={"step": str(step)})
        write_whole(self._checkpoint, data, overwrite=True)

    def _load(self) -> int:
        with safe_open(self._checkpoint, framework="pt") as file:
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
            step = int((file.metadata() or {})["step"])
        parts: dict[str, dict[str, Tensor]] = {"module": {}, "optimiser": {}, "average": {}}
        for full, value in tensors.items():
            part, _, name = full.partition(".")
            parts.setdefault(part, {})[name] = value
        try:
            self.stage.module.load_state_dict(parts["module"])
            self._optimisers.load(parts["optimiser"])
            self._average.load(parts["average"])
        except (RuntimeError, KeyError) as error:
            raise ModelCorruptError(
                f"{self._checkpoint}: checkpoint is of another recipe",
                hint="start anew, or go back to the recipe it was made with",
            ) from error
        return step


class Log:
    """Figures of a run: `log.jsonl`, and TensorBoard files where it is installed.

    Only process 0 writes.
    """

    def __init__(self, folder: Path, stage: str) -> None:
        self._path = folder / LOG_FILE
        self._stage = stage
        self._board: Any = None
        if rank():
            return
        try:
            from torch.utils.tensorboard import SummaryWriter
        except ImportError:
            return
        self._board = SummaryWriter(str(folder / "tensorboard"))

    def open(self, step: int) -> None:
        """Drop what an interrupted run logged after `step`, which is now run again."""
        if rank() or not self._path.exists():
            return
        rows = self._path.read_text(encoding="utf-8").splitlines()
        keep = [row for row in rows if not self._is_later(json.loads(row), step)]
        write_whole(self._path, "".join(row + "\n" for row in keep).encode(), overwrite=True)

    def note(self, kind: str, values: Mapping[str, Any]) -> None:
        """Append a row of what was found before the first step."""
        if not rank():
            self._append(kind, 0, values)

    def _append(self, kind: str, step: int, values: Mapping[str, Any]) -> None:
        row = {"stage": self._stage, "kind": kind, "step": step, **values}
        with self._path.open("a", encoding="utf-8") as file:
            file.write(json.dumps(row) + "\n")

    def _is_later(self, row: dict[str, Any], step: int) -> bool:
        """Tell whether a run that starts at `step` logs the row again."""
        first = step == 0 and row["kind"] == "validation"
        return bool(row["stage"] == self._stage and (row["step"] > step or first))

    def write(self, kind: str, step: int, metrics: Metrics) -> None:
        """Append one row."""
        if rank():
            return
        self._append(kind, step, {n: float(f"{value:.6g}") for n, value in metrics.items()})
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
