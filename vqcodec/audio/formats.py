"""Which files are sound, by their names, and how sound is written."""

from __future__ import annotations

from pathlib import PurePath

SUFFIXES = frozenset(
    {
        *(".aif", ".aifc", ".aiff", ".au", ".caf", ".flac", ".mp3", ".oga", ".ogg", ".opus"),
        *(".rf64", ".w64", ".wav", ".wave"),
    }
)
FORMATS = {
    ".wav": ("WAV", "PCM_16"),
    ".flac": ("FLAC", "PCM_16"),
    ".ogg": ("OGG", "VORBIS"),
    ".oga": ("OGG", "VORBIS"),
    ".opus": ("OGG", "OPUS"),
    ".mp3": ("MP3", "MPEG_LAYER_III"),
}
"""For each suffix libsndfile's names of the format and of its samples."""
_RATES = {
    ".opus": (8000, 12000, 16000, 24000, 48000),
    ".mp3": (8000, 11025, 12000, 16000, 22050, 24000, 32000, 44100, 48000),
}
"""The samples per second that formats have; the others have any."""


def is_sound_name(path: PurePath) -> bool:
    """Tell by its suffix whether a file is sound that can be read here."""
    return path.suffix.lower() in SUFFIXES


def change_by(suffix: str) -> str:
    """Say how the format of a suffix changes samples once more; empty if it only rounds them."""
    lossy = FORMATS.get(suffix, ("WAV", ""))[0] not in ("WAV", "FLAC")
    return f"{suffix} is lossy: samples change once more" if lossy else ""


def rate_of(suffix: str, rate: int) -> int:
    """Return the rate at which the format of a suffix holds sound of a rate: the same or, if it has
    none such, the next higher one, or its highest.
    """
    rates = _RATES.get(suffix, (rate,))
    return next((own for own in rates if own >= rate), rates[-1])
