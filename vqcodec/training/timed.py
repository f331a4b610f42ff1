"""Training for a given time, whatever number of steps that is.

How many steps a machine takes in some minutes nobody knows before, least of all if other work
shares it. So a stage's `steps` are, at every step, as many as there will be if the rest goes as
fast as what is done. What the schedule says of parts of the steps, as `decay` and `integer_from`
do, it then says of parts of the time.
"""

from __future__ import annotations

import math
import sys
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from vqcodec.training.data import prefetch
from vqcodec.training.distributed import size
from vqcodec.training.loop import (
    InterruptedRunError,
    Metrics,
    Reporter,
    Stage,
    Trainer,
    stop_requested,
)


class TimedTrainer(Trainer):
    """Runs one stage in a folder until its time is over."""

    def __init__(self, stage: Stage, folder: Path, reporter: Reporter, *, until: float) -> None:
        """`until` is when the last step ends, by `time.monotonic`; a validation follows.

        Raises ValueError for several processes, whose clocks would differ.
        """
        if size() > 1:
            raise ValueError("training for a given time is for one process")
        super().__init__(stage, folder, reporter)
        self._until = until

    def run(self, *, resume: bool) -> None:
        """Train, at least one step; the module then holds the average, if there is one.

        Raises: InterruptedRunError after SIGINT or SIGTERM, with a checkpoint written;
        FloatingPointError when training diverges, while the last checkpoint stands; ValueError
        for `resume`, as nothing keeps how long a run has been trained.
        """
        if resume:
            raise ValueError("training for a given time cannot be resumed")
        stage = self.stage
        self._checkpoint.unlink(missing_ok=True)
        self.log.open(0)
        self._reporter.start(stage.name, 0, stage.schedule.steps)
        stage.module.train()
        began = time.monotonic()
        with stop_requested() as stopped:
            for step, batch in enumerate(prefetch(stage.batch, 0, sys.maxsize)):
                metrics = self._step(batch, step)
                done = step + 1
                self._expect(done, began)
                last = done == stage.schedule.steps
                self._follow(done, metrics, last=last, stopped=stopped)
                if last:
                    break
        self._average.swap()
        stage.module.eval()

    def _expect(self, done: int, began: float) -> None:
        """Set the stage's steps by how fast those that are done were."""
        now = time.monotonic()
        more = done * max(0.0, self._until - now) / max(1e-9, now - began)
        schedule = replace(self.stage.schedule, steps=done + int(more))
        self.stage.schedule = schedule  # type: ignore[misc]  # the loop itself only reads it

    def _follow(
        self, done: int, metrics: Metrics, *, last: bool, stopped: Callable[[], bool]
    ) -> None:
        """Log, validate and save after a step."""
        stage, schedule = self.stage, self.stage.schedule
        if not math.isfinite(metrics["gradient"]):
            raise FloatingPointError(
                f"{stage.name}, step {done}: gradients are no numbers any more"
            )
        self._reporter.step(stage.name, done, metrics)
        if done % 50 == 0:
            self.log.write("train", done, {**metrics, "steps": schedule.steps})
        if done % schedule.validate_every == 0 or last:
            self._validate(done)
        stop = stopped()
        if done % schedule.checkpoint_every == 0 or last or stop:
            self._save(done)
        if stop and not last:
            raise InterruptedRunError
