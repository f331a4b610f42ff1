"""Which file becomes which, and one after the other."""

from __future__ import annotations

import os
import sys
import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from enum import Enum, auto
from pathlib import Path

import click

from vqcodec.cli import describe
from vqcodec.errors import VqcError, VqcWarning
from vqcodec.storage import State, remove_source, state_of, write_whole

STREAM = "-"


class Existing(Enum):
    """What to do about an output that exists."""

    REFUSE = auto()
    OVERWRITE = auto()
    SKIP = auto()
    """Leave its input out."""
    MATCH = auto()
    """Take it if it is, byte for byte, what would be written."""

    @classmethod
    def wished(cls, *, force: bool, skip: bool, remove: bool) -> Existing:
        """Choose by the options. Raises: click.UsageError if they exclude each other.

        Who skips and removes goes on with a run that ended between writing a result and
        removing its source. That the result is this source's, and not that of another
        with the same name, only making it again can tell.
        """
        if force and skip:
            raise click.UsageError("--force and --skip-existing exclude each other")
        if skip:
            return cls.MATCH if remove else cls.SKIP
        return cls.OVERWRITE if force else cls.REFUSE


@dataclass(frozen=True, slots=True)
class Job:
    """One input and its output; either may be '-'."""

    source: str
    target: str
    overwrite: bool = False

    def read(self) -> bytes:
        """Return the input's bytes."""
        return read_input(self.source)

    def state(self) -> State:
        """Return what `remove_source` compares the input with."""
        return state_of(Path(self.source))

    def write(self, data: bytes, check: Callable[[bytes], None] | None = None) -> None:
        """Write the output whole or not at all.

        `check` raises if bytes are wrong: those on disk or, where the output cannot be
        read back, those to be written.
        """
        target = Path(self.target)
        if self.target != STREAM and (target.is_file() or not target.exists()):
            write_whole(target, data, overwrite=self.overwrite, check=check)
            return
        if check is not None:
            check(data)
        if self.target != STREAM:
            target.write_bytes(data)  # a device or a named pipe, not to be replaced by a file
        elif sys.stdout is None:
            raise click.UsageError("stdout is closed")
        else:
            sys.stdout.buffer.write(data)
            sys.stdout.buffer.flush()

    def remove_source(self, state: State) -> None:
        """Delete the input, unless it is no longer as it was."""
        remove_source(Path(self.source), state)


def read_input(source: str) -> bytes:
    """Return the bytes of a file or, for '-', of stdin."""
    if source != STREAM:
        return Path(source).read_bytes()
    if sys.stdin is None:
        raise click.UsageError("stdin is closed")
    return sys.stdin.buffer.read()


def plan(
    inputs: Sequence[str],
    *,
    output: str | None,
    directory: str | None,
    existing: Existing,
    suffix: str,
    is_input: Callable[[Path], bool],
) -> list[Job]:
    """Pair inputs with outputs. Folders contribute the files that `is_input` takes.

    An input's suffix is replaced by `suffix`, or this is added to a name whose
    ending is no suffix of such inputs (`IMG_v1.2`). How many are skipped is printed.

    Raises: click.UsageError for anything ambiguous or dangerous.
    """
    if output is not None and directory is not None:
        raise click.UsageError("-o and -d exclude each other")
    if "" in (*inputs, output, directory):
        raise click.UsageError("a file name is empty")
    jobs = []
    for text in inputs:
        found = list(expand(text, is_input))
        if not found:
            raise click.UsageError(f"{text}: no fitting files in this folder")
        for source, relative in found:
            named = relative.with_suffix("") if is_input(relative) else relative
            result = named.with_name(named.name + suffix)
            target = _target(source, result, output, directory)
            jobs.append(Job(source, target, existing is Existing.OVERWRITE))
    if output is not None and len(jobs) > 1:
        raise click.UsageError(f"-o names one file, there are {len(jobs)} inputs; use -d")
    if [job.source for job in jobs].count(STREAM) > 1:
        raise click.UsageError("'-' can be given once")
    targets = [job.target for job in jobs]
    if len(set(targets)) < len(targets):
        twice = next(target for target in targets if targets.count(target) > 1)
        raise click.UsageError(f"several inputs would become {twice}")
    for job in jobs:
        _refuse_danger(job, existing)
    if existing is not Existing.SKIP:
        return jobs
    left = [job for job in jobs if not Path(job.target).is_file()]
    if len(left) < len(jobs):
        skipped = len(jobs) - len(left)
        click.echo(f"vqcodec: {skipped} of {len(jobs)} skipped: their results exist", err=True)
    return left


