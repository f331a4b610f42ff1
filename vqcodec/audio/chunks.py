"""What goes beside the indices of sound, packed into chunks and back.

The data of each type of chunk are those of format/SPEC.md, section "Chunks".
"""

from __future__ import annotations

import struct
import zlib
from collections.abc import Sequence
from dataclasses import dataclass

from vqcodec.audio.waveform import Tags, Waveform
from vqcodec.codec.chunks import UNPACKED_MAX, inflate, pack_modified, unpack_modified
from vqcodec.container import Chunk, Container, layout
from vqcodec.counting import counted
from vqcodec.errors import CorruptError, FormatError, SampleLimitError, SoundError

MAX_SAMPLES = 1 << 30
"""Most samples of sound, of all channels together, that are read or decoded unless a caller wants
it otherwise: 18 hours of one channel at 16 kHz, 3 of two at 48 kHz.
"""
TAGS_MAX = 1024
"""Most tags of a file."""
_NAME = frozenset(map(chr, range(0x20, 0x7E))) - {"="}
"""Characters of the names of Vorbis comments."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Description:
    """All that a file of sound says beside its indices."""

    waveform: Waveform
    speakers: tuple[int, ...]
    """For each coded channel the number of the speaker in whose voice it is decoded; 0 of a model
    that knows no speakers."""
    tags: Tags = ()
    modified: int | None = None
    """When the sound's file was last changed, nanoseconds since 1970 in UTC."""


def to_chunks(description: Description) -> tuple[Chunk, ...]:
    """Pack a description."""
    data = {layout.WAVEFORM: pack_waveform(description.waveform)}
    if any(description.speakers):
        data[layout.SPEAKERS] = pack_speakers(description.speakers)
    if description.tags:
        data[layout.TAGS] = zlib.compress(pack_tags(description.tags), 9)
    if description.modified is not None:
        data[layout.MODIFIED] = pack_modified(description.modified)
    return tuple(Chunk(type=kind, data=data[kind]) for kind in sorted(data))


def unpack(container: Container, max_samples: int = MAX_SAMPLES) -> Description:
    """Unpack the chunks of a file of sound.

    Raises: FormatError if they are not what SPEC.md says, among them SampleLimitError if there
    are more than `max_samples`, all channels together.
    """
    data = container.chunk(layout.WAVEFORM)
    if data is None:
        raise CorruptError("sound has no chunk WAVE")
    waveform = unpack_waveform(data, container.header.shape[0])
    total = waveform.samples * len(waveform.channels)
    if total > max_samples:
        channels = counted(len(waveform.channels), "channel")
        told = f"{counted(waveform.samples, 'sample')} in {channels}"
        raise SampleLimitError(f"{told} are {total}, the limit is {max_samples}")
    tags = container.chunk(layout.TAGS)
    return Description(
        waveform=waveform,
        speakers=unpack_speakers(container.chunk(layout.SPEAKERS), container.header.shape[0]),
        tags=() if tags is None else unpack_tags(inflate(layout.TAGS, tags)),
        modified=unpack_modified(container.chunk(layout.MODIFIED)),
    )


def unusable(container: Container, known: int) -> dict[bytes, str]:
    """Return the types of optional chunks that cannot be unpacked, and what is wrong with each.

    `known` is how many speakers the model has.
    """
    wrong = {}
    coded = container.header.shape[0]
    for kind, read in (
        (layout.SPEAKERS, lambda data: check_speakers(unpack_speakers(data, coded), known)),
        (layout.TAGS, lambda data: unpack_tags(inflate(layout.TAGS, data))),
        (layout.MODIFIED, unpack_modified),
    ):
        data = container.chunk(kind)
        try:
            if data is not None:
                read(data)
        except FormatError as error:
            wrong[kind] = str(error)
    return wrong


def pack_waveform(waveform: Waveform) -> bytes:
    """Write rate, samples, the levels of coded channels, and channels unless they are those."""
    plain = waveform.channels == tuple(range(len(waveform.levels)))
    numbers = struct.pack("<II", waveform.rate, waveform.samples)
    return numbers + bytes(waveform.levels) + (b"" if plain else bytes(waveform.channels))


def unpack_waveform(data: bytes, coded: int) -> Waveform:
    """Undo `pack_waveform` where so many channels are coded. Raises: CorruptError."""
    start = 8 + coded
    if len(data) < start:
        raise CorruptError(f"chunk WAVE has {len(data)} bytes, not {start} or more")
    rate, samples = struct.unpack_from("<II", data)
    plain = tuple(range(coded))
    channels = tuple(data[start:]) or plain
    if len(data) > start and channels == plain:
        raise CorruptError("chunk WAVE lists channels that need no list")
    return Waveform(rate=rate, samples=samples, levels=tuple(data[8:start]), channels=channels)


def pack_speakers(speakers: Sequence[int]) -> bytes:
    """Write the numbers of the coded channels' speakers."""
    return struct.pack(f"<{len(speakers)}H", *speakers)


def unpack_speakers(data: bytes | None, coded: int) -> tuple[int, ...]:
    """Undo `pack_speakers` where so many channels are coded; without a chunk all are 0.

    Raises: CorruptError.
    """
    if data is None:
        return (0,) * coded
    if len(data) != 2 * coded:
        raise CorruptError(f"chunk spkr has {len(data)} bytes, not {2 * coded}")
    speakers = struct.unpack(f"<{coded}H", data)
    if not any(speakers):
        raise CorruptError("chunk spkr says what holds without it")
    return speakers


def check_speakers(speakers: Sequence[int], known: int) -> None:
    """Raise CorruptError if a speaker's number is none that a model has which knows so many.

    One that knows none has number 0.
    """
    most = max(1, known) - 1
    if max(speakers) > most:
        raise CorruptError(f"speaker is {max(speakers)}, the model has 0 to {most}")


def is_tag_name(name: str) -> bool:
    """Tell whether a tag can have this name."""
    return bool(name) and _NAME.issuperset(name)


def pack_tags(tags: Tags) -> bytes:
    """Write a Vorbis comment header as FLAC has it, without the name of a vendor.

    Raises SoundError if it is larger than can be kept.
    """
    out = bytearray(struct.pack("<II", 0, len(tags)))
    for name, text in tags:
        comment = f"{name}={text}".encode(errors="replace")
        out += struct.pack("<I", len(comment)) + comment
    if len(out) > UNPACKED_MAX or len(tags) > TAGS_MAX:
        raise SoundError("its tags are larger than can be kept")
    return bytes(out)


def unpack_tags(data: bytes) -> Tags:
    """Undo `pack_tags`. Raises: CorruptError."""
    wrong = CorruptError("chunk tags is no Vorbis comment header without a vendor")
    if len(data) < 8:
        raise wrong
    vendor, count = struct.unpack_from("<II", data)
    if vendor or count > TAGS_MAX:
        raise wrong
    at, tags = 8, []
    for _ in range(count):
        size = int.from_bytes(data[at : at + 4], "little")
        try:
            comment = data[at + 4 : at + 4 + size].decode()
        except UnicodeDecodeError:
            raise wrong from None
        name, sign, text = comment.partition("=")
        at += 4 + size
        if at > len(data) or not sign or not is_tag_name(name):
            raise wrong
        tags.append((name, text))
    if at != len(data):
        raise wrong
    return tuple(tags)
