"""How a command's process uses the machine."""

from __future__ import annotations

from vqcodec import processors
from vqcodec.cli.terminal import echo
from vqcodec.counting import counted


def prepare(threads: int | None) -> None:
    """Set the number of threads (None: as many as are granted)."""
    processors.prepare(within_granted(threads))


def within_granted(threads: int | None) -> int | None:
    """Return the number of threads, no more than there are processors for; say so if fewer."""
    granted = processors.granted()
    if threads is None or threads <= granted:
        return threads
    echo(f"vqcodec: --threads {threads}: {counted(granted, 'processor')} can be used", err=True)
    return granted
