"""One file to work on, and what came of it."""

from __future__ import annotations

import errno
import os
import shutil
import sys
import tempfile
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import IO, Protocol, TypeAlias

from vqcodec.errors import VqcError
from vqcodec.storage import (
    FolderWriter,
    State,
    Writer,
    remove_source,
    state_of,
    write_folder,
    write_whole,
)

STREAM = "-"
EXPECTED = (VqcError, ValueError, OSError, MemoryError, RuntimeError)
"""What may be wrong with a job. Of RuntimeErrors only torch's that memory ran out."""
STREAM_BYTES_MAX = 1 << 32
"""What is taken of a pipe or device: more than a WAV file or a picture of usual size can have."""
_PIECE = 1 << 20

Progress: TypeAlias = Callable[[float], None] | None
"""Told the part of a job that is done, 0 to 1, if somebody watches."""
Bar: TypeAlias = Callable[[str], AbstractContextManager[Progress]]
"""Shows the progress of what has this title."""


def no_bar(title: str) -> AbstractContextManager[Progress]:
    """Show nothing."""
    return nullcontext()


@dataclass(frozen=True, slots=True)
class Job:
    """An input and its output; either may be '-', stdin and stdout, or the name of a pipe."""

    source: str
    target: str
    overwrite: bool = False
    inside: Path | None = None
    """The folder that the output must be in when links are followed; None: its own."""

    def read(self) -> bytes:
        """Return the input's bytes."""
        return read_input(self.source)

    def open(self) -> IO[bytes]:
        """Open the input for reading, from anywhere in it."""
        return open_input(self.source)

    @property
    def megabytes(self) -> float:
        """Size of the input, 0 if that is not known."""
        try:
            return 0.0 if is_stream(self.source) else Path(self.source).stat().st_size / 1e6
        except OSError:
            return 0.0

    def state(self) -> State:
        """Return what `remove_source` compares the input with."""
        return state_of(Path(self.source))

    def write(self, data: bytes, check: Callable[[bytes], None] | None = None) -> None:
        """Write the output whole or not at all, readable by nobody who cannot read the input.

        `check` raises if bytes are wrong: those on disk or, where the output cannot be
        read back, those to be written.
        """
        if not self.is_file and check is not None:
            check(data)
        self.write_by(lambda stream: stream.write(data), check)

    def write_by(self, write: Writer, check: Callable[[bytes], None] | None = None) -> None:
        """Write the output as `write` does it, into a file that can seek, whatever it is."""
        target = Path(self.target)
        if self.is_file:
            write_whole(
                target,
                write,
                overwrite=self.overwrite,
                inside=self.inside,
                mode=self._mode(),
                check=check,
            )
            return
        with tempfile.TemporaryFile() as made:
            write(made)
            made.seek(0)
            if self.target != STREAM:
                with target.open("wb") as device:  # or a pipe, not to be replaced by a file
                    shutil.copyfileobj(made, device)
            elif sys.stdout is None:
                raise ValueError("stdout is closed")
            else:
                shutil.copyfileobj(made, sys.stdout.buffer)
                sys.stdout.buffer.flush()

    def write_folder(self, write: FolderWriter) -> None:
        """Write the output, a folder, whole or not at all, readable by nobody who cannot read the
        input. Raises ValueError for stdout.
        """
        if self.target == STREAM:
            raise ValueError("a folder cannot be written to stdout")
        write_folder(Path(self.target), write, inside=self.inside, mode=self._mode())

    def _mode(self) -> int:
        """Return the permissions of the output: the input's, and its owner may write."""
        if is_nameless(self.source):
            return 0o666
        try:
            return Path(self.source).stat().st_mode | 0o600
        except OSError:  # it is gone
            return 0o600

    @property
    def is_file(self) -> bool:
        """Whether the output is, or will be, an ordinary file."""
        target = Path(self.target)
        return self.target != STREAM and (target.is_file() or not target.exists())

    def remove_source(self, state: State) -> None:
        """Delete the input, unless it is no longer as it was."""
        remove_source(Path(self.source), state)


