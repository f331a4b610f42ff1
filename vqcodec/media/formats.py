"""In which formats the contents of .vqc files are written."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from dataclasses import dataclass, replace
from pathlib import PurePath

from vqcodec.audio import formats as sound_formats
from vqcodec.batch.job import STREAM
from vqcodec.batch.places import is_stdout
from vqcodec.clip import formats as clip_formats
from vqcodec.container.layout import Medium
from vqcodec.image import jobs as picture_jobs

PICTURES = ("png", "jpg", "webp", "avif", "tiff")
SOUND = ("wav", "flac", "ogg", "opus", "mp3")
CLIPS = ("gif", "apng", "mp4", "webm", "mkv", "mov", "frames")
"""Of clips alone; they can also be written as png and webp."""
FRAMES = "frames"
"""A folder of frames."""
_CHOICES = {
    Medium.PICTURE: PICTURES,
    Medium.SOUND: SOUND,
    Medium.CLIP: ("webp", "png", *CLIPS),
}
"""What can be chosen for files of a medium among those of others. Pillow writes more pictures."""
_SAME = {".jpg": ".jpeg", ".tiff": ".tif", ".ogg": ".oga"}


@dataclass(frozen=True, slots=True)
class Formats:
    """The suffixes of the formats of each medium."""

    picture: str = ".png"
    sound: str = ".wav"
    clip: str = ".webp"

    def of(self, medium: Medium | None) -> str:
        """Return the suffix of a medium's format; of what is not known, that of pictures."""
        if medium is Medium.SOUND:
            return self.sound
        return self.clip if medium is Medium.CLIP else self.picture

    def changes(self, media: Collection[Medium], quality: int | None) -> Iterator[str]:
        """Yield how formats change pixels or samples of files of these media once more, a sentence
        each. Raises: ValueError if the format of pictures has no such quality.
        """
        found = []
        if Medium.PICTURE in media:
            found.append(picture_jobs.change_by(self.picture, quality))
        if Medium.SOUND in media:
            found.append(sound_formats.change_by(self.sound))
        if Medium.CLIP in media:
            found.append(clip_formats.change_by(self.clip))
        yield from dict.fromkeys(filter(None, found))


def formats_of(
    output: str | None, chosen: str | None, media: Collection[Medium] = tuple(Medium)
) -> Formats:
    """Return the formats that an output's name and a choice, such as "png", ask for. The name is
    for files of all these media; the choice for those of a medium that it is a format of.

    Raises: ValueError if these are two, or the format is none of these media.
    """
    suffix = ""
    if chosen is not None:
        suffix = clip_formats.FOLDER if chosen.lower() == FRAMES else f".{chosen.lower()}"
    if output is not None and output != STREAM and not is_stdout(output):
        named = PurePath(output).suffix.lower()
        if chosen is not None and named not in ("", suffix, _SAME.get(suffix)):
            raise ValueError(f"{output} and {chosen} name two formats")
        if named:
            for medium in media:
                _require(medium, named)
            return Formats(named, named, named)
    if chosen is None:
        return Formats()
    takers = [medium for medium in media if chosen.lower() in _CHOICES[medium]]
    if not takers:
        for medium in media:
            _require(medium, suffix)
        takers = list(media)
    formats = Formats()
    for medium in takers:
        formats = replace(formats, **{medium.name.lower(): suffix})
    return formats


def _require(medium: Medium, suffix: str) -> None:
    """Raise ValueError if files of a medium are not written in the format of a suffix."""
    if medium is Medium.SOUND:
        known = tuple(sound_formats.FORMATS)
    elif medium is Medium.CLIP:
        known = clip_formats.WRITTEN
    else:
        known = tuple(f".{name}" for name in PICTURES)
        if picture_jobs.is_written(suffix):
            return
    if suffix not in known:
        what = "a folder of frames" if suffix == clip_formats.FOLDER else repr(suffix)
        names = ", ".join(name or "a folder" for name in known)
        raise ValueError(f"{medium.noun} cannot be written as {what}, but as {names}")
