"""Libraries in C that write to the terminal: libmpg123 does of ordinary MP3 files."""

from __future__ import annotations

import os
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import IO

_STDERR = 2
_LOCK = threading.Lock()
"""The descriptor is the whole process's: who saves it while another has replaced it would put the
replacement back for good."""


@contextmanager
def silenced(file: IO[bytes]) -> Iterator[None]:
    """Send nowhere what is written to stderr while a file is worked on.

    It holds for all threads: so it is for single calls, not for what takes long or writes messages
    of its own. Where a process has no stderr, its descriptor may be that of the very file; then
    nothing is done.
    """
    with _LOCK:
        kept = None if file.fileno() == _STDERR else _copy_of_stderr()
        if kept is None:
            yield
            return
        try:
            nowhere = os.open(os.devnull, os.O_WRONLY)
            os.dup2(nowhere, _STDERR)
            os.close(nowhere)
            yield
        finally:
            os.dup2(kept, _STDERR)
            os.close(kept)


def _copy_of_stderr() -> int | None:
    """Return another descriptor of it, None if there is none."""
    try:
        return None if sys.__stderr__ is None else os.dup(_STDERR)
    except OSError:  # it has been closed
        return None
