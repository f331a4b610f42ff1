"""Options that several commands share."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any, ClassVar, TypeVar

import click

from vqcodec.container.layout import Limits

F = TypeVar("F", bound=Callable[..., Any])


def stacked(*decorators: Callable[[F], F]) -> Callable[[F], F]:
    """Join decorators into one; the first is outermost, as when written above a function."""

    def join(function: F) -> F:
        for decorator in reversed(decorators):
            function = decorator(function)
        return function

    return join


def output_options(what: str) -> Callable[[F], F]:
    """Where results go."""
    return stacked(
        click.option("-o", "--output", metavar="FILE", help=f"Write {what} here; '-' is stdout."),
        click.option(
            "-d",
            "--directory",
            metavar="DIR",
            type=click.Path(file_okay=False),
            help="Write into this folder; folders are mirrored.",
        ),
        click.option("-f", "--force", is_flag=True, help="Overwrite existing files."),
        click.option("--skip-existing", is_flag=True, help="Leave out inputs whose results exist."),
    )


model_option = click.option(
    "--model", metavar="NAME|FILE", help="Model's name, or its .safetensors file."
)

compute_options = stacked(
    click.option(
        "--device",
        type=click.Choice(["auto", "cpu", "cuda", "mps"]),
        default="auto",
        show_default=True,
        help="Where the networks run.",
    ),
    click.option(
        "--threads", type=click.IntRange(min=1), help="Threads on the CPU; default: all cores."
    ),
)

max_pixels_option = click.option(
    "--max-pixels",
    type=click.IntRange(min=1),
    default=Limits().pixels,
    show_default=True,
    help="Refuse pictures with more pixels.",
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


SIZE = _Size()
