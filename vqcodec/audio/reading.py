"""Files of sound, read by libsndfile block by block: WAV, FLAC, Ogg Vorbis, Opus, MP3 and more."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from typing import IO, Any

import numpy as np

from vqcodec.audio.inventory.listing import list_contents
from vqcodec.audio.inventory.parts import software_of
from vqcodec.audio.packages import import_package
from vqcodec.audio.recording import Block
from vqcodec.audio.silence import silenced
from vqcodec.audio.wav import mended
from vqcodec.audio.waveform import CHANNELS_MAX, RATE_MAX, Tags
from vqcodec.counting import counted
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
    losses: tuple[str, ...] = ()
    """What of the file is not kept, beside what compression changes."""

    def blocks(self, length: int) -> Iterator[Block]:
        """Yield all of it. Raises: SoundError if the file is damaged or ends early."""
        found = 0
        with _opened(self.file) as sound:
            while len(block := _read(self.file, sound, length)):
                found += len(block)
                if not np.isfinite(block).all():
                    raise SoundError("a sample is not finite")
                yield block
        if found != self.length:
            raise SoundError(f"the file is damaged: {found} of {self.length} samples are there")


def open_sound(
    file: IO[bytes], *, max_samples: int, modified: int | None = None, strip: bool = False
) -> SoundFile:
    """Open a file of sound that is open for reading and has a descriptor; `strip` drops its tags,
    which are no loss then.

    Raises: SoundError if it is none, is damaged, or has no samples; SoundSizeError if it has more
    than `max_samples`, all channels together; MissingPackageError.
    """
    whole = mended(file)
    contents = list_contents(whole)
    with _opened(whole) as sound:
        if sound.channels > CHANNELS_MAX or not 1 <= sound.samplerate <= RATE_MAX:
            told = f"{counted(sound.channels, 'channel')} at {sound.samplerate} Hz"
            raise SoundError(f"the file has {told}, which is more than can be kept")
        if sound.frames < 1:
            raise SoundError("the file has no samples")
        if sound.frames * sound.channels > max_samples:
            told = f"{counted(sound.frames, 'sample')} in {counted(sound.channels, 'channel')}"
            raise SoundSizeError(f"the file has {told}, the limit is {max_samples} in all")
        return SoundFile(
            file=whole,
            rate=sound.samplerate,
            channels=sound.channels,
            length=sound.frames,
            format=f"{sound.format}, {sound.subtype}",
            tags=() if strip else _tags(contents.tags, sound.copy_metadata()),
            modified=modified,
            losses=contents.surplus if strip else contents.surplus + contents.metadata,
        )


@contextmanager
def _opened(file: IO[bytes]) -> Iterator[Any]:
    """Open a file with libsndfile, from its beginning; the file itself stays open."""
    soundfile = import_package("soundfile")
    file.flush()  # what the object has read ahead it would take back when it is closed
    os.lseek(file.fileno(), 0, os.SEEK_SET)  # libsndfile sees the descriptor, not the object
    try:
        with silenced(file):  # what it is, is known only then
            sound = soundfile.SoundFile(file.fileno(), closefd=False)
    except soundfile.SoundFileError as error:
        raise SoundError(f"not sound that can be read: {_reason(error)}") from error
    with sound:
        yield sound


def _read(file: IO[bytes], sound: Any, length: int) -> Block:
    soundfile = import_package("soundfile")
    try:
        with silenced(file) if sound.subtype.startswith("MPEG") else nullcontext():
            block: Block = sound.read(length, dtype="float32", always_2d=True)
    except soundfile.SoundFileError as error:
        raise SoundError(f"the file is damaged: {_reason(error)}") from error
    return block


def _reason(error: Exception) -> str:
    """Return libsndfile's words without those that wrap them."""
    return str(getattr(error, "error_string", error)).removeprefix("Error : ").rstrip(".")


def _tags(tags: Tags, found: dict[str, str]) -> Tags:
    """Return the tags of a file, and of those that libsndfile finds the ones it has besides."""
    names = {name for name, _ in tags}
    more = {comment: found.get(name, "") for name, comment in TAG_NAMES.items()}
    more["ENCODER"] = software_of(more["ENCODER"])
    return tags + tuple(tag for tag in more.items() if tag[1] and tag[0] not in names)
