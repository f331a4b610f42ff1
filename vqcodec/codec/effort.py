"""How long an encoder looks for better indices, and what it calls better."""

from __future__ import annotations

from dataclasses import dataclass

LOWEST, HIGHEST = 1, 9
_USUAL_TUNE = "both"
_STEPS = 12
"""Of effort 2."""
_GROWTH = 1.4
_MS_SSIM = 600.0
"""What 1 - MS-SSIM counts beside the mean squared error, as when `photo` was trained."""

TUNES = {"psnr": (1.0, 0.0), "ms-ssim": (0.0, _MS_SSIM), "both": (1.0, _MS_SSIM)}
"""What the mean squared error (of 0..255) and 1 - MS-SSIM count as distortion."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Effort:
    """Raises ValueError for a level or a name that is none, or a name that changes nothing."""

    effort: int = LOWEST
    """1: every index is chosen once, in order. Above it all of them are refined together."""
    tune: str = _USUAL_TUNE
    """One of TUNES: the distortion that refinement weighs against bits."""

    def __post_init__(self) -> None:
        if type(self.effort) is not int or not LOWEST <= self.effort <= HIGHEST:
            raise ValueError(f"effort is {self.effort!r}, not a whole number {LOWEST} to {HIGHEST}")
        if self.tune not in TUNES:
            raise ValueError(f"tune is {self.tune!r}, not one of {', '.join(TUNES)}")
        if self.tune != _USUAL_TUNE and not self.refines:
            raise ValueError(f"tune {self.tune} needs an effort above {LOWEST}")

    @property
    def refines(self) -> bool:
        """Whether anything is refined."""
        return self.effort > LOWEST

    @property
    def steps(self) -> int:
        """Steps of gradient descent: 12 of effort 2, two fifths more for each one more."""
        return round(_STEPS * _GROWTH ** (self.effort - 2)) if self.refines else 0

    @property
    def weights(self) -> tuple[float, float]:
        """What the mean squared error and 1 - MS-SSIM count."""
        return TUNES[self.tune]
