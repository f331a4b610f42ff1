"""Constants of the container, by the names and in the order of format/SPEC.md."""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum

from vqcodec.errors import CorruptError
from vqcodec.grid import Size

SIGNATURE = b"\x8bVQC\r\n\x1a\n"
"""High bit, name, CRLF, end-of-file, LF: text transfers break it visibly, as with PNG."""
VERSION = 1
MODEL_BYTES = 8
"""Leading bytes of the model file's SHA-256."""
NO_MODEL = bytes(MODEL_BYTES)
"""What literal files, which need no model, have in their place."""
CRC_BYTES = 4

STRIDE_LOG2_MAX = 7
TILE_LOG2_MIN = 4
TILE_LOG2_MAX = 10
CLIP_TILE_LOG2_MAX = 7
"""Of clips, whose prior takes memory for all positions of a frame of a tile at once."""
GROUP_FRAMES = 32
"""Most frames of a clip's tile."""
SIDE_MAX = (1 << 24) - 1
"""Largest size along an axis, such as width or height, pixels."""
CHANNELS_MAX = 255
"""Most channels of sound."""
VARINT_BYTES_MAX = 5
VARINT_MAX = (1 << 32) - 1

CHUNK_TYPE_BYTES = 4
CHUNKS_MAX = 64
CHUNK_BYTES_MAX = 1 << 28
ACTIONS = b"ACTS"
ALPHA = b"ALPH"
CICP = b"cicp"
DENSITY = b"dens"
EXIF = b"exif"
ICC = b"iccp"
RESOURCES = b"irb0"
PNG_CHUNKS = b"pngc"
MODIFIED = b"time"
SPEAKERS = b"spkr"
TAGS = b"tags"
TIMING = b"CLIP"
WAVEFORM = b"WAVE"
XMP = b"xmp0"
XMP_EXTENSION = b"xmpe"


class Medium(IntEnum):
    """What a file holds."""

    PICTURE = 1
    """One still picture, 8-bit RGB."""
    SOUND = 2
    """Channels of equal length, each a sequence of a model's frames."""
    CLIP = 3
    """Frames of one size, one after the other."""

    @property
    def axes(self) -> tuple[str, ...]:
        """The names of the sizes that a header gives, in the order of the file."""
        return _AXES[self]

    def tile(self, side: int) -> Size:
        """Return the largest tile: `side` positions along each axis, but of sound one channel and
        of a clip GROUP_FRAMES frames.
        """
        return (1, side) if self is Medium.SOUND else (*self._frames(GROUP_FRAMES), side, side)

    def strides(self, stride: int) -> Size:
        """Return the elements per position along each axis, where they are `stride` along those
        of pixels; a position of a clip is of one frame.
        """
        return (*self._frames(1), stride, stride)

    def _frames(self, length: int) -> Size:
        """Return a length along the axis of a clip's frames, and nothing of other media."""
        return (length,) if self is Medium.CLIP else ()

    @property
    def modes(self) -> frozenset[Mode]:
        """How tiles can be coded; pixels themselves only of pictures."""
        return _MODES[self]

    @property
    def plural(self) -> str:
        """What models of this medium are models of."""
        return _PLURALS[self]

    @property
    def noun(self) -> str:
        """What a file of this medium is said to hold."""
        return _NOUNS[self]


_AXES = {
    Medium.PICTURE: ("width", "height"),
    Medium.SOUND: ("frames", "channels"),
    Medium.CLIP: ("width", "height", "frames"),
}
_PLURALS = {Medium.PICTURE: "pictures", Medium.SOUND: "sound", Medium.CLIP: "clips"}
_NOUNS = {Medium.PICTURE: "a picture", Medium.SOUND: "sound", Medium.CLIP: "a clip"}


CRITICAL = {
    Medium.PICTURE: frozenset({ALPHA}),
    Medium.SOUND: frozenset({WAVEFORM}),
    Medium.CLIP: frozenset({ACTIONS, TIMING}),
}
"""For each medium the critical chunks that are known; others are stepped over."""


class Mode(IntEnum):
    """How tiles are coded."""

    FIXED = 0
    """ceil(log2 K) bits each."""
    PRIOR = 1
    """Range-coded under the model's prior."""
    LITERAL = 2
    """The pixels themselves; such a file has no model."""
    MIXED = 3
    """Each tile as in `PRIOR` or as in `LITERAL`, as its first byte says (`TileKind`)."""


_INDICES_ONLY = frozenset({Mode.FIXED, Mode.PRIOR})
_MODES = {
    Medium.PICTURE: frozenset(Mode),
    Medium.SOUND: _INDICES_ONLY,
    Medium.CLIP: _INDICES_ONLY,
}


class TileKind(IntEnum):
    """What the stream of a tile of a mixed file holds behind its first byte."""

    INDICES = 0
    LITERAL = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """What a reader is willing to take."""

    pixels: int = 1 << 28
    """Most pixels of a picture, or of all frames of a clip together."""
    frames: int = 1 << 24
    """Most frames of sound, of all channels together: 93 hours if a frame is 20 ms."""
    media: frozenset[Medium] = frozenset(Medium)
    """The media that are wanted."""


def longest(axis: str) -> int:
    """Return the largest size along an axis of that name."""
    return CHANNELS_MAX if axis == "channels" else SIDE_MAX


def tile_log2_most(medium: Medium) -> int:
    """Return the largest tile_log2 of a medium."""
    return CLIP_TILE_LOG2_MAX if medium is Medium.CLIP else TILE_LOG2_MAX


def is_critical(chunk_type: bytes) -> bool:
    """Tell whether a reader that does not know the chunk must reject the file.

    Bit 5 of the first letter, so: upper case is critical, lower case optional.
    """
    return not chunk_type[0] & 0x20


def check_chunk_type(chunk_type: bytes) -> None:
    """Raise CorruptError if a chunk's type is not four ASCII letters or digits, a letter first."""
    right = len(chunk_type) == CHUNK_TYPE_BYTES and chunk_type.isalnum()
    if not right or not chunk_type[:1].isalpha():
        raise CorruptError(f"chunk type {chunk_type!r} is not four ASCII letters or digits")
