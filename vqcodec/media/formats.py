"""In which formats the contents of .vqc files are written."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import PurePath

from vqcodec.audio import formats as sound_formats
from vqcodec.batch.job import STREAM
from vqcodec.batch.places import is_stdout
from vqcodec.image import jobs as picture_jobs

PICTURES = ("png", "jpg", "webp", "avif", "tiff")
SOUND = ("wav", "flac", "ogg", "opus", "mp3")
_SAME = {".jpg": ".jpeg", ".tiff": ".tif", ".ogg": ".oga"}


@dataclass(frozen=True, slots=True)
class Formats:
    """The suffixes of the formats of each medium."""

    picture: str = ".png"
    sound: str = ".wav"

    def changes(self, quality: int | None) -> str:
        """Say how the formats change pixels or samples once more; empty if they keep them.

        Raises: ValueError if there are no such formats to write, or they have no such quality.
        """
        if self.picture in sound_formats.FORMATS:  # the output's name, whatever its medium
            return sound_formats.change_by(self.sound)
        change = picture_jobs.change_by(self.picture, quality)
        if self.sound != self.picture:
            change = change or sound_formats.change_by(self.sound)
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
            return Formats(named, named)
    if not suffix:
        return Formats()
    return Formats(sound=suffix) if suffix[1:] in SOUND else Formats(picture=suffix)
