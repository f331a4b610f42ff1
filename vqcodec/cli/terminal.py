"""Everything that is printed for people goes through here.

Names of files and models come from anywhere. Printed raw, their control characters would move
the cursor, rename the window or hide the next line.
"""

from __future__ import annotations

import os
import re
import sys
import warnings
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import fields
from pathlib import Path

import click

from vqcodec.batch.job import Failure
from vqcodec.codec.search import Wish, WishError
from vqcodec.container.layout import Medium
from vqcodec.errors import (
    ClipSizeError,
    PictureSizeError,
    PixelLimitError,
    SampleLimitError,
    SampleRangeError,
    SoundSizeError,
    StillPictureError,
    VqcWarning,
)


def open_closed_streams() -> None:
    """Put the null device where stdin, stdout or stderr is closed, as `2>&-` does.

    The next file to be opened would take a closed stream's number, and what libraries print there
    would go into that file. Python's own stdin and stdout stay None, which says that they are
    closed; stderr is given, as many write to it who do not ask.
    """
    for number in range(3):
        try:
            os.fstat(number)
        except OSError:
            os.set_inheritable(os.open(os.devnull, os.O_RDWR), True)  # this number, the lowest
    if sys.stderr is None:
        sys.stderr = Path(os.devnull).open("w", encoding="utf-8")  # noqa: SIM115 (it is kept)


def escaped(text: str) -> str:
    r"""Return text with what is not printable written as Python does: \n, \x1b, \u202e."""
    return "".join(
        char if char.isprintable() else char.encode("unicode_escape").decode() for char in text
    )


def echo(text: str, *, err: bool = False) -> None:
    """Print one line, on stderr if `err`, above the progress bars that are shown."""
    with _bars_cleared(err):
        click.echo(escaped(text), err=err)


_OPTIONS: dict[type[Exception], str] = {
    PixelLimitError: "--max-pixels raises the limit",
    ClipSizeError: "--max-pixels raises the limit",
    PictureSizeError: "--max-pixels raises the limit",
    SampleLimitError: "--max-samples raises the limit",
    SoundSizeError: "--max-samples raises the limit",
    SampleRangeError: "give --range LOW HIGH",
    StillPictureError: "--clip takes it, or a folder of frames, as one clip",
    FileExistsError: "-f overwrites it",
}
"""What can be done about errors by options, of which the rest of the package knows nothing."""
_WISH = re.compile(rf"\b({'|'.join(field.name for field in fields(Wish))})\b")
"""The names of wishes, which at the command line are options."""
_OF_A_MEDIUM = re.compile(rf"\w+ cannot be had of ({'|'.join(medium.noun for medium in Medium)})")
"""What a WishError says that comes of a file; those of the options themselves are raised before."""


def report_failure(failure: Failure, about: str = "") -> None:
    """Print the line of a failure; it names the file that it is about."""
    message = failure.message
    if issubclass(failure.kind, WishError):
        message = _with_options(message)
    named = message if message.startswith(about) else f"{about}: {message}"
    report(named, failure.hint or _OPTIONS.get(failure.kind, ""))


def error_in_log(message: str) -> str:
    """Return the text of an error of which nothing else is known, with options for wishes."""
    return _with_options(message) if _OF_A_MEDIUM.fullmatch(message) else message


def _with_options(message: str) -> str:
    return _WISH.sub(lambda found: option_of(found[0]), message)


def option_of(wish: str) -> str:
    """Return the option by which a wish of that name is given."""
    return "-q" if wish == "quality" else f"--{wish.replace('_', '-')}"


def report(message: str, hint: str = "") -> None:
    """Print the line of an error."""
    echo(f"vqcodec: error: {message.rstrip('.')}" + (f"; {hint}" if hint else ""), err=True)


def warn(about: str, message: str) -> None:
    """Print a warning and the name of the file that it is about."""
    echo(f"vqcodec: warning: {about}: {message}", err=True)


@contextmanager
def warnings_shown(about: str) -> Iterator[None]:
    """Print warnings meant for users as they come, one line each."""

    def show(message: Warning | str, category: type[Warning], *_: object) -> None:
        if issubclass(category, VqcWarning):
            warn(about, str(message))

    with warnings.catch_warnings():
        warnings.simplefilter("always", VqcWarning)
        warnings.showwarning = show  # type: ignore[assignment]
        yield


def _bars_cleared(err: bool) -> AbstractContextManager[None]:
    tqdm = sys.modules.get("tqdm")
    if tqdm is None:
        return nullcontext()
    mode: AbstractContextManager[None] = tqdm.tqdm.external_write_mode(
        file=sys.stderr if err else sys.stdout
    )
    return mode
