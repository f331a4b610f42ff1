"""Sound to files, by libsndfile, block by block, with tags."""

from __future__ import annotations

import os
import tempfile
import textwrap
import warnings
from collections.abc import Iterable
from types import TracebackType
from typing import IO

import numpy as np

from vqcodec.audio.channel_mask import MASK_TAG, mask_of
from vqcodec.audio.chunks import MAX_SAMPLES
from vqcodec.audio.comment_writing import placeholder, replace_comments
from vqcodec.audio.formats import FORMATS, rate_of
from vqcodec.audio.id3_writing import pack_id3
from vqcodec.audio.packages import import_package
from vqcodec.audio.reading import TAG_NAMES, open_sound
from vqcodec.audio.recording import Block
from vqcodec.audio.resampling import resampled
from vqcodec.audio.waveform import Tags
from vqcodec.counting import counted
from vqcodec.errors import SoundError, VqcWarning

_BLOCK = 1 << 16
"""Samples that are written at once; the encoder of Vorbis crashes with very many."""
_FIELDS = {comment: field for field, comment in TAG_NAMES.items()}
"""libsndfile's names of the tags that it writes to WAV."""
_LIST_MAX = 4096
"""Bytes of the texts that it is given: of many more it makes files that nobody can read."""
_SIZE_MAX = 0xFFFFFFFF
"""Bytes that a WAV file can say that it has."""
_NAMES_MAX = 200
"""Characters of the names of tags in a warning."""
_WITH_MASK = "WAVEX"
"""libsndfile's name of WAV with a mask of channels, which it cannot be told."""
_MASK_PLACE = 40
"""Of the mask in such a file."""
_WITH_COMMENTS = ("FLAC", "OGG")
"""libsndfile's names of formats that have Vorbis comments."""


def require_format(suffix: str) -> None:
    """Raise ValueError for a suffix that is none of FORMATS."""
    if suffix not in FORMATS:
        raise ValueError(f"sound cannot be written as {suffix!r}, but as {', '.join(FORMATS)}")


def write_sound(
    file: IO[bytes],
    suffix: str,
    blocks: Iterable[Block],
    *,
    rate: int,
    channels: int,
    tags: Tags = (),
) -> int:
    """Write sound in the format of a suffix to a file that is open for writing and can seek.

    Where the format does not have the rate, the sound is resampled to one that it has. Of that,
    and of tags that the format cannot hold, it warns (`VqcWarning`).

    Returns how many samples were beyond full scale and had to be cut. Raises: SoundError if
    the format has no such rate or number of channels; MissingPackageError; OSError; ValueError
    for a suffix that is none of FORMATS.
    """
    require_format(suffix)
    own = rate_of(suffix, rate)
    if own != rate:
        _warn(f"{suffix} has no {rate} Hz: the rate becomes {own} Hz")
    mask = mask_of(tags) if suffix == ".wav" else None
    if mask is not None:
        tags = tuple(tag for tag in tags if tag[0].upper() != MASK_TAG)
    held = _held(tags, suffix, own, channels)
    cut = _encode(file, suffix, resampled(blocks, rate, own), own, channels, held, mask)
    file.flush()
    return cut


class _Sink:
    """A file for libsndfile to write to, which hears of no exceptions and, when it closes a file,
    ignores that less was written. The first error is kept, and raised in the end. What the file
    has already it takes for no part of it.
    """

    def __init__(self, file: IO[bytes]) -> None:
        self._file = file
        self._start = file.tell()
        self._error: OSError | None = None

    def write(self, data: bytes) -> int:
        """Write; return how many bytes were written."""
        try:
            return 0 if self._error else self._file.write(data)
        except OSError as error:
            self._error = error
            return 0

    def seek(self, offset: int, whence: int) -> None:
        """Go to another place in the file."""
        try:
            if self._error is None:  # which writes what waits to be written
                start = self._start if whence == os.SEEK_SET else 0
                self._file.seek(start + offset, whence)
        except OSError as error:
            self._error = error

    def tell(self) -> int:
        """Return the place in the file."""
        return 0 if self._error else self._file.tell() - self._start

    def check(self) -> None:
        """Raise the first error that there was."""
        if self._error is not None:
            raise self._error

    def __enter__(self) -> _Sink:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.check()


