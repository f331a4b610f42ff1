"""Configurations of models of clips; see `config`."""

from __future__ import annotations

from dataclasses import dataclass

from vqcodec.models.config import require
from vqcodec.prior.taps import TrunkTaps, squares


@dataclass(frozen=True, slots=True, kw_only=True)
class ClipConfig:
    """What the clips are like."""

    actions: tuple[str, ...] = ()
    """Names of the actions that lead from a frame to the next, at most 255; the first is action 1,
    as 0 is one that is not known."""
    frames_per_second: float = 10.0
    """At what rate frames follow each other, above 0."""

    def __post_init__(self) -> None:
        require(len(self.actions) <= 255, "clip.actions must be at most 255")
        for name in self.actions:
            known = 1 <= len(name) <= 64 and name.isprintable()
            require(known, "clip.actions must be texts of 1 to 64 printable characters")
        different = len(set(self.actions)) == len(self.actions)
        require(different, "clip.actions must have different names")
        require(
            0.01 <= self.frames_per_second <= 1000.0,
            "clip.frames_per_second must be 0.01 to 1000",
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class TemporalConfig:
    """The integer network from the frame before to what a frame's prior is told
    (format/SPEC.md, section "Priors of clips").
    """

    embedding: int = 32
    """Integers that describe one index of the frame before."""
    channels: int = 96
    """Width H of the residual stream and of every layer."""
    layers: int = 2
    """3x3 layers after the first, 5x5 one: the network sees 2 + `layers` positions far."""

    def __post_init__(self) -> None:
        # As large as they can be for any weights of 8 bits to keep within the exact range.
        require(1 <= self.embedding <= 41, "temporal.embedding must be 1 to 41")
        require(1 <= self.channels <= 115, "temporal.channels must be 1 to 115")
        require(0 <= self.layers <= 8, "temporal.layers must be 0 to 8")

    @property
    def taps(self) -> TrunkTaps:
        """What its layers read."""
        return squares(self.layers)
