"""What is done with one clip, as `vqcodec.batch` has it done with many.

Copies of these classes are sent to other processes, so everything that is slow to load is
imported where it is used.
"""

from __future__ import annotations

import os
import shutil
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import IO, TYPE_CHECKING

from vqcodec.batch.dates import modified_of, set_modified
from vqcodec.batch.job import STREAM, Bar, Job, Outcome, compared, is_stream
from vqcodec.batch.removal import Removal, remove
from vqcodec.clip.formats import FOLDER, HEAD_BYTES, WRITTEN_VIDEO, is_video, is_video_name
from vqcodec.codec.search import Wish
from vqcodec.container.layout import Limits
from vqcodec.counting import counted
from vqcodec.errors import ClipError

if TYPE_CHECKING:
    from vqcodec.clip.decoding import Film
    from vqcodec.clip.footage import Footage, Pixels
    from vqcodec.clip.pipeline import Encoded
    from vqcodec.clip.survey import Survey
    from vqcodec.models.clip import ClipVqVae

_LARGER = "the result is larger"
_LOSSY = "the result of a clip is lossy"
_FOLDER = "it is a folder"
_EVEN = "video has sides of even length: a row or a column was added"
_SECONDS_PER_MEGABYTE = 20.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Reading:
    """What is taken of a clip."""

    max_pixels: int = Limits().pixels
    """Of all frames together."""
    fps: float | None = None
    """Frames per second of a folder; None: as it says itself, or as many as the model's clips
    have."""
    actions: str | None = None
    """A text with a line for each frame: the action that led to it."""
    still: bool = False
    """Take a still picture as a clip of one frame."""
    strip: bool = False
    """Leave out the date."""
    mtime: bool = True
    """Take the date of the file along."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Compression:
    """Clips become .vqc files."""

    model: str | None = None
    device: str = "cpu"
    prior: bool = True
    steadiness: float | None = None
    """How readily indices stay from frame to frame; None: as usual."""
    wish: Wish = field(default_factory=Wish)
    reading: Reading = field(default_factory=Reading)
    removal: Removal = field(default_factory=Removal)

    def ready(self) -> Callable[[Job, Bar], Outcome]:
        """Load the model. Raises: ModelError; ValueError for a device that is not there."""
        from vqcodec.clip.pipeline import clip_model

        return partial(self._compress, clip_model(self.model, self.device))

    def foresee(self, job: Job) -> Outcome:
        """Tell whether a clip that is to be deleted will be."""
        kept = self._kept(job, self.survey(job).losses) if self.removal.remove_source else ()
        return Outcome(job=job, line=f"{job.source} -> {job.target}", kept=kept)

    def seconds(self, job: Job) -> float:
        """Guess by the file's size."""
        return job.megabytes * _SECONDS_PER_MEGABYTE

    def survey(self, job: Job) -> Survey:
        """Read all frames of a clip, and tell what is found; a folder that does not say how long
        they are shown has one frame a second. Raises: as the work on it, but for its model.
        """
        from vqcodec.clip.survey import survey

        with self._opened(job, 1.0) as (footage, size):
            return survey(footage, size, self.reading.max_pixels)

    def _kept(self, job: Job, losses: Sequence[str]) -> tuple[str, ...]:
        """Say why a clip must be kept, if it must."""
        lossy = () if self.removal.allow_lossy else (_LOSSY,)
        reasons = (_FOLDER,) if Path(job.source).is_dir() else lossy
        return reasons + tuple(f"{loss} would be lost" for loss in losses)

    def _compress(self, model: ClipVqVae, job: Job, bar: Bar) -> Outcome:
        from vqcodec.clip.pipeline import encode
        from vqcodec.models.clip import STEADINESS

        began = time.perf_counter()
        removes = self.removal.remove_source
        state = job.state() if removes else ()
        with (
            bar(job.source) as progress,
            self._opened(job, model.clip.frames_per_second) as (footage, before),
        ):
            encoded = encode(
                footage,
                model,
                self.wish,
                actions=self._actions(),
                prior=self.prior,
                steadiness=STEADINESS if self.steadiness is None else self.steadiness,
                max_pixels=self.reading.max_pixels,
                progress=progress,
            )
        losses = footage.losses
        check = partial(_confirm, job, bar, model, encoded)
        job.write(encoded.data, check if self.removal.verifies else None)
        after = len(encoded.data)
        is_larger = self.removal.is_too_large(before, after)
        kept: tuple[str, ...] = ()
        if removes:
            kept = self._kept(job, losses)
            kept += (_LARGER,) if is_larger else ()
            kept = kept or remove(job, state)
        warned = tuple(f"not kept: {loss}" for loss in losses)
        warned += (f"{_LARGER} than the clip",) if is_larger else ()
        timing = encoded.description.timing
        rate = 8 * after / timing.seconds / 1000
        seconds = time.perf_counter() - began
        return Outcome(
            job=job,
            line=f"{job.source} -> {job.target}: {before} -> {after} bytes, "
            f"{compared(before, after)}, {counted(timing.frames, 'frame')} at {rate:.2f} kbit/s, "
            f"{seconds:.2f} s",
            warnings=() if removes else warned,
            before=before,
            after=after,
            rate=rate,
            kept=kept,
        )

    @contextmanager
    def _opened(self, job: Job, usual_fps: float) -> Iterator[tuple[Footage, int]]:
        """Open the input; also give its size in bytes."""
        from vqcodec.clip.ffmpeg import open_video
        from vqcodec.clip.reading import open_animation, open_folder

        reading, path = self.reading, Path(job.source)
        modified = modified_of(job.source) if reading.mtime and not reading.strip else None
        most = reading.max_pixels
        if job.source != STREAM and path.is_dir():
            frames = open_folder(
                path,
                fps=reading.fps,
                usual_fps=usual_fps,
                max_pixels=most,
                modified=modified,
            )
            yield frames, frames.bytes
            return
        if reading.fps is not None:
            raise ClipError(
                "it says itself how long frames are shown",
                hint="frames per second can be given for folders of frames alone",
            )
        with job.open() as file:
            before = os.fstat(file.fileno()).st_size
            if is_video(file.read(HEAD_BYTES)) or is_video_name(path):
                with _named(job, file) as video:
                    yield open_video(video, max_pixels=most, modified=modified), before
            else:
                still = reading.still
                yield (
                    open_animation(file, max_pixels=most, modified=modified, still=still),
                    before,
                )

    def _actions(self) -> list[str] | None:
        """Return the names of the actions that a text beside the clip has."""
        from vqcodec.clip.reading import read_lines

        path = self.reading.actions
        return None if path is None else read_lines(Path(path))


