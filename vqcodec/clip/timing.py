"""How long each frame of a clip is shown, and how often the clip is played."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction

from vqcodec.container.layout import SIDE_MAX
from vqcodec.counting import counted
from vqcodec.errors import CorruptError

NUMBER_MAX = (1 << 32) - 1
_FINEST = 1_000_000
"""Parts of a second that times are rounded to where no smaller number divides all of them."""
_DENOMINATOR_MAX = 1000
"""Real numbers of milliseconds are the nearest fractions of this denominator at most, so that
1000 / 30 is what it is meant to be.
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Timing:
    """When frames are shown. Raises CorruptError if a value is out of range or another way to
    write the same is shorter.
    """

    frames: int
    """Their number, 1..2^24-1."""
    scale: int
    """Ticks per second, 1..2^32-1."""
    ticks: tuple[int, ...]
    """How many each frame is shown, 1..2^32-1; one number if that is the same of all."""
    loops: int = 0
    """How often the clip is played, 0..2^32-1; 0 is for ever."""

    def __post_init__(self) -> None:
        if not 1 <= self.frames <= SIDE_MAX:
            raise CorruptError(f"frames are {self.frames}, not 1 to {SIDE_MAX}")
        if len(self.ticks) not in (1, self.frames):
            told = counted(len(self.ticks), "duration")
            raise CorruptError(f"there are {told} of {counted(self.frames, 'frame')}")
        if not all(1 <= number <= NUMBER_MAX for number in (self.scale, *self.ticks)):
            raise CorruptError("a duration or the ticks of a second are out of range")
        if not 0 <= self.loops <= NUMBER_MAX:
            raise CorruptError(f"loops are {self.loops}, not 0 to {NUMBER_MAX}")
        if len(self.ticks) > 1 and len(set(self.ticks)) == 1:
            raise CorruptError("durations that are the same are written more than once")
        if math.gcd(self.scale, *self.ticks) > 1:
            raise CorruptError("durations could be written with fewer ticks per second")

    @property
    def total(self) -> int:
        """Ticks of all frames."""
        return self.ticks[0] * self.frames if len(self.ticks) == 1 else sum(self.ticks)

    @property
    def seconds(self) -> float:
        """How long all frames take."""
        return self.total / self.scale

    def durations(self, span: range | None = None) -> tuple[Fraction, ...]:
        """Return the seconds that each frame of a span (None: all) is shown."""
        span = range(self.frames) if span is None else span
        if len(self.ticks) == 1:
            return (Fraction(self.ticks[0], self.scale),) * len(span)
        return tuple(Fraction(own, self.scale) for own in self.ticks[span.start : span.stop])

    def start(self, frame: int) -> float:
        """Return when a frame begins, in seconds; `frames` is the end."""
        if len(self.ticks) == 1:
            return frame * self.ticks[0] / self.scale
        return sum(self.ticks[:frame]) / self.scale

    def span(self, crop: tuple[float, float] | None) -> range:
        """Return the frames that are shown from and to a time in seconds, None being all.

        Raises ValueError if there are none.
        """
        if crop is None:
            return range(self.frames)
        try:
            start, stop = (float(time) for time in crop)
        except (TypeError, ValueError) as error:
            raise ValueError(f"crop is {crop!r}, not two times in seconds") from error
        if not 0 <= start < stop or not math.isfinite(stop) or start >= self.seconds:
            told = f"{start:g} to {stop:g} seconds"
            raise ValueError(f"crop {told} is not inside {counted(self.seconds, 'second')}")
        # Times as people write them, such as .7, are no real numbers of a computer.
        first, last = (
            Fraction(time).limit_denominator(_FINEST) * self.scale for time in (start, stop)
        )
        return range(self._shown_at(math.floor(first)), self._shown_at(math.ceil(last) - 1) + 1)

    def _shown_at(self, tick: int) -> int:
        """Return the frame that is shown during a tick, the last one beyond the end."""
        if len(self.ticks) == 1:
            return min(max(tick, 0) // self.ticks[0], self.frames - 1)
        end = 0
        for frame, own in enumerate(self.ticks):
            end += own
            if tick < end:
                return frame
        return self.frames - 1


def timing_of(durations: Sequence[Fraction], loops: int = 0) -> Timing:
    """Return the timing of frames that are shown so many seconds, one or more, above 0."""
    scale = math.lcm(*(own.denominator for own in durations))
    if scale > NUMBER_MAX or max(durations) * scale > NUMBER_MAX:
        scale = _FINEST
    ticks = [min(max(round(own * scale), 1), NUMBER_MAX) for own in durations]
    shared = math.gcd(scale, *ticks)
    ticks = [own // shared for own in ticks]
    uniform = len(set(ticks)) == 1
    return Timing(
        frames=len(ticks),
        scale=scale // shared,
        ticks=tuple(ticks[:1] if uniform else ticks),
        loops=loops,
    )


def from_milliseconds(duration: float) -> Fraction:
    """Return milliseconds as seconds. Raises ValueError if they are not above 0 and finite."""
    if isinstance(duration, bool) or not math.isfinite(duration) or not 0 < duration <= NUMBER_MAX:
        raise ValueError(f"a duration is {duration!r}, not milliseconds above 0")
    exact = Fraction(duration)
    near = exact.limit_denominator(_DENOMINATOR_MAX)
    return (near or exact.limit_denominator(_FINEST) or Fraction(1, _FINEST)) / 1000
