"""Clips to files and folders, frame by frame."""

from __future__ import annotations

import io
import math
from collections.abc import Iterable, Sequence
from fractions import Fraction
from itertools import pairwise
from pathlib import Path
from typing import IO, Any

from PIL import Image

from vqcodec.clip.ffmpeg import write_video
from vqcodec.clip.footage import Pixels
from vqcodec.clip.formats import FOLDER, WRITTEN, WRITTEN_VIDEO
from vqcodec.clip.reading import ACTIONS_FILE, DURATIONS_FILE
from vqcodec.clip.timing import Timing
from vqcodec.storage import write_whole

_FORMATS = {".gif": "GIF", ".webp": "WEBP", ".png": "PNG", ".apng": "PNG"}
_STEP = {".gif": 10}
"""Milliseconds that durations are multiples of, if not 1."""
_LONGEST = 65_535
"""Milliseconds that a frame is shown at most."""
_LOOPS_MAX = 65_535


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
    first.save(file, _FORMATS[suffix], **how)


def write_folder(
    folder: Path,
    frames: Iterable[Pixels],
    timing: Timing,
    span: range,
    actions: Sequence[str],
    *,
    inside: Path | None,
) -> int:
    """Write the frames of a span into a folder, with texts of durations and actions.

    `inside` is as for `storage.write_whole`. Return the bytes of all files. Raises: OSError.
    """
    digits = max(4, len(str(len(span) - 1)))
    total = 0

    def write(name: str, data: bytes) -> None:
        nonlocal total
        total += len(data)
        write_whole(folder / name, data, overwrite=False, inside=inside)

    for number, frame in enumerate(frames):
        stream = io.BytesIO()
        Image.fromarray(frame).save(stream, "PNG")
        write(f"{number:0{digits}d}.png", stream.getvalue())
    durations = (float(1000 * own) for own in timing.durations(span))
    write(DURATIONS_FILE, "".join(f"{own:.15g}\n" for own in durations).encode())
    if actions:
        write(ACTIONS_FILE, "".join(f"{action}\n" for action in actions).encode())
    return total


def milliseconds(durations: Sequence[Fraction], step: int) -> list[int]:
    """Return durations in milliseconds, multiples of `step` whose sums stay near the true ones."""
    edges, total = [0], Fraction(0)
    for own in durations:
        total += own * 1000
        edges.append(max(math.floor(total / step + Fraction(1, 2)), edges[-1] + 1))
    return [min(step * (stop - start), _LONGEST // step * step) for start, stop in pairwise(edges)]
