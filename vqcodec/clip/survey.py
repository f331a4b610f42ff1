"""What is found out about a clip without coding it: one pass over its frames."""

from __future__ import annotations

from dataclasses import dataclass

from vqcodec.clip.footage import Footage, limited
from vqcodec.clip.timing import Timing, timing_of
from vqcodec.errors import ClipError
from vqcodec.grid import Size


@dataclass(frozen=True, slots=True, kw_only=True)
class Survey:
    """A clip's frames, and what would be lost of it."""

    bytes: int
    """Size of its file, or of those of its frames."""
    size: Size
    """Height and width of a frame, pixels."""
    timing: Timing
    losses: tuple[str, ...]


def survey(footage: Footage, size: int, max_pixels: int) -> Survey:
    """Read all frames of a clip of `size` bytes.

    Raises: ClipError; ClipSizeError if they have more than `max_pixels` in all;
    MissingPackageError, of video.
    """
    shape, durations = (0, 0), []
    for pixels, duration in limited(footage.frames(), max_pixels):
        shape = (pixels.shape[0], pixels.shape[1])
        durations.append(duration)
    if not durations:
        raise ClipError("there are no frames")
    return Survey(
        bytes=size,
        size=shape,
        timing=timing_of(durations, footage.loops),
        losses=tuple(footage.losses),
    )
