"""Which file becomes which."""

from __future__ import annotations

import os
import sys
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from enum import Enum, auto
from pathlib import Path
from typing import TypeAlias

from vqcodec.batch.found import Found, Look, look_at_vqc
from vqcodec.batch.job import STREAM, Failure, Job, is_nameless, is_stream
from vqcodec.batch.listing import list_files
from vqcodec.batch.places import Places, is_inside, is_stdout

SuffixOf: TypeAlias = Callable[[str], str]
"""The suffix of the output of an input."""


class Existing(Enum):
    """What to do about an output that exists."""

    KEEP = auto()
    """Leave its input out and say so; of a single file, refuse."""
    OVERWRITE = auto()
    SKIP = auto()
    """Leave its input out, but write the output again if it is empty or damaged."""
    MATCH = auto()
    """As SKIP, but take the output only if it is, byte for byte, what would be written."""

    @classmethod
    def wished(cls, *, force: bool, skip: bool, remove: bool) -> Existing:
        """Choose by the options. Raises: ValueError if they exclude each other.

        Who skips and removes goes on with a run that ended between writing a result and
        removing its source. That the result is this source's, and not that of another
        with the same name, only making it again can tell.
        """
        if force and skip:
            raise ValueError("--force and --skip-existing exclude each other")
        if skip:
            return cls.MATCH if remove else cls.SKIP
        return cls.OVERWRITE if force else cls.KEEP


@dataclass(frozen=True, slots=True, kw_only=True)
class Outputs:
    """Where outputs go."""

    output: str | None = None
    """One file; '-' is stdout."""
    directory: str | None = None
    """A folder, in which folders that are inputs are mirrored; None: beside the inputs."""
    existing: Existing = Existing.KEEP


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """What is to be done, and what is not."""

    jobs: tuple[Job, ...]
    done: tuple[Job, ...]
    """Those whose outputs exist and are left as they are."""
    notes: tuple[str, ...]
    """What the user should know of the names, a sentence each."""
    failures: tuple[Failure, ...]
    """Inputs that are refused, and folders that cannot be read."""
    left_out: Counter[str]
    """How many files of each other kind are in folders."""


@dataclass(frozen=True, slots=True)
class _Item:
    """An input, and the two outputs that it may have."""

    source: str
    plain: str
    """photo.png becomes photo.vqc."""
    apart: str
    """photo.png becomes photo.png.vqc: where photo.jpg is an input too."""
    inside: Path | None


def plan(
    inputs: Sequence[str],
    outputs: Outputs,
    *,
    suffix_of: SuffixOf,
    is_input: Callable[[Path], bool],
    look: Look = look_at_vqc,
    folders_are_files: bool = False,
) -> Plan:
    """Pair inputs with outputs, whose names end as `suffix_of` says of each input. Folders
    contribute the files that `is_input` takes or, if `folders_are_files`, are inputs themselves.
    An output whose suffix is empty is a folder. `look` tells what is in the place of an output.

    An input's suffix is replaced by that, or this is added to a name whose ending is no
    suffix of such inputs (`IMG_v1.2`). Inputs that would have the same output keep their
    own suffixes before it.

    Raises: ValueError for what is ambiguous as a whole. A single input that would do harm,
    as its output would replace another's or lies outside its folder, is among the failures.
    """
    _check_names(inputs, outputs)
    if outputs.output is not None and is_stdout(outputs.output):
        outputs = replace(outputs, output=STREAM)
    failures: list[Failure] = []
    left_out = Counter[str]()
    items = []
    named = True
    for text in inputs:
        listing = list_files(text, is_input, folders_are_files=folders_are_files)
        named = named and not listing.is_folder
        failures += listing.failures
        left_out += listing.left_out
        if not listing.files and not listing.failures:
            raise ValueError(f"{text}: no fitting files in this folder")
        root = Path(text) if listing.is_folder else None
        items += [
            _item(source, relative, root, outputs, suffix_of, is_input)
            for source, relative in listing.files
        ]
    for item in items:
        del left_out[Path(item.plain).suffix]  # earlier outputs
    places = Places()
    items = _once(items, places)
    if outputs.output is not None and len(items) > 1:
        raise ValueError(f"-o names one file, there are {len(items)} inputs; use -d")
    targets, notes = _targets(items, places)
    _refuse_terminal(targets)
    jobs = [
        Job(item.source, target, outputs.existing is Existing.OVERWRITE, item.inside)
        for item, target in zip(items, targets, strict=True)
    ]
    jobs = list(_harmless(jobs, places, suffix_of, failures))
    single = named and len(items) == 1
    left, done = _by_existing(jobs, outputs.existing, single, suffix_of, look, failures, notes)
    return Plan(
        jobs=tuple(left),
        done=tuple(done),
        notes=tuple(notes),
        failures=tuple(failures),
        left_out=left_out,
    )


