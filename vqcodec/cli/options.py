"""Options that several commands share."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass, fields
from functools import wraps
from typing import Any, ClassVar, TypeVar

import click

from vqcodec.audio.chunks import MAX_SAMPLES
from vqcodec.batch.plan import Existing, Outputs
from vqcodec.container.layout import Limits
from vqcodec.engines.devices import DEVICES

F = TypeVar("F", bound=Callable[..., Any])


def stacked(*decorators: Callable[[F], F]) -> Callable[[F], F]:
    """Join decorators into one; the first is outermost, as when written above a function."""

    def join(function: F) -> F:
        for decorator in reversed(decorators):
            function = decorator(function)
        return function

    return join


def grouped(name: str, kind: type, *options: Callable[[F], F]) -> Callable[[F], F]:
    """Pass options to a command as one argument of this name: a dataclass of this kind, whose
    fields have the names of the options.
    """
    own = {field.name for field in fields(kind)}

    def join(function: F) -> F:
        @wraps(function)
        def call(**arguments: Any) -> Any:
            values = {key: arguments.pop(key) for key in own & arguments.keys()}
            return function(**arguments, **{name: kind(**values)})

        return stacked(*options)(call)  # type: ignore[arg-type]

    return join


@dataclass(frozen=True, slots=True, kw_only=True)
class Placing:
    """Where results go, as the options say it."""

    output: str | None
    directory: str | None
    force: bool
    skip_existing: bool

    def outputs(self, *, remove_source: bool = False) -> Outputs:
        """Return what a plan is made by. Raises: ValueError if options exclude each other."""
        existing = Existing.wished(force=self.force, skip=self.skip_existing, remove=remove_source)
        return Outputs(output=self.output, directory=self.directory, existing=existing)


@dataclass(frozen=True, slots=True, kw_only=True)
class Running:
    """How jobs are done."""

    jobs: int | None
    """In how many processes; None: as many as pay."""
    dry_run: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Compute:
    """What the networks run on."""

    device: str
    threads: int | None


inputs_argument = click.argument(
    "inputs", metavar="IN...", nargs=-1, required=True, type=click.Path(allow_dash=True)
)


def placing_options(what: str) -> Callable[[F], F]:
    """Where results go: the argument `placing`."""
    return grouped(
        "placing",
        Placing,
        click.option(
            "-o",
            "--output",
            metavar="FILE",
            type=click.Path(allow_dash=True, readable=False),
            help=f"Write {what} here; '-' is stdout.",
        ),
        click.option(
            "-d",
            "--directory",
            metavar="DIR",
            type=click.Path(file_okay=False, readable=False),
            help="Write into this folder; folders are mirrored.",
        ),
        click.option("-f", "--force", is_flag=True, help="Overwrite existing files."),
        click.option(
            "--skip-existing",
            is_flag=True,
            help="Leave out inputs whose results exist and are whole.",
        ),
    )


running_options = grouped(
    "running",
    Running,
    click.option(
        "-j",
        "--jobs",
        type=click.IntRange(min=1),
        help="Processes to work on several files; default: one for each processor, if the "
        "files are enough to pay for the start.",
    ),
    click.option("--dry-run", is_flag=True, help="Only say what would become what."),
)

ray_option = click.option(
    "--ray",
    "address",
    metavar="ADDRESS",
    is_flag=False,
    flag_value="",
    help="Work on a folder by Ray (extra 'ray'), on the cluster at this address, or without one on "
    "this machine. IN and DIR may be addresses such as s3://bucket/photos.",
)

model_option = click.option(
    "-m", "--model", metavar="NAME|FILE", help="Model's name, or its .safetensors file."
)


def compute_options(default: str = "cpu") -> Callable[[F], F]:
    """What the networks run on: the argument `compute`."""
    return grouped(
        "compute",
        Compute,
        click.option(
            "--device",
            type=click.Choice(DEVICES),
            default=default,
            show_default=True,
            help="Where the networks run; all but the CPU need torch. "
            "'auto' is the best that is there.",
        ),
        click.option(
            "--threads",
            type=click.IntRange(min=1),
            help="Threads on the CPU, of all processes together; default: one for each processor.",
        ),
    )


speaker_option = click.option(
    "--speaker",
    metavar="NAME",
    help="Of sound: the voice of the result, one of those whom the model knows (`models show`). "
    "Default: of a new file the one most like it, else as the file says.",
)

max_pixels_option = click.option(
    "--max-pixels",
    type=click.IntRange(min=1),
    default=Limits().pixels,
    show_default=True,
    help="Refuse pictures, and clips of all frames together, with more pixels.",
)


max_samples_option = click.option(
    "--max-samples",
    type=click.IntRange(min=1),
    default=MAX_SAMPLES,
    show_default=True,
    help="Refuse sound with more samples, all channels together.",
)


class _Size(click.ParamType[int]):
    """A number of bytes: 40000, 40KB or 39KiB."""

    name = "size"
    _units: ClassVar = {"": 1, "K": 1000, "KI": 1 << 10, "M": 1000**2, "MI": 1 << 20}

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> int:
        """Parse the option's text."""
        if isinstance(value, int):
            return value
        found = re.fullmatch(r"(\d+(?:\.\d+)?) *([KM]?I?)B?", str(value).strip().upper())
        if found is None or found[2] not in self._units:
            self.fail(f"{value!r} is no size like 40000, 40KB or 39KiB", param, ctx)
        return int(float(found[1]) * self._units[found[2]])


class _Bitrate(click.ParamType[float]):
    """Bits per second: 2400 or 2.4k."""

    name = "bits/s"

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> float:
        """Parse the option's text."""
        if isinstance(value, float):
            return value
        found = re.fullmatch(r"(\d+(?:\.\d+)?)(k?)", str(value).strip().lower())
        if found is None:
            self.fail(f"{value!r} is no number of bits per second like 2400 or 2.4k", param, ctx)
        return float(found[1]) * (1000 if found[2] else 1)


SIZE = _Size()
BITRATE = _Bitrate()
