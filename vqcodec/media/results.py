"""Whether results of an earlier run are whole: they are read, which takes less time than to make
them again.

Only what is certainly damaged is called so, as it is then overwritten.
"""

from __future__ import annotations

import os
from pathlib import Path, PurePath
from typing import IO

from PIL import Image

from vqcodec.audio import jobs as sound_jobs
from vqcodec.audio.formats import rate_of
from vqcodec.audio.inspection import SoundInspection
from vqcodec.audio.inventory.ogg import NO_END
from vqcodec.audio.reading import open_sound
from vqcodec.batch.found import Found
from vqcodec.batch.job import read_input
from vqcodec.clip import jobs as clip_jobs
from vqcodec.clip.ffmpeg import open_video
from vqcodec.clip.formats import FOLDER, WRITTEN_VIDEO, is_video
from vqcodec.clip.inspection import ClipInspection
from vqcodec.clip.reading import open_animation
from vqcodec.codec.beginnings import HEAD_BYTES, is_sound
from vqcodec.codec.inspection import Inspection
from vqcodec.container import Medium
from vqcodec.errors import (
    ClipError,
    ClipSizeError,
    FormatError,
    MissingPackageError,
    PictureError,
    PictureSizeError,
    SoundError,
    SoundSizeError,
)
from vqcodec.image import jobs as picture_jobs
from vqcodec.image.inspection import PictureInspection
from vqcodec.image.opening import is_picture, open_image
from vqcodec.image.writing import format_of
from vqcodec.media.inspection import inspect
from vqcodec.media.jobs import Decompression, medium_at

_PREFIX = 16
"""Bytes that Pillow's plugins are shown to recognise their format."""
_BLOCK = 1 << 16
"""Samples that are read at once."""
_ROUNDING = 2
"""Samples by which lengths at two rates may differ."""
_GIF_END = b";"


def look(work: Decompression, source: str, target: Path) -> Found:
    """Tell what is in the place of a .vqc file's result. What cannot be looked at is whole."""
    medium = medium_at(source)
    try:
        known = None if medium is None else inspect(read_input(source))
    except (FormatError, OSError, ValueError):
        known = None
    try:
        if medium is Medium.SOUND:
            return _look_at_sound(work.sound, known, target)
        if medium is Medium.CLIP:
            return _look_at_clip(work.clip, known, target)
        return _look_at_picture(work.picture, known, target)
    except (MissingPackageError, PictureSizeError, SoundSizeError, ClipSizeError, OSError):
        return Found.WHOLE
    except (PictureError, SoundError, ClipError):
        return Found.BROKEN


def _look_at_picture(
    work: picture_jobs.Decompression, known: Inspection | None, target: Path
) -> Found:
    if not is_picture(PurePath(f"*{work.suffix}")):  # but one that is only written
        return Found.WHOLE
    with target.open("rb") as file:
        if not _is_of_format(file, work.suffix):
            return Found.FOREIGN
        size = open_image(file, work.max_pixels).size
    if not isinstance(known, PictureInspection) or work.thumbnail is not None:
        return Found.WHOLE
    expected = (known.width, known.height) if work.crop is None else work.crop[2:]
    return Found.WHOLE if size == expected else Found.OTHER


def _is_of_format(file: IO[bytes], suffix: str) -> bool:
    """Tell whether a file begins as Pillow's files of a suffix do."""
    accept = Image.OPEN[format_of(f"*{suffix}")][1]
    head = file.read(_PREFIX)
    file.seek(0)
    return accept is not None and bool(accept(head))


def _look_at_sound(work: sound_jobs.Decompression, known: Inspection | None, target: Path) -> Found:
    with target.open("rb") as file:
        if not is_sound(file.read(HEAD_BYTES)):
            return Found.FOREIGN
        sound = open_sound(file, max_samples=work.max_samples)
        for _ in sound.blocks(_BLOCK):
            pass
    if NO_END in sound.losses:
        return Found.BROKEN
    if not isinstance(known, SoundInspection):
        return Found.WHOLE
    start, stop = work.crop or (0.0, known.seconds)
    length = (min(stop, known.seconds) - start) * sound.rate
    form = rate_of(work.suffix, known.rate), known.channels
    is_same = (sound.rate, sound.channels) == form and abs(sound.length - length) <= _ROUNDING
    return Found.WHOLE if is_same else Found.OTHER


def _look_at_clip(work: clip_jobs.Decompression, known: Inspection | None, target: Path) -> Found:
    if work.suffix == FOLDER:
        if not isinstance(known, ClipInspection) or work.crop is not None:
            return Found.WHOLE
        return Found.WHOLE if len(list(target.glob("*.png"))) == known.frames else Found.OTHER
    with target.open("rb") as file:
        if work.suffix in WRITTEN_VIDEO:
            if not is_video(file.read(HEAD_BYTES)):
                return Found.FOREIGN
            open_video(target, max_pixels=work.max_pixels)
            return Found.WHOLE
        if not _is_of_format(file, work.suffix):
            return Found.FOREIGN
        for _ in open_animation(file, max_pixels=work.max_pixels, still=True).frames():
            pass
        file.seek(-1, os.SEEK_END)
        # What is left of a GIF that ends early is a GIF of fewer frames.
        is_whole = work.suffix != ".gif" or file.read() == _GIF_END
    return Found.WHOLE if is_whole else Found.BROKEN
