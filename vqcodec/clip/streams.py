"""What a video file holds besides the frames that are read of it, as ffmpeg tells it."""

from __future__ import annotations

import re
from collections.abc import Iterable

_STREAM = re.compile(r"\[info\] +Stream #0:\d+[^ ]*: (\w+): (.*)")
_TAG = re.compile(r"\[info\] {5}(\S[^:]*?) *: (.*)")
"""Of the whole file: tags of streams stand farther to the right."""
_DURATION = re.compile(r"\[info\] +Duration: (\d+):(\d\d):(\d\d(?:\.\d+)?)")
_ASPECT = re.compile(r"\bSAR (\d+):(\d+)")
_ALPHA_FORMAT = re.compile(r"\b(yuva\d|gbrap|ya8|ya16|rgba|bgra|argb|abgr|pal8)")
_ALPHA_TAG = re.compile(r"\[info\] +alpha_mode +: 1", re.IGNORECASE)
_DEEP_FORMAT = re.compile(r"\b[a-z]+\d*(p|gray|rap|p0)?(9|10|12|14|16|48|64)(le|be)\b")
_TROUBLE = re.compile(r"(?:\[.* @ \w+\] )?\[(?:error|fatal|panic)\] (.*)")
_CORRUPT = re.compile(r"(?:\[.* @ \w+\] )?\[warning\] (.*corrupt.*)", re.IGNORECASE)
_OTHERS = {"Audio": "sound", "Subtitle": "subtitles", "Video": "further pictures"}
_OF_FORMATS = frozenset(
    {
        "major_brand",
        "minor_version",
        "compatible_brands",
        "encoder",
        "creation_time",
        "duration",
        "software",
    }
)
"""Tags that say how the file was written."""
_MISSING_SECONDS, _MISSING_PART = 0.5, 0.05
"""Of the length that a file tells: what of it frames may lack, as sound may be longer than they."""
_TOLD = 100
"""Characters of what ffmpeg says."""


def losses_of(said: Iterable[str], seconds: float) -> tuple[str, ...]:
    """Say what of a video file is not in its frames, which last so many seconds.

    `said` are the lines that ffmpeg wrote with `-v level+info` while it decoded them.
    """
    found: dict[str, None] = {}  # in order, each once
    inside, frames_seen, whole, damage = False, False, 0.0, ""
    for line in said:
        if line.startswith("[info] Input #0"):
            inside = True
        elif line.startswith(("[info] Stream mapping", "[info] Output #0")):
            inside = False
        elif trouble := _TROUBLE.match(line) or _CORRUPT.match(line):
            damage = damage or f"what is damaged (ffmpeg: {_printable(trouble[1])})"
        elif inside and (stream := _STREAM.match(line)):
            kind, text = stream.groups()
            if kind == "Video" and not frames_seen and "(attached pic)" not in text:
                frames_seen = True
                found |= dict.fromkeys(_of_frames(text))
            else:
                found[_OTHERS.get(kind, "attachments or other data")] = None
        elif inside and _ALPHA_TAG.match(line):
            found["transparency"] = None
        elif inside and line.startswith("[info]   Chapters:"):
            found["chapters"] = None
        elif inside and (tag := _TAG.match(line)) and tag[1].lower() not in _OF_FORMATS:
            found["tags, such as a title"] = None
        elif inside and (told := _DURATION.match(line)):
            hours, minutes, rest = (float(part) for part in told.groups())
            whole = 3600.0 * hours + 60.0 * minutes + rest
    if whole - seconds > max(_MISSING_SECONDS, _MISSING_PART * whole):
        found[f"what follows {seconds:.1f} seconds of {whole:.1f}"] = None
    return (*found, damage) if damage else tuple(found)


def _of_frames(text: str) -> list[str]:
    """Say what of frames is not kept, by what ffmpeg tells of their stream."""
    found = []
    if _ALPHA_FORMAT.search(text):
        found.append("transparency")
    if _DEEP_FORMAT.search(text):
        found.append("samples of more than 8 bits")
    aspect = _ASPECT.search(text)
    if aspect and aspect[1] != aspect[2] and "0" not in aspect.groups():
        found.append(f"that pixels are {aspect[1]}:{aspect[2]} wide, not square")
    return found


def _printable(said: str) -> str:
    return "".join(sign if sign.isprintable() else "?" for sign in said)[:_TOLD]
