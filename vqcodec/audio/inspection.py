"""What a .vqc file of sound consists of."""

from __future__ import annotations

from dataclasses import dataclass

from vqcodec.audio.chunks import unpack
from vqcodec.audio.waveform import Tags
from vqcodec.codec.inspection import Inspection, facts
from vqcodec.container import Container
from vqcodec.errors import ModelError
from vqcodec.registry.store import find_by_prefix, read_metadata


@dataclass(frozen=True, slots=True, kw_only=True)
class SoundInspection(Inspection):
    """Facts about a file of sound."""

    seconds: float
    rate: int
    """Samples per second."""
    samples: int
    """Of each channel."""
    channels: int
    coded_channels: int
    """Channels of which no other is a copy."""
    kbps: float
    """File size in kilobits per second, all channels together."""
    ratio: float
    """16-bit samples over file size."""
    speakers: tuple[str, ...]
    """Of each coded channel the speaker in whose voice it is: the name where the model is at hand,
    else the number. Empty if the model knows no speakers, or is not there."""
    tags: Tags
    """Names and texts."""


def describe(container: Container, size: int, max_samples: int) -> SoundInspection:
    """Return the facts of a file of `size` bytes that has been parsed.

    Raises: FormatError if a chunk is not what SPEC.md says.
    """
    description = unpack(container, max_samples)
    waveform = description.waveform
    channels = len(waveform.channels)
    return SoundInspection(
        **facts(container, size),
        seconds=waveform.seconds,
        rate=waveform.rate,
        samples=waveform.samples,
        channels=channels,
        coded_channels=len(waveform.levels),
        kbps=8 * size / waveform.seconds / 1000,
        ratio=2 * waveform.samples * channels / size,
        speakers=_speakers(container, description.speakers),
        tags=description.tags,
    )


def _speakers(container: Container, numbers: tuple[int, ...]) -> tuple[str, ...]:
    """Return the names of speakers, which the model's file has in its metadata."""
    try:
        known = read_metadata(find_by_prefix(container.header.model).path).get("speakers")
    except ModelError:
        known = None
    names = [name for name in known if isinstance(name, str)] if isinstance(known, list) else []
    if max(numbers) < len(names):
        return tuple(names[number] for number in numbers)
    return tuple(f"number {number}" for number in numbers) if any(numbers) else ()
