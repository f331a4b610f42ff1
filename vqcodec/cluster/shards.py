"""Tokens of many files: a Parquet file for every few hundred of them (`vqcodec.tokens`)."""

from __future__ import annotations

import hashlib
import tempfile
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING

import pyarrow as pa

from vqcodec import tokens
from vqcodec.batch.job import Bar, Job, Outcome
from vqcodec.cluster.log import SCHEMA
from vqcodec.cluster.places import Task
from vqcodec.cluster.worker import Worker, described
from vqcodec.container import Limits
from vqcodec.image.pipeline import picture_model

if TYPE_CHECKING:
    from vqcodec.models.model import PictureModel

_PART = ".npz"


@dataclass(frozen=True, slots=True, kw_only=True)
class Tokenising:
    """Pictures and .vqc files become files of tokens (`batch.job.Work`)."""

    model: str | None = None
    quality: float | None = None
    device: str = "cpu"
    max_pixels: int = Limits().pixels

    def ready(self) -> Callable[[Job, Bar], Outcome]:
        """Load the model. Raises: ModelError; ValueError for a device that is not there."""
        return partial(self._tokenise, picture_model(self.model, self.device))

    def foresee(self, job: Job) -> Outcome:
        """Tell what would become of a file."""
        return Outcome(job=job, line=f"{job.source} -> {job.target}")

    def seconds(self, job: Job) -> float:
        """Guess by the file's size."""
        return job.megabytes

    def _tokenise(self, model: PictureModel, job: Job, bar: Bar) -> Outcome:
        found = tokens.tokenize(
            job.source,
            model=None if job.source.endswith(".vqc") and self.model is None else model,
            quality=self.quality,
            device=self.device,
            max_pixels=self.max_pixels,
        )
        tokens.write(job.target, [found], model=self.model, overwrite=True)
        return Outcome(job=job, before=Path(job.source).stat().st_size)


class ShardWorker(Worker):
    """Puts the tokens of all files that it is given at once into one file, whose name is theirs."""

    BATCH = 256

    def __call__(self, batch: pa.Table) -> pa.Table:
        """Take tasks as rows, and return rows of the log, whose targets are that file."""
        tasks = [Task(**row) for row in batch.to_pylist()]
        digest = hashlib.sha256("\0".join(task.source for task in tasks).encode()).hexdigest()
        name = f"part-{digest[:16]}.parquet"
        with tempfile.TemporaryDirectory() as folder:
            self._parts = Path(folder)
            rows = [self._row(replace(task, target=name)) for task in tasks]
            try:
                self._join([row["source"] for row in rows if not row["error"]], name)
            except Exception as error:  # of all files alike
                rows = [row | {"error": row["error"] or described(error).message} for row in rows]
        return pa.Table.from_pylist(rows, SCHEMA)

    def _outcome(self, task: Task) -> Outcome:
        part = self._part(task.source)
        if self._source.is_local:
            return self._attempt(Job(self._source.path(task.source), str(part)))
        with tempfile.TemporaryDirectory() as folder:
            source = str(Path(folder, PurePosixPath(task.source).name))
            self._source.fetch(task.source, source)
            return self._attempt(Job(source, str(part)))

    def _join(self, sources: Sequence[str], name: str) -> None:
        if not sources:
            return

        def pictures() -> Iterator[tokens.Tokens]:
            for source in sources:
                for found in tokens.read(self._part(source)):
                    yield replace(found, name=source)

        together = self._parts / name
        assert isinstance(self._work, Tokenising)
        tokens.write(together, pictures(), model=self._work.model)
        self._target.put(str(together), name)

    def _part(self, source: str) -> Path:
        return self._parts / (hashlib.sha256(source.encode()).hexdigest() + _PART)
