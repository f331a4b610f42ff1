"""Which file becomes which, and how files are written whole or not at all."""

from __future__ import annotations

import os
import sys
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import click

from vqcodec.cli import describe
from vqcodec.errors import VqcError

STREAM = "-"


@dataclass(frozen=True, slots=True)
class Job:
    """One input and its output; either may be '-'."""

    source: str
    target: str

    def read(self) -> bytes:
        """Return the input's bytes."""
        if self.source == STREAM:
            return sys.stdin.buffer.read()
        return Path(self.source).read_bytes()

    def write(self, data: bytes) -> None:
        """Write the output whole or not at all."""
        if self.target == STREAM:
            sys.stdout.buffer.write(data)
            sys.stdout.buffer.flush()
            return
        write_atomically(Path(self.target), data)


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

    Raises: click.UsageError for anything ambiguous or dangerous.
    """
    if output is not None and directory is not None:
        raise click.UsageError("-o and -d exclude each other")
    jobs = []
    for text in inputs:
        found = list(_expand(text, is_input))
        if not found:
            raise click.UsageError(f"{text}: no fitting files in this folder")
        for source, relative in found:
            jobs.append(Job(source, _target(source, relative, output, directory, suffix)))
    if output is not None and len(jobs) > 1:
        raise click.UsageError(f"-o names one file, there are {len(jobs)} inputs; use -d")
    if [job.source for job in jobs].count(STREAM) > 1:
        raise click.UsageError("'-' can be given once")
    targets = [job.target for job in jobs]
    for job in jobs:
        if job.target != STREAM and targets.count(job.target) > 1:
            raise click.UsageError(f"several inputs would become {job.target}")
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
            line = work(job)
        except BrokenPipeError:
            raise
        except (VqcError, ValueError, OSError, MemoryError) as error:
            code = max(code, describe(error, job.source))
        else:
            click.echo(line, err=piped)
    return code


def write_atomically(target: Path, data: bytes) -> None:
    """Write a sibling file, then rename it over `target`."""
    target.parent.mkdir(parents=True, exist_ok=True)
    with _sibling(target) as (file, name):
        with os.fdopen(file, "wb") as stream:
            stream.write(data)
            stream.flush()
            os.fsync(stream.fileno())
        os.replace(name, target)


@contextmanager
def _sibling(target: Path) -> Iterator[tuple[int, str]]:
    file, name = tempfile.mkstemp(dir=target.parent, prefix=f".{target.name[:64]}.", suffix=".part")
    try:
        # mkstemp makes the file private; the result should be as any new file.
        mask = os.umask(0)
        os.umask(mask)
        os.chmod(name, 0o666 & ~mask)
        yield file, name
    except BaseException:
        Path(name).unlink()
        raise


def _expand(text: str, is_input: Callable[[Path], bool]) -> Iterator[tuple[str, Path]]:
    path = Path(text)
    if text == STREAM or not path.is_dir():
        yield text, Path(path.name)
        return
    for found in sorted(path.rglob("*")):
        if found.is_file() and is_input(found):
            yield str(found), found.relative_to(path)


def _target(
    source: str, relative: Path, output: str | None, directory: str | None, suffix: str
) -> str:
    if output is not None:
        return output
    if source == STREAM:
        if directory is not None:
            raise click.UsageError("'-' has no name for a file in a folder; use -o")
        return STREAM
    if directory is not None:
        return str(Path(directory) / relative.with_suffix(suffix))
    return str(Path(source).with_suffix(suffix))


def _refuse_danger(job: Job, force: bool) -> None:
    if job.target == STREAM:
        if sys.stdout.isatty():
            raise click.UsageError("stdout is a terminal; give -o FILE or redirect it")
        return
    target = Path(job.target)
    if target.is_dir():
        raise click.UsageError(f"{target} is a folder; use -d")
    if not target.exists():
        return
    if job.source != STREAM and Path(job.source).exists() and target.samefile(job.source):
        raise click.UsageError(f"{target}: input and output are the same file")
    if not force:
        raise click.UsageError(f"{target} exists; -f overwrites it, -o FILE or -d DIR avoids it")
