"""What is done with one file of any medium: it goes to the jobs of its own.

The medium is found from how the file begins; only if that says nothing, its name counts.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path, PurePath
from typing import TypeAlias

from vqcodec.audio import jobs as sound_jobs
from vqcodec.audio.formats import HEAD_BYTES, is_sound, is_sound_name
from vqcodec.batch.job import STREAM, Bar, Job, Outcome, Work
from vqcodec.container.layout import SIGNATURE, Medium
from vqcodec.image import jobs as picture_jobs

_Do: TypeAlias = Callable[[Job, Bar], Outcome]
_PICTURES = (b"\x89PNG", b"\xff\xd8\xff", b"GIF8", b"BM", b"II*\0", b"MM\0*", b"RIFF")
"""How files of pictures begin; WebP as WAV does, of which `is_sound` tells it apart."""
_MEDIUM_AT = len(SIGNATURE) + 1
"""Where a .vqc file has the number of its medium."""


@dataclass(frozen=True, slots=True)
class Compression:
    """Pictures and files of sound become .vqc files."""

    picture: picture_jobs.Compression
    sound: sound_jobs.Compression

    def ready(self) -> _Do:
        """Load the model, if one is given; each medium's own is loaded with its first file.

        Raises: ModelError; ValueError for a device that is not there.
        """
        _load(self.picture.model, self.picture.device)
        return partial(_do, self._work, {})

    def foresee(self, job: Job) -> Outcome:
        """Tell what would become of a file."""
        return self._work(job).foresee(job)

    def seconds(self, job: Job) -> float:
        """Guess by the file's name and size."""
        is_sound = is_sound_name(PurePath(job.source))
        return (self.sound if is_sound else self.picture).seconds(job)

    def _work(self, job: Job) -> Work:
        head = _head(job, HEAD_BYTES)
        named = is_sound_name(PurePath(job.source)) and not head.startswith(_PICTURES)
        return self.sound if named or is_sound(head) else self.picture


@dataclass(frozen=True, slots=True)
class Decompression:
    """.vqc files become pictures and files of sound."""

    picture: picture_jobs.Decompression
    sound: sound_jobs.Decompression

    def ready(self) -> _Do:
        """Load the model, if one is given.

        Raises: ModelError; ValueError for a device that is not there.
        """
        _load(self.picture.model, self.picture.device)
        return partial(_do, self._work, {})

    def foresee(self, job: Job) -> Outcome:
        """Tell what would become of a file."""
        return self._work(job).foresee(job)

    def seconds(self, job: Job) -> float:
        """Guess by the file's size."""
        return self.picture.seconds(job)

    def _work(self, job: Job) -> Work:
        is_sound = holds_sound(_head(job, _MEDIUM_AT + 1))
        work = self.sound if is_sound else self.picture
        if work.crop is None and (self.picture.crop or self.sound.crop):
            form = "FROM,TO in seconds of sound" if is_sound else "X,Y,W,H in pixels of a picture"
            raise ValueError(f"the part to decode is {form}")
        return work


def is_input(path: PurePath) -> bool:
    """Tell by its suffix whether a file is a picture or sound that can be read here."""
    return is_sound_name(path) or picture_jobs.is_picture(path)


def is_vqc(path: PurePath) -> bool:
    """Tell by its suffix whether a file is a .vqc file."""
    return path.suffix.lower() == ".vqc"


def holds_sound(head: bytes) -> bool:
    """Tell by its beginning whether a .vqc file holds sound."""
    return head.startswith(SIGNATURE) and head[_MEDIUM_AT:][:1] == bytes([Medium.SOUND])


def holds_sound_at(path: str) -> bool:
    """Tell whether a path is that of a .vqc file of sound; False also if it cannot be read."""
    try:
        if path == STREAM or not Path(path).is_file():
            return False
        with Path(path).open("rb") as file:
            return holds_sound(file.read(_MEDIUM_AT + 1))
    except OSError:
        return False


def _head(job: Job, size: int) -> bytes:
    with job.open() as file:
        return file.read(size)


def _load(model: str | None, device: str) -> None:
    from vqcodec.engines.devices import pick_device
    from vqcodec.registry.load import load_model

    pick_device(device)
    if model is not None:
        load_model(model, device=device)


def _do(work_of: Callable[[Job], Work], ready: dict[Work, _Do], job: Job, bar: Bar) -> Outcome:
    """Do a job as the medium's work does it, which is made ready for its first."""
    work = work_of(job)
    if work not in ready:
        ready[work] = work.ready()
    return ready[work](job, bar)
