"""What is found in the place of an output."""

from __future__ import annotations

from collections.abc import Callable
from enum import Enum, auto
from pathlib import Path
from typing import TypeAlias

from vqcodec.container import layout, parse
from vqcodec.errors import FormatError, LimitError, NotVqcError, VersionError


class Found(Enum):
    """What a file, or a folder, is."""

    WHOLE = auto()
    """An output of this input, or not known to be none."""
    BROKEN = auto()
    """An output that is damaged, or ends early."""
    FOREIGN = auto()
    """No output of this kind."""
    OTHER = auto()
    """A whole output, but of another input, or of another part of it."""


Look: TypeAlias = Callable[[str, Path], Found]
"""Tells, of an input and a path, what is at the path, where the input's output belongs."""


def look_at_vqc(source: str, target: Path) -> Found:
    """Tell what a file is in the place of a .vqc file.

    One of a later version, or larger than this program takes, is whole: it cannot be known to
    be damaged. One that holds another date than the source has is not the source's.
    """
    try:
        date = parse(target.read_bytes()).chunk(layout.MODIFIED)
        modified = Path(source).stat().st_mtime_ns
    except NotVqcError:
        return Found.FOREIGN
    except (VersionError, LimitError, OSError):
        return Found.WHOLE
    except FormatError:
        return Found.BROKEN
    same = date is None or int.from_bytes(date, "little", signed=True) == modified
    return Found.WHOLE if same else Found.OTHER
