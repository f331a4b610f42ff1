"""What is done with one file of sound, as `vqcodec.batch` has it done with many.

Copies of these classes are sent to other processes, so everything that is slow to load is
imported where it is used.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from typing import IO, TYPE_CHECKING, Any

from vqcodec.audio.chunks import MAX_SAMPLES
from vqcodec.batch.dates import modified_of, set_modified
from vqcodec.batch.job import Bar, Job, Outcome, compared
from vqcodec.batch.removal import Removal, remove
from vqcodec.codec.search import Wish
from vqcodec.counting import counted

if TYPE_CHECKING:
    from vqcodec.audio.pipeline import Encoded
    from vqcodec.audio.reading import SoundFile
    from vqcodec.models.model import SoundModel

_LARGER = "the result is larger"
_LOSSY = "the result of sound is lossy"
_SECONDS_PER_MEGABYTE = 4.0
"""Of one processor: a megabyte of WAV is half a minute."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Reading:
    """What is taken of a file of sound."""

    max_samples: int = MAX_SAMPLES
    strip: bool = False
    """Leave out tags and date."""
    mtime: bool = True
    """Take the date of the file along."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Compression:
    """Files of sound become .vqc files."""

    model: str | None = None
    device: str = "cpu"
    prior: bool = True
    speaker: str | None = None
    """In whose voice results are to be decoded, of those whom the model knows; None: the one whose
    voice is most like it."""
    wish: Wish = field(default_factory=Wish)
    reading: Reading = field(default_factory=Reading)
    removal: Removal = field(default_factory=Removal)

    def ready(self) -> Callable[[Job, Bar], Outcome]:
        """Load the model. Raises: ModelError; ValueError for a device that is not there."""
        from vqcodec.audio.pipeline import sound_model

        return partial(self._compress, sound_model(self.model, self.device))

    def foresee(self, job: Job) -> Outcome:
        """Tell whether a file that is to be deleted will be."""
        kept: tuple[str, ...] = ()
        if self.removal.remove_source:
            with job.open() as file:
                kept = self._reasons(self._opened(job, file).losses)
        return Outcome(job=job, line=f"{job.source} -> {job.target}", kept=kept)

    def seconds(self, job: Job) -> float:
        """Guess by the file's size."""
        return job.megabytes * _SECONDS_PER_MEGABYTE

    def _opened(self, job: Job, file: IO[bytes]) -> SoundFile:
        from vqcodec.audio.reading import open_sound

        strip = self.reading.strip
        keeps_date = self.reading.mtime and not strip
        return open_sound(
            file,
            max_samples=self.reading.max_samples,
            modified=modified_of(job.source) if keeps_date else None,
            strip=strip,
        )

    def _reasons(self, losses: tuple[str, ...]) -> tuple[str, ...]:
        """Say why a file must be kept, if it must."""
        lossy = () if self.removal.allow_lossy else (_LOSSY,)
        return lossy + tuple(f"{loss} would be lost" for loss in losses)

    def _compress(self, model: SoundModel, job: Job, bar: Bar) -> Outcome:
        from vqcodec.audio.pipeline import encode

        began = time.perf_counter()
        removes = self.removal.remove_source
        state = job.state() if removes else ()
        with bar(job.source) as progress, job.open() as file:
            before = os.fstat(file.fileno()).st_size
            recording = self._opened(job, file)
            encoded = encode(
                recording,
                model,
                self.wish,
                prior=self.prior,
                speaker=self.speaker,
                max_samples=self.reading.max_samples,
                progress=progress,
            )
        check = partial(_confirm, job, bar, model, encoded)
        job.write(encoded.data, check if self.removal.verifies else None)
        after = len(encoded.data)
        is_larger = self.removal.is_too_large(before, after)
        kept: tuple[str, ...] = ()
        if removes:
            kept = self._reasons(recording.losses)
            kept += (_LARGER,) if is_larger else ()
            kept = kept or remove(job, state)
        warned = tuple(f"not kept: {loss}" for loss in recording.losses)
        warned += (f"{_LARGER} than the file of sound",) if is_larger else ()
        duration = encoded.description.waveform.seconds
        rate = 8 * after / duration / 1000
        seconds = time.perf_counter() - began
        return Outcome(
            job=job,
            line=f"{job.source} -> {job.target}: {before} -> {after} bytes, "
            f"{compared(before, after)}, {duration:.2f} s at {rate:.2f} kbit/s, "
            f"{seconds:.2f} s",
            warnings=() if removes else warned,
            before=before,
            after=after,
            rate=rate,
            kept=kept,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Decompression:
    """.vqc files become files of sound."""

    model: str | None = None
    device: str = "cpu"
    crop: tuple[float, float] | None = None
    """From and to, seconds."""
    salvage: bool = False
    speaker: str | None = None
    """In whose voice results are, of those whom the model knows; None: as the file says."""
    max_samples: int = MAX_SAMPLES
    suffix: str = ".wav"
    """Names the format."""
    mtime: bool = True
    """Give results the dates of the sound's files, where these are known."""

    def ready(self) -> Callable[[Job, Bar], Outcome]:
        """Load the model, if one is given. Raises: ModelError; ValueError for a device that is
        not there.
        """
        from vqcodec.audio.pipeline import sound_model
        from vqcodec.engines.devices import pick_device

        pick_device(self.device)
        model = None if self.model is None else sound_model(self.model, self.device)
        return partial(self._decompress, model)

    def foresee(self, job: Job) -> Outcome:
        """Tell what would become of a file."""
        return Outcome(job=job, line=f"{job.source} -> {job.target}")

    def seconds(self, job: Job) -> float:
        """Guess by the file's size."""
        return job.megabytes * _SECONDS_PER_MEGABYTE * 100.0

    def _decompress(self, model: SoundModel | None, job: Job, bar: Bar) -> Outcome:
        from vqcodec.audio.pipeline import open_sound
        from vqcodec.audio.salvage import open_wreck
        from vqcodec.audio.writing import write_sound

        began = time.perf_counter()
        data = job.read()
        wreck = None
        how: dict[str, Any] = {
            "model": model,
            "device": self.device,
            "speaker": self.speaker,
            "max_samples": self.max_samples,
        }
        if self.salvage:
            wreck = open_wreck(data, **how)
            sound = wreck.sound
        else:
            sound = open_sound(data, **how)
        waveform, span = sound.waveform, sound.span(self.crop)
        cut = after = 0

        with bar(job.source) as progress:
            blocks = wreck.blocks(progress) if wreck else sound.blocks(span, progress=progress)

            def write(file: IO[bytes]) -> None:
                nonlocal cut, after
                cut = write_sound(
                    file,
                    self.suffix,
                    blocks,
                    rate=waveform.rate,
                    channels=len(waveform.channels),
                    tags=sound.description.tags,
                )
                after = file.seek(0, os.SEEK_END)

            job.write_by(write)
        losses = wreck.losses if wreck else ()
        warned = losses
        warned += (f"cut at full scale: {counted(cut, 'sample')}",) if cut else ()
        modified = sound.description.modified
        if self.mtime and job.is_file and modified is not None:
            warned += set_modified(job.target, modified)
        duration, seconds = len(span) / waveform.rate, time.perf_counter() - began
        return Outcome(
            job=job,
            line=f"{job.source} -> {job.target}: {duration:.2f} s of sound, {seconds:.2f} s",
            warnings=warned,
            before=len(data),
            after=after,
            salvaged=bool(losses),
        )


def _confirm(job: Job, bar: Bar, model: SoundModel, encoded: Encoded, written: bytes) -> None:
    from vqcodec.audio.pipeline import confirm

    with bar(f"verifying {job.target}") as progress:
        confirm(encoded, written, model, progress=progress)
