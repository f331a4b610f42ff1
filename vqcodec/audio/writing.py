"""Sound to files, by libsndfile, block by block."""

from __future__ import annotations

from collections.abc import Iterable
from typing import IO

import numpy as np

from vqcodec.audio.formats import FORMATS
from vqcodec.audio.packages import import_package
from vqcodec.audio.reading import TAG_NAMES
from vqcodec.audio.recording import Block
from vqcodec.audio.waveform import Tags
from vqcodec.errors import SoundError

_BLOCK = 1 << 16
"""Samples that are written at once; the encoder of Vorbis crashes with very many."""


def require_format(suffix: str) -> None:
    """Raise ValueError for a suffix that is none of FORMATS."""
    if suffix not in FORMATS:
        raise ValueError(f"sound cannot be written as {suffix!r}, but as {', '.join(FORMATS)}")


def unwritten(tags: Tags) -> tuple[str, ...]:
    """Return the names of tags that libsndfile does not write: it knows some, and each once."""
    names = [name for name, _ in tags]
    known = TAG_NAMES.values()
    return tuple(
        dict.fromkeys(
            name for at, name in enumerate(names) if name not in known or name in names[:at]
        )
    )


def write_sound(
    file: IO[bytes],
    suffix: str,
    blocks: Iterable[Block],
    *,
    rate: int,
    channels: int,
    tags: Tags = (),
) -> int:
    """Write sound in the format of a suffix to a file that has a descriptor and can seek.

    Returns how many samples were beyond full scale and had to be cut. Raises: SoundError if
    the format has no such rate or number of channels; MissingPackageError; OSError; ValueError
    for a suffix that is none of FORMATS.
    """
    require_format(suffix)
    soundfile = import_package("soundfile")
    name, subtype = FORMATS[suffix]
    own = {comment: field for field, comment in TAG_NAMES.items()}
    cut = 0
    try:
        with soundfile.SoundFile(
            file.fileno(), "w", rate, channels, subtype, format=name, closefd=False
        ) as sound:
            for comment, text in reversed(tags):  # of several with one name the first stays
                if comment in own:
                    setattr(sound, own[comment], text)
            for block in blocks:
                cut += int((np.abs(block) > 1.0).sum())
                for start in range(0, len(block), _BLOCK):
                    sound.write(block[start : start + _BLOCK])
    except soundfile.SoundFileError as error:
        text = f"{suffix} with {channels} channels at {rate} Hz cannot be written"
        raise SoundError(text, hint="wav takes all of them") from error
    return cut
