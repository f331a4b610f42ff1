"""What is printed: nothing of it may reach a terminal as a command."""

from __future__ import annotations

import click


def escaped(text: str) -> str:
    r"""Return the text with what is not printable written as Python does: \n, \x1b, \u202e.

    Names of files and models may hold anything, also what clears a screen or turns text around.
    """
    return "".join(
        char if char.isprintable() else char.encode("unicode_escape").decode() for char in text
    )


def echo(text: str, *, err: bool = False) -> None:
    """Print one line, escaped, on stdout or stderr."""
    click.echo(escaped(text), err=err)
