"""The files that inputs name: themselves, or those of folders."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from vqcodec.batch.job import STREAM, Failure

_KINDS_NAMED = 12


@dataclass(frozen=True, slots=True)
class Listing:
    """What an input stands for."""

    is_folder: bool = False
    files: list[tuple[str, Path]] = field(default_factory=list)
    """Each file's path and, of a folder's files, the path inside it; else the name alone."""
    left_out: Counter[str] = field(default_factory=Counter)
    """How many of a folder's entries of each kind, mostly a suffix, were not taken."""
    failures: list[Failure] = field(default_factory=list)
    """Folders in the folder that cannot be read."""


def list_files(
    text: str, is_input: Callable[[Path], bool], *, folders_are_files: bool = False
) -> Listing:
    """List a file, or those of a folder that `is_input` takes by their names, sorted. If
    `folders_are_files`, a folder stands for itself.

    Hidden files and folders are not seen. Links to folders are not followed, so that a
    folder is never walked twice and nothing outside it is found.
    """
    top = Path(text)
    if text == STREAM or folders_are_files or not top.is_dir():
        return Listing(files=[(text, Path(top.name))])
    listing = Listing(is_folder=True)
    waiting = [top]
    while waiting:
        try:
            with os.scandir(waiting.pop()) as entries:
                seen = [entry for entry in entries if not entry.name.startswith(".")]
        except OSError as error:
            listing.failures.append(Failure.of(error))
            continue
        for entry in seen:
            path = Path(entry.path)
            if entry.is_dir(follow_symlinks=False):
                waiting.append(path)
            elif entry.is_symlink() and path.is_dir():
                listing.left_out["linked folders"] += 1
            elif not is_input(path):
                listing.left_out[path.suffix.lower() or "without a suffix"] += 1
            # A link that leads nowhere is taken, so that it is reported as missing.
            elif path.is_file() or not path.exists():
                listing.files.append((str(path), path.relative_to(top)))
            else:
                listing.left_out["devices and pipes"] += 1
    listing.files.sort(key=lambda file: file[1].parts)
    return listing


def describe_left_out(left_out: Mapping[str, int], advice: Mapping[str, str]) -> str:
    """Return a line on files of other kinds, with advice for some; empty if there are none."""
    kinds = sorted(left_out, key=lambda kind: (kind not in advice, kind))
    named = [
        f"{left_out[kind]} {kind}" + (f" ({advice[kind]})" if kind in advice else "")
        for kind in kinds[:_KINDS_NAMED]
    ]
    if len(kinds) > _KINDS_NAMED:
        more = sum(left_out[kind] for kind in kinds[_KINDS_NAMED:])
        named.append(f"{more} of other kinds")
    return f"left out: {', '.join(named)}" if named else ""
