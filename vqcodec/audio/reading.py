"""Files of sound, read by libsndfile block by block: WAV, FLAC, Ogg Vorbis, Opus, MP3 and more."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import IO, Any

import numpy as np

from vqcodec.audio.packages import import_package
from vqcodec.audio.recording import Block
from vqcodec.audio.wav import mended
from vqcodec.audio.waveform import CHANNELS_MAX, RATE_MAX, Tags
from vqcodec.errors import SoundError, SoundSizeError

TAG_NAMES = {
    "title": "TITLE",
    "artist": "ARTIST",
    "album": "ALBUM",
    "tracknumber": "TRACKNUMBER",
    "date": "DATE",
    "genre": "GENRE",
    "comment": "COMMENT",
    "copyright": "COPYRIGHT",
    "license": "LICENSE",
    "software": "ENCODER",
}
"""The names of Vorbis comments for what libsndfile reads and writes of tags."""
_OWN_MARK = re.compile(r" ?\(libsndfile-[\d.]+\)$")
"""What libsndfile adds to the name of the software whenever it writes a file."""


@dataclass(frozen=True, slots=True, eq=False)
class SoundFile:
    """A file of sound that is open; see `vqcodec.audio.recording.Recording`."""

    file: IO[bytes]
    rate: int
    channels: int
    length: int
    """Samples of a channel, as the file tells."""
    format: str
    """As in "WAV, PCM_16"."""
    tags: Tags
    modified: int | None = None

    def blocks(self, length: int) -> Iterator[Block]:
        """Yield all of it. Raises: SoundError if the file is damaged or ends early."""
        found = 0
        with _opened(self.file) as sound:
            while len(block := _read(sound, length)):
                found += len(block)
                if not np.isfinite(block).all():
                    raise SoundError("a sample is not finite")
                yield block
        if found != self.length:
            raise SoundError(f"the file is damaged: {found} of {self.length} samples are there")


def open_sound(
    file: IO[bytes], *, max_samples: int, modified: int | None = None, strip: bool = False
) -> SoundFile:
    """Open a file of sound that is open for reading and has a descriptor; `strip` drops its tags.

    Raises: SoundError if it is none, or has no samples; SoundSizeError if it has more than
    `max_samples`, all channels together; MissingPackageError.
    """
    whole = mended(file)
    with _opened(whole) as sound:
        if sound.channels > CHANNELS_MAX or not 1 <= sound.samplerate <= RATE_MAX:
            told = f"{sound.channels} channels at {sound.samplerate} Hz"
            raise SoundError(f"the file has {told}, which is more than can be kept")
        if sound.frames < 1:
            raise SoundError("the file has no samples")
        if sound.frames * sound.channels > max_samples:
            told = f"{sound.frames} samples in {sound.channels} channels"
            raise SoundSizeError(f"the file has {told}, the limit is {max_samples} in all")
        return SoundFile(
            file=whole,
            rate=sound.samplerate,
            channels=sound.channels,
            length=sound.frames,
            format=f"{sound.format}, {sound.subtype}",
            tags=() if strip else tuple(_tags(sound.copy_metadata())),
            modified=modified,
        )


@contextmanager
def _opened(file: IO[bytes]) -> Iterator[Any]:
    """Open a file with libsndfile, from its beginning; the file itself stays open."""
    soundfile = import_package("soundfile")
    file.flush()  # what the object has read ahead it would take back when it is closed
    os.lseek(file.fileno(), 0, os.SEEK_SET)  # libsndfile sees the descriptor, not the object
    try:
        sound = soundfile.SoundFile(file.fileno(), closefd=False)
    except soundfile.SoundFileError as error:
        raise SoundError(f"not sound that can be read: {_reason(error)}") from error
    with sound:
        yield sound


def _read(sound: Any, length: int) -> Block:
    soundfile = import_package("soundfile")
    try:
        block: Block = sound.read(length, dtype="float32", always_2d=True)
    except soundfile.SoundFileError as error:
        raise SoundError(f"the file is damaged: {_reason(error)}") from error
    return block


def _reason(error: Exception) -> str:
    """Return libsndfile's words without those that wrap them."""
    return str(getattr(error, "error_string", error)).removeprefix("Error : ").rstrip(".")


def _tags(found: dict[str, str]) -> Iterator[tuple[str, str]]:
    for name, comment in TAG_NAMES.items():
        text = found.get(name, "")
        if name == "software":
            text = _OWN_MARK.sub("", text)
        if text:
            yield comment, text
