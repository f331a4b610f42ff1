"""What goes beside the indices of a clip, packed into chunks and back.

The data of each type of chunk are those of format/SPEC.md, section "Chunks".
"""

from __future__ import annotations

import struct
import zlib
from dataclasses import dataclass

from vqcodec.clip.timing import Timing
from vqcodec.codec.chunks import inflate, pack_modified, unpack_modified
from vqcodec.container import Chunk, Container, layout
from vqcodec.counting import counted
from vqcodec.errors import CorruptError, FormatError


@dataclass(frozen=True, slots=True, kw_only=True)
class Description:
    """All that a file of a clip says beside its indices."""

    timing: Timing
    actions: bytes = b""
    """For each frame the number of the action that led to it, 0 where it is not known; empty if
    none is."""
    modified: int | None = None
    """When the clip's file was last changed, nanoseconds since 1970 in UTC."""


def to_chunks(description: Description) -> tuple[Chunk, ...]:
    """Pack a description."""
    data = {layout.TIMING: pack_timing(description.timing)}
    if any(description.actions):
        data[layout.ACTIONS] = zlib.compress(description.actions, 9)
    if description.modified is not None:
        data[layout.MODIFIED] = pack_modified(description.modified)
    return tuple(Chunk(type=kind, data=data[kind]) for kind in sorted(data))


def unpack(container: Container) -> Description:
    """Unpack the chunks of a file of a clip.

    Raises: FormatError if they are not what SPEC.md says.
    """
    data = container.chunk(layout.TIMING)
    if data is None:
        raise CorruptError("a clip has no chunk CLIP")
    frames = container.header.shape[0]
    actions = container.chunk(layout.ACTIONS)
    return Description(
        timing=unpack_timing(data, frames),
        actions=b"" if actions is None else unpack_actions(actions, frames),
        modified=unpack_modified(container.chunk(layout.MODIFIED)),
    )


def unusable(container: Container) -> dict[bytes, str]:
    """Return the types of optional chunks that cannot be unpacked, and what is wrong with each."""
    try:
        unpack_modified(container.chunk(layout.MODIFIED))
    except FormatError as error:
        return {layout.MODIFIED: str(error)}
    return {}


def pack_timing(timing: Timing) -> bytes:
    """Write ticks per second, loops and durations."""
    return struct.pack(f"<II{len(timing.ticks)}I", timing.scale, timing.loops, *timing.ticks)


def unpack_timing(data: bytes, frames: int) -> Timing:
    """Undo `pack_timing` of so many frames. Raises: CorruptError."""
    if len(data) not in (12, 8 + 4 * frames):
        raise CorruptError(f"chunk CLIP has {len(data)} bytes, not 12 or {8 + 4 * frames}")
    scale, loops, *ticks = struct.unpack(f"<{len(data) // 4}I", data)
    return Timing(frames=frames, scale=scale, ticks=tuple(ticks), loops=loops)


def unpack_actions(data: bytes, frames: int) -> bytes:
    """Return the actions of so many frames. Raises: CorruptError; LimitError."""
    actions = inflate(layout.ACTIONS, data)
    if len(actions) != frames:
        told = counted(len(actions), "action")
        raise CorruptError(f"chunk ACTS has {told} of {counted(frames, 'frame')}")
    if not any(actions):
        raise CorruptError("chunk ACTS says what holds without it")
    return actions


def check_actions(actions: bytes, known: int) -> None:
    """Raise CorruptError if an action's number is none that a model has which knows so many."""
    if max(actions, default=0) > known:
        raise CorruptError(f"action is {max(actions)}, the model has 0 to {known}")
