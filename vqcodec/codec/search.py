"""From a wish (a quality, a size, a PSNR) to what a model is told.

A quality is a real number. Some models have qualities between whole ones, in sixteenths:
then the nearest one is what they are told. Of others the nearest whole number is the model's
quality, and what is left becomes the weight of bits against distance in the choice of indices,
which no decoder needs to know: half a step below, bits weigh 1.5 times as much.
"""

from __future__ import annotations

import math
import numbers
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Generic, TypeVar

from vqcodec.container import Medium

if TYPE_CHECKING:
    from vqcodec.models.model import Model

T = TypeVar("T")

_WISHES = ("quality", "target_size", "target_bpp", "target_psnr", "target_bitrate")
_OF_OTHERS = {
    Medium.PICTURE: ("target_bitrate",),
    Medium.SOUND: ("target_bpp", "target_psnr", "lossless"),
    Medium.CLIP: ("target_size", "target_bpp", "target_psnr", "target_bitrate", "lossless"),
}
"""The wishes that make no sense of a medium."""
_SLIP = 100.0
"""Bits per second of which no speech can be made: who wishes for fewer meant kilobits."""
STEP = 16
"""A search tries qualities that are multiples of 1/16."""


class WishError(ValueError):
    """Wishes that exclude each other, are no numbers, or cannot be had of a medium. The message
    names fields of `Wish`, and nothing that comes from elsewhere.
    """


@dataclass(frozen=True, slots=True, kw_only=True)
class Wish:
    """At most one of these; without any, the model's `usual` quality.

    Raises WishError if there are more, or one is no finite number.
    """

    quality: float | None = None
    """1 to the model's highest."""
    target_size: int | None = None
    """Best quality of at most so many bytes."""
    target_bpp: float | None = None
    """Best quality of at most so many bits per pixel."""
    target_psnr: float | None = None
    """Lowest quality of at least so many dB."""
    target_bitrate: float | None = None
    """Best quality of at most so many bits per second, of all channels together."""
    lossless: bool = False
    """All pixels exactly, without a model."""

    def __post_init__(self) -> None:
        if sum(getattr(self, name) is not None for name in _WISHES) + self.lossless > 1:
            raise WishError(f"give one of {', '.join(_WISHES)} and lossless")
        for name in set(_WISHES) - {"target_size"}:
            value = getattr(self, name)
            if value is not None and not _is_finite(value):
                raise WishError(f"{name} is {value!r}, not a finite number")
        size = self.target_size
        if size is not None and (not isinstance(size, numbers.Integral) or size is True):
            raise WishError(f"target_size is {size!r}, not a whole number of bytes")

    def for_medium(self, medium: Medium) -> Wish:
        """Return the wish. Raises WishError if it cannot be had of the medium."""
        for name in _OF_OTHERS[medium]:
            wish = getattr(self, name)
            if wish is not None and wish is not False:
                raise WishError(f"{name} cannot be had of {medium.noun}")
        return self

    def bytes_at_most(self, *, pixels: int = 0, seconds: float = 0.0) -> int | None:
        """Return the largest size that so much may have, None for any."""
        if self.target_bpp is not None:
            return int(self.target_bpp * pixels / 8)
        if self.target_bitrate is not None:
            return int(self.target_bitrate * seconds / 8)
        return self.target_size

    def told(self, size: float, *, pixels: int = 0, seconds: float = 0.0) -> str:
        """Say how large so many bytes are in the unit of the wish, rounded up, so that it can be
        wished for.
        """
        if self.target_bpp is not None:
            return f"{math.ceil(1e4 * 8 * size / pixels) / 1e4:g} bits per pixel"
        if self.target_bitrate is None:
            return f"{size:.0f} bytes"
        told = f"{math.ceil(8 * size / seconds) / 1000:g} kbit/s"
        if self.target_bitrate < _SLIP:
            asked = self.target_bitrate
            told += f", not {asked:g} bit/s; {asked:g} kbit/s would be {1000 * asked:g}"
        return told


def _is_finite(value: object) -> bool:
    if not isinstance(value, numbers.Real) or isinstance(value, bool):
        return False
    try:
        return math.isfinite(value)
    except OverflowError:  # an integer of more than 1024 bits
        return False


class OutOfReachError(ValueError):
    """No quality of the model meets a target."""


