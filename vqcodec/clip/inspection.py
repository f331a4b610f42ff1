"""What a .vqc file of a clip consists of."""

from __future__ import annotations

import math
from dataclasses import dataclass

from vqcodec.clip.chunks import unpack
from vqcodec.codec.inspection import Inspection, facts
from vqcodec.container import Container
from vqcodec.errors import ModelError
from vqcodec.registry.store import find_by_prefix, read_metadata


@dataclass(frozen=True, slots=True, kw_only=True)
class ClipInspection(Inspection):
    """Facts about a file of a clip."""

    width: int
    height: int
    frames: int
    seconds: float
    frames_per_second: float
    """Their mean."""
    loops: int
    """How often it is played; 0 is for ever."""
    kbps: float
    """File size in kilobits per second."""
    bits_per_frame: float
    """File size in bits per frame."""
    ratio: float
    """24-bit pixels over file size."""
    actions: tuple[str, ...]
    """Of each frame the action that led to it, "" where it is not known: the name where the model
    is at hand, else the number. Empty if none is known."""


def describe(container: Container, size: int) -> ClipInspection:
    """Return the facts of a file of `size` bytes that has been parsed.

    Raises: FormatError if a chunk is not what SPEC.md says.
    """
    description, shape = unpack(container), container.header.shape
    seconds = description.timing.seconds
    frames, height, width = shape
    return ClipInspection(
        **facts(container, size),
        width=width,
        height=height,
        frames=frames,
        seconds=seconds,
        frames_per_second=frames / seconds,
        loops=description.timing.loops,
        kbps=8 * size / seconds / 1000,
        bits_per_frame=8 * size / frames,
        ratio=3 * math.prod(shape) / size,
        actions=_actions(container, description.actions),
    )


def _actions(container: Container, numbers: bytes) -> tuple[str, ...]:
    """Return the names of actions, which the model's file has in its metadata."""
    try:
        clip = read_metadata(find_by_prefix(container.header.model).path).get("clip")
    except ModelError:
        clip = None
    known = clip.get("actions") if isinstance(clip, dict) else None
    names = [str(name) for name in known] if isinstance(known, list) else []
    return tuple(
        ("" if not number else names[number - 1] if number <= len(names) else f"number {number}")
        for number in numbers
    )
