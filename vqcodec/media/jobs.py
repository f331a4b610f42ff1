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
from vqcodec.audio.formats import is_sound_name
from vqcodec.batch.job import Bar, Job, Outcome, Work, open_input
from vqcodec.clip import jobs as clip_jobs
from vqcodec.clip.formats import is_clip_name, is_video, is_video_name
from vqcodec.codec.beginnings import HEAD_BYTES, is_sound
from vqcodec.container.layout import SIGNATURE, Medium
from vqcodec.errors import VqcError
from vqcodec.image import jobs as picture_jobs

_Do: TypeAlias = Callable[[Job, Bar], Outcome]
_PICTURES = (b"\x89PNG", b"\xff\xd8\xff", b"GIF8", b"BM", b"II*\0", b"MM\0*", b"RIFF")
"""How files of pictures begin; WebP as WAV does, of which `is_sound` tells it apart."""
_MEDIUM_AT = len(SIGNATURE) + 1
"""Where a .vqc file has the number of its medium."""


@dataclass(frozen=True, slots=True)
class Compression:
    """Pictures, files of sound and clips become .vqc files."""

    picture: picture_jobs.Compression
    sound: sound_jobs.Compression
    clip: clip_jobs.Compression
    moves: bool = False
    """Whether what is no sound is a clip: animated pictures, and folders of frames. Otherwise only
    video is."""

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
        path = PurePath(job.source)
        if is_sound_name(path):
            return self.sound.seconds(job)
        moves = self.moves or is_video_name(path)
        return self.clip.seconds(job) if moves else self.picture.seconds(job)

    def medium(self, source: str) -> Medium:
        """Tell what an input is. Raises: VqcError if it is empty; OSError."""
        if self.moves and Path(source).is_dir():
            return Medium.CLIP
        return medium_of_source(source, moves=self.moves)

    def _work(self, job: Job) -> Work:
        works: dict[Medium, Work] = {
            Medium.PICTURE: self.picture,
            Medium.SOUND: self.sound,
            Medium.CLIP: self.clip,
        }
        return works[self.medium(job.source)]


@dataclass(frozen=True, slots=True)
class Decompression:
    """.vqc files become pictures, files of sound and clips."""

    picture: picture_jobs.Decompression
    sound: sound_jobs.Decompression
    clip: clip_jobs.Decompression

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

    def medium(self, source: str) -> Medium | None:
        """Tell what a .vqc file holds; None of any other file. Raises: VqcError if it is empty;
        OSError.
        """
        return medium_of(head_of(source, _MEDIUM_AT + 1))

    def _work(self, job: Job) -> Work:
        medium = self.medium(job.source)
        of_time: dict[Medium | None, sound_jobs.Decompression | clip_jobs.Decompression] = {
            Medium.SOUND: self.sound,
            Medium.CLIP: self.clip,
        }
        work = of_time.get(medium, self.picture)
        if work.crop is None and (self.picture.crop or self.sound.crop):
            form = "X,Y,W,H in pixels of a picture"
            if medium in of_time:
                form = "FROM,TO in seconds of sound or a clip"
            raise ValueError(f"the part to decode is {form}")
        return work


def medium_of_source(source: str, *, moves: bool) -> Medium:
    """Tell what a file is that is to be compressed; `moves` is as in `Compression`.

    Raises: VqcError if it is empty; OSError.
    """
    path, head = PurePath(source), head_of(source, HEAD_BYTES)
    is_known = head.startswith(_PICTURES)
    if is_sound(head) or (is_sound_name(path) and not is_known):
        return Medium.SOUND
    if moves or is_video(head) or (is_video_name(path) and not is_known):
        return Medium.CLIP
    return Medium.PICTURE


def is_input(path: PurePath) -> bool:
    """Tell by its suffix whether a file is a picture or sound that can be read here."""
    return is_sound_name(path) or picture_jobs.is_picture(path)


def is_clip_or_sound(path: PurePath) -> bool:
    """Tell by its suffix whether a file may be a clip, or is sound, that can be read here."""
    return is_sound_name(path) or is_clip_name(path)


def is_vqc(path: PurePath) -> bool:
    """Tell by its suffix whether a file is a .vqc file."""
    return path.suffix.lower() == ".vqc"


def is_of_clips(model: str | None) -> bool:
    """Tell whether a model is one of clips; False also of one that is not there."""
    from vqcodec.errors import ModelError
    from vqcodec.registry.store import find

    try:
        return model is not None and find(model, quietly=True).medium is Medium.CLIP
    except (ModelError, OSError):
        return False  # what is wrong with it, loading it tells


def medium_of(head: bytes) -> Medium | None:
    """Tell by its beginning what a .vqc file holds; None of any other file."""
    number = head[_MEDIUM_AT:][:1]
    known = {bytes([medium]): medium for medium in Medium}
    return known.get(number) if head.startswith(SIGNATURE) else None


def medium_at(path: str) -> Medium | None:
    """Tell what the .vqc file at a path, or in a pipe, holds; None also if it cannot be read."""
    try:
        with open_input(path) as file:
            return medium_of(file.read(_MEDIUM_AT + 1))
    except (OSError, ValueError):
        return None


def head_of(source: str, size: int) -> bytes:
    """Return how an input begins. Raises: VqcError if it is empty; OSError."""
    with open_input(source) as file:
        head = file.read(size)
    if not head:
        raise VqcError("it is empty")
    return head


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