def for_removal(planned: Plan) -> Plan:
    """Return the plan for inputs that are to be deleted: without links to other inputs, which
    would lead nowhere then.

    Raises ValueError if an input is no file, or an output none that will last.
    """
    for job in planned.jobs:
        if is_stream(job.source):
            raise ValueError(f"--remove-source needs files as inputs, not {job.source!r}")
        if not job.is_file:
            raise ValueError(f"--remove-source needs a file as output, not {job.target!r}")
    linked = [job for job in planned.jobs if Path(job.source).is_symlink()]
    files = {os.path.realpath(job.source) for job in planned.jobs if job not in linked}
    links = [job for job in linked if os.path.realpath(job.source) in files]
    notes = [f"{job.source} is a link to another of the files and left out" for job in links]
    jobs = tuple(job for job in planned.jobs if job not in links)
    return replace(planned, jobs=jobs, notes=(*planned.notes, *notes))


def _check_names(inputs: Sequence[str], outputs: Outputs) -> None:
    """Raise ValueError for names that exclude each other, or are none."""
    if outputs.output is not None and outputs.directory is not None:
        raise ValueError("-o and -d exclude each other")
    if "" in (*inputs, outputs.output, outputs.directory):
        raise ValueError("a file name is empty")
    if list(inputs).count(STREAM) > 1:
        raise ValueError("'-' can be given once")


def _item(
    source: str,
    relative: Path,
    root: Path | None,
    outputs: Outputs,
    suffix_of: SuffixOf,
    is_input: Callable[[Path], bool],
) -> _Item:
    if outputs.output is not None:
        return _Item(source, outputs.output, outputs.output, None)
    if is_nameless(source):
        if outputs.directory is not None:
            raise ValueError(f"{source!r} has no name for a file in a folder; use -o")
        return _Item(source, STREAM, STREAM, None)
    if not relative.name:
        raise ValueError(f"{source} has no name for a file; use -o")
    suffix = suffix_of(source)
    bare = relative.with_suffix("") if is_input(relative) else relative
    ends = bare != relative and bare.suffix.lower() == suffix
    plain = bare if ends else bare.with_name(bare.name + suffix)
    apart = relative.with_name(relative.name + suffix)
    if outputs.directory is not None:
        folder = Path(outputs.directory)
        return _Item(source, str(folder / plain), str(folder / apart), folder)
    beside = Path(source).with_name
    return _Item(source, str(beside(plain.name)), str(beside(apart.name)), root)


def _once(items: Sequence[_Item], places: Places) -> list[_Item]:
    """Drop inputs that are there already. A link to another input is an input of its own."""
    found: dict[tuple[str, str, str], _Item] = {}
    for item in items:
        folder, name = os.path.split(item.source)
        found.setdefault((places.key(folder), name, item.plain and places.key(item.plain)), item)
    return list(found.values())


def _targets(items: Sequence[_Item], places: Places) -> tuple[list[str], list[str]]:
    """Choose each item's output; return them and what is to be said about them."""
    groups = defaultdict(list)
    for item in items:
        groups[places.key(item.plain)].append(item)
    targets, notes = [], []
    for item in items:
        group = groups[places.key(item.plain)]
        crowded = len(group) > 1
        earlier = not os.path.lexists(item.plain) and os.path.isfile(item.apart)  # noqa: PTH113
        targets.append(item.apart if crowded or earlier else item.plain)
        if crowded and item is group[0] and item.apart != item.plain:
            sources, apart = ([getattr(i, n) for i in group] for n in ("source", "apart"))
            if len({places.key(name) for name in apart}) < len(apart):
                continue  # even these names meet, and what is refused for it says so
            notes.append(
                f"{_and(sources)} would become {item.plain} alike: they become {_and(apart)}"
            )
    return targets, notes


