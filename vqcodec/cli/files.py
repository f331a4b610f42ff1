"""Which file becomes which, and how files are written whole or not at all."""

from __future__ import annotations

import os
import sys
import tempfile
import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import click

from vqcodec.cli import describe
from vqcodec.errors import VqcError, VqcWarning

STREAM = "-"


@dataclass(frozen=True, slots=True)
class Job:
    """One input and its output; either may be '-'."""

    source: str
    target: str

    def read(self) -> bytes:
        """Return the input's bytes."""
        return read_input(self.source)

    def write(self, data: bytes) -> None:
        """Write the output whole or not at all."""
        target = Path(self.target)
        if self.target == STREAM:
            if sys.stdout is None:
                raise click.UsageError("stdout is closed")
            sys.stdout.buffer.write(data)
            sys.stdout.buffer.flush()
        elif target.exists() and not target.is_file():
            target.write_bytes(data)  # a device or a named pipe, not to be replaced by a file
        else:
            write_atomically(target, data)


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
    force: bool,
    suffix: str,
    is_input: Callable[[Path], bool],
) -> list[Job]:
    """Pair inputs with outputs. Folders contribute the files that `is_input` takes.

    An input's suffix is replaced by `suffix`, or this is added to a name whose
    ending is no suffix of such inputs (`IMG_v1.2`).

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
            jobs.append(Job(source, _target(source, result, output, directory)))
    if output is not None and len(jobs) > 1:
        raise click.UsageError(f"-o names one file, there are {len(jobs)} inputs; use -d")
    if [job.source for job in jobs].count(STREAM) > 1:
        raise click.UsageError("'-' can be given once")
    targets = [job.target for job in jobs]
    if len(set(targets)) < len(targets):
        twice = next(target for target in targets if targets.count(target) > 1)
        raise click.UsageError(f"several inputs would become {twice}")
    for job in jobs:
        _refuse_danger(job, force)
    return jobs


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


def write_atomically(target: Path, data: bytes) -> None:
    """Write a sibling file, then rename it over `target`; a link's own file is replaced."""
    target = Path(os.path.realpath(target))
    target.parent.mkdir(parents=True, exist_ok=True)
    mode = target.stat().st_mode & 0o777 if target.exists() else None
    with _sibling(target, mode) as (file, name):
        with os.fdopen(file, "wb") as stream:
            stream.write(data)
            stream.flush()
            os.fsync(stream.fileno())
        os.replace(name, target)


@contextmanager
def warnings_shown(about: str) -> Iterator[None]:
    """Print warnings meant for users, one line each, naming what they are about."""

    def show(message: Warning | str, category: type[Warning], *_: object) -> None:
        if issubclass(category, VqcWarning):
            click.echo(f"vqcodec: warning: {about}: {message}", err=True)

    with warnings.catch_warnings():
        warnings.simplefilter("always", VqcWarning)
        warnings.showwarning = show  # type: ignore[assignment]
        yield


@contextmanager
def _sibling(target: Path, mode: int | None) -> Iterator[tuple[int, str]]:
    file, name = tempfile.mkstemp(dir=target.parent, prefix=".vqcodec-", suffix=".part")
    try:
        if mode is None:
            # mkstemp makes the file private; the result should be as any new file.
            mask = os.umask(0)
            os.umask(mask)
            mode = 0o666 & ~mask
        os.chmod(name, mode)
        yield file, name
    except BaseException:
        Path(name).unlink()
        raise


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


def _refuse_danger(job: Job, force: bool) -> None:
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
    if target.is_file() and not force:
        raise click.UsageError(f"{target} exists; -f overwrites it, -o FILE or -d DIR avoids it")