def refuse_removal(jobs: Sequence[Job]) -> None:
    """Raise click.UsageError if an input is no file, or an output none that will last."""
    for job in jobs:
        if job.source == STREAM:
            raise click.UsageError("--remove-source needs files as inputs, not '-'")
        target = Path(job.target)
        if job.target == STREAM or (target.exists() and not target.is_file()):
            raise click.UsageError(f"--remove-source needs a file as output, not {job.target!r}")


def run(jobs: Sequence[Job], work: Callable[[Job], str]) -> int:
    """Do every job and print its line; a failed one is reported and the next begun.

    Returns the exit code.
    """
    code = 0
    piped = any(job.target == STREAM for job in jobs)
    for job in jobs:
        try:
            with warnings_shown(job.source):
                line = work(job)
        except BrokenPipeError:
            raise
        except (VqcError, ValueError, OSError, MemoryError, RuntimeError) as error:
            code = max(code, describe(error, job.source))
        else:
            click.echo(line, err=piped)
    return code


@contextmanager
def warnings_shown(about: str) -> Iterator[list[str]]:
    """Print warnings meant for users, one line each, naming what they are about.

    Yields the list of those that were printed.
    """
    printed: list[str] = []

    def show(message: Warning | str, category: type[Warning], *_: object) -> None:
        if issubclass(category, VqcWarning):
            warn(about, str(message))
            printed.append(str(message))

    with warnings.catch_warnings():
        warnings.simplefilter("always", VqcWarning)
        warnings.showwarning = show  # type: ignore[assignment]
        yield printed


def warn(about: str, message: str) -> None:
    """Print one warning."""
    click.echo(f"vqcodec: warning: {about}: {message}", err=True)


def expand(text: str, is_input: Callable[[Path], bool]) -> Iterator[tuple[str, Path]]:
    """Yield a file, or those of a folder that `is_input` takes, hidden ones left out, with
    their paths in the folder.
    """
    path = Path(text)
    if text == STREAM or not path.is_dir():
        yield text, Path(path.name)
        return
    for found in sorted(path.rglob("*")):
        relative = found.relative_to(path)
        hidden = any(part.startswith(".") for part in relative.parts)
        if not hidden and is_input(found) and found.is_file():
            yield str(found), relative


def _target(source: str, result: Path, output: str | None, directory: str | None) -> str:
    if output is not None:
        return output
    if source == STREAM:
        if directory is not None:
            raise click.UsageError("'-' has no name for a file in a folder; use -o")
        return STREAM
    if directory is not None:
        return str(Path(directory) / result)
    return str(Path(source).with_name(result.name))


def _refuse_danger(job: Job, existing: Existing) -> None:
    if job.target == STREAM:
        if sys.stdout is not None and sys.stdout.isatty():
            raise click.UsageError("stdout is a terminal; give -o FILE or redirect it")
        return
    target = Path(job.target)
    if target.is_dir() or job.target.endswith(("/", os.sep)):
        raise click.UsageError(f"{job.target} is a folder; use -d")
    if not target.exists():
        return
    if job.source != STREAM and Path(job.source).exists() and target.samefile(job.source):
        raise click.UsageError(f"{target}: input and output are the same file")
    if target.is_file() and existing is Existing.REFUSE:
        raise click.UsageError(f"{target} exists; -f overwrites it, -o FILE or -d DIR avoids it")