@dataclass(frozen=True, slots=True, kw_only=True)
class Decompression:
    """.vqc files become moving pictures, or folders of frames."""

    model: str | None = None
    device: str = "cpu"
    crop: tuple[float, float] | None = None
    """From and to, seconds."""
    salvage: bool = False
    max_pixels: int = Limits().pixels
    suffix: str = ".webp"
    """Names the format; empty for a folder of frames."""
    actions: str | None = None
    """Where a text with a line for each frame is written: the action that led to it."""
    mtime: bool = True
    """Give results the dates of the clips' files, where these are known."""

    def ready(self) -> Callable[[Job, Bar], Outcome]:
        """Load the model, if one is given. Raises: ModelError; ValueError for a device that is
        not there, or a format that is not written.
        """
        from vqcodec.clip.pipeline import clip_model
        from vqcodec.clip.writing import require_format
        from vqcodec.engines.devices import pick_device

        require_format(self.suffix)
        pick_device(self.device)
        model = None if self.model is None else clip_model(self.model, self.device)
        return partial(self._decompress, model)

    def foresee(self, job: Job) -> Outcome:
        """Tell what would become of a file."""
        return Outcome(job=job, line=f"{job.source} -> {job.target}")

    def seconds(self, job: Job) -> float:
        """Guess by the file's size."""
        return job.megabytes * _SECONDS_PER_MEGABYTE * 100.0

    def _decompress(self, model: ClipVqVae | None, job: Job, bar: Bar) -> Outcome:
        from vqcodec.clip.footage import names_of
        from vqcodec.clip.pipeline import open_clip
        from vqcodec.clip.salvage import open_wreck

        began = time.perf_counter()
        data = job.read()
        wreck = None
        if self.salvage:
            wreck = open_wreck(data, model=model, device=self.device, max_pixels=self.max_pixels)
            film = wreck.film
        else:
            film = open_clip(data, model=model, device=self.device, max_pixels=self.max_pixels)
        span = film.timing.span(self.crop)
        actions = names_of(film.model, film.description.actions[span.start : span.stop])
        with bar(job.source) as progress:
            frames = wreck.frames(progress) if wreck else film.frames(span, progress=progress)
            after = self._write(job, film, frames, span, actions)
        losses = warned = wreck.losses if wreck else ()
        if self.suffix in WRITTEN_VIDEO and any(side % 2 for side in film.size):
            warned += (_EVEN,)
        modified = film.description.modified
        if self.mtime and job.is_file and modified is not None:
            warned += set_modified(job.target, modified)
        if self.actions is not None:
            text = "".join(f"{action}\n" for action in actions or ("",) * len(span))
            Job(job.source, self.actions, job.overwrite).write(text.encode())
        shown = film.timing.start(span.stop) - film.timing.start(span.start)
        seconds = time.perf_counter() - began
        return Outcome(
            job=job,
            line=f"{job.source} -> {job.target}: {counted(len(span), 'frame')}, "
            f"{shown:.2f} s of a clip, {seconds:.2f} s",
            warnings=warned,
            before=len(data),
            after=after,
            salvaged=bool(losses),
        )

    def _write(
        self,
        job: Job,
        film: Film,
        frames: Iterator[Pixels],
        span: range,
        actions: tuple[str, ...],
    ) -> int:
        """Write the frames of a span, and return how many bytes that are."""
        from vqcodec.clip.writing import write_clip, write_frames

        after = 0

        def write_all(write: Callable[[str, bytes], None]) -> None:
            def write_counted(name: str, data: bytes) -> None:
                nonlocal after
                write(name, data)
                after += len(data)

            write_frames(write_counted, frames, film.timing, span, actions)

        def write(file: IO[bytes]) -> None:
            nonlocal after
            write_clip(file, self.suffix, frames, film.timing, span)
            after = file.seek(0, os.SEEK_END)

        if self.suffix == FOLDER:
            job.write_folder(write_all)
        else:
            job.write_by(write)
        return after


@contextmanager
def _named(job: Job, file: IO[bytes]) -> Iterator[Path]:
    """Give the path of an input, or of a copy of it where it has none."""
    if not is_stream(job.source):
        yield Path(job.source)
        return
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "clip"
        file.seek(0)
        with path.open("wb") as copy:
            shutil.copyfileobj(file, copy)
        yield path


def _confirm(job: Job, bar: Bar, model: ClipVqVae, encoded: Encoded, written: bytes) -> None:
    from vqcodec.clip.pipeline import confirm

    with bar(f"verifying {job.target}") as progress:
        confirm(encoded, written, model, progress=progress)