@dataclass(frozen=True, slots=True)
class Setting:
    """What a model is told."""

    quality: int
    """The header's, `scale` times that of the model; 0 for a model without qualities."""
    weight: float = 1.0
    """Of bits against distance, 0.5 to 1.5."""
    scale: int = 1
    """The model's `quality_scale`."""

    @property
    def real(self) -> float:
        """The quality as a real number, which `Qualities.between` turns into this."""
        return self.quality / self.scale + 1.0 - self.weight


@dataclass(frozen=True, slots=True)
class Qualities:
    """The qualities of a model."""

    count: int
    """Whole ones are 1..this; 0 if there are none."""
    scale: int = 1
    """The model's `quality_scale`."""

    @classmethod
    def of(cls, model: Model) -> Qualities:
        """Return a model's."""
        return cls(model.qualities, model.quality_scale)

    @property
    def ends(self) -> tuple[int, int]:
        """The lowest and the highest quality that a search tries, in units of 1/STEP: where weights
        stand between whole ones, half a quality beyond these.
        """
        beyond = STEP // 2 if self.scale == 1 else 0
        return STEP - beyond, self.count * STEP + beyond

    def setting(self, quality: float | None) -> Setting:
        """Turn a quality from 1 to `count` into a setting; None is `usual`.

        Raises ValueError if it is out of range, or given for a model without qualities.
        """
        if not self.count:
            if quality is not None:
                raise ValueError("the model has no qualities to choose from")
            return Setting(0)
        if quality is None:
            quality = usual(self.count)
        if not 1 <= quality <= self.count:
            raise ValueError(f"quality is {quality:g}, not 1 to {self.count}")
        return self.between(quality)

    def between(self, quality: float) -> Setting:
        """Turn a quality, or that one of `ends` which it is beyond, into the nearest setting."""
        lowest, highest = self.ends
        quality = min(max(quality, lowest / STEP), highest / STEP)
        if self.scale > 1:
            return Setting(math.floor(quality * self.scale + 0.5), scale=self.scale)
        level = min(max(math.ceil(quality - 0.5), 1), self.count)
        return Setting(level, 1.0 + level - quality)


def usual(count: int) -> float:
    """Return the default quality of a model of so many: five eighths of the way up, by halves.

    5 of `photo`'s 8 was chosen by looking, and so was 7.5 of `photo-2`'s 12.
    """
    return max(1.0, math.floor(1.25 * count + 0.5) / 2.0)


@dataclass(frozen=True, slots=True, kw_only=True)
class Target(Generic[T]):
    """A limit, and the search for the best encoding within it."""

    attempt: Callable[[Setting], T]
    """Encodes."""
    qualities: Qualities
    """Of the model."""
    reached: Callable[[T], float]
    """Measures an encoding; grows with quality."""
    limit: float
    at_most: bool
    """Whether an encoding may reach so much at most, and the highest quality is the best, or has
    to at least, and the lowest is.
    """
    told: Callable[[float], str]
    """Says how much an encoding reaches, with its unit."""

    def is_met(self, reached: float) -> bool:
        """Tell whether so much is within the limit."""
        return reached <= self.limit if self.at_most else reached >= self.limit

    def search(self) -> T:
        """Return the encoding of the best quality within the limit.

        Raises: OutOfReachError if no quality is; ValueError if the model has no qualities.
        """
        if not self.qualities.count:
            raise ValueError("the model has no qualities to search")
        fitting, failing = self.qualities.ends
        if not self.at_most:
            fitting, failing = failing, fitting
        best, reached = self._try(fitting)
        if not self.is_met(reached):
            end = "least" if self.at_most else "most"
            raise OutOfReachError(f"the {end} that can be had is {self.told(reached)}")
        last, reached = self._try(failing)
        if self.is_met(reached):
            return last
        while abs(failing - fitting) > 1:
            middle = (fitting + failing) // 2
            found, reached = self._try(middle)
            if self.is_met(reached):
                best, fitting = found, middle
            else:
                failing = middle
        return best

    def _try(self, quality: int) -> tuple[T, float]:
        """Encode at a multiple of 1/STEP; return the encoding and what it reaches."""
        encoded = self.attempt(self.qualities.between(quality / STEP))
        return encoded, self.reached(encoded)