def _encode(
    file: IO[bytes],
    suffix: str,
    blocks: Iterable[Block],
    rate: int,
    channels: int,
    tags: Tags,
    mask: int | None = None,
) -> int:
    """Write sound as it is, with tags that the format holds, and a mask of channels to WAV.

    Returns how many samples were cut. Raises: as `write_sound`.
    """
    soundfile = import_package("soundfile")
    name, subtype = FORMATS[suffix]
    name = name if mask is None else _WITH_MASK
    cut = 0
    listed = _listed(tags) if suffix == ".wav" else ()
    if name == "MP3":
        file.write(pack_id3(tags))
    try:
        with (
            _Sink(file) as sink,
            soundfile.SoundFile(sink, "w", rate, channels, subtype, format=name) as sound,
        ):
            if name in _WITH_COMMENTS and tags:
                sound.comment = placeholder(tags)
            for comment, text in listed:
                setattr(sound, _FIELDS[comment], text)
            for block in blocks:
                cut += int((np.abs(block) > 1.0).sum())
                for start in range(0, len(block), _BLOCK):
                    sound.write(block[start : start + _BLOCK])
                    sink.check()
    except soundfile.SoundFileError as error:
        text = f"{suffix} with {counted(channels, 'channel')} at {rate} Hz cannot be written"
        raise SoundError(text, hint="wav takes all of them") from error
    if name in _WITH_COMMENTS and tags:
        replace_comments(file, tags)
    if suffix == ".wav" and listed != tags:
        _append(file, pack_id3(tags))
    if mask is not None:
        file.seek(_MASK_PLACE)
        file.write(mask.to_bytes(4, "little"))
    return cut


def _listed(tags: Tags) -> Tags:
    """Return the tags that go where all programs look for those of WAV: the first of each name that
    it has, as long as there is room.
    """
    first = {name: text for name, text in reversed(tags) if name in _FIELDS}
    listed, room = [], _LIST_MAX
    for name, text in tags:
        size = len(text.encode(errors="replace"))
        if first.get(name) == text and size <= room:
            listed.append((name, text))
            room -= size
    return tuple(listed)


def _append(file: IO[bytes], tag: bytes) -> None:
    """Append an ID3 tag to a WAV file, as a chunk behind its others: who reads it looks for all
    tags there.
    """
    file.seek(0, os.SEEK_END)
    file.write(b"id3 " + len(tag).to_bytes(4, "little") + tag + bytes(len(tag) % 2))
    size = file.tell() - 8
    file.seek(4)
    file.write(min(size, _SIZE_MAX).to_bytes(4, "little"))


def _held(tags: Tags, suffix: str, rate: int, channels: int) -> Tags:
    """Return the tags that a format can hold, or what it can of each; warn of what it cannot.

    That depends on their lengths, letters and number, and where there is too much, libsndfile
    leaves tags out or writes files that nobody can read. So it is tried.
    """
    wanted = tuple(dict.fromkeys((name.upper(), text) for name, text in tags if text))

    def written(tags: Tags) -> Tags:
        """Return what is read of each tag that is written, its text empty if it is not."""
        found = _read_back(tags, suffix, rate, channels) if tags else ()
        return tuple((name, _longest(name, text, found)) for name, text in tags)

    def holds(tags: Tags) -> bool:
        return all(text for _, text in written(tags))

    held = wanted
    if not holds(held):
        held = ()
        for tag in wanted:
            if holds((*held, tag)):
                held = (*held, tag)
    lost = dict.fromkeys(tag[0].lower() for tag in wanted if tag not in held)
    if lost:
        names = textwrap.shorten(", ".join(lost), _NAMES_MAX)
        _warn(f"not written: {names}, which {suffix} cannot hold")
    parts = written(held)
    for (name, text), (_, part) in zip(held, parts, strict=True):
        if text != part:
            told = f"{len(part)} of {len(text)} characters"
            _warn(f"written in part: {name.lower()}, of which {suffix} holds {told}")
    return parts


def _longest(name: str, text: str, found: Tags) -> str:
    """Return the most of a text that was found under a name."""
    return max(
        (part for own, part in found if own == name and text.startswith(part)), key=len, default=""
    )


def _read_back(tags: Tags, suffix: str, rate: int, channels: int) -> Tags:
    """Return the tags that are read from a file of silence that is written with these."""
    silence = np.zeros((1, channels), np.float32)
    with tempfile.TemporaryFile() as file:
        try:
            _encode(file, suffix, [silence], rate, channels, tags)
            return open_sound(file, max_samples=MAX_SAMPLES).tags
        except SoundError:
            return ()


def _warn(message: str) -> None:
    warnings.warn(message, VqcWarning, stacklevel=3)
