"""What a parser of files of sound enters: tags, and what of a file would be lost."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import IO

from vqcodec.audio.chunks import TAGS_MAX, is_tag_name
from vqcodec.audio.waveform import Tags
from vqcodec.codec.chunks import UNPACKED_MAX

FURTHER_SOUND = "further sound after the sound's end"
OTHER_DATA = "other data after the sound's end"
COVER = "cover picture"
TEXT_MAX = UNPACKED_MAX
"""Most bytes of a part that is taken apart for its texts."""
_OWN_MARK = re.compile(r" ?\(libsndfile-[\d.]+\)$|^libsndfile$")
"""What libsndfile adds to, or gives as, the name of the software whenever it writes a file."""
_ALIASES = {"SOFTWARE": "ENCODER"}
"""Other names of Vorbis comments: this one libsndfile writes to FLAC and Ogg Vorbis."""
_FIELD = len("1234=")
"""Bytes that a chunk of tags has for each beside name and text."""
_NAME_MAX = 40
"""Most letters of a tag's name that are shown."""
_NAMED_MAX = 12
"""Most tags that are named one by one."""
_PIECE = 1 << 16


@dataclass(frozen=True, slots=True, kw_only=True)
class Contents:
    """What a file of sound holds beside its samples."""

    tags: Tags
    """Those that can be kept. Empty also where the file's tags are not taken apart here."""
    metadata: tuple[str, ...] = ()
    """Names of what says something about the sound, and is not kept."""
    surplus: tuple[str, ...] = ()
    """Names of what is not read: sound after the first piece, and data that is not understood."""


@dataclass(slots=True)
class Ledger:
    """Takes down what parsers find."""

    tags: list[tuple[str, str]] = field(default_factory=list)
    _seen: set[tuple[str, str]] = field(default_factory=set)
    _other_tags: list[str] = field(default_factory=list)
    _metadata: list[str] = field(default_factory=list)
    _surplus: list[str] = field(default_factory=list)
    _room: int = UNPACKED_MAX - 8

    def tag(self, name: str, text: str) -> None:
        """Enter a tag; it is not kept if its name is none of a Vorbis comment, or room lacks."""
        name, text = _ALIASES.get(name.upper(), name.upper()), text.strip("\0")
        if name == "ENCODER":
            text = software_of(text)
        if not text or (name, text) in self._seen:
            return
        self._seen.add((name, text))
        size = len(name) + len(text.encode(errors="replace")) + _FIELD
        if is_tag_name(name) and size <= self._room and len(self.tags) < TAGS_MAX:
            self.tags.append((name, text))
            self._room -= size
        else:
            self.other_tag(name)

    def other_tag(self, name: str) -> None:
        """Enter a tag that is not kept."""
        self._other_tags.append(name if len(name) <= _NAME_MAX else f"{name[:_NAME_MAX]}...")

    def metadata(self, name: str) -> None:
        """Enter something about the sound that is not kept."""
        self._metadata.append(name)

    def surplus(self, name: str) -> None:
        """Enter what is not read."""
        self._surplus.append(name)

    def rest(self, file: IO[bytes], start: int, stop: int) -> None:
        """Enter what follows the sound, from `start` to `stop`; zeros are nothing."""
        file.seek(start)
        for at in range(start, stop, _PIECE):
            if file.read(min(_PIECE, stop - at)).strip(b"\0"):
                self.surplus(OTHER_DATA)
                return

    def contents(self) -> Contents:
        """Return what was entered, each name once."""
        metadata = tuple(dict.fromkeys(self._metadata))
        if self._other_tags:
            names = list(dict.fromkeys(self._other_tags))
            more = f" and {len(names) - _NAMED_MAX} more" if len(names) > _NAMED_MAX else ""
            word = "tags" if len(names) > 1 else "tag"
            metadata += (f"{word} {', '.join(names[:_NAMED_MAX])}{more}",)
        return Contents(
            tags=tuple(self.tags), metadata=metadata, surplus=tuple(dict.fromkeys(self._surplus))
        )


def software_of(text: str) -> str:
    """Return the name of the software that a file gives, without libsndfile's mark."""
    return _OWN_MARK.sub("", text)


def text_of(data: bytes) -> str:
    """Decode a text of a file that does not say its encoding: UTF-8, or else Windows-1252."""
    data = data.partition(b"\0")[0]
    for encoding in ("utf-8", "cp1252"):
        try:
            return data.decode(encoding)
        except UnicodeDecodeError:
            continue
    return data.decode("latin-1")
