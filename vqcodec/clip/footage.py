"""Clips that are to be compressed, frame by frame, and those that were decompressed."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import Protocol, TypeAlias

import numpy as np
from numpy.typing import ArrayLike, NDArray

from vqcodec.clip.timing import from_milliseconds
from vqcodec.container.layout import SIDE_MAX
from vqcodec.counting import counted
from vqcodec.errors import ClipError, ClipSizeError
from vqcodec.models.clip import UNKNOWN_ACTION, ClipVqVae

Pixels: TypeAlias = "NDArray[np.uint8]"
"""A frame, (H, W, 3)."""
Shown: TypeAlias = "tuple[Pixels, Fraction]"
"""A frame and how many seconds it is shown."""


class Footage(Protocol):
    """Frames and what is known of them."""

    @property
    def count(self) -> int | None:
        """Number of frames, if that is known before they are read."""
        ...

    @property
    def loops(self) -> int:
        """How often it is played; 0 is for ever."""
        ...

    @property
    def actions(self) -> Sequence[str]:
        """Names of the actions that led to each frame, "" where it is not known; or nothing."""
        ...

    @property
    def modified(self) -> int | None:
        """When its file was last changed, nanoseconds since 1970 in UTC, if that is known."""
        ...

    @property
    def losses(self) -> Sequence[str]:
        """What of it is not kept beside what compression changes, as far as it has been read."""
        ...

    def frames(self) -> Iterator[Shown]:
        """Yield all frames, of one size. Raises: ClipError if it cannot be read."""
        ...


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class Clip:
    """A clip in memory."""

    frames: NDArray[np.uint8]
    """(T, H, W, 3)."""
    durations: NDArray[np.float64]
    """(T,): how many milliseconds each frame is shown."""
    loops: int = 0
    """How often it is played; 0 is for ever."""
    actions: tuple[str, ...] = ()
    """Of each frame the action that led to it, "" where it is not known; empty if none is."""


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class Stack:
    """Frames that are in memory, as footage."""

    pixels: NDArray[np.uint8]
    """(T, H, W, 3)."""
    durations: tuple[Fraction, ...]
    """Seconds."""
    loops: int = 0
    actions: tuple[str, ...] = ()
    modified: int | None = None
    losses: tuple[str, ...] = ()

    @property
    def count(self) -> int:
        """Number of frames."""
        return len(self.pixels)

    def frames(self) -> Iterator[Shown]:
        """Yield all frames."""
        return zip(self.pixels, self.durations, strict=True)


def stack_of(
    frames: ArrayLike,
    durations: float | Sequence[float],
    loops: int,
    actions: Sequence[str],
) -> Stack:
    """Take what a caller gave as a clip. Raises ValueError if it is something else."""
    pixels = np.asarray(frames)
    if pixels.dtype != np.uint8 or pixels.ndim != 4 or pixels.shape[3] != 3 or not pixels.size:
        told = f"{pixels.dtype} {pixels.shape}"
        raise ValueError(f"frames are {told}, not uint8 (T, height, width, 3)")
    each = _each(durations, len(pixels))
    if isinstance(loops, bool) or int(loops) != loops or not 0 <= loops < 1 << 32:
        raise ValueError(f"loops are {loops!r}, not a whole number from 0 to 2^32 - 1")
    return Stack(
        pixels=pixels,
        durations=tuple(from_milliseconds(float(own)) for own in each),
        loops=int(loops),
        actions=tuple(actions),
    )


def _each(durations: float | Sequence[float], count: int) -> NDArray[np.float64]:
    """Return one duration for each frame. Raises ValueError if there are fewer or more."""
    try:
        given = np.asarray(durations, np.float64)
    except (TypeError, ValueError) as error:
        raise ValueError("durations are no numbers of milliseconds") from error
    if given.shape not in ((), (count,)):
        shape = "x".join(map(str, given.shape))
        raise ValueError(f"durations are {shape} of {counted(count, 'frame')}, not one or as many")
    return np.broadcast_to(given, count)


def limited(frames: Iterable[Shown], max_pixels: int) -> Iterator[Shown]:
    """Yield frames as long as they are of one size.

    Raises: ClipError if they are not, or a file cannot say how many or large they are;
    ClipSizeError if there are more than `max_pixels` in all.
    """
    shape, total = None, 0
    for number, (pixels, duration) in enumerate(frames, start=1):
        shape = shape or pixels.shape
        if max(number, *shape) > SIDE_MAX:
            raise ClipError(f"a clip has at most {SIDE_MAX} frames, rows and columns")
        if pixels.shape != shape:
            raise ClipError("the frames are of several sizes")
        total += shape[0] * shape[1]
        if total > max_pixels:
            raise ClipSizeError(f"the frames have more than {max_pixels} pixels in all")
        yield pixels, duration


def numbers_of(model: ClipVqVae, actions: Sequence[str], frames: int) -> bytes:
    """Return the numbers of a clip's actions, empty if none is known.

    Raises ValueError if there are not as many as frames, or the model knows no such action.
    """
    if not actions:
        return b""
    if len(actions) != frames:
        told = counted(len(actions), "action")
        raise ValueError(f"the clip has {counted(frames, 'frame')} and {told}")
    known = {name: model.action(name) for name in set(actions) if name}
    numbers = bytes(known.get(name, UNKNOWN_ACTION) for name in actions)
    return numbers if any(numbers) else b""


def names_of(model: ClipVqVae, actions: bytes) -> tuple[str, ...]:
    """Return the names of a file's actions."""
    names = ("", *model.clip.actions)
    return tuple(names[number] for number in actions)