def _and(names: Sequence[str]) -> str:
    return f"{', '.join(names[:-1])} and {names[-1]}"


def _refuse_terminal(targets: Sequence[str]) -> None:
    if STREAM in targets and sys.stdout is not None and sys.stdout.isatty():
        raise ValueError("stdout is a terminal; give -o FILE or redirect it")


def _harmless(
    jobs: Sequence[Job], places: Places, suffix_of: SuffixOf, failures: list[Failure]
) -> Iterator[Job]:
    """Yield the jobs that do no harm to files of others; say of the rest why they would."""
    sources = {places.key(job.source): job.source for job in jobs if job.source != STREAM}
    meeting: dict[str, list[str]] = defaultdict(list)
    for job in jobs:
        if job.target != STREAM:
            meeting[places.key(job.target)].append(job.source)
    for job in jobs:
        key = places.key(job.target)
        if job.target == STREAM:
            why = ""
        elif suffix_of(job.source) and (
            Path(job.target).is_dir() or job.target.endswith(("/", os.sep))
        ):
            why = "is a folder; use -d"
        elif key in sources and sources[key] == job.source:
            why = "input and output are the same file"
        elif key in sources:
            why = f"output and another input, {sources[key]}, are the same file"
        elif len(meeting[key]) > 1:
            if job.source == meeting[key][0]:  # one line for all of them
                failures.append(_refusal_of_several(job.target, meeting[key]))
            continue
        elif job.inside is not None and not is_inside(job.target, job.inside):
            why = f"a link leads out of the folder {job.inside}"
        else:
            why = ""
        if why:
            failures.append(Failure(f"{job.target}: {why}", code=2))
        else:
            yield job


def _refusal_of_several(target: str, sources: Sequence[str]) -> Failure:
    return Failure(
        f"{_and(sources)} would become one file, {target}",
        hint="run each with a -d of its own, or give the folder that they are in, which -d mirrors",
        code=2,
    )


def _by_existing(
    jobs: list[Job],
    existing: Existing,
    single: bool,
    suffix_of: SuffixOf,
    look: Look,
    failures: list[Failure],
    notes: list[str],
) -> tuple[list[Job], list[Job]]:
    """Return the jobs that are left to do and those that are done."""
    left, done = [], []
    for job in jobs:
        target, suffix = Path(job.target), suffix_of(job.source)
        is_there = target.is_file() or (not suffix and _is_filled(target))
        overwrites = existing is Existing.OVERWRITE
        if job.target == STREAM or not is_there or (overwrites and suffix):
            left.append(job)
            continue
        if overwrites or (existing is Existing.KEEP and single):
            failures.append(Failure(f"{job.target} {_in_the_way(suffix)}", code=2))
            continue
        found = Found.BROKEN if _is_empty(target) else look(job.source, target)
        if found is Found.BROKEN and existing is not Existing.KEEP:
            left.append(replace(job, overwrite=True))
        elif found is Found.BROKEN:
            why = "is empty or damaged; -f or --skip-existing writes it again"
            failures.append(Failure(f"{job.target} {why}"))
        elif found is Found.FOREIGN:
            failures.append(Failure(f"{job.target} is no {suffix} file; -f overwrites it"))
        elif existing is Existing.MATCH:
            left.append(job)
        else:
            done.append(job)
            if found is Found.OTHER:
                what = "at another date" if suffix == ".vqc" else "in part"
                notes.append(
                    f"{job.target} exists and is of another file than {job.source}, or of it {what}"
                )
    return left, done


def _is_filled(folder: Path) -> bool:
    """Tell whether a path is a folder in which there is something."""
    return folder.is_dir() and any(folder.iterdir())


def _is_empty(path: Path) -> bool:
    """Tell whether there is a file of no bytes."""
    try:
        return path.is_file() and path.stat().st_size == 0
    except OSError:
        return False


def _in_the_way(suffix: str) -> str:
    """Say of an output that exists what to do about it; folders are never overwritten."""
    if suffix:
        return "exists; -f overwrites it, -o FILE or -d DIR avoids it"
    return "exists; a folder is never overwritten: -o or -d names another place"
