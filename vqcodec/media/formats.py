"""In which formats the contents of .vqc files are written."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import PurePath

from vqcodec.audio import formats as sound_formats
from vqcodec.batch.job import STREAM
from vqcodec.batch.places import is_stdout
from vqcodec.clip import formats as clip_formats
from vqcodec.image import jobs as picture_jobs

PICTURES = ("png", "jpg", "webp", "avif", "tiff")
SOUND = ("wav", "flac", "ogg", "opus", "mp3")
CLIPS = ("gif", "apng", "mp4", "webm", "mkv", "mov", "frames")
"""Of clips alone; they can also be written as png and webp."""
FRAMES = "frames"
"""A folder of frames."""
_SAME = {".jpg": ".jpeg", ".tiff": ".tif", ".ogg": ".oga"}


@dataclass(frozen=True, slots=True)
class Formats:
    """The suffixes of the formats of each medium."""

    picture: str = ".png"
    sound: str = ".wav"
    clip: str = ".webp"

    def changes(self, quality: int | None) -> str:
        """Say how the formats change pixels or samples once more; empty if they keep them.

        Raises: ValueError if there are no such formats to write, or they have no such quality.
        """
        if self.picture in sound_formats.FORMATS:  # the output's name, whatever its medium
            return sound_formats.change_by(self.sound)
        if self.picture[1:] in CLIPS:
            return clip_formats.change_by(self.clip)
        change = picture_jobs.change_by(self.picture, quality)
        if self.sound != self.picture:
            change = change or sound_formats.change_by(self.sound)
        if self.clip != self.picture:
            change = change or clip_formats.change_by(self.clip)
        return change


def formats_of(output: str | None, chosen: str | None) -> Formats:
    """Return the formats that an output's name and a choice, such as "png", ask for.

    Raises: ValueError if these are two.
    """
    suffix = "" if chosen is None else f".{chosen.lower()}"
    if output is not None and output != STREAM and not is_stdout(output):
        named = PurePath(output).suffix.lower()
        if suffix and named not in ("", suffix, _SAME.get(suffix)):
            raise ValueError(f"{output} and {chosen} name two formats")
        if named:
            return Formats(named, named, named)
    if not suffix:
        return Formats()
    if suffix[1:] in SOUND:
        return Formats(sound=suffix)
    if suffix[1:] in CLIPS:
        return Formats(clip=clip_formats.FOLDER if suffix[1:] == FRAMES else suffix)
    if suffix in clip_formats.WRITTEN:
        return Formats(picture=suffix, clip=suffix)
    return Formats(picture=suffix)
