"""The dates of files, which their .vqc files keep."""

from __future__ import annotations

import os
import time
import warnings
from pathlib import Path

from vqcodec.batch.job import is_stream
from vqcodec.errors import VqcWarning


def modified_of(source: str) -> int | None:
    """Return a file's date, nanoseconds since 1970, if it has one that a .vqc file can hold."""
    if is_stream(source):
        return None
    modified = Path(source).stat().st_mtime_ns
    if not -(1 << 63) <= modified < 1 << 63:
        message = "not kept: the date of the file, which is not between 1677 and 2262"
        warnings.warn(message, VqcWarning, stacklevel=2)
        return None
    return modified


def set_modified(target: str, modified: int) -> tuple[str, ...]:
    """Give a file its date; return a warning if the file system has no such date."""
    try:
        os.utime(target, ns=(time.time_ns(), modified))
        # Memory cards count in steps of two seconds, and other systems cut what is too far off.
        exact = abs(Path(target).stat().st_mtime_ns - modified) <= 2_000_000_000
    except (OSError, OverflowError):
        exact = False
    return () if exact else ("its date is none that files can have here",)
