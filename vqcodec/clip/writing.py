"""Clips to files and folders, frame by frame."""

from __future__ import annotations

import io
import math
import struct
from collections.abc import Callable, Iterable, Sequence
from fractions import Fraction
from itertools import pairwise
from typing import IO, Any

from PIL import Image

from vqcodec.clip.ffmpeg import write_video
from vqcodec.clip.footage import Pixels
from vqcodec.clip.formats import FOLDER, WRITTEN, WRITTEN_VIDEO
from vqcodec.clip.reading import ACTIONS_FILE, DURATIONS_FILE
from vqcodec.clip.timing import Timing
from vqcodec.errors import ClipError

_FORMATS = {".gif": "GIF", ".webp": "WEBP", ".png": "PNG", ".apng": "PNG"}
_STEP = {".gif": 10}
"""Milliseconds that durations are multiples of, if not 1."""
_LONGEST = 65_535
"""Milliseconds that a frame is shown at most."""
_LOOPS_MAX = 65_535
_SIDE_MAX = {".gif": 65_535, ".webp": 16_383}
"""Most pixels along a side of a frame, where formats have such a limit."""


def require_format(suffix: str) -> None:
    """Raise ValueError for a suffix of which no clip can be written."""
    if suffix not in WRITTEN:
        named = ", ".join(own for own in WRITTEN if own != FOLDER)
        raise ValueError(f"a clip cannot be written as {suffix!r}, but as {named}, or a folder")


def write_clip(
    file: IO[bytes], suffix: str, frames: Iterable[Pixels], timing: Timing, span: range
) -> None:
    """Write the frames of a span in the format of a suffix to a file that is open for writing.

    Formats may join frames that are the same. Raises: ClipError, MissingPackageError, of video;
    OSError.
    """
    if suffix in WRITTEN_VIDEO:
        write_video(file, suffix, frames, timing, span)
        return
    first, *others = map(Image.fromarray, frames)  # of which Pillow's writers need all
    if max(first.size) > (most := _SIDE_MAX.get(suffix, max(first.size))):
        raise ClipError(f"a side of {max(first.size)} pixels is more than {suffix}'s {most}")
    durations = milliseconds(timing.durations(span), _STEP.get(suffix, 1))
    loops = min(timing.loops, _LOOPS_MAX)
    how: dict[str, Any] = {"loop": loops}
    if suffix == ".gif":
        # It tells how often the clip is repeated, and nothing of one that is not.
        how = {} if loops == 1 else {"loop": loops and loops - 1}
    elif suffix == ".webp":
        how |= {"lossless": True}
    if len(span) > 1:
        how |= {"save_all": True, "append_images": others, "duration": durations}
    try:
        first.save(file, _FORMATS[suffix], **how)
    except (
        OverflowError,
        struct.error,
    ) as error:  # where the times of frames that are joined have no room
        raise ClipError(f"{suffix} cannot say how long a frame is shown") from error


def write_frames(
    write: Callable[[str, bytes], None],
    frames: Iterable[Pixels],
    timing: Timing,
    span: range,
    actions: Sequence[str],
) -> None:
    """Write the frames of a span as the files of a folder, with texts of durations and actions.

    `write` is called with the name and the bytes of each file. Raises: what it raises.
    """
    digits = max(4, len(str(len(span) - 1)))
    for number, frame in enumerate(frames):
        stream = io.BytesIO()
        Image.fromarray(frame).save(stream, "PNG")
        write(f"{number:0{digits}d}.png", stream.getvalue())
    times = (float(1000 * duration) for duration in timing.durations(span))
    write(DURATIONS_FILE, "".join(f"{time:.15g}\n" for time in times).encode())
    if actions:
        write(ACTIONS_FILE, "".join(f"{action}\n" for action in actions).encode())


def milliseconds(durations: Sequence[Fraction], step: int) -> list[int]:
    """Return durations in milliseconds, multiples of `step` whose sums stay near the true ones."""
    edges, total = [0], Fraction(0)
    for duration in durations:
        total += duration * 1000
        edges.append(max(math.floor(total / step + Fraction(1, 2)), edges[-1] + 1))
    return [min(step * (stop - start), _LONGEST // step * step) for start, stop in pairwise(edges)]