@dataclass(frozen=True, slots=True)
class Failure:
    """Why something was not done."""

    message: str
    hint: str = ""
    code: int = 1
    """The exit code that it calls for: 2 if the caller is wrong."""
    kind: type[Exception] = Exception
    """The class of the error that it was."""

    @classmethod
    def of(cls, error: Exception) -> Failure:
        """Describe an error of the kinds in EXPECTED.

        Raises the error again if it is a RuntimeError but for want of memory, as that is a
        fault of this program.
        """
        text = " ".join(str(error).split())
        if isinstance(error, RuntimeError):
            if "memory" not in text:
                raise error
            text = "out of memory"
        if isinstance(error, OSError) and error.strerror:
            text = f"{error.filename}: {error.strerror}" if error.filename else error.strerror
        if isinstance(error, MemoryError):
            text = text or "out of memory"
        hint = error.hint if isinstance(error, VqcError) else ""
        return cls(text, hint, 2 if isinstance(error, ValueError) else 1, type(error))


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """What came of a job."""

    job: Job
    line: str = ""
    """What was done, or would be; empty if nothing was."""
    warnings: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
    """Warnings that are not about the job but of models, each of them once in a run."""
    before: int = 0
    """Bytes of the input."""
    after: int = 0
    """Bytes of the output."""
    rate: float = 0.0
    """Of what was compressed: bits per pixel of a picture, kbit/s of sound."""
    kept: tuple[str, ...] = ()
    """Why the input, which was to be deleted, is still there."""
    salvaged: bool = False
    """Whether the input was damaged, and something of it is lost."""
    failure: Failure | None = None


class Work(Protocol):
    """What is done with each job. Other processes are sent a copy of it."""

    def ready(self) -> Callable[[Job, Bar], Outcome]:
        """Load what all jobs need, once in each process; return what does a job.

        That raises what is wrong with its job, this what makes all jobs pointless; both
        raise errors of the kinds in EXPECTED.
        """

    def foresee(self, job: Job) -> Outcome:
        """Tell what would come of a job, without writing anything or loading a model."""

    def seconds(self, job: Job) -> float:
        """Guess how long a job will take on one processor."""


def is_stream(source: str) -> bool:
    """Tell whether an input is '-' or a pipe, a device or a socket, which can be read but once."""
    path = Path(source)
    return source == STREAM or (path.exists() and not path.is_file() and not path.is_dir())


def is_nameless(source: str) -> bool:
    """Tell whether an input is '-' or, on Linux, a pipe that has no name but its descriptor's, such
    as a shell makes for <(program).
    """
    return source == STREAM or (is_stream(source) and not Path(os.path.realpath(source)).exists())


def read_input(source: str) -> bytes:
    """Return the bytes of an input; see `open_input`."""
    with open_input(source) as file:
        return file.read()


def open_input(source: str) -> IO[bytes]:
    """Open a file or, for '-' and what else can be read but once, a copy of all that it gives; the
    end of this process removes it.

    Raises: OSError, also if that is more than STREAM_BYTES_MAX; ValueError if stdin is closed.
    """
    if not is_stream(source):
        return Path(source).open("rb")
    if source != STREAM:
        kept = _kept(Path(source).absolute())
    elif sys.stdin is None:
        raise ValueError("stdin is closed")
    else:
        kept = _kept(sys.stdin.buffer)
    if isinstance(kept, OSError):
        raise OSError(kept.errno, kept.strerror, source)
    copy = os.fdopen(os.dup(kept.fileno()), "rb")
    copy.seek(0)
    return copy


@cache
def _kept(stream: Path | IO[bytes]) -> IO[bytes] | OSError:
    """Copy what can be read once to a file, which can be read again; return what went wrong, as
    trying once more would wait for a writer that is gone.
    """
    try:
        with stream.open("rb") if isinstance(stream, Path) else nullcontext(stream) as opened:
            return _copy_of(opened)
    except OSError as error:
        return error


def _copy_of(stream: IO[bytes]) -> IO[bytes]:
    """Copy a stream to a file without a name. Raises: OSError."""
    copy = tempfile.TemporaryFile()  # noqa: SIM115 (it is kept)
    try:
        while piece := stream.read(_PIECE):
            if copy.tell() + len(piece) > STREAM_BYTES_MAX:
                raise OSError(errno.EFBIG, f"it gives more than {STREAM_BYTES_MAX} bytes")
            copy.write(piece)
        copy.flush()
    except BaseException:
        copy.close()
        raise
    return copy


def compared(before: int, after: int) -> str:
    """Say how a size in bytes compares with another, as in "11.3x smaller"."""
    sense = "smaller" if after <= before else "larger"
    return f"{max(before, after) / max(1, min(before, after)):.1f}x {sense}"
